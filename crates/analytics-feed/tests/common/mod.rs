//! The service without its runtime: each event is decided, and what was decided takes hold; the records are read back as any
//! reader would read them.

#![allow(dead_code, reason = "each test file uses a part of it")]

use analytics_feed::{AnalyticsFeed, Pseudonyms, Writer, document::FeedDocument, event::FeedEvent};
use consumer::{Context, Decision, Documents, Handler as _, Input, TimerChange};
use events::{
    ContractActivated, Dataset, Deal, EntitlementGranted, Envelope, Event, EventSet as _, OpportunityClosedWon,
    OpportunityReopened, OrderAccepted, Reply, WriterSchema, common::DealType, topics,
};
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
        self.decide(envelope, &event.clone().into())
    }

    /// The same, whatever the event's amounts are.
    pub fn decide(&mut self, envelope: &Envelope, event: &FeedEvent) -> Result<(), Failure> {
        let context = Context {
            now_ms: envelope.time_ms,
            record_ms: envelope.time_ms,
            envelope: Some(envelope),
            key: event.account_id(),
            refusals: 0,
        };
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

    /// Takes a step of a deal, whose record has a timestamp.
    pub fn happens(&mut self, step: &Step) {
        let envelope = Envelope { time_ms: step.at_ms, ..step.envelope() };
        self.decide(&envelope, &step.event).unwrap_or_else(|failure| panic!("{failure}: {step:?}"));
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
            let context = Context { now_ms: i64::MAX, record_ms: i64::MAX, envelope: None, key: "A-1", refusals: 0 };
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

/// Something that happens to a deal or its contracts, and when its record was published.
#[derive(Debug, Clone)]
pub struct Step {
    pub at_ms: i64,
    pub topic: &'static str,
    pub event: FeedEvent,
}

impl Step {
    pub fn envelope(&self) -> Envelope {
        let (topic, subject) = (self.topic, self.event.subject());
        let id = format!("{topic}/{subject}/{}", self.event.entity_version().unwrap_or(0));
        Envelope { id, source: "urn:test".into(), ..Envelope::default() }
    }
}

pub fn won(at_ms: i64, version: i64, deal_type: DealType) -> Step {
    let event = OpportunityClosedWon {
        account_id: "A-1".into(),
        entity_version: version,
        recorded_at: jiff::Timestamp::from_millisecond(at_ms - 500).expect("a time"),
        opportunity_id: "D-1".into(),
        deal_type,
        ..OpportunityClosedWon::default()
    };
    Step { at_ms, topic: topics::OPPORTUNITY_CLOSED_WON, event: Deal::from(event).into() }
}

pub fn reopened(at_ms: i64, version: i64) -> Step {
    let event = OpportunityReopened {
        account_id: "A-1".into(),
        entity_version: version,
        opportunity_id: "D-1".into(),
        ..OpportunityReopened::default()
    };
    Step { at_ms, topic: topics::OPPORTUNITY_REOPENED, event: Deal::from(event).into() }
}

pub fn accepted(at_ms: i64, entity: &str) -> Step {
    let id = format!("D-1-{entity}");
    let event = OrderAccepted {
        account_id: "A-1".into(),
        entity_version: 1,
        order_id: id.clone(),
        contract_id: Some(id),
        opportunity_id: Some("D-1".into()),
        ..OrderAccepted::default()
    };
    Step { at_ms, topic: topics::ORDER_ACCEPTED, event: Reply::from(event).into() }
}

pub fn activated(at_ms: i64, entity: &str) -> Step {
    let event = ContractActivated {
        account_id: "A-1".into(),
        entity_version: 1,
        legal_entity_id: entity.into(),
        contract_id: format!("D-1-{entity}"),
        order_id: Some(format!("D-1-{entity}")),
        opportunity_id: Some("D-1".into()),
        currency: "USD".into(),
        ..ContractActivated::default()
    };
    Step { at_ms, topic: topics::CONTRACT_ACTIVATED, event: Event::from(event).into() }
}

pub fn entitled(at_ms: i64, entity: &str, feature: &str) -> Step {
    let event = EntitlementGranted {
        account_id: "A-1".into(),
        entity_version: 1,
        entitlement_id: format!("D-1-{entity}/{feature}"),
        contract_id: format!("D-1-{entity}"),
        feature_key: feature.into(),
        ..EntitlementGranted::default()
    };
    Step { at_ms, topic: topics::ENTITLEMENT_GRANTED, event: Reply::from(event).into() }
}

/// A deal of two entities: the first goes all the way, the second cannot be used yet.
pub fn deal_of_two() -> Vec<Step> {
    vec![
        won(1_000, 1, DealType::New),
        accepted(4_000, "US"),
        activated(5_250, "US"),
        accepted(5_500, "DE"),
        activated(9_000, "DE"),
        entitled(10_500, "US", "seats"),
        entitled(20_000, "US", "support"),
    ]
}
