//! One event a line: CloudEvents structured JSON, as `throughline publish` reads it and `throughline generate` writes it.
//!
//! What no CloudEvents can say, a record that nobody can read, has a line form of its own: `{"raw": {…}}` with topic, key, the
//! value's bytes in hexadecimal (or null) and the headers.

use crate::business::{Generated, Item};
use events::{Envelope, Event, EventSet, Headers, topics};
use failure::Failure;
use serde_json::{Value, json};

/// What one line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    Event(Envelope, Event),
    Raw(Raw),
}

/// A record byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    pub topic: String,
    pub key: Option<String>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
}

/// The line of an event, without the line break.
#[must_use]
pub fn line(envelope: &Envelope, event: &Event) -> String {
    envelope.to_structured(event.to_json()).to_string()
}

/// The line of anything generated, without the line break.
#[must_use]
pub fn generated_line(generated: &Generated) -> String {
    match &generated.item {
        Item::Event { envelope, event } => line(envelope, event),
        Item::Raw { value, headers } => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers: Vec<Value> =
                headers.0.iter().map(|(name, value)| json!([name, value.as_deref().map(text)])).collect();
            let value = value.as_deref().map(hex);
            json!({"raw": {"topic": generated.topic, "key": generated.key, "value_hex": value, "headers": headers}})
                .to_string()
        }
    }
}

/// Reads a line of either form; what it says is not checked against the rules of the wire contract (see `EventSet::check`).
///
/// # Errors
/// `JSON_INVALID`, `HEADER_MISSING`, `HEADER_INVALID` (poison) or `TYPE_MISMATCH` (contract), with the field.
pub fn read(line: &str) -> Result<Line, Failure> {
    // Line and column only: the text around an error may be personal data.
    let json: Value = serde_json::from_str(line)
        .map_err(|error| Failure::poison("JSON_INVALID", format!("not JSON (column {})", error.column())))?;
    if let Some(raw) = json.get("raw") {
        return read_raw(raw).map(Line::Raw);
    }
    let (envelope, data) = Envelope::from_structured(&json)?;
    let Some(subject) = topics::of_type(&envelope.event_type) else {
        let reason = format!("`{}` is no event type known here", envelope.event_type);
        return Err(Failure::contract("TYPE_MISMATCH", reason).at_field("type"));
    };
    let event = Event::decode_json(subject.topic, data)?;
    Ok(Line::Event(envelope, event))
}

fn read_raw(raw: &Value) -> Result<Raw, Failure> {
    let invalid =
        |field: &str| Failure::poison("JSON_INVALID", format!("`raw.{field}` is missing or malformed")).at_field(field);
    let text = |field: &str| raw[field].as_str().map(str::to_owned);
    let value = match &raw["value_hex"] {
        Value::Null => None,
        Value::String(digits) => Some(unhex(digits).ok_or_else(|| invalid("value_hex"))?),
        _ => return Err(invalid("value_hex")),
    };
    let mut headers = Headers::default();
    for header in raw["headers"].as_array().ok_or_else(|| invalid("headers"))? {
        let name = header[0].as_str().ok_or_else(|| invalid("headers"))?;
        headers.0.push((name.to_owned().into(), header[1].as_str().map(|value| value.to_owned().into())));
    }
    Ok(Raw { topic: text("topic").ok_or_else(|| invalid("topic"))?, key: text("key"), value, headers })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::business::{Faults, Options, stream};

    #[test]
    fn every_generated_line_reads_back_as_what_it_was() {
        let mut faults = Faults::realistic();
        faults.poison = 0.1;
        for generated in stream(&Options::new(3, 40).with_faults(faults)).expect("options") {
            let line = generated_line(&generated);
            assert!(!line.contains('\n'));
            match (read(&line).expect(&line), generated.item) {
                (Line::Event(envelope, event), Item::Event { envelope: written, event: told }) => {
                    assert_eq!((envelope, event), (written, told));
                }
                (Line::Raw(raw), Item::Raw { value, headers }) => {
                    assert_eq!((raw.topic.as_str(), raw.key, raw.value), (generated.topic, Some(generated.key), value));
                    assert_eq!(raw.headers, headers);
                }
                (read, written) => panic!("{written:?} came back as {read:?}"),
            }
        }
    }

    #[test]
    fn an_unknown_type_and_broken_json_are_named() {
        let unknown = r#"{"specversion":"1.0","id":"1","source":"x","type":"a.throughline.b.v1","time":"2026-01-01T00:00:00Z","data":{}}"#;
        assert_eq!(read(unknown).expect_err("unknown").code, "TYPE_MISMATCH");
        assert_eq!(read("{").expect_err("broken").code, "JSON_INVALID");
        assert_eq!(
            read(r#"{"raw":{"topic":"t","key":"k","value_hex":"0g","headers":[]}}"#).expect_err("hex").field.as_deref(),
            Some("value_hex")
        );
    }
}
