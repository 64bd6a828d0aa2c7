//! What order-flow tells, as records: ids follow from the subject and its version, never from a clock, so a decision that is made again tells
//! the same.

use consumer::Publish;
use events::{
    Case, Envelope, Event, EventSet, Notice, Reply, Request, Saga,
    topics::{
        self, CONTRACT_ACTIVATED, CONTRACT_AMENDED, CONTRACT_AMENDMENT_DECLINED, CONTRACT_CANCELLED, FALLOUT_CLOSED,
        FALLOUT_OPENED, NOTIFICATION_REQUESTED, ORDER_CANCEL_REQUESTED, ORDER_REQUESTED, SAGA_STEP,
        SUBSCRIPTION_RENEWAL_DUE,
    },
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Who we are, as `ce_source`.
pub const SOURCE: &str = "urn:throughline:order-flow";

/// Writes with the schemas that the registry knows under these ids.
#[derive(Debug, Clone)]
pub struct Writer {
    ids: BTreeMap<&'static str, u32>,
}

/// What a record follows from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Who told the event that it follows from.
    pub(crate) source: Option<String>,
    pub(crate) event_id: Option<String>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) time_ms: i64,
    pub(crate) traceparent: Option<String>,
}

impl Cause {
    pub(crate) fn of(envelope: &Envelope) -> Self {
        Self {
            source: Some(envelope.source.clone()),
            event_id: Some(envelope.id.clone()),
            correlation_id: envelope.correlation_id.clone().or_else(|| Some(envelope.id.clone())),
            time_ms: envelope.time_ms,
            traceparent: envelope.traceparent.clone(),
        }
    }
}

impl Writer {
    pub const TOPICS: [&'static str; 11] = [
        ORDER_REQUESTED,
        ORDER_CANCEL_REQUESTED,
        CONTRACT_ACTIVATED,
        CONTRACT_AMENDED,
        CONTRACT_AMENDMENT_DECLINED,
        CONTRACT_CANCELLED,
        FALLOUT_OPENED,
        FALLOUT_CLOSED,
        SAGA_STEP,
        SUBSCRIPTION_RENEWAL_DUE,
        NOTIFICATION_REQUESTED,
    ];

    /// What records are written with.
    pub fn subjects() -> impl Iterator<Item = &'static topics::Subject> {
        Self::TOPICS.iter().filter_map(|topic| topics::find(topic))
    }

    /// `ids`: of the schema of each topic, by topic.
    #[must_use]
    pub const fn new(ids: BTreeMap<&'static str, u32>) -> Self {
        Self { ids }
    }

    pub(crate) fn request(&self, event: &Request, cause: &Cause) -> Publish {
        self.record(event.topic(), &event.encode_avro(), event, cause)
    }

    pub(crate) fn contract(&self, event: &Event, cause: &Cause) -> Publish {
        self.record(event.topic(), &event.encode_avro(), event, cause)
    }

    pub(crate) fn case(&self, event: &Case, cause: &Cause) -> Publish {
        self.record(event.topic(), &event.encode_avro(), event, cause)
    }

    pub(crate) fn saga(&self, event: &Saga, cause: &Cause) -> Publish {
        self.record(event.topic(), &event.encode_avro(), event, cause)
    }

    pub(crate) fn reply(&self, event: &Reply, cause: &Cause) -> Publish {
        self.record(event.topic(), &event.encode_avro(), event, cause)
    }

    pub(crate) fn notice(&self, event: &Notice, cause: &Cause) -> Publish {
        self.record(event.topic(), &event.encode_avro(), event, cause)
    }

    fn record(&self, topic: &'static str, datum: &[u8], event: &impl EventSet, cause: &Cause) -> Publish {
        let version = event.entity_version().unwrap_or_default();
        let envelope = Envelope {
            id: id(topic, event.subject(), version),
            source: SOURCE.to_owned(),
            event_type: topics::event_type(topic),
            time_ms: cause.time_ms,
            subject: Some(event.subject().to_owned()),
            correlation_id: cause.correlation_id.clone(),
            causation_id: cause.event_id.clone(),
            sequence: Some(format!("{version:010}").into()),
            dataschema: None,
            change_origin: None,
            traceparent: cause.traceparent.clone(),
        };
        let schema = self.ids.get(topic).copied().unwrap_or_default();
        Publish {
            topic: topic.to_owned(),
            key: event.account_id().to_owned(),
            value: Some(events::wire::frame(schema, datum)),
            headers: envelope.to_headers(),
        }
    }
}

fn id(topic: &str, subject: &str, version: i64) -> String {
    let mut hash = Sha256::new();
    for part in [topic, subject] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(version.to_be_bytes());
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
