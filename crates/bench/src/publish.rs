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

/// Keys of records that nobody can read: their letters lie in so many sequences.
const UNREADABLE_KEYS: u64 = 1_000;

/// Publishes everything; answers how many records the broker has taken.
pub async fn publish(
    endpoints: &devstack::Endpoints,
    events: impl Iterator<Item = (Envelope, Event)>,
    progress: impl FnMut(u64),
) -> Result<u64> {
    publish_with_letters(endpoints, events, None, progress).await
}

/// The same, with a record that nobody can read before each so-many-th event. It becomes a letter, or waits behind one.
pub async fn publish_with_letters(
    endpoints: &devstack::Endpoints,
    events: impl Iterator<Item = (Envelope, Event)>,
    every: Option<u64>,
    mut progress: impl FnMut(u64),
) -> Result<u64> {
    let ids = consumer::runtime::schema_ids(&RegistryConfig::new(&endpoints.registry), SUBJECTS).await?;
    let client = ClientConfig::new(&endpoints.kafka);
    let producer = Producer::start(&ProducerConfig { client, ..ProducerConfig::default() })?;
    let mut published = 0;
    let records = (1..).zip(events).flat_map(|(number, (envelope, event))| {
        let record = record(&ids, &envelope, &event);
        let letter = every.filter(|every| number % every == 0).map(|every| unreadable(&record, number / every));
        letter.into_iter().chain([record])
    });
    let mut events = records.peekable();
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

/// A record of its own account: an envelope like another's, and a body that is cut off.
fn unreadable(like: &Outgoing, number: u64) -> Outgoing {
    let mut letter = like.clone();
    letter.key = Some(format!("UNREADABLE-{}", number % UNREADABLE_KEYS).into());
    letter.headers.0.retain(|(name, _)| &**name != "ce_id");
    letter.headers.push("ce_id", format!("unreadable-{number}"));
    letter.value = letter.value.map(|value| value.slice(..value.len().min(6)));
    letter
}

/// Sends records in order; all of them are acknowledged when it returns.
pub async fn send(producer: &Producer, records: &[Outgoing]) -> Result<()> {
    for ack in producer.send_all(records).await {
        ack.context("publish")?;
    }
    Ok(())
}
