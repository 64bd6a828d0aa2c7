//! Bad input ends as a failure with a class, a code and a reason that a publisher can act on.

mod support;

use bytes::Bytes;
use events::{Envelope, Event, EventSet, Record, WriterSchema, check_identity, topics, wire};
use failure::{Class, Failure};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{invoice, invoice_json, record, set_header};

fn read(record: &Record) -> Result<Event, Failure> {
    let parsed = wire::parse(record, &wire::Limits::default())?;
    let event = match &parsed.body {
        wire::Body::Avro { datum, .. } => {
            let schema = WriterSchema::own(&record.topic).expect("a topic of ours");
            Event::decode_avro(&record.topic, &schema, datum)?
        }
        wire::Body::Json(data) => Event::decode_json(&record.topic, data)?,
    };
    check_identity(record, &parsed.envelope, &event)?;
    event.check()?;
    Ok(event)
}

#[track_caller]
fn refused(record: &Record, class: Class, code: &str) -> Failure {
    let failure = read(record).expect_err(code);
    assert_eq!((failure.class, failure.code.as_ref()), (class, code), "{failure}");
    let known = failure::explain(code).expect("every code is in the runbook");
    assert_eq!(known.class, class);
    failure
}

fn with_value(value: Option<Bytes>) -> Record {
    Record { value, ..record(&invoice()) }
}

fn with_header(name: &str, value: Option<&[u8]>) -> Record {
    let mut record = record(&invoice());
    set_header(&mut record, name, value);
    record
}

fn structured(event: &Value) -> Record {
    let mut record = with_value(Some(Bytes::from(event.to_string())));
    record.headers.0.clear();
    record.headers.push("content-type", "application/cloudevents+json; charset=UTF-8");
    record
}

fn check(change: impl FnOnce(&mut Value)) -> Result<Event, Failure> {
    let mut data = invoice_json();
    change(&mut data);
    let event = Event::decode_json(topics::INVOICE_POSTED, &data)?;
    event.check().map(|()| event)
}

#[test]
fn a_sound_record_is_read() {
    assert_eq!(read(&record(&invoice())).expect("a sound record"), invoice());
}

#[test]
fn bytes_that_are_not_avro_are_poison() {
    let failure = refused(&with_value(Some(Bytes::from_static(b"{\"hello\":1}"))), Class::Poison, "BYTES_NOT_AVRO");
    assert!(failure.reason.contains("0x7b"), "{failure}");
    refused(&with_value(Some(Bytes::new())), Class::Poison, "BYTES_NOT_AVRO");
    refused(&with_value(Some(Bytes::from_static(&[0, 0, 0]))), Class::Poison, "BYTES_NOT_AVRO");
    let text_that_is_no_text = wire::frame(7, &[2, 0xFF]);
    refused(&with_value(Some(text_that_is_no_text.into())), Class::Poison, "BYTES_NOT_AVRO");
}

#[test]
fn a_datum_that_ends_early_or_late_is_poison() {
    let whole = wire::frame(7, &invoice().encode_avro());
    for length in 5..whole.len() {
        refused(&with_value(Some(Bytes::copy_from_slice(&whole[..length]))), Class::Poison, "DATUM_TRUNCATED");
    }
    let mut longer = whole;
    longer.push(0);
    let failure = refused(&with_value(Some(longer.into())), Class::Poison, "DATUM_TRUNCATED");
    assert!(failure.reason.contains("after the end"), "{failure}");
}

#[test]
fn a_null_value_on_a_fact_topic_is_poison() {
    refused(&with_value(None), Class::Poison, "NULL_VALUE");
}

#[test]
fn a_record_of_five_megabytes_is_poison_before_it_is_looked_at() {
    let failure = refused(&with_value(Some(vec![0; 5 << 20].into())), Class::Poison, "TOO_LARGE");
    assert!(failure.reason.contains("max_record_bytes"), "{failure}");
}

#[test]
fn a_missing_header_is_named() {
    for header in ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"] {
        let failure = refused(&with_header(header, None), Class::Poison, "HEADER_MISSING");
        assert_eq!(failure.field.as_deref(), Some(header));
    }
    read(&with_header("ce_subject", None)).expect("a subject is optional");
    read(&with_header("content-type", None)).expect("the framing says what it is");
}

#[test]
fn a_malformed_header_is_named() {
    for (header, value) in [
        ("ce_specversion", &b"0.3"[..]),
        ("ce_id", b""),
        ("ce_id", b"\xFF\xFE"),
        ("ce_source", b"a\nb"),
        ("ce_time", b"yesterday"),
        ("ce_time", b"2026-01-15 10:00"),
        ("content-type", b"text/html"),
        ("content-type", b"\xFF"),
        ("content-type", b"application/cloudevents-batch+json"),
        ("__value_schema_id", b"\x02abc"),
    ] {
        let failure = refused(&with_header(header, Some(value)), Class::Poison, "HEADER_INVALID");
        assert_eq!(failure.field.as_deref(), Some(header), "{value:?}");
    }
    refused(&with_header("ce_id", Some(&[b'x'; 2000])), Class::Poison, "HEADER_INVALID");
}

#[test]
fn a_bad_trace_context_costs_no_event() {
    read(&with_header("traceparent", Some(b"nonsense"))).expect("trace context is only for people");
}

#[test]
fn a_key_that_is_missing_or_not_text_is_poison() {
    for key in [None, Some(Bytes::new()), Some(Bytes::from_static(b"\xFF"))] {
        refused(&Record { key, ..record(&invoice()) }, Class::Poison, "KEY_MISSING");
    }
}

#[test]
fn a_key_that_is_not_the_account_breaks_the_contract() {
    let other = Record { key: Some(Bytes::from_static(b"acc-2")), ..record(&invoice()) };
    let failure = refused(&other, Class::Contract, "KEY_MISMATCH");
    assert_eq!(failure.owner.as_deref(), Some("billing"));
}

#[test]
fn a_type_or_subject_of_another_event_breaks_the_contract() {
    refused(
        &with_header("ce_type", Some(b"com.example.throughline.payment.received.v1")),
        Class::Contract,
        "TYPE_MISMATCH",
    );
    let failure = refused(&with_header("ce_subject", Some(b"inv-2")), Class::Contract, "FIELD_INVALID");
    assert_eq!(failure.field.as_deref(), Some("ce_subject"));
    read(&with_header("ce_type", Some(b"org.acme.throughline.invoice.posted.v1"))).expect("any prefix will do");
}

#[test]
fn a_schema_of_another_subject_breaks_the_contract() {
    let payment = WriterSchema::own(topics::PAYMENT_RECEIVED).expect("ours");
    let failure = Event::decode_avro(topics::INVOICE_POSTED, &payment, &[]).expect_err("another topic's schema");
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Contract, "WRONG_SUBJECT"));
    assert!(failure.reason.contains("payment.received.v1-value"), "{failure}");
}

#[test]
fn a_schema_that_cannot_be_read_says_why() {
    let own = topics::find(topics::INVOICE_POSTED).expect("ours").schema;
    let millis = own.replace("timestamp-micros", "timestamp-millis");
    let stranger = r#"{"type":"record","name":"Cat","namespace":"org.acme","fields":[]}"#;
    for (schema, reason) in [(millis.as_str(), "effective_at"), (stranger, "org.acme.Cat")] {
        let schema = WriterSchema::parse(4, None, schema).expect("valid Avro");
        let failure = Event::decode_avro(topics::INVOICE_POSTED, &schema, &[]).expect_err(reason);
        assert_eq!(failure.code, "SCHEMA_INCOMPATIBLE");
        assert!(failure.reason.contains(reason), "{failure}");
    }
    for schema in ["\"string\"", "{", "{\"type\":\"record\"}"] {
        assert_eq!(WriterSchema::parse(4, None, schema).expect_err(schema).code, "SCHEMA_INCOMPATIBLE");
    }
}

#[test]
fn an_unknown_currency_breaks_the_contract() {
    for code in ["XXZ", "gbp", "DEM", ""] {
        let failure = check(|data| data["currency"] = json!(code)).expect_err(code);
        assert_eq!((failure.class, failure.code.as_ref()), (Class::Contract, "CURRENCY_UNKNOWN"));
        assert_eq!(failure.field.as_deref(), Some("currency"));
    }
}

#[test]
fn lines_that_do_not_add_up_break_the_contract() {
    for (total, field) in [
        ("line_net_minor", "totals.line_net_minor"),
        ("tax_exclusive_minor", "totals.tax_exclusive_minor"),
        ("tax_minor", "totals.tax_minor"),
        ("tax_inclusive_minor", "totals.tax_inclusive_minor"),
        ("payable_minor", "totals.payable_minor"),
    ] {
        let wrong = |data: &mut Value| data["totals"][total] = json!(data["totals"][total].as_i64().unwrap_or(0) + 1);
        let failure = check(wrong).expect_err(total);
        assert_eq!(
            (failure.class, failure.code.as_ref(), failure.field.as_deref()),
            (Class::Contract, "SUM_MISMATCH", Some(field))
        );
    }
    let failure = check(|data| data["lines"][0]["net_minor"] = json!(1)).expect_err("a sum that is off");
    assert_eq!(failure.code, "SUM_MISMATCH");
    let failure = check(|data| {
        let line = data["lines"][0].clone();
        data["lines"] = json!([line, line]);
        data["lines"][1]["line_id"] = json!("2");
        data["lines"][0]["net_minor"] = json!(i64::MAX);
    });
    assert_eq!(failure.expect_err("a sum that overflows").code, "FIELD_INVALID");
}

#[test]
fn an_amount_that_sums_could_overflow_with_breaks_the_contract() {
    for amount in [i64::MAX, i64::MIN, 1_000_000_000_000_001] {
        let failure = check(|data| data["lines"][0]["net_minor"] = json!(amount)).expect_err("too much");
        assert_eq!((failure.code.as_ref(), failure.field.as_deref()), ("FIELD_INVALID", Some("lines[0].net_minor")));
    }
}

#[test]
fn other_rules_of_the_contract_name_their_field() {
    let sound = || json!({"start_on": "2026-01-01", "end_on": "2026-02-01", "timezone": "Europe/London"});
    for (field, change) in [
        ("entity_version", json!({"entity_version": 0})),
        ("account_id", json!({"account_id": " "})),
        ("timezone", json!({"timezone": "Europe/Atlantis"})),
        ("posting_period", json!({"posting_period": "2026-13"})),
        ("lines", json!({"lines": []})),
        ("period", {
            let mut period = sound();
            period["end_on"] = json!("2026-01-01");
            json!({ "period": period })
        }),
        ("period.timezone", {
            let mut period = sound();
            period["timezone"] = json!("");
            json!({ "period": period })
        }),
    ] {
        let failure = check(|data| change.as_object().into_iter().flatten().for_each(|(k, v)| data[k] = v.clone()))
            .expect_err(field);
        assert_eq!((failure.code.as_ref(), failure.field.as_deref()), ("FIELD_INVALID", Some(field)));
        assert_eq!(failure.owner.as_deref(), Some("billing"));
    }
}

#[test]
fn json_of_another_form_names_the_field_and_never_the_value() {
    for (field, change) in [
        ("colour", None),
        ("lines[0].colour", None),
        ("lines[0].quantity", Some(json!(3))),
        ("lines[0].quantity", Some(json!("1.0000000001"))),
        ("lines[0].charge_type", Some(json!("secret"))),
        ("issue_on", Some(json!("15.01.2026 secret"))),
        ("effective_at", Some(json!("2026-01-15T10:00:00"))),
        ("entity_version", Some(json!(1.5))),
        ("currency", Some(Value::Null)),
    ] {
        let mut data = invoice_json();
        let (parent, name) = match field.strip_prefix("lines[0].") {
            Some(name) => (&mut data["lines"][0], name),
            None => (&mut data, field),
        };
        parent[name] = change.clone().unwrap_or(json!("secret"));
        let failure = Event::decode_json(topics::INVOICE_POSTED, &data).expect_err(field);
        assert_eq!((failure.class, failure.code.as_ref()), (Class::Poison, "JSON_INVALID"));
        let place = failure.field.clone().unwrap_or_default();
        assert!(place == field || failure.reason.contains("`colour`"), "{failure}");
        assert!(!failure.reason.contains("secret"), "{failure}");
    }
    let mut data = invoice_json();
    data.as_object_mut().expect("an object").remove("invoice_id");
    let failure = Event::decode_json(topics::INVOICE_POSTED, &data).expect_err("a missing field");
    assert_eq!(failure.field.as_deref(), Some("invoice_id"));
}

#[test]
fn structured_mode_is_read_and_its_faults_are_named() {
    let event = invoice();
    let sound = support::envelope(&event).to_structured(event.to_json());
    assert_eq!(read(&structured(&sound)).expect("structured mode"), event);
    let change = |name: &str, value: Option<Value>| {
        let mut changed = sound.clone();
        let object = changed.as_object_mut().expect("an object");
        match value {
            Some(value) => object.insert(name.to_owned(), value),
            None => object.remove(name),
        };
        structured(&changed)
    };
    refused(&change("id", None), Class::Poison, "HEADER_MISSING");
    refused(&change("id", Some(json!(5))), Class::Poison, "HEADER_INVALID");
    refused(&change("data", None), Class::Poison, "JSON_INVALID");
    refused(&change("data", Some(json!([]))), Class::Poison, "JSON_INVALID");
    refused(&change("data_base64", Some(json!("AA=="))), Class::Poison, "JSON_INVALID");
    refused(&change("datacontenttype", Some(json!("text/xml"))), Class::Poison, "JSON_INVALID");
    let broken = with_header("content-type", Some(b"application/cloudevents+json"));
    refused(&broken, Class::Poison, "JSON_INVALID");
}

#[test]
fn json_in_binary_mode_is_read_too() {
    let mut record = with_header("content-type", Some(b"application/json"));
    record.value = Some(Bytes::from(invoice_json().to_string()));
    assert_eq!(read(&record).expect("binary mode with JSON"), invoice());
}

#[test]
fn the_header_form_names_the_schema_and_leaves_the_value_bare() {
    let guid = [9u8; 16];
    let header: Vec<u8> = [&[1u8][..], &guid].concat();
    let mut record = with_value(Some(invoice().encode_avro().into()));
    set_header(&mut record, "__value_schema_id", Some(&header));
    let parsed = wire::parse(&record, &wire::Limits::default()).expect("the header form");
    let wire::Body::Avro { schema, .. } = parsed.body else { panic!("Avro") };
    assert_eq!(schema, wire::SchemaRef::Guid(guid));
    assert_eq!(read(&record).expect("the header form"), invoice());
    set_header(&mut record, "__value_schema_id", Some(&[0, 0, 0, 0, 7]));
    let parsed = wire::parse(&record, &wire::Limits::default()).expect("the header form with an id");
    assert!(matches!(parsed.body, wire::Body::Avro { schema: wire::SchemaRef::Id(7), .. }));
}

#[test]
fn an_envelope_survives_both_modes() {
    let envelope = Envelope {
        correlation_id: Some("corr".into()),
        causation_id: Some("cause".into()),
        sequence: Some("0001".into()),
        dataschema: Some("urn:schema:7".into()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        ..support::envelope(&invoice())
    };
    assert_eq!(Envelope::from_headers(&envelope.to_headers()).expect("our own headers"), envelope);
    let structured = envelope.to_structured(json!({}));
    assert_eq!(Envelope::from_structured(&structured).expect("our own JSON").0, envelope);
    assert_eq!(envelope.uid(), events::Uid::derive("urn:test:billing", "evt-1"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(topic in proptest::sample::select(Event::topics()), bytes: Vec<u8>) {
        let schema = WriterSchema::own(topic).expect("ours");
        let _ = Event::decode_avro(topic, &schema, &bytes);
        let mut record = with_value(Some(bytes.clone().into()));
        let _ = read(&record);
        set_header(&mut record, "ce_time", Some(&bytes));
        let _ = read(&record);
        set_header(&mut record, "content-type", Some(b"application/cloudevents+json"));
        let _ = read(&record);
    }

    #[test]
    fn no_flipped_byte_makes_it_panic(seed: u64, at: prop::sample::Index, byte: u8) {
        let topic = Event::topics()[(seed % Event::topics().len() as u64) as usize];
        let event = Event::decode_json(topic, &support::random_json(topic, seed)).expect("a sound shape");
        let mut datum = event.encode_avro();
        let at = at.index(datum.len());
        datum[at] = byte;
        let schema = WriterSchema::own(topic).expect("ours");
        if let Ok(event) = Event::decode_avro(topic, &schema, &datum) {
            let _ = (event.check(), event.to_json(), event.encode_avro());
        }
    }
}
