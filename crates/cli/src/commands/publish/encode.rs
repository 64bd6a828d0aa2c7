//! One line of NDJSON to one record, or the reason why not. Pure, so that every refusal has a test.

use bytes::Bytes;
use events::{Deal, Envelope, EventSet, Headers, Record, topics, wire};
use failure::Failure;
use kafka::Outgoing;
use std::collections::BTreeMap;
use telemetry::TraceContext;
use testkit::{
    business::{Generated, Item},
    cloudevent::{self, Line},
};

/// Schema ids by topic, as the registry has them for the schemas this program writes.
pub(crate) type SchemaIds = BTreeMap<&'static str, u32>;

/// A line longer than this is no event (the default limit of a record is 1 MiB, and JSON is longer than Avro).
pub(crate) const MAX_LINE_BYTES: usize = 4 << 20;

/// What is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Only events that keep every rule of the wire.
    Checked,
    /// Whatever has bytes, as a careless publisher would send it: for tests of what receives it.
    AsIs,
}

/// Decodes, checks and encodes an event in structured mode.
///
/// # Errors
/// Class `Poison` if nobody can read the line, `Contract` if it breaks a rule of the wire.
pub(crate) fn encode(line: &[u8], schemas: &SchemaIds, rules: Rules) -> Result<Outgoing, Failure> {
    if line.len() > MAX_LINE_BYTES {
        let reason = format!("the line is longer than {} MiB", MAX_LINE_BYTES >> 20);
        return Err(Failure::poison("TOO_LARGE", reason));
    }
    let text = std::str::from_utf8(line)
        .map_err(|error| Failure::poison("JSON_INVALID", format!("not UTF-8 (byte {})", error.valid_up_to() + 1)))?;
    if let Some((envelope, deal)) = of_a_deal(text)? {
        if rules == Rules::Checked {
            deal.check()?;
        }
        return record(envelope, (deal.topic(), &deal.encode_avro()), &deal, schemas, rules);
    }
    match (cloudevent::read(text)?, rules) {
        (Line::Event(envelope, event), _) => {
            if rules == Rules::Checked {
                event.check()?;
            }
            record(envelope, (event.topic(), &event.encode_avro()), &event, schemas, rules)
        }
        (Line::Raw(raw), Rules::AsIs) => Ok(raw_record(&raw.topic, raw.key, raw.value, raw.headers)),
        (Line::Raw(_), Rules::Checked) => {
            let reason = "a `raw` line is no event; --as-is sends its bytes to test what receives them";
            Err(Failure::poison("JSON_INVALID", reason).at_field("raw"))
        }
    }
}

/// A generated record, with all that is wrong with it.
pub(crate) fn of_generated(generated: Generated, schemas: &SchemaIds) -> Result<Outgoing, Failure> {
    match generated.item {
        Item::Event { envelope, event } => {
            record(envelope, (event.topic(), &event.encode_avro()), &event, schemas, Rules::AsIs)
        }
        Item::Raw { value, headers } => Ok(raw_record(generated.topic, Some(generated.key), value, headers)),
    }
}

/// What happened to a deal, as the kit makes it.
pub(crate) fn of_deal(deal: Deal, schemas: &SchemaIds) -> Result<Outgoing, Failure> {
    deal.check()?;
    let envelope = testkit::deals::envelope(&deal);
    record(envelope, (deal.topic(), &deal.encode_avro()), &deal, schemas, Rules::Checked)
}

/// What happens to deals; every other line is read as generated business is.
fn of_a_deal(text: &str) -> Result<Option<(Envelope, Deal)>, Failure> {
    if !Deal::topics().iter().any(|topic| text.contains(topic)) {
        return Ok(None);
    }
    let Ok(json) = serde_json::from_str(text) else { return Ok(None) };
    let Ok((envelope, data)) = Envelope::from_structured(&json) else { return Ok(None) };
    match topics::of_type(&envelope.event_type) {
        Some(subject) if subject.family == topics::Family::Deal => {
            let deal = Deal::decode_json(subject.topic, data)?;
            Ok(Some((envelope, deal)))
        }
        Some(_) | None => Ok(None),
    }
}

fn record(
    mut envelope: Envelope,
    (topic, datum): (&'static str, &[u8]),
    event: &impl EventSet,
    schemas: &SchemaIds,
    rules: Rules,
) -> Result<Outgoing, Failure> {
    let id = *schemas.get(topic).ok_or_else(|| {
        let reason = format!("our schema of {topic} is not registered: `throughline schemas register`");
        Failure::contract("SCHEMA_INCOMPATIBLE", reason)
    })?;
    let uid = envelope.uid();
    envelope.subject.get_or_insert_with(|| event.subject().to_owned());
    envelope.traceparent.get_or_insert_with(|| TraceContext::root(uid.0).to_string());
    let record = Record {
        topic: topic.into(),
        partition: 0,
        offset: 0,
        timestamp_ms: -1,
        key: Some(Bytes::from(event.account_id().to_owned())),
        value: Some(Bytes::from(wire::frame(id, datum))),
        headers: envelope.to_headers(),
    };
    if rules == Rules::Checked {
        events::check_identity(&record, &envelope, event)?;
    }
    let Record { topic, key, value, headers, .. } = record;
    // The time of sending, not of the event: retention goes by it, and old business must not expire on arrival.
    Ok(Outgoing { topic, partition: None, key, value, headers, timestamp_ms: None })
}

fn raw_record(topic: &str, key: Option<String>, value: Option<Vec<u8>>, headers: Headers) -> Outgoing {
    let (key, value) = (key.map(Bytes::from), value.map(Bytes::from));
    Outgoing { topic: topic.into(), partition: None, key, value, headers, timestamp_ms: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn schemas() -> SchemaIds {
        SchemaIds::from([(topics::PAYMENT_FAILED, 7)])
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../tests/data/payment_failed.json")).unwrap()
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> (String, Option<String>) {
        let mut event = event();
        change(&mut event);
        let failure = encode(event.to_string().as_bytes(), &schemas(), Rules::Checked).expect_err("must be refused");
        (failure.code.into_owned(), failure.field)
    }

    #[test]
    fn an_event_becomes_a_framed_record_keyed_by_its_account() {
        let record = encode(event().to_string().as_bytes(), &schemas(), Rules::Checked).unwrap();
        assert_eq!(&*record.topic, topics::PAYMENT_FAILED);
        assert_eq!(record.key.as_deref(), Some(&b"A-1"[..]));
        assert_eq!(&record.value.as_ref().unwrap()[..5], &[0, 0, 0, 0, 7]);
        assert_eq!(record.headers.text("ce_id"), event()["id"].as_str());
        assert_eq!(record.headers.text("ce_subject"), event()["data"]["payment_id"].as_str());
        assert_eq!(record.headers.text("content-type"), Some("application/avro"));
        assert!(record.headers.text("traceparent").is_some_and(|header| TraceContext::parse(header).is_some()));
        assert_eq!(record.timestamp_ms, None);
    }

    #[test]
    fn every_kind_of_bad_line_is_refused_with_a_code() {
        let code =
            |line: &[u8]| encode(line, &schemas(), Rules::Checked).expect_err("must be refused").code.into_owned();
        assert_eq!(code(b"not json"), "JSON_INVALID");
        assert_eq!(code(b"[]"), "JSON_INVALID");
        assert_eq!(code(b"\xff\xfe"), "JSON_INVALID");
        assert_eq!(code(&vec![b' '; MAX_LINE_BYTES + 1]), "TOO_LARGE");
        assert_eq!(refusal(|event| event["id"] = Value::Null).0, "HEADER_MISSING");
        assert_eq!(refusal(|event| event["time"] = json!("yesterday")).0, "HEADER_INVALID");
        assert_eq!(refusal(|event| event["type"] = json!("com.acme.invoice")).0, "TYPE_MISMATCH");
        assert_eq!(refusal(|event| event["subject"] = json!("another")).0, "FIELD_INVALID");
        assert_eq!(refusal(|event| event["data"]["currency"] = json!("XXQ")).0, "CURRENCY_UNKNOWN");
    }

    #[test]
    fn a_topic_without_our_schema_in_the_registry_says_what_to_do() {
        let failure =
            encode(event().to_string().as_bytes(), &SchemaIds::new(), Rules::Checked).expect_err("no schema id");
        assert!(failure.reason.contains("throughline schemas register"), "{failure}");
    }

    #[test]
    fn reasons_hold_no_content_of_the_line() {
        let failure = encode(br#"{"id": "4111111111111111" oops}"#, &schemas(), Rules::Checked).expect_err("broken");
        assert!(!failure.to_string().contains("4111"), "{failure}");
    }

    #[test]
    fn as_is_lets_through_what_breaks_the_rules() {
        let mut event = event();
        event["data"]["currency"] = json!("XXQ");
        assert!(encode(event.to_string().as_bytes(), &schemas(), Rules::AsIs).is_ok());
        let raw = br#"{"raw": {"topic": "t", "key": "k", "value_hex": "00ff", "headers": [["a", "b"]]}}"#;
        assert_eq!(encode(raw, &schemas(), Rules::Checked).expect_err("no event").field.as_deref(), Some("raw"));
        let record = encode(raw, &schemas(), Rules::AsIs).unwrap();
        assert_eq!((record.value.as_deref(), record.headers.text("a")), (Some(&[0, 255][..]), Some("b")));
    }
}
