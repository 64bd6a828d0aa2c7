//! Live events at a steady rate, whatever the service does: an open loop, so that a slow service shows as latency and not as fewer
//! events.

use crate::publish::record;
use anyhow::{Context as _, Result};
use events::{Envelope, Event, topics::SUBJECTS};
use kafka::{ClientConfig, Outgoing, Producer, ProducerConfig, RegistryConfig};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// Events are handed over in bunches of this length of time.
const TICK: Duration = Duration::from_millis(20);

/// Milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    pub events: u64,
    pub p50: i64,
    pub p99: i64,
    pub max: i64,
}

/// Since the epoch, in milliseconds.
pub type Moment = i64;

pub struct Live {
    /// When each event was due, by its id.
    due: Arc<Mutex<HashMap<String, Moment>>>,
    is_over: Arc<AtomicBool>,
    task: JoinHandle<Result<()>>,
}

/// What is known when everything was published.
pub struct Published(HashMap<String, Moment>);

/// The part of a line of the ERP's log that is looked at.
#[derive(Deserialize)]
struct Commit {
    at: jiff::Timestamp,
    event_id: Option<String>,
}

impl Live {
    pub async fn start(
        endpoints: &devstack::Endpoints,
        events: impl Iterator<Item = (Envelope, Event)> + Send + 'static,
        per_second: u32,
    ) -> Result<Self> {
        let ids = consumer::runtime::schema_ids(&RegistryConfig::new(&endpoints.registry), SUBJECTS).await?;
        let client = ClientConfig::new(&endpoints.kafka);
        let producer = Producer::start(&ProducerConfig { client, ..ProducerConfig::default() })?;
        let (due, is_over) = (Arc::<Mutex<HashMap<_, _>>>::default(), Arc::<AtomicBool>::default());
        let records = events.map(move |(envelope, event)| {
            let record = record(&ids, &envelope, &event);
            (envelope.id, record)
        });
        let task = tokio::spawn(publish(producer, records, per_second, due.clone(), is_over.clone()));
        Ok(Self { due, is_over, task })
    }

    /// Publishes no more, and waits until the broker has what was published.
    pub async fn stop(self) -> Result<Published> {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await??;
        Ok(Published(std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner))))
    }
}

pub fn now() -> Moment {
    jiff::Timestamp::now().as_millisecond()
}

async fn publish(
    producer: Producer,
    mut records: impl Iterator<Item = (String, Outgoing)>,
    per_second: u32,
    due: Arc<Mutex<HashMap<String, Moment>>>,
    is_over: Arc<AtomicBool>,
) -> Result<()> {
    let begun = now();
    let mut tick = tokio::time::interval(TICK);
    // What was due while the producer was slow is published at once, and counts from when it was due.
    let mut published = 0;
    while !is_over.load(Ordering::Relaxed) {
        tick.tick().await;
        let wanted = (now() - begun) * i64::from(per_second) / 1_000;
        let mut bunch = Vec::new();
        while published < wanted {
            let (id, record) = records.next().context("the live events ran out: ask for fewer a second")?;
            let at = begun + published * 1_000 / i64::from(per_second);
            due.lock().unwrap_or_else(PoisonError::into_inner).insert(id, at);
            bunch.push(record);
            published += 1;
        }
        for ack in producer.send_all(&bunch).await {
            ack.context("publish a live event")?;
        }
    }
    Ok(())
}

impl Published {
    /// From being due to the last commit of the ERP, of the events that were due in this time and changed anything there.
    pub fn latency(&self, commits: &str, from: Moment, to: Moment) -> Result<Latency> {
        let mut last: HashMap<String, Moment> = HashMap::new();
        for line in commits.lines().filter(|line| !line.is_empty()) {
            let commit: Commit = serde_json::from_str(line).context("a line of the ERP's log")?;
            if let Some(id) = commit.event_id {
                last.insert(id, commit.at.as_millisecond());
            }
        }
        let within = self.0.iter().filter(|(_, due)| (from..to).contains(*due));
        let mut all: Vec<i64> = within.filter_map(|(id, due)| Some(last.get(id)? - due)).collect();
        all.sort_unstable();
        let quantile =
            |share: f64| all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1))).copied();
        let (p50, p99, max) = (quantile(0.5), quantile(0.99), all.last().copied());
        let none = "no live event changed anything";
        Ok(Latency {
            events: all.len() as u64,
            p50: p50.context(none)?,
            p99: p99.context(none)?,
            max: max.context(none)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_of_an_event_ends_with_its_last_commit() {
        let published = Published((0..100).map(|n| (format!("e{n}"), n * 10)).collect());
        let line = |id: i64, at: i64| {
            let at = jiff::Timestamp::from_millisecond(at).expect("a time");
            format!("{{\"at\":\"{at}\",\"event_id\":\"e{id}\",\"operation\":\"create\"}}\n")
        };
        let log: String = (0..100).map(|n| line(n, n * 10 + 1) + &line(n, n * 10 + 5 + n)).collect();
        let latency = published.latency(&log, 0, 500).expect("events");
        assert_eq!((latency.events, latency.p50, latency.max), (50, 30, 54));
        assert!(published.latency("", 0, 500).is_err());
    }
}
