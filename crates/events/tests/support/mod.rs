//! Random events from their own schemas, and sound ones to break.
#![allow(dead_code, reason = "each test file uses its own part")]

use bytes::Bytes;
use events::{
    Case, Dataset, Deal, Envelope, Event, EventSet, Notice, Record, Reply, Request, Saga, WriterSchema, topics,
    topics::Family, wire,
};
use failure::Failure;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Reads the JSON form of a record of any family; gives it back as a datum and as JSON.
pub fn from_json(topic: &str, data: &Value) -> Result<(Vec<u8>, Value), Failure> {
    match family(topic) {
        Family::Commercial => Event::decode_json(topic, data).map(|event| (event.encode_avro(), event.to_json())),
        Family::Reply => Reply::decode_json(topic, data).map(|reply| (reply.encode_avro(), reply.to_json())),
        Family::Analytics => Dataset::decode_json(topic, data).map(|row| (row.encode_avro(), row.to_json())),
        Family::Deal => Deal::decode_json(topic, data).map(|deal| (deal.encode_avro(), deal.to_json())),
        Family::Request => Request::decode_json(topic, data).map(|asked| (asked.encode_avro(), asked.to_json())),
        Family::Case => Case::decode_json(topic, data).map(|case| (case.encode_avro(), case.to_json())),
        Family::Saga => Saga::decode_json(topic, data).map(|fact| (fact.encode_avro(), fact.to_json())),
        Family::Notice => Notice::decode_json(topic, data).map(|notice| (notice.encode_avro(), notice.to_json())),
    }
}

/// Reads a datum of any family; gives its JSON form.
pub fn from_avro(topic: &str, schema: &WriterSchema, datum: &[u8]) -> Result<Value, Failure> {
    match family(topic) {
        Family::Commercial => Event::decode_avro(topic, schema, datum).map(|event| event.to_json()),
        Family::Reply => Reply::decode_avro(topic, schema, datum).map(|reply| reply.to_json()),
        Family::Analytics => Dataset::decode_avro(topic, schema, datum).map(|row| row.to_json()),
        Family::Deal => Deal::decode_avro(topic, schema, datum).map(|deal| deal.to_json()),
        Family::Request => Request::decode_avro(topic, schema, datum).map(|asked| asked.to_json()),
        Family::Case => Case::decode_avro(topic, schema, datum).map(|case| case.to_json()),
        Family::Saga => Saga::decode_avro(topic, schema, datum).map(|fact| fact.to_json()),
        Family::Notice => Notice::decode_avro(topic, schema, datum).map(|notice| notice.to_json()),
    }
}

fn family(topic: &str) -> Family {
    topics::find(topic).expect("a topic of ours").family
}

/// splitmix64: the same seed gives the same event.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

/// Any event of a topic in its JSON form, of a valid shape but without meaning.
pub fn random_json(topic: &str, seed: u64) -> Value {
    let subject = topics::find(topic).expect("a topic of ours");
    let schema: Value = serde_json::from_str(subject.schema).expect("a generated schema");
    let mut names = HashMap::new();
    collect(&schema, &mut names);
    random(&schema, &names, &mut Dice(seed))
}

fn collect<'a>(schema: &'a Value, names: &mut HashMap<String, &'a Value>) {
    match schema {
        Value::Object(object) => {
            if let (Some(name), Some(namespace)) = (object.get("name"), object.get("namespace")) {
                names.insert(format!("{}.{}", namespace.as_str().unwrap_or(""), name.as_str().unwrap_or("")), schema);
            }
            object.values().for_each(|value| collect(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

fn random(schema: &Value, names: &HashMap<String, &Value>, dice: &mut Dice) -> Value {
    match schema {
        Value::Array(branches) if dice.below(3) == 0 => Value::Null.clone_if(branches.len() == 2),
        Value::Array(branches) => random(&branches[1], names, dice),
        Value::String(name) => primitive(name, names, dice),
        Value::Object(object) => match (object["type"].as_str(), object.get("logicalType").and_then(Value::as_str)) {
            (Some("record"), _) => {
                let fields = object["fields"].as_array().expect("a record has fields");
                let mut record = Map::new();
                for field in fields {
                    record.insert(
                        field["name"].as_str().expect("a name").to_owned(),
                        random(&field["type"], names, dice),
                    );
                }
                Value::Object(record)
            }
            (Some("enum"), _) => {
                let symbols = object["symbols"].as_array().expect("symbols");
                symbols[dice.below(symbols.len() as u64) as usize].clone()
            }
            (Some("array"), _) => (0..dice.below(4)).map(|_| random(&object["items"], names, dice)).collect(),
            (_, Some("date")) => {
                let (year, month, day) = (1900 + dice.below(300), 1 + dice.below(12), 1 + dice.below(28));
                json!(format!("{year:04}-{month:02}-{day:02}"))
            }
            (_, Some("timestamp-micros")) => {
                let micros = (dice.roll() % 8_000_000_000_000_000) as i64 - 2_000_000_000_000_000;
                json!(jiff::Timestamp::from_microsecond(micros).expect("within range").to_string())
            }
            (_, Some("decimal")) => {
                let digits = 1 + dice.below(object["precision"].as_u64().expect("a precision"));
                let scale = object["scale"].as_u64().expect("a scale") as u32;
                let sign = if dice.below(2) == 0 { 1 } else { -1 };
                let unscaled =
                    i128::from(dice.roll()) * i128::from(dice.roll() >> 32) % 10i128.pow(digits as u32) * sign;
                json!(rust_decimal::Decimal::from_i128_with_scale(unscaled, scale).normalize().to_string())
            }
            (Some(plain), None) => primitive(plain, names, dice),
            other => panic!("the schemas use no {other:?}"),
        },
        other => panic!("not a schema: {other}"),
    }
}

trait CloneIf {
    fn clone_if(&self, holds: bool) -> Value;
}

impl CloneIf for Value {
    fn clone_if(&self, holds: bool) -> Value {
        assert!(holds, "only nullable unions are used");
        self.clone()
    }
}

fn primitive(name: &str, names: &HashMap<String, &Value>, dice: &mut Dice) -> Value {
    const TEXTS: &[&str] = &["", "a", "Ω–ß", "INV-2026-000001", "line\nbreak", "😀", "Europe/London", "GBP"];
    match name {
        "boolean" => json!(dice.below(2) == 0),
        "int" => json!(dice.roll() as i32),
        "long" => json!((dice.roll() as i64) >> dice.below(64)),
        "string" => json!(TEXTS[dice.below(TEXTS.len() as u64) as usize]),
        name => random(names[name], names, dice),
    }
}

/// A sound invoice of one line.
pub fn invoice_json() -> Value {
    json!({
        "account_id": "acc-1", "entity_version": 1, "legal_entity_id": "UK",
        "effective_at": "2026-01-15T10:00:00Z", "recorded_at": "2026-01-15T10:00:01Z",
        "invoice_id": "inv-1", "invoice_number": "INV-1", "issue_on": "2026-01-15", "timezone": "Europe/London",
        "currency": "GBP",
        "lines": [{"line_id": "1", "product_id": "seat", "charge_type": "recurring", "quantity": "3", "unit_price": "2.55",
                   "net_minor": 765, "tax_minor": 153}],
        "totals": {"line_net_minor": 765, "tax_exclusive_minor": 765, "tax_minor": 153, "tax_inclusive_minor": 918,
                   "payable_minor": 918}
    })
}

pub fn invoice() -> Event {
    Event::decode_json(topics::INVOICE_POSTED, &invoice_json()).expect("the invoice is sound")
}

pub fn envelope(event: &Event) -> Envelope {
    Envelope {
        id: "evt-1".into(),
        source: "urn:test:billing".into(),
        event_type: topics::event_type(event.topic()),
        time_ms: 1_768_471_200_000,
        subject: Some(event.subject().to_owned()),
        ..Envelope::default()
    }
}

/// The record a well-behaved publisher sends, with schema id 7.
pub fn record(event: &Event) -> Record {
    Record {
        topic: event.topic().into(),
        partition: 0,
        offset: 0,
        timestamp_ms: -1,
        key: Some(Bytes::copy_from_slice(event.account_id().as_bytes())),
        value: Some(wire::frame(7, &event.encode_avro()).into()),
        headers: envelope(event).to_headers(),
    }
}

pub fn set_header(record: &mut Record, name: &str, value: Option<&[u8]>) {
    record.headers.0.retain(|(n, _)| n != name);
    if let Some(value) = value {
        record.headers.push(name, Bytes::copy_from_slice(value));
    }
}
