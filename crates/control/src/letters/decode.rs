//! A record as people read it: decoded with the schema it was written with, as far as that is possible.

use crate::error::{Error, Kind, Result};
use events::{Event, EventSet, Headers, Record, wire};
use failure::Failure;
use kafka::Registry;
use ledger::ParkedRecord;
use serde_json::Value;

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// As our newest schema of its topic has it.
    Read(Value),
    /// Nobody can read it, and why.
    Unreadable(Failure),
}

/// Decodes through the registry.
#[derive(Clone)]
pub struct Decoder {
    registry: Registry,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    #[must_use]
    pub const fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// Reads a parked record.
    pub async fn parked(&self, parked: &ParkedRecord) -> Body {
        self.body(&record_of(parked)).await
    }

    /// Reads a record of one of our topics. A registry that is away makes it unreadable for now.
    pub async fn body(&self, record: &Record) -> Body {
        match self.read(record).await {
            Ok(value) => Body::Read(value),
            Err(failure) => Body::Unreadable(failure),
        }
    }

    async fn read(&self, record: &Record) -> std::result::Result<Value, Failure> {
        let event = match wire::parse(record, &wire::Limits::default())?.body {
            wire::Body::Json(data) => Event::decode_json(&record.topic, &data)?,
            wire::Body::Avro { schema, datum } => {
                let writer = self.registry.lookup(schema).await.into_result(schema)?;
                Event::decode_avro(&record.topic, &writer, &datum)?
            }
        };
        Ok(event.to_json())
    }

    /// Encodes an edited body with the newest registered schema of its topic, in Confluent framing.
    ///
    /// # Errors
    /// `Invalid`, with the field, where the body breaks the schema or a rule of the wire contract.
    pub async fn encode(&self, topic: &str, body: &Value, key: &str) -> Result<Vec<u8>> {
        let refused = |failure: Failure| {
            Error::new(Kind::Invalid, "EDIT_REFUSED", failure.to_string())
                .hint("the event must fit its schema and rules")
        };
        let event = Event::decode_json(topic, body).map_err(refused)?;
        event.check().map_err(refused)?;
        if event.account_id() != key {
            let message = "the edit changes `account_id`, which is the record key and decides the order of events";
            return Err(Error::new(Kind::Invalid, "EDIT_REFUSED", message));
        }
        let subject =
            events::topics::find(topic).ok_or_else(|| Error::invalid(format!("no schema of `{topic}` is known")))?;
        // What is registered already keeps its id; a registry that refuses our schema refuses the edit.
        let id = match self.registry.latest(subject.subject).await {
            Ok(Some(latest)) if latest.schema == subject.schema => Ok(latest.id),
            Ok(_) => self.registry.register(subject.subject, subject.schema).await,
            Err(error) => Err(error),
        };
        let id = id.map_err(|error| Error::new(Kind::Unavailable, "REGISTRY_UNAVAILABLE", error.to_string()))?;
        Ok(wire::frame(id, &event.encode_avro()))
    }
}

/// The record as it came.
#[must_use]
pub fn record_of(parked: &ParkedRecord) -> Record {
    Record {
        topic: parked.topic.as_str().into(),
        partition: parked.partition,
        offset: parked.offset,
        timestamp_ms: parked.timestamp_ms,
        key: parked.key.clone(),
        value: parked.value.clone(),
        headers: Headers(parked.headers.0.clone()),
    }
}
