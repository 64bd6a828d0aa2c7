//! The records that are measured: a real envelope in headers, framed Avro of a fixed size, decoded as cheaply as can be. What
//! decoding a real event costs is another question, so it must not hide what the runtime costs.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use events::{Envelope, EventSet, WriterSchema, topics, wire};
use failure::Failure;
use kafka::Outgoing;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// Bytes of a record's value, framing included: the size in which others publish their figures.
pub const VALUE_BYTES: usize = 255;
/// Confluent framing, and the two lengths of one and two bytes in the datum.
const OVERHEAD: usize = 5 + 3;
pub const KEY_BYTES: usize = 10;

pub const SCHEMA: &str = r#"{"type":"record","name":"Measured","namespace":"throughline.bench","fields":[
    {"name":"account_id","type":"string"},{"name":"filler","type":"bytes"}]}"#;

/// A process measures one topic; its name is known only when it starts.
static TOPIC: OnceLock<&'static str> = OnceLock::new();

/// Says which topic this process reads. A second call changes nothing.
pub fn read_from(topic: &str) {
    TOPIC.get_or_init(|| topic.to_owned().leak());
}

/// A decoded record: its account, without an allocation.
#[derive(Debug, Clone)]
pub struct Measured {
    account: [u8; KEY_BYTES],
}

impl Measured {
    fn account(&self) -> &str {
        std::str::from_utf8(&self.account).unwrap_or_default()
    }
}

impl EventSet for Measured {
    fn topics() -> Vec<&'static str> {
        TOPIC.get().copied().into_iter().collect()
    }

    fn decode_avro(_: &str, _: &WriterSchema, datum: &[u8]) -> Result<Self, Failure> {
        let account = datum.get(1..=KEY_BYTES).and_then(|key| key.try_into().ok());
        account
            .filter(|_| datum.len() == VALUE_BYTES - 5)
            .map(|account| Self { account })
            .ok_or_else(|| Failure::poison("BYTES_NOT_AVRO", "not a record of the benchmark"))
    }

    fn decode_json(_: &str, _: &Value) -> Result<Self, Failure> {
        Err(Failure::poison("JSON_INVALID", "the benchmark publishes no JSON"))
    }

    fn account_id(&self) -> &str {
        self.account()
    }

    fn subject(&self) -> &str {
        self.account()
    }

    fn entity_version(&self) -> Option<i64> {
        None
    }

    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Makes the records of one topic, the same whenever `start_ms` is.
pub struct Maker {
    pub topic: Arc<str>,
    pub schema_id: u32,
    pub keys: u64,
    pub start_ms: i64,
}

impl Maker {
    /// Record `number` from 0. Ids are UUIDv7, a hundred to a millisecond, as one busy publisher makes them.
    pub fn record(&self, number: u64) -> Result<Outgoing> {
        let time_ms = self.start_ms + i64::try_from(number / 100)?;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        let id = uuid::Builder::from_unix_timestamp_millis(u64::try_from(time_ms)?, &random).into_uuid();
        let key = format!("A-{:08}", number % self.keys);
        let envelope = Envelope {
            id: id.to_string(),
            source: "urn:throughline:bench".to_owned(),
            event_type: topics::event_type(&self.topic),
            time_ms,
            ..Envelope::default()
        };
        let value = wire::frame(self.schema_id, &datum(&key, number)?);
        ensure!(value.len() == VALUE_BYTES, "a value of {} bytes", value.len());
        Ok(Outgoing {
            topic: self.topic.clone(),
            partition: None,
            key: Some(Bytes::from(key)),
            value: Some(value.into()),
            headers: envelope.to_headers(),
            timestamp_ms: Some(time_ms),
        })
    }
}

/// The filler is different text in every record, which compresses about as well as real events do.
fn datum(key: &str, number: u64) -> Result<Vec<u8>> {
    let filler = VALUE_BYTES - OVERHEAD - KEY_BYTES;
    let mut datum = vec![u8::try_from(key.len() << 1)?];
    datum.extend_from_slice(key.as_bytes());
    // A length of two bytes: zig-zag, seven bits a byte, lowest first.
    let length = filler << 1;
    ensure!((0x80..0x4000).contains(&length), "the filler's length does not take two bytes");
    datum.push(u8::try_from(length & 0x7f)? | 0x80);
    datum.push(u8::try_from(length >> 7)?);
    let mut state = number;
    datum.resize_with(VALUE_BYTES - 5, || {
        // Knuth's generator: no more is asked of it than to be different.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b"0123456789abcdef"[(state >> 60) as usize]
    });
    Ok(datum)
}

/// Registers the schema of a topic; returns its id.
pub async fn register(registry: &str, topic: &str) -> Result<u32> {
    let client = kafka::Registry::connect(kafka::RegistryConfig::new(registry))?;
    client.register(&format!("{topic}-value"), SCHEMA).await.context("register the benchmark's schema")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_large_as_promised_and_reads_back() {
        let maker = Maker { topic: "bench.a.v1".into(), schema_id: 7, keys: 10, start_ms: 1_800_000_000_000 };
        let record = maker.record(123).expect("a record");
        let value = record.value.expect("a value");
        assert_eq!(value.len(), VALUE_BYTES);
        let writer = WriterSchema::parse(7, None, SCHEMA).expect("an Avro schema");
        let measured = Measured::decode_avro("bench.a.v1", &writer, &value[5..]).expect("decodes");
        assert_eq!(measured.account_id(), "A-00000003");
        assert_eq!(record.key.as_deref(), Some(b"A-00000003".as_slice()));
    }
}
