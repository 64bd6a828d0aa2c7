//! The service without its runtime: each event is decided, and what was decided takes hold; the records are read back as any
//! reader would read them.

#![allow(dead_code, reason = "each test file uses a part of it")]

use analytics_feed::{AnalyticsFeed, Pseudonyms, Writer, document::FeedDocument};
use consumer::{Context, Decision, Documents, Handler as _, Input, TimerChange};
use events::{Dataset, Envelope, Event, EventSet as _, WriterSchema, topics};
use failure::Failure;
use ledger::DocumentKey;
use std::{collections::BTreeMap, sync::Arc};
use testkit::business::{Faults, Item, Options, stream};

pub fn masks() -> Pseudonyms {
    Pseudonyms::try_new(&"0123456789abcdef0123456789abcdef".to_owned().into(), 1).expect("a good key")
}

pub fn handler() -> AnalyticsFeed {
    AnalyticsFeed::new(masks(), Writer::numbered())
}

/// A published record: topic, key, and its row unless it deletes.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub topic: String,
    pub key: String,
    pub row: Option<Dataset>,
    /// Everything that leaves the service, as bytes.
    pub bytes: Vec<u8>,
}

pub struct Service {
    handler: AnalyticsFeed,
    pub documents: BTreeMap<DocumentKey, Arc<FeedDocument>>,
    pub published: Vec<Published>,
    pub timers: BTreeMap<String, serde_json::Value>,
}

impl Service {
    pub fn new() -> Self {
        let (documents, published, timers) = Default::default();
        Self { handler: handler(), documents, published, timers }
    }

    /// Takes an event; an error is the verdict on it, and nothing of it took hold.
    pub fn take(&mut self, envelope: &Envelope, event: &Event) -> Result<(), Failure> {
        event.check()?;
        self.decide(envelope, event)
    }

    /// The same, whatever the event's amounts are.
    pub fn decide(&mut self, envelope: &Envelope, event: &Event) -> Result<(), Failure> {
        let context =
            Context { now_ms: envelope.time_ms, envelope: Some(envelope), key: event.account_id(), refusals: 0 };
        let input = Input::Event(event);
        let decision = self.handler.decide(&Documents::new(&self.documents), &input, &context)?;
        let reads = self.handler.reads(&input);
        assert!(decision.documents.iter().all(|change| reads.contains(&change.key)), "only what is read may change");
        self.keep(decision);
        Ok(())
    }

    /// Takes an event under an id of its own.
    pub fn event(&mut self, event: impl Into<Event>) -> Result<(), Failure> {
        let event = event.into();
        let version = event.entity_version().unwrap_or(0);
        let id = format!("{}/{}/{version}", event.topic(), event.subject());
        let envelope = Envelope { id, source: "urn:test".into(), ..Envelope::default() };
        self.take(&envelope, &event)
    }

    /// Takes events in any order: what has to wait is tried again when everything else is done.
    pub fn take_all(&mut self, events: &[(Envelope, Event)]) {
        let mut waiting: Vec<_> = events.iter().collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|(envelope, event)| match self.take(envelope, event) {
                Ok(()) => false,
                Err(failure) if failure.class == failure::Class::NotYet => true,
                Err(failure) => panic!("{failure}: {event:?}"),
            });
            assert!(waiting.len() < before, "nothing goes on: {:?}", waiting.first());
        }
    }

    /// All days of cancellations come.
    pub fn let_time_pass(&mut self) {
        for (id, payload) in std::mem::take(&mut self.timers) {
            let context = Context { now_ms: i64::MAX, envelope: None, key: "A-1", refusals: 0 };
            let input = Input::Timer { id: &id, payload: &payload };
            let decision = self.handler.decide(&Documents::new(&self.documents), &input, &context).expect("a timer");
            self.keep(decision);
        }
    }

    fn keep(&mut self, decision: Decision<AnalyticsFeed>) {
        for change in decision.documents {
            match change.document {
                Some(document) => self.documents.insert(change.key, Arc::new(document)),
                None => self.documents.remove(&change.key),
            };
        }
        for timer in decision.timers {
            match timer {
                TimerChange::Set { id, payload, .. } => self.timers.insert(id, payload),
                TimerChange::Clear { id } => self.timers.remove(&id),
            };
        }
        for record in decision.publish {
            let mut bytes = format!("{} {:?}", record.key, record.headers).into_bytes();
            bytes.extend(record.value.iter().flatten());
            let row = record.value.map(|value| {
                let schema = WriterSchema::own(&record.topic).expect("a topic of ours");
                Dataset::decode_avro(&record.topic, &schema, &value[5..]).expect("readable")
            });
            self.published.push(Published { topic: record.topic, key: record.key, row, bytes });
        }
    }

    /// All rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = &Dataset> {
        self.published.iter().filter_map(|record| record.row.as_ref())
    }

    /// The newest state of each key of a compacted topic.
    pub fn states(&self, topic: &str) -> BTreeMap<&str, &Dataset> {
        let mut states = BTreeMap::new();
        for record in self.published.iter().filter(|record| record.topic == topic) {
            match &record.row {
                Some(row) => states.insert(record.key.as_str(), row),
                None => states.remove(record.key.as_str()),
            };
        }
        states
    }
}

/// A generated business in the order of time.
pub fn business(seed: u64, accounts: u32, months: u32, faults: Faults) -> Vec<(Envelope, Event)> {
    let start = jiff::civil::date(2024, 1, 1);
    let options = Options { seed, accounts, months, start, max_events: None, faults };
    let events = stream(&options).expect("good options");
    let events = events.filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    });
    events.collect()
}

/// The topic of an event as a fixed text.
pub fn topic_of(event: &Event) -> &'static str {
    topics::find(event.topic()).expect("a topic of ours").topic
}
