//! Records as brokers deliver them: framing, datums, headers.

use super::told;
use crate::Target;
use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter};
use events::{
    Case, Dataset, Deal, Envelope, Event, EventSet, Headers, Notice, Record, Reply, Request, Saga, WriterSchema,
    topics, topics::Family, wire,
};
use failure::Failure;
use testkit::business::{self, Faults, Item, Options};

fn record(value: Vec<u8>, headers: Headers) -> Record {
    Record {
        topic: topics::INVOICE_POSTED.into(),
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: Some("a".into()),
        value: Some(value.into()),
        headers,
    }
}

/// One event of each kind, with its envelope.
pub fn samples() -> Vec<(Envelope, Event)> {
    let start = jiff::civil::date(2026, 1, 1);
    let options = Options { seed: 11, accounts: 200, months: 4, start, max_events: None, faults: Faults::NONE };
    let all = business::covering(&options).unwrap_or_default();
    let mut seen = std::collections::BTreeSet::new();
    let sample = |generated: business::Generated| match generated.item {
        Item::Event { envelope, event } if seen.insert(event.topic()) => Some((envelope, event)),
        Item::Event { .. } | Item::Raw { .. } => None,
    };
    all.into_iter().filter_map(sample).collect()
}

/// The value of a record: magic byte, schema id, datum, or JSON.
pub struct Framing;

impl Target for Framing {
    fn name(&self) -> &'static str {
        "framing"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        samples().into_iter().map(|(_, event)| wire::frame(7, &event.encode_avro())).collect()
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let headers = samples_headers();
        match wire::parse(&record(input.to_vec(), headers), &wire::Limits::default()) {
            Err(failure) => Ok(told(&failure)),
            Ok(parsed) => match parsed.body {
                wire::Body::Avro { schema: wire::SchemaRef::Id(id), datum } => {
                    let again = wire::frame(id, &datum);
                    if again == input { Ok("framed".to_owned()) } else { Err(format!("framed again it is {again:?}")) }
                }
                wire::Body::Avro { .. } => Ok("by GUID".to_owned()),
                wire::Body::Json(_) => Ok("JSON".to_owned()),
            },
        }
    }
}

fn samples_headers() -> Headers {
    static HEADERS: std::sync::LazyLock<Headers> =
        std::sync::LazyLock::new(|| samples().first().map(|(envelope, _)| envelope.to_headers()).unwrap_or_default());
    HEADERS.clone()
}

/// A datum under a writer's schema of any recorded version, decoded by us (serde_avro_fast, straight into types) and by apache-avro.
pub struct Datum(Vec<(&'static str, WriterSchema, Schema)>);

impl Datum {
    pub fn new() -> Self {
        let parse = |subject: &'static topics::Subject| {
            Some((subject.topic, WriterSchema::own(subject.topic)?, Schema::parse_str(subject.schema).ok()?))
        };
        Self(topics::SUBJECTS.iter().filter_map(parse).collect())
    }

    /// The schemas, as text, by their places.
    pub fn schemas(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|(topic, ..)| Some(topics::find(topic)?.schema))
    }

    /// Place of the schema, its topic, and the datum.
    pub fn chosen<'a>(&self, input: &'a [u8]) -> Option<(usize, &'static str, &'a [u8])> {
        let (first, datum) = input.split_first()?;
        let place = usize::from(*first) % self.0.len();
        Some((place, self.0[place].0, datum))
    }

    /// By us; what is read is written again.
    pub fn decode(&self, place: usize, datum: &[u8]) -> Result<Vec<u8>, Failure> {
        let (topic, own, _) = &self.0[place];
        decode(topic, own, datum)
    }
}

/// What it is, of whichever family, encoded again.
fn decode(topic: &str, schema: &WriterSchema, datum: &[u8]) -> Result<Vec<u8>, Failure> {
    match topics::find(topic).map(|subject| subject.family) {
        Some(Family::Reply) => Reply::decode_avro(topic, schema, datum).map(|reply| reply.encode_avro()),
        Some(Family::Analytics) => Dataset::decode_avro(topic, schema, datum).map(|row| row.encode_avro()),
        Some(Family::Deal) => Deal::decode_avro(topic, schema, datum).map(|deal| deal.encode_avro()),
        Some(Family::Request) => Request::decode_avro(topic, schema, datum).map(|request| request.encode_avro()),
        Some(Family::Case) => Case::decode_avro(topic, schema, datum).map(|case| case.encode_avro()),
        Some(Family::Saga) => Saga::decode_avro(topic, schema, datum).map(|saga| saga.encode_avro()),
        Some(Family::Notice) => Notice::decode_avro(topic, schema, datum).map(|notice| notice.encode_avro()),
        Some(Family::Commercial) | None => Event::decode_avro(topic, schema, datum).map(|event| event.encode_avro()),
    }
}

/// What we refuse on purpose although it is a datum of the schema: what is too large, breaks a rule of the contract, spends more bytes on a
/// decimal than its precision can need, or is a date or a decimal that no calendar and no arithmetic of ours has.
pub fn is_stricter(failure: &Failure) -> bool {
    ["DATUM_TOO_LARGE", "FIELD_INVALID"].contains(&failure.code.as_ref())
        || ["Decimals of size larger than 16", "outside of the years", "value that can be represented"]
            .iter()
            .any(|why| failure.reason.contains(why))
}

/// Whether a writer would put it so. apache-avro reads numbers of more than 64 bits, and drops what is too much.
fn is_plain(value: &Value, schema: &Schema, datum: &[u8]) -> bool {
    GenericDatumWriter::builder(schema)
        .build()
        .and_then(|writer| writer.write_value_to_vec(value.clone()))
        .is_ok_and(|again| again == datum)
}

/// Notes that somebody asked for more than there is: apache-avro takes what is missing at the end for null in many places, and does not say.
struct Ending<'a> {
    rest: &'a [u8],
    is_passed: bool,
}

impl std::io::Read for Ending<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.rest.read(into)?;
        self.is_passed |= read < into.len();
        Ok(read)
    }
}

impl Target for Datum {
    fn name(&self) -> &'static str {
        "datum"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        let place = |topic: &str| self.0.iter().position(|(known, ..)| *known == topic).unwrap_or(0);
        let first = |topic: &str| u8::try_from(place(topic)).unwrap_or(0);
        samples().iter().map(|(_, event)| [&[first(event.topic())][..], &event.encode_avro()].concat()).collect()
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let Some((place, topic, datum)) = self.chosen(input) else { return Ok("nothing".to_owned()) };
        let (_, own, schema) = &self.0[place];
        let ours = decode(topic, own, datum);
        let mut bytes = Ending { rest: datum, is_passed: false };
        let reader = GenericDatumReader::builder(schema).build().map_err(|error| error.to_string())?;
        let theirs = reader.read_value(&mut bytes).map_err(|error| error.to_string());
        match (&ours, &theirs) {
            (Ok(again), Ok(value)) => {
                if !bytes.rest.is_empty() || bytes.is_passed {
                    return Err(format!(
                        "{topic}: we read just these bytes, apache-avro leaves {:?} or more",
                        bytes.rest
                    ));
                }
                let twice =
                    decode(topic, own, again).map_err(|failure| format!("{topic}: not read again: {failure}"))?;
                let mut again = again.as_slice();
                let reread =
                    reader.read_value(&mut again).map_err(|error| format!("{topic}: what we write: {error}"))?;
                if twice != decode(topic, own, datum).unwrap_or_default() || reread != *value {
                    return Err(format!("{topic}: what we read and write again is another event"));
                }
                Ok(format!("{topic} read"))
            }
            (Ok(_), Err(error)) => Err(format!("{topic}: we read what apache-avro refuses: {error}")),
            (Err(failure), Ok(value))
                if bytes.rest.is_empty()
                    && !bytes.is_passed
                    && is_plain(value, schema, datum)
                    && !is_stricter(failure) =>
            {
                Err(format!("{topic}: apache-avro reads what we refuse: {failure}"))
            }
            (Err(failure), _) => Ok(format!("{topic} {}", told(failure))),
        }
    }
}

/// `name: value` lines as headers.
fn headers_of(input: &[u8]) -> Headers {
    let mut headers = Headers::default();
    for line in input.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 1..));
        headers.0.push((events::record::header_name(name), value.map(|value| value.to_vec().into())));
    }
    headers
}

fn lines_of(headers: &Headers) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in &headers.0 {
        lines.extend_from_slice(name.as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value.as_deref().unwrap_or_default());
        lines.push(b'\n');
    }
    lines
}

/// CloudEvents headers.
pub struct EnvelopeHeaders;

impl Target for EnvelopeHeaders {
    fn name(&self) -> &'static str {
        "envelope"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        samples().iter().map(|(envelope, _)| lines_of(&envelope.to_headers())).collect()
    }
    fn words(&self) -> &'static [&'static str] {
        &[
            "ce_id:",
            "ce_time:",
            "ce_source:",
            "ce_specversion:1.0",
            "ce_sequence:",
            "2026-01-01T00:00:00Z",
            "\n",
            "traceparent:",
        ]
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        match Envelope::from_headers(&headers_of(input)) {
            Err(failure) => Ok(told(&failure)),
            Ok(envelope) => {
                let again = Envelope::from_headers(&envelope.to_headers())
                    .map_err(|failure| format!("what we write is refused: {failure}"))?;
                if again != envelope {
                    return Err(format!("{envelope:?} becomes {again:?}"));
                }
                Ok(format!("read, {} parts", envelope.to_headers().0.len()))
            }
        }
    }
}

/// Headers of dead letters, ours and those of other tools.
pub struct LetterHeaders;

impl Target for LetterHeaders {
    fn name(&self) -> &'static str {
        "letters"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        [
            "dlq.original.topic:invoice.posted.v1\ndlq.original.partition:3\ndlq.original.offset:17\n",
            "kafka_dlt-original-topic:orders\nkafka_dlt-original-partition:\0\0\0\x03\nkafka_dlt-original-offset:\0\0\0\0\0\0\0\x07\nkafka_dlt-exception-fqcn:E\n",
            "__connect.errors.topic:orders\n__connect.errors.partition:3\n__connect.errors.offset:7\n__connect.errors.stage:VALUE_CONVERTER\n",
            "__streams.errors.topic:orders\n__streams.errors.partition:3\n__streams.errors.offset:7\n",
            "dead-letter-reason:x\ndead-letter-topic:orders\ndead-letter-partition:3\ndead-letter-offset:7\n",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    }
    fn words(&self) -> &'static [&'static str] {
        &[
            "kafka_dlt-original-offset:",
            "retry_topic-attempts:",
            "__connect.errors.offset:",
            "-1",
            "9223372036854775807",
            "\n",
        ]
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let origin = control::foreign::origin("dlq.x", &headers_of(input), true);
        if origin.offset.is_some_and(|offset| offset < 0) || origin.partition.is_some_and(|partition| partition < 0) {
            return Err(format!("a place that cannot be: {origin:?}"));
        }
        let known =
            [origin.topic.is_some(), origin.partition.is_some(), origin.offset.is_some(), origin.attempts.is_some()];
        Ok(format!("{:?} {known:?} {}", origin.family, origin.problems.len()))
    }
}
