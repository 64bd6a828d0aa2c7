//! Publishes real events as a producer of the business would.

use anyhow::{Context as _, Result};
use events::{Envelope, Event, EventSet as _, topics::SUBJECTS, wire};
use kafka::{ClientConfig, Outgoing, Producer, ProducerConfig, RegistryConfig};
use std::{collections::BTreeMap, time::Duration};
use testkit::business::{self, Item, Options};

const CHUNK: usize = 5_000;
/// Longest wait for what the broker has not acknowledged when all was handed over.
const CLOSING: Duration = Duration::from_secs(30);

/// Fault-free events of a generated business, always the same for the same number.
pub fn generated(events: u64) -> Result<impl Iterator<Item = (Envelope, Event)>> {
    of(&Options::of_events(1, events))
}

/// The events of a generated business.
pub fn of(options: &Options) -> Result<impl Iterator<Item = (Envelope, Event)> + Send + use<>> {
    Ok(business::stream(options)?.filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    }))
}

/// Publishes everything; answers how many records the broker has taken.
pub async fn publish(
    endpoints: &devstack::Endpoints,
    events: impl Iterator<Item = (Envelope, Event)>,
    mut progress: impl FnMut(u64),
) -> Result<u64> {
    let ids = consumer::runtime::schema_ids(&RegistryConfig::new(&endpoints.registry), SUBJECTS).await?;
    let client = ClientConfig::new(&endpoints.kafka);
    let producer = Producer::start(&ProducerConfig { client, ..ProducerConfig::default() })?;
    let mut published = 0;
    let mut events = events.map(|(envelope, event)| record(&ids, &envelope, &event)).peekable();
    while events.peek().is_some() {
        let chunk: Vec<Outgoing> = events.by_ref().take(CHUNK).collect();
        send(&producer, &chunk).await?;
        published += chunk.len() as u64;
        progress(published);
    }
    producer.close(CLOSING).await;
    Ok(published)
}

/// An event as the wire contract has it; `ids` by topic.
pub fn record(ids: &BTreeMap<&'static str, u32>, envelope: &Envelope, event: &Event) -> Outgoing {
    Outgoing {
        topic: event.topic().into(),
        partition: None,
        key: Some(event.account_id().to_owned().into()),
        value: Some(wire::frame(ids.get(event.topic()).copied().unwrap_or(0), &event.encode_avro()).into()),
        headers: envelope.to_headers(),
        // That of the publication: a broker forgets by it, and the events lie years back.
        timestamp_ms: None,
    }
}

/// Sends records in order; all of them are acknowledged when it returns.
pub async fn send(producer: &Producer, records: &[Outgoing]) -> Result<()> {
    for ack in producer.send_all(records).await {
        ack.context("publish")?;
    }
    Ok(())
}
