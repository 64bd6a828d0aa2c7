//! One record of every kind that a service must refuse, and as what: for tests from the outside.
//!
//! Each has an account of its own, so that none waits behind another.

use crate::business::{Item, Options, stream};
use events::{
    Envelope, Event, EventSet, Headers, Record,
    topics::{self, INVOICE_POSTED, PAYMENT_RECEIVED},
    wire,
};
use failure::Class;

/// A record to be refused.
#[derive(Debug, Clone, PartialEq)]
pub struct BadRecord {
    /// What is wrong, in words.
    pub name: &'static str,
    pub topic: &'static str,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    /// As what it must be refused.
    pub class: Class,
    pub code: &'static str,
}

impl BadRecord {
    /// As a service would read it.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record {
            topic: self.topic.into(),
            partition: 0,
            offset: 0,
            timestamp_ms: -1,
            key: self.key.clone().map(Into::into),
            value: self.value.clone().map(Into::into),
            headers: self.headers.clone(),
        }
    }
}

/// All kinds of bad records. `schema_id` tells the registry's id of a topic's newest schema; `tag` keeps ids and accounts of one
/// test apart from another's. A schema id that no registry knows costs the reader its grace time; it comes last.
#[must_use]
pub fn all(tag: &str, schema_id: impl Fn(&str) -> u32) -> Vec<BadRecord> {
    let make = Make { tag, id: schema_id(INVOICE_POSTED) };
    let mut records = unreadable_values(&make, schema_id(PAYMENT_RECEIVED));
    records.extend(bad_headers(&make));
    records.extend(broken_rules(&make));
    let unknown = make.framed("unknown-id", u32::MAX - 6);
    records.push(BadRecord { code: "SCHEMA_ID_UNKNOWN", ..make.poison("a schema id that no registry knows", unknown) });
    records
}

/// A length or count of 2^40, as Avro writes it.
const HUGE: [u8; 6] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x40];

fn unreadable_values(make: &Make<'_>, payment_schema: u32) -> Vec<BadRecord> {
    let value = |name, value: Option<Vec<u8>>, class, code| {
        let sound = make.sound(name);
        BadRecord { name, value, class, code, ..sound }
    };
    let datum = make.datum("cut");
    let frame = |datum: &[u8]| Some(wire::frame(make.id, datum));
    vec![
        value("text", Some(b"{\"not\": \"Avro\"}".to_vec()), Class::Poison, "BYTES_NOT_AVRO"),
        value("empty", Some(Vec::new()), Class::Poison, "BYTES_NOT_AVRO"),
        value("null", None, Class::Poison, "NULL_VALUE"),
        value("truncated", frame(&datum[..datum.len() / 2]), Class::Poison, "DATUM_TRUNCATED"),
        value("trailing", frame(&[&datum[..], b"more"].concat()), Class::Poison, "DATUM_TRUNCATED"),
        value("huge-text", frame(&HUGE), Class::Poison, "DATUM_TRUNCATED"),
        value("huge-count", frame(&make.endless_lines()), Class::Poison, "ALLOCATION_LIMIT"),
        value("5-megabytes", Some(vec![0; 5 << 20]), Class::Poison, "TOO_LARGE"),
        value("wrong-subject", Some(wire::frame(payment_schema, &datum)), Class::Contract, "WRONG_SUBJECT"),
    ]
}

fn bad_headers(make: &Make<'_>) -> Vec<BadRecord> {
    let header = |name, code, header: &str, value: Option<&[u8]>| {
        let mut record = make.sound(name);
        record.headers.0.retain(|(name, _)| name != header);
        if let Some(value) = value {
            record.headers.push(header, value.to_vec());
        }
        BadRecord { code, ..record }
    };
    let keyless = BadRecord { key: None, code: "KEY_MISSING", ..make.sound("no-key") };
    vec![
        header("no-ce-id", "HEADER_MISSING", "ce_id", None),
        header("no-ce-source", "HEADER_MISSING", "ce_source", None),
        header("bad-ce-time", "HEADER_INVALID", "ce_time", Some(b"yesterday")),
        header("ce-id-not-utf-8", "HEADER_INVALID", "ce_id", Some(&[0xff, 0xfe])),
        header("unknown-content-type", "HEADER_INVALID", "content-type", Some(b"text/plain")),
        keyless,
    ]
}

fn broken_rules(make: &Make<'_>) -> Vec<BadRecord> {
    let rule = |name, code, change: fn(&mut events::InvoicePosted)| {
        let mut event = make.invoice(name);
        change(&mut event);
        let value = Some(wire::frame(make.id, &Event::from(event).encode_avro()));
        BadRecord { class: Class::Contract, code, value, ..make.sound(name) }
    };
    let mut other_type = make.sound("other-type");
    other_type.headers.0.retain(|(name, _)| name != "ce_type");
    other_type.headers.push("ce_type", topics::event_type(PAYMENT_RECEIVED));
    vec![
        rule("unknown-currency", "CURRENCY_UNKNOWN", |invoice| invoice.currency = "XXZ".to_owned()),
        rule("sum-mismatch", "SUM_MISMATCH", |invoice| invoice.totals.payable_minor += 1),
        rule("no-lines", "FIELD_INVALID", |invoice| invoice.lines.clear()),
        rule("version-zero", "FIELD_INVALID", |invoice| invoice.entity_version = 0),
        rule("key-mismatch", "KEY_MISMATCH", |invoice| invoice.account_id.push_str("-other")),
        BadRecord { class: Class::Contract, code: "TYPE_MISMATCH", ..other_type },
    ]
}

/// Sound records to spoil.
struct Make<'a> {
    tag: &'a str,
    /// Schema of invoices.
    id: u32,
}

impl Make<'_> {
    fn account(&self, name: &str) -> String {
        format!("bad-{}-{name}", self.tag)
    }

    fn invoice(&self, name: &str) -> events::InvoicePosted {
        let invoices = stream(&Options::new(1, 1)).into_iter().flatten().find_map(|generated| match generated.item {
            Item::Event { event: Event::InvoicePosted(invoice), .. } => Some(*invoice),
            _ => None,
        });
        let sound = invoices.expect("every account is billed at once");
        let invoice_id = format!("inv-{}-{name}", self.tag);
        events::InvoicePosted { account_id: self.account(name), invoice_id, contract_id: None, ..sound }
    }

    fn datum(&self, name: &str) -> Vec<u8> {
        Event::from(self.invoice(name)).encode_avro()
    }

    /// An invoice that claims more lines than any memory holds.
    fn endless_lines(&self) -> Vec<u8> {
        let mut invoice = self.invoice("huge-count");
        (invoice.currency, invoice.lines) = ("GBP".to_owned(), Vec::new());
        let datum = Event::from(invoice).encode_avro();
        // The count of lines follows the currency and its two nullable companions.
        let before = b"\x06GBP\0\0";
        let at = datum.windows(before.len()).position(|window| window == before).unwrap_or_default() + before.len();
        [&datum[..at], &HUGE].concat()
    }

    fn framed(&self, name: &str, schema_id: u32) -> Vec<u8> {
        wire::frame(schema_id, &self.datum(name))
    }

    fn poison(&self, name: &'static str, value: Vec<u8>) -> BadRecord {
        BadRecord { name, value: Some(value), ..self.sound("unknown-id") }
    }

    /// A record without fault, said to be poison until somebody spoils it otherwise.
    fn sound(&self, name: &'static str) -> BadRecord {
        let event = Event::from(self.invoice(name));
        let envelope = Envelope {
            id: format!("bad-{}-{name}", self.tag),
            source: "urn:example:careless".to_owned(),
            event_type: topics::event_type(INVOICE_POSTED),
            time_ms: event.effective_at().as_millisecond(),
            subject: Some(event.subject().to_owned()),
            ..Envelope::default()
        };
        BadRecord {
            name,
            topic: INVOICE_POSTED,
            key: Some(event.account_id().as_bytes().to_vec()),
            value: Some(wire::frame(self.id, &event.encode_avro())),
            headers: envelope.to_headers(),
            class: Class::Poison,
            code: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::WriterSchema;
    use failure::Failure;
    use std::collections::BTreeSet;

    const SCHEMAS: [(&str, u32); 2] = [(INVOICE_POSTED, 7), (PAYMENT_RECEIVED, 8)];

    fn read(record: &Record) -> Result<Event, Failure> {
        let parsed = wire::parse(record, &wire::Limits::default())?;
        let wire::Body::Avro { schema: wire::SchemaRef::Id(id), datum } = parsed.body else { panic!("always an id") };
        let unknown = || Failure::poison("SCHEMA_ID_UNKNOWN", "unknown");
        let (topic, _) = SCHEMAS.iter().find(|(_, known)| *known == id).ok_or_else(unknown)?;
        let subject = topics::find(topic).expect("known");
        let schema = WriterSchema::parse(id, Some(subject.subject), subject.schema)?;
        let event = Event::decode_avro(&record.topic, &schema, &datum)?;
        events::check_identity(record, &parsed.envelope, &event)?;
        event.check()?;
        Ok(event)
    }

    #[test]
    fn each_is_refused_as_it_says() {
        let schema_id = |topic: &str| SCHEMAS.iter().find(|(known, _)| *known == topic).expect("known").1;
        let records = all("t", schema_id);
        for bad in &records {
            let failure = read(&bad.to_record()).expect_err(bad.name);
            assert_eq!((failure.class, failure.code.as_ref()), (bad.class, bad.code), "{}: {failure}", bad.name);
        }
        let names: BTreeSet<_> = records.iter().map(|bad| bad.name).collect();
        let keys: BTreeSet<_> = records.iter().filter_map(|bad| bad.key.as_ref()).collect();
        assert_eq!((names.len(), keys.len()), (records.len(), records.len() - 1), "one has no key");
    }
}
