//! From a record to its envelope and body: everything that can be said without the schema registry.

use crate::{Envelope, EventSet, Record, envelope, topics};
use bytes::Bytes;
use failure::Failure;

/// Bounds on what is read at all. What decoding may allocate is bounded by [`crate::MAX_ALLOC_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Key, value and headers together.
    pub max_record_bytes: usize,
    /// Parts of a JSON value (each costs memory long before it is read into a type).
    pub max_json_parts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_record_bytes: 1 << 20, max_json_parts: 150_000 }
    }
}

/// How a record names the schema of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaRef {
    Id(u32),
    Guid([u8; 16]),
}

/// The value, its schema not yet looked up.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Avro { schema: SchemaRef, datum: Bytes },
    Json(serde_json::Value),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    pub envelope: Envelope,
    pub body: Body,
}

const MAGIC_ID: u8 = 0;
const MAGIC_GUID: u8 = 1;
/// Header in which newer serializers put the schema's id or GUID, with its magic byte in front.
pub const VALUE_SCHEMA_ID: &str = "__value_schema_id";

/// Reads envelope and framing.
///
/// # Errors
/// Class `Poison`: `TOO_LARGE`, `KEY_MISSING`, `HEADER_MISSING`, `HEADER_INVALID`, `NULL_VALUE`, `BYTES_NOT_AVRO`, `JSON_INVALID`.
pub fn parse(record: &Record, limits: &Limits) -> Result<Parsed, Failure> {
    let size = record.key.as_ref().map_or(0, Bytes::len)
        + record.value.as_ref().map_or(0, Bytes::len)
        + record.headers.size_bytes();
    if size > limits.max_record_bytes {
        let reason = format!("{size} bytes, at most {} are read (`max_record_bytes`)", limits.max_record_bytes);
        return Err(Failure::poison("TOO_LARGE", reason));
    }
    key(record)?;
    let value = record.value.as_ref().ok_or_else(|| Failure::poison("NULL_VALUE", "the record has no value"))?;
    let content_type = content_type(record)?;
    if starts_with(content_type, "application/cloudevents") {
        return structured(value, content_type, limits);
    }
    let envelope = Envelope::from_headers(&record.headers)?;
    let body = if envelope::is_json(content_type) {
        Body::Json(json(value, limits)?)
    } else if content_type.is_empty() || content_type.to_ascii_lowercase().contains("avro") {
        avro(record, value)?
    } else {
        let reason = "`content-type` is neither application/avro nor application/json";
        return Err(Failure::poison("HEADER_INVALID", reason).at_field("content-type"));
    };
    Ok(Parsed { envelope, body })
}

/// The record key as text.
///
/// # Errors
/// `KEY_MISSING` if there is none, or it is empty or not UTF-8.
pub fn key(record: &Record) -> Result<&str, Failure> {
    let missing = |reason: &str| Failure::poison("KEY_MISSING", reason.to_owned());
    let bytes = record.key.as_ref().ok_or_else(|| missing("the record has no key"))?;
    let text = std::str::from_utf8(bytes).map_err(|_| missing("the record key is not UTF-8"))?;
    if text.is_empty() { Err(missing("the record key is empty")) } else { Ok(text) }
}

/// Puts a datum into Confluent framing.
#[must_use]
pub fn frame(id: u32, datum: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(5 + datum.len());
    framed.push(MAGIC_ID);
    framed.extend_from_slice(&id.to_be_bytes());
    framed.extend_from_slice(datum);
    framed
}

/// Holds the decoded event against its record: the type must be the topic's, the key the account, the subject the thing itself.
///
/// # Errors
/// Class `Contract`: `TYPE_MISMATCH`, `KEY_MISMATCH`, `FIELD_INVALID` at `ce_subject`, with the topic's owner.
pub fn check_identity<E: EventSet>(record: &Record, envelope: &Envelope, event: &E) -> Result<(), Failure> {
    let owned = |failure: Failure| match topics::find(&record.topic) {
        Some(subject) => failure.owned_by(subject.owner),
        None => failure,
    };
    if !topics::type_matches(&envelope.event_type, &record.topic) {
        let reason = format!("`ce_type` must be <reverse-dns>.throughline.{}", record.topic);
        return Err(owned(Failure::contract("TYPE_MISMATCH", reason).at_field("ce_type")));
    }
    if key(record)? != event.account_id() {
        let reason = "the record key is not the payload's account_id";
        return Err(owned(Failure::contract("KEY_MISMATCH", reason).at_field("account_id")));
    }
    if envelope.subject.as_deref().is_some_and(|subject| subject != event.subject()) {
        let field = topics::find(&record.topic).map_or("subject", |subject| subject.subject_field);
        let reason = format!("`ce_subject` is not the payload's {field}");
        return Err(owned(Failure::contract("FIELD_INVALID", reason).at_field("ce_subject")));
    }
    Ok(())
}

fn content_type(record: &Record) -> Result<&str, Failure> {
    let bytes = record.headers.get("content-type").map_or(&[][..], |bytes| bytes);
    std::str::from_utf8(bytes)
        .map_err(|_| Failure::poison("HEADER_INVALID", "`content-type` is not UTF-8").at_field("content-type"))
}

fn structured(value: &Bytes, content_type: &str, limits: &Limits) -> Result<Parsed, Failure> {
    if starts_with(content_type, "application/cloudevents-batch") || !content_type.to_ascii_lowercase().contains("json")
    {
        let reason = "of structured events only application/cloudevents+json is read";
        return Err(Failure::poison("HEADER_INVALID", reason).at_field("content-type"));
    }
    let mut event = json(value, limits)?;
    let (envelope, _) = Envelope::from_structured(&event)?;
    Ok(Parsed { envelope, body: Body::Json(event["data"].take()) })
}

fn json(value: &[u8], limits: &Limits) -> Result<serde_json::Value, Failure> {
    let parts = value.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
    if parts > limits.max_json_parts {
        let reason = format!("the JSON has more than {} parts", limits.max_json_parts);
        return Err(Failure::poison("ALLOCATION_LIMIT", reason));
    }
    // Line and column only: the text around an error may be personal data.
    serde_json::from_slice(value).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::poison("JSON_INVALID", format!("the value is not JSON ({place})"))
    })
}

fn avro(record: &Record, value: &Bytes) -> Result<Body, Failure> {
    if let Some(header) = record.headers.get(VALUE_SCHEMA_ID) {
        let schema = schema_ref(header).ok_or_else(|| {
            let reason = "`__value_schema_id` is neither 0x00 and a 4-byte id nor 0x01 and a 16-byte GUID";
            Failure::poison("HEADER_INVALID", reason).at_field(VALUE_SCHEMA_ID)
        })?;
        return Ok(Body::Avro { schema, datum: value.clone() });
    }
    match value.first() {
        Some(&MAGIC_ID) if value.len() > 4 => {
            let schema = SchemaRef::Id(u32::from_be_bytes([value[1], value[2], value[3], value[4]]));
            Ok(Body::Avro { schema, datum: value.slice(5..) })
        }
        Some(&MAGIC_GUID) if value.len() > 16 => {
            let mut guid = [0; 16];
            guid.copy_from_slice(&value[1..17]);
            Ok(Body::Avro { schema: SchemaRef::Guid(guid), datum: value.slice(17..) })
        }
        Some(&(MAGIC_ID | MAGIC_GUID)) | None => {
            Err(Failure::poison("BYTES_NOT_AVRO", "the value is too short for Confluent framing"))
        }
        Some(first) => {
            let reason = format!("the value starts with byte 0x{first:02x}, not with Confluent's magic byte 0x00");
            Err(Failure::poison("BYTES_NOT_AVRO", reason))
        }
    }
}

fn schema_ref(header: &[u8]) -> Option<SchemaRef> {
    match header {
        [MAGIC_ID, id @ ..] => id.try_into().ok().map(|id| SchemaRef::Id(u32::from_be_bytes(id))),
        [MAGIC_GUID, guid @ ..] => guid.try_into().ok().map(SchemaRef::Guid),
        _ => None,
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
