//! What is written is what is read: by us, and by an implementation that is not ours.

mod support;

use apache_avro::{Schema, types::Value as Avro};
use events::{Event, EventSet, Payload, WriterSchema, topics};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf, sync::LazyLock};
use support::{from_avro, from_json, random_json};

static OWN: LazyLock<BTreeMap<&str, (WriterSchema, Schema)>> = LazyLock::new(|| {
    let parse = |subject: &topics::Subject| {
        let own = WriterSchema::own(subject.topic).expect("our own schema parses");
        (own, Schema::parse_str(subject.schema).expect("our own schema parses in apache-avro"))
    };
    topics::SUBJECTS.iter().map(|subject| (subject.topic, parse(subject))).collect()
});

fn any_topic() -> impl Strategy<Value = &'static str> {
    let topics: Vec<_> = topics::SUBJECTS.iter().map(|subject| subject.topic).collect();
    proptest::sample::select(topics)
}

/// The JSON form of what apache-avro decoded.
fn to_json(value: Avro) -> Value {
    match value {
        Avro::Null => Value::Null,
        Avro::Boolean(flag) => json!(flag),
        Avro::Int(number) => json!(number),
        Avro::Long(number) => json!(number),
        Avro::String(text) => json!(text),
        Avro::Enum(_, symbol) => json!(symbol),
        Avro::Union(_, inner) => to_json(*inner),
        Avro::Array(items) => items.into_iter().map(to_json).collect(),
        Avro::Record(fields) => fields.into_iter().map(|(name, value)| (name, to_json(value))).collect(),
        Avro::Date(days) => {
            let epoch = jiff::civil::date(1970, 1, 1);
            json!(epoch.saturating_add(jiff::Span::new().days(days)).to_string())
        }
        Avro::TimestampMicros(micros) => {
            json!(jiff::Timestamp::from_microsecond(micros).expect("in range").to_string())
        }
        Avro::Decimal(number) => {
            let bytes: Vec<u8> = (&number).try_into().expect("a decimal has bytes");
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xFF };
            let mut wide = [sign; 16];
            wide[16 - bytes.len()..].copy_from_slice(&bytes);
            json!({ "unscaled": i128::from_be_bytes(wide).to_string() })
        }
        other => panic!("the schemas use no {other:?}"),
    }
}

/// Replaces decimals of `json` by what `to_json` makes of them, guided by where `avro` has them.
fn same(avro: &Value, json: Option<&Value>) -> bool {
    match (avro, json) {
        (Value::Null, None | Some(Value::Null)) => true,
        (Value::Array(items), None) => items.is_empty(),
        (Value::Array(a), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, Some(b)))
        }
        (Value::Object(a), Some(Value::String(b))) if a.contains_key("unscaled") => {
            let number: rust_decimal::Decimal = b.parse().expect("a decimal");
            let unscaled: i128 = a["unscaled"].as_str().and_then(|text| text.parse().ok()).expect("a whole number");
            (0..=12).any(|scale| number.mantissa() * 10i128.pow(scale) == unscaled) || number.is_zero() && unscaled == 0
        }
        (Value::Object(a), Some(Value::Object(b))) => {
            a.iter().all(|(name, value)| same(value, b.get(name))) && b.keys().all(|name| a.contains_key(name))
        }
        (a, Some(b)) => a == b,
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same_event(topic in any_topic(), seed: u64) {
        let (datum, json) = sound(topic, seed)?;
        let decoded = from_avro(topic, &OWN[topic].0, &datum).map_err(|f| TestCaseError::fail(f.to_string()))?;
        prop_assert_eq!(&decoded, &json);
        let again = from_json(topic, &json).map_err(|f| TestCaseError::fail(f.to_string()))?;
        prop_assert_eq!(again, (datum, json));
    }

    #[test]
    fn apache_avro_reads_what_we_write(topic in any_topic(), seed: u64) {
        let (datum, json) = sound(topic, seed)?;
        let mut rest = datum.as_slice();
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&OWN[topic].1).build().expect("a reader");
        let value = reader.read_value(&mut rest).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(rest.is_empty(), "{} bytes are left", rest.len());
        let avro = to_json(value);
        prop_assert!(same(&avro, Some(&json)), "{avro:#}\n{json:#}");
    }

    #[test]
    fn we_read_what_apache_avro_writes(topic in any_topic(), seed: u64) {
        let (datum, json) = sound(topic, seed)?;
        let schema = &OWN[topic].1;
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(schema).build().expect("a reader");
        let value = reader.read_value(&mut datum.as_slice()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let writer = apache_avro::writer::datum::GenericDatumWriter::builder(schema).build().expect("a writer");
        let theirs = writer.write_value_to_vec(value).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let decoded = from_avro(topic, &OWN[topic].0, &theirs).map_err(|f| TestCaseError::fail(f.to_string()))?;
        prop_assert_eq!(decoded, json);
    }
}

/// A random event of a topic, as a datum and as JSON.
fn sound(topic: &str, seed: u64) -> Result<(Vec<u8>, Value), TestCaseError> {
    let data = random_json(topic, seed);
    from_json(topic, &data).map_err(|failure| TestCaseError::fail(format!("{failure}: {data}")))
}

#[test]
fn the_golden_record_of_every_version_decodes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden");
    let mut seen = 0;
    for event in fs::read_dir(&folder).expect("there are golden records") {
        let event = event.expect("a folder").path();
        let name = event.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        for file in fs::read_dir(&event).expect("a folder") {
            let path = file.expect("a file").path();
            let Some(version) = path.to_str().and_then(|path| path.strip_suffix(".avsc")) else { continue };
            let major = version.rsplit('/').next().and_then(|v| v.split('.').next()).expect("v<major>.<minor>");
            let topic = format!("{name}.{major}");
            let text = fs::read_to_string(&path).expect("a schema");
            let schema = WriterSchema::parse(1, None, &text).expect("the recorded schema parses");
            let datum = fs::read(format!("{version}.avro")).expect("a datum");
            let json: Value =
                serde_json::from_slice(&fs::read(format!("{version}.json")).expect("JSON")).expect("JSON");
            let decoded = from_avro(&topic, &schema, &datum).expect("a golden datum decodes for ever");
            assert_eq!(decoded, from_json(&topic, &json).expect("golden JSON decodes for ever").1, "{version}");
            seen += 1;
        }
    }
    assert!(seen >= topics::SUBJECTS.len());
}

#[test]
fn a_newer_writer_is_read_by_an_older_reader() {
    let mut schema: Value =
        serde_json::from_str(topics::find(topics::INVOICE_POSTED).expect("ours").schema).expect("JSON");
    let fields = schema["fields"].as_array_mut().expect("fields");
    let at = fields.iter().position(|field| field["name"] == "currency").expect("a currency");
    fields.insert(at, json!({"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["good", "bad"]}}));
    fields.insert(0, json!({"name": "notes", "type": {"type": "array", "items": "string"}, "default": []}));
    let text = schema.to_string();
    let newer = WriterSchema::parse(9, None, &text).expect("a valid schema");

    let event = support::invoice();
    let avro_schema = Schema::parse_str(&text).expect("a valid schema");
    let own = &OWN[topics::INVOICE_POSTED].1;
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(own).build().expect("a reader");
    let Avro::Record(mut values) = reader.read_value(&mut event.encode_avro().as_slice()).expect("our own datum")
    else {
        panic!("an event is a record");
    };
    values.insert(at, ("mood".into(), Avro::Enum(1, "bad".into())));
    values.insert(0, ("notes".into(), Avro::Array(vec![Avro::String("x".into())])));
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&avro_schema).build().expect("a writer");
    let datum = writer.write_value_to_vec(Avro::Record(values)).expect("a datum");
    assert_eq!(Event::decode_avro(topics::INVOICE_POSTED, &newer, &datum).expect("unknown fields are skipped"), event);
}

#[test]
fn a_symbol_of_a_newer_writer_reads_as_unknown() {
    let text = topics::find(topics::INVOICE_POSTED).expect("ours").schema.replace("\"recurring\",", "\"yearly_gift\",");
    let newer = WriterSchema::parse(9, None, &text).expect("a valid schema");
    let datum = support::invoice().encode_avro();
    let Event::InvoicePosted(invoice) =
        Event::decode_avro(topics::INVOICE_POSTED, &newer, &datum).expect("a new symbol breaks nobody")
    else {
        panic!("an invoice");
    };
    assert_eq!(invoice.lines[0].charge_type, events::common::ChargeType::Unknown);
}

#[test]
fn a_writer_without_an_optional_field_gives_its_default() {
    let mut schema: Value =
        serde_json::from_str(topics::find(topics::USAGE_THRESHOLD_EXCEEDED).expect("ours").schema).expect("JSON");
    let fields = schema["fields"].as_array_mut().expect("fields");
    let last: Vec<Value> = fields.drain(fields.len() - 2..).collect();
    assert_eq!(last[0]["name"], "recurrence");
    let older = WriterSchema::parse(3, None, &schema.to_string()).expect("a valid schema");
    let json = random_json(topics::USAGE_THRESHOLD_EXCEEDED, 5);
    let event = Event::decode_json(topics::USAGE_THRESHOLD_EXCEEDED, &json).expect("a sound event");
    let Event::UsageThresholdExceeded(mut event) = event else { panic!("a threshold event") };
    event.recurrence = 1;
    event.source_record = None;
    let whole = Event::UsageThresholdExceeded(event.clone()).encode_avro();
    // `recurrence` 1 and a null take one byte each, at the end.
    let decoded = Event::decode_avro(topics::USAGE_THRESHOLD_EXCEEDED, &older, &whole[..whole.len() - 2]);
    assert_eq!(decoded.expect("defaults fill in"), Event::UsageThresholdExceeded(event));
}

#[test]
fn an_event_knows_its_topic_account_and_subject() {
    let event = support::invoice();
    assert_eq!((event.topic(), event.account_id(), event.subject()), (topics::INVOICE_POSTED, "acc-1", "inv-1"));
    assert_eq!(event.entity_version(), Some(1));
    let Event::InvoicePosted(invoice) = &event else { panic!("an invoice") };
    assert_eq!(invoice.effective_at().to_string(), "2026-01-15T10:00:00Z");
    assert_eq!(invoice.type_code, "380");
}

#[test]
fn a_large_but_honest_invoice_is_read() {
    let Event::InvoicePosted(mut invoice) = support::invoice() else { panic!("an invoice") };
    let line = invoice.lines[0].clone();
    invoice.lines = (0..5_000).map(|n| events::common::LineItem { line_id: n.to_string(), ..line.clone() }).collect();
    let event = Event::InvoicePosted(invoice);
    assert_eq!(
        Event::decode_avro(topics::INVOICE_POSTED, &OWN[topics::INVOICE_POSTED].0, &event.encode_avro())
            .expect("it is honest"),
        event
    );
}
