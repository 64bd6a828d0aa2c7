//! The CloudEvents 1.0 envelope: headers in binary mode, attributes of the JSON object in structured mode.

use crate::{Headers, Uid};
use failure::Failure;
use serde_json::{Map, Value, json};

/// Longer attributes are no identity but an attack on whoever keeps them.
const MAX_ATTRIBUTE_BYTES: usize = 1024;

/// Who says what happened, and when. Identity is (`source`, `id`).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Envelope {
    pub id: String,
    pub source: String,
    pub event_type: String,
    /// When it happened, milliseconds since the epoch.
    pub time_ms: i64,
    /// What the event is about: the contract, invoice, … itself.
    pub subject: Option<String>,
    pub correlation_id: Option<String>,
    pub causation_id: Option<String>,
    pub sequence: Option<Box<str>>,
    pub dataschema: Option<Box<str>>,
    /// Who made the change that the event is about, in the words of the system it comes from: by it a service knows its own writes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_origin: Option<Box<str>>,
    /// W3C trace context of the hop, from the plain header.
    pub traceparent: Option<String>,
}

impl Envelope {
    /// Reads the `ce_` headers of binary mode.
    ///
    /// # Errors
    /// `HEADER_MISSING`, `HEADER_INVALID`, with the header as field.
    pub fn from_headers(headers: &Headers) -> Result<Self, Failure> {
        let mut attributes = Attributes { values: [None; NAMES.len()], prefix: "ce_" };
        for (name, value) in &headers.0 {
            let Some(at) = name.strip_prefix("ce_").and_then(position) else { continue };
            let Some(bytes) = value else { continue };
            let text = std::str::from_utf8(bytes).map_err(|_| invalid(name, "is not UTF-8"))?;
            attributes.values[at] = Some(text);
        }
        let mut envelope = attributes.envelope()?;
        envelope.traceparent = traceparent(headers);
        Ok(envelope)
    }

    /// Headers of binary mode with an Avro value.
    #[must_use]
    pub fn to_headers(&self) -> Headers {
        let mut headers = Headers::default();
        headers.push("ce_specversion", "1.0");
        headers.push("ce_id", self.id.clone());
        headers.push("ce_source", self.source.clone());
        headers.push("ce_type", self.event_type.clone());
        headers.push("ce_time", rfc3339(self.time_ms));
        for (name, value) in self.optional() {
            if let Some(value) = value {
                headers.push(format!("ce_{name}"), value.to_owned());
            }
        }
        headers.push("content-type", "application/avro");
        if let Some(traceparent) = &self.traceparent {
            headers.push("traceparent", traceparent.clone());
        }
        headers
    }

    /// Reads a structured-mode event; returns its `data` too.
    ///
    /// # Errors
    /// `JSON_INVALID` if it is no object or has no `data`; `HEADER_MISSING`, `HEADER_INVALID` with the attribute as field.
    pub fn from_structured(event: &Value) -> Result<(Self, &Value), Failure> {
        let malformed = |reason: &str| Failure::poison("JSON_INVALID", reason.to_owned());
        let object = event.as_object().ok_or_else(|| malformed("a structured event is a JSON object"))?;
        let attribute = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(invalid(name, "is not a text")),
        };
        let mut attributes = Attributes { values: [None; NAMES.len()], prefix: "" };
        for (value, name) in attributes.values.iter_mut().zip(NAMES) {
            *value = attribute(name)?;
        }
        let mut envelope = attributes.envelope()?;
        envelope.traceparent = attribute("traceparent")?.map(str::to_owned);
        if object.contains_key("data_base64") {
            return Err(malformed("`data_base64` is not supported; put the event into `data`"));
        }
        if let Some(kind) = attribute("datacontenttype")?
            && !is_json(kind)
        {
            return Err(malformed("`datacontenttype` of a structured event is application/json"));
        }
        let data = object.get("data").ok_or_else(|| malformed("`data` is missing").at_field("data"))?;
        Ok((envelope, data))
    }

    /// The structured form, as `throughline publish` reads it line by line.
    #[must_use]
    pub fn to_structured(&self, data: Value) -> Value {
        let mut event = Map::new();
        let mut put = |name: &str, value: &str| event.insert(name.to_owned(), json!(value));
        put("specversion", "1.0");
        put("id", &self.id);
        put("source", &self.source);
        put("type", &self.event_type);
        put("time", &rfc3339(self.time_ms));
        for (name, value) in self.optional() {
            if let Some(value) = value {
                put(name, value);
            }
        }
        if let Some(traceparent) = &self.traceparent {
            put("traceparent", traceparent);
        }
        put("datacontenttype", "application/json");
        event.insert("data".to_owned(), data);
        Value::Object(event)
    }

    /// Identity of the event.
    #[must_use]
    pub fn uid(&self) -> Uid {
        Uid::derive(&self.source, &self.id)
    }

    fn optional(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("subject", self.subject.as_deref()),
            ("correlationid", self.correlation_id.as_deref()),
            ("causationid", self.causation_id.as_deref()),
            ("sequence", self.sequence.as_deref()),
            ("dataschema", self.dataschema.as_deref()),
            ("changeorigin", self.change_origin.as_deref()),
        ]
    }
}

/// Names without prefix, in the order of [`Attributes::values`].
const NAMES: [&str; 11] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "correlationid",
    "causationid",
    "sequence",
    "dataschema",
    "changeorigin",
];

fn position(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// The attributes as they came, before they are checked and copied.
struct Attributes<'a> {
    values: [Option<&'a str>; NAMES.len()],
    /// `ce_` in headers: messages name what the publisher wrote.
    prefix: &'static str,
}

impl Attributes<'_> {
    fn envelope(&self) -> Result<Envelope, Failure> {
        if self.required(0)? != "1.0" {
            return Err(invalid(&self.name(0), "must be 1.0"));
        }
        let (id, source, event_type) = (self.required(1)?, self.required(2)?, self.required(3)?);
        let time: jiff::Timestamp = self
            .required(4)?
            .parse()
            .map_err(|_| invalid(&self.name(4), "is not an RFC 3339 time such as 2026-01-31T12:00:00Z"))?;
        Ok(Envelope {
            id,
            source,
            event_type,
            time_ms: time.as_millisecond(),
            subject: self.get(5)?,
            correlation_id: self.get(6)?,
            causation_id: self.get(7)?,
            sequence: self.get(8)?.map(String::into_boxed_str),
            dataschema: self.get(9)?.map(String::into_boxed_str),
            change_origin: self.get(10)?.map(String::into_boxed_str),
            traceparent: None,
        })
    }

    fn name(&self, at: usize) -> String {
        format!("{}{}", self.prefix, NAMES[at])
    }

    fn required(&self, at: usize) -> Result<String, Failure> {
        self.get(at)?.ok_or_else(|| {
            let field = self.name(at);
            Failure::poison("HEADER_MISSING", format!("`{field}` is missing")).at_field(field)
        })
    }

    fn get(&self, at: usize) -> Result<Option<String>, Failure> {
        let Some(text) = self.values[at] else { return Ok(None) };
        match fault(text) {
            None => Ok(Some(text.to_owned())),
            Some(reason) => Err(invalid(&self.name(at), reason)),
        }
    }
}

fn invalid(field: &str, reason: &str) -> Failure {
    Failure::poison("HEADER_INVALID", format!("`{field}` {reason}")).at_field(field)
}

fn fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > MAX_ATTRIBUTE_BYTES {
        Some("is longer than 1024 bytes")
    } else if has_control(text) {
        Some("has control characters")
    } else {
        None
    }
}

fn has_control(text: &str) -> bool {
    // Nearly always ASCII, which needs no decoding.
    if text.is_ascii() { text.bytes().any(|byte| byte.is_ascii_control()) } else { text.chars().any(char::is_control) }
}

/// A malformed trace context is dropped, as W3C asks: it must never cost an event.
fn traceparent(headers: &Headers) -> Option<String> {
    let text = headers.text("traceparent")?;
    let form = text.len() == 55 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    form.then(|| text.to_owned())
}

pub(crate) fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.eq_ignore_ascii_case("text/json")
}

fn rfc3339(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default().to_string()
}
