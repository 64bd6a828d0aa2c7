//! Copies of records on a topic: acknowledged by the broker, each once for the plan it belongs to. Whoever puts them looks first for
//! what the same plan has put there already, so that a call that broke off may be repeated.

use crate::error::{Error, Kind, Result};
use kafka::{Admin, ClientConfig, Drain, Outgoing, Producer, ProducerConfig, TopicPartition};
use std::{collections::HashSet, ops::ControlFlow, time::Duration};

/// Header: what it is a copy of, a letter's id or `topic/partition@offset`.
pub const COPY_OF: &str = "dlq.copy.of";
/// Header: the hash of the plan that it belongs to.
pub const COPY_PLAN: &str = "dlq.copy.plan";
/// Reading what is there already takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

/// A record to put, and what it is a copy of.
#[derive(Debug, Clone)]
pub struct Copy {
    pub of: String,
    pub record: Outgoing,
}

/// Where each partition of a topic ends now.
///
/// # Errors
/// `TOPIC_UNKNOWN`; `BROKER_UNAVAILABLE`.
pub async fn ends(kafka: &ClientConfig, topic: &str) -> Result<Vec<i64>> {
    let admin = Admin::connect(kafka)?;
    let mut ends = Vec::new();
    for partition in 0..admin.partitions(topic).await? {
        ends.push(admin.watermarks(topic, partition).await?.1);
    }
    // Closing a client waits for its threads.
    drop(tokio::task::spawn_blocking(move || drop(admin)));
    Ok(ends)
}

/// What a plan has put on a topic since these ends: what it is a copy of, and where it lies.
///
/// # Errors
/// As [`ends`].
pub async fn there(kafka: &ClientConfig, topic: &str, since: &[i64], plan: &str) -> Result<Vec<(String, i32, i64)>> {
    let drain = Drain::new(kafka.clone(), PATIENCE);
    let mut found = Vec::new();
    for (partition, from) in since.iter().enumerate() {
        let place = TopicPartition { topic: topic.into(), partition: i32::try_from(partition).unwrap_or(i32::MAX) };
        let plan = plan.to_owned();
        let visit = move |found: &mut Vec<(String, i32, i64)>, record: events::Record| {
            if record.headers.text(COPY_PLAN) == Some(&plan)
                && let Some(of) = record.headers.text(COPY_OF)
            {
                found.push((of.to_owned(), record.partition, record.offset));
            }
            ControlFlow::Continue(())
        };
        found = drain.scan(&place, *from, found, visit).await?;
    }
    Ok(found)
}

/// Puts copies that are not there yet and waits for the broker's word on each. Returns how many it put.
///
/// # Errors
/// `BROKER_UNAVAILABLE`: some may be there, and the same call may be repeated.
pub async fn put(kafka: &ClientConfig, copies: Vec<Copy>, plan: &str, there: &HashSet<String>) -> Result<usize> {
    let marked = |mut copy: Copy| {
        copy.record.headers.0.retain(|(name, _)| ![COPY_OF, COPY_PLAN].contains(&name.as_ref()));
        copy.record.headers.push(COPY_OF, copy.of);
        copy.record.headers.push(COPY_PLAN, plan.to_owned());
        copy.record
    };
    let records: Vec<Outgoing> = copies.into_iter().filter(|copy| !there.contains(&copy.of)).map(marked).collect();
    if records.is_empty() {
        return Ok(0);
    }
    let producer = Producer::start(&ProducerConfig { client: kafka.clone(), ..ProducerConfig::default() })?;
    let acks = producer.send_all(&records).await;
    producer.close(Duration::from_secs(5)).await;
    match acks.into_iter().find_map(std::result::Result::err) {
        None => Ok(records.len()),
        Some(error) => {
            Err(Error::new(Kind::Unavailable, "BROKER_UNAVAILABLE", format!("a copy was not taken: {error}"))
                .hint("repeat the same command: what is there already is not put again"))
        }
    }
}
