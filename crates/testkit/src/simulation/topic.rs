//! The simulated topics: what publishers put into the input, and what the relay puts into the output.

use super::{Options, SimEvent};
use async_trait::async_trait;
use bytes::Bytes;
use consumer::machine::{Arrived, Decoder};
use events::{EventSet, Headers, PayloadHash, Record};
use failure::Failure;
use ledger::{NewOutgoing, PublishedMark};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, sync::Arc};

/// The input topics of the slice.
pub type Log<E> = BTreeMap<Arc<str>, Vec<Arrived<E>>>;

/// An event that reached its topic, with the number that the journal gave it.
pub type PublishedEvent = (i64, NewOutgoing);

/// The output topics.
pub type Outputs = BTreeMap<(String, i32), Vec<PublishedEvent>>;

/// The input as it lies in the topics of the slice, duplicates included.
pub fn publish<E: EventSet>(events: &[SimEvent<E>], options: &Options, rng: &mut ChaCha8Rng) -> Log<E> {
    let mut log: Log<E> = E::topics().into_iter().map(|topic| (topic.into(), Vec::new())).collect();
    let mut again: Vec<usize> = Vec::new();
    for index in 0..events.len() {
        append_input(&mut log, events, index);
        if options.duplicates > 0.0 && rng.random_bool(options.duplicates) {
            again.push(index);
        }
        if !again.is_empty() && rng.random_bool(0.3) {
            append_input(&mut log, events, again.swap_remove(rng.random_range(0..again.len())));
        }
    }
    again.into_iter().for_each(|index| append_input(&mut log, events, index));
    log
}

pub fn append_input<E: EventSet>(log: &mut Log<E>, events: &[SimEvent<E>], index: usize) {
    let source = &events[index];
    let topic: Arc<str> = source.topic.into();
    let records = log.entry(topic.clone()).or_default();
    // The bytes only have to tell events apart; decoding is not what is simulated.
    let value = Bytes::from(index.to_string());
    let key = Bytes::from(source.key.clone());
    let mut headers = Headers::default();
    headers.push("written-as", value.clone());
    let record = Record {
        topic,
        partition: 0,
        offset: i64::try_from(records.len()).unwrap_or(i64::MAX),
        timestamp_ms: i64::try_from(index).unwrap_or(i64::MAX),
        key: Some(key.clone()),
        value: Some(value.clone()),
        headers,
    };
    let hash = PayloadHash::of(Some(&key), Some(&value));
    records.push(Arrived::new(record, Some(source.envelope.clone()), hash, source.event.clone(), 0));
}

/// Decodes a record by looking it up in the input.
pub struct Table<'a, E> {
    pub log: &'a Log<E>,
}

impl<E: EventSet> Table<'_, E> {
    pub fn find(&self, record: &Record) -> Arrived<E> {
        let known =
            usize::try_from(record.offset).ok().and_then(|offset| self.log.get(&record.topic)?.get(offset)).cloned();
        let unknown = || Err(Failure::poison("BYTES_NOT_AVRO", "not in the simulated topic"));
        let mut arrived = known.unwrap_or_else(|| Arrived::new(record.clone(), None, PayloadHash(0), unknown(), 0));
        arrived.record = record.clone();
        arrived
    }
}

#[async_trait]
impl<E: EventSet> Decoder<E> for Table<'_, E> {
    async fn decode(&self, record: Record) -> Arrived<E> {
        self.find(&record)
    }
}

/// Adds an event to its topic; the mark that an acknowledgement carries.
pub fn append(outputs: &mut Outputs, number: i64, event: NewOutgoing) -> PublishedMark {
    let place = (event.topic.clone(), event.partition);
    let events = outputs.entry(place.clone()).or_default();
    events.push((number, event));
    mark(place, number, events.len() - 1)
}

/// The newest of our events in a topic, as a reader of its tail finds it.
pub fn newest(outputs: &Outputs, topic: &str, partition: i32) -> Option<PublishedMark> {
    let place = (topic.to_owned(), partition);
    let events = outputs.get(&place)?;
    let (offset, number) = (0..).zip(events).map(|(offset, (number, _))| (offset, *number)).max_by_key(|(_, n)| *n)?;
    Some(mark(place, number, offset))
}

fn mark((topic, partition): (String, i32), number: i64, offset: usize) -> PublishedMark {
    PublishedMark { topic, partition, number, offset: i64::try_from(offset).unwrap_or(i64::MAX) }
}
