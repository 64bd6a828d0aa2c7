//! The schema a datum was written with, parsed once per id and kept by the registry client.

use super::{readable, reader, shape::Shape};
use crate::{
    codec::Budget,
    payload::{Payload, unknown_topic},
    topics::{self, Subject},
};
use failure::Failure;
use serde_avro_fast::de::{DeError, DeserializerConfig, DeserializerState, read::SliceRead};
use std::{fmt, io::Read};

/// What the lists of one record may cost in memory, whatever its counts say. Text cannot cost more than the record has bytes.
pub const MAX_ALLOC_BYTES: usize = 8 << 20;

/// Items that take no byte in the datum are worth nothing to us: more of them than this is an attack.
const MAX_WEIGHTLESS_ITEMS: usize = 1_000;

const MAX_DEPTH: usize = 32;

/// A writer's schema, and which of our topics it can be read as.
pub struct WriterSchema {
    id: u32,
    schema: serde_avro_fast::Schema,
    full_name: String,
    weightless_items: bool,
    /// Whether it can be read as the topic's event, for the one topic whose record has the same simple name.
    readable: Option<(&'static Subject, Result<(), String>)>,
    subject_hint: Option<String>,
}

impl fmt::Debug for WriterSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterSchema").field("id", &self.id).field("full_name", &self.full_name).finish_non_exhaustive()
    }
}

impl WriterSchema {
    /// `json` is the schema as the registry has it, references inlined. `subject_hint` is a subject it is registered
    /// under, if known; it only makes messages better.
    ///
    /// # Errors
    /// `SCHEMA_INCOMPATIBLE` if it is no Avro schema of a record.
    pub fn parse(id: u32, subject_hint: Option<&str>, json: &str) -> Result<Self, Failure> {
        let refuse = |reason: String| Failure::contract("SCHEMA_INCOMPATIBLE", format!("schema {id}: {reason}"));
        let shape = Shape::parse(json).map_err(refuse)?;
        let Some(full_name) = shape.root_name().map(str::to_owned) else {
            return Err(refuse("it is no record".to_owned()));
        };
        let schema = json.parse().map_err(|error| refuse(format!("not an Avro schema: {error}")))?;
        let readable = own_subject(&full_name).and_then(|subject| {
            let ours = reader(subject.topic)?;
            Some((subject, readable::check(&shape, ours)))
        });
        let weightless_items = shape.has_weightless_items();
        Ok(Self { id, schema, full_name, weightless_items, readable, subject_hint: subject_hint.map(str::to_owned) })
    }

    /// Our own newest schema of a topic, for what was encoded in this process.
    #[must_use]
    pub fn own(topic: &str) -> Option<Self> {
        let subject = topics::find(topic)?;
        Self::parse(0, Some(subject.subject), subject.schema).ok()
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Full name of the record it describes.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Whether data of this schema can be read as the topic's event.
    ///
    /// # Errors
    /// `WRONG_SUBJECT` if it is the schema of another of our topics, `SCHEMA_INCOMPATIBLE` with the field otherwise.
    pub fn fits(&self, topic: &str) -> Result<(), Failure> {
        // First the usual case: it is asked for every record.
        if let Some((subject, Ok(()))) = &self.readable
            && subject.topic == topic
        {
            return Ok(());
        }
        let Some(wanted) = topics::find(topic) else { return Err(unknown_topic(topic)) };
        match &self.readable {
            Some((subject, Err(reason))) if subject.topic == topic => Err(self.incompatible(topic, reason)),
            Some((subject, _)) => {
                let reason = format!("schema {} belongs to {}, not to {}", self.id, subject.subject, wanted.subject);
                Err(Failure::contract("WRONG_SUBJECT", reason).owned_by(wanted.owner))
            }
            None => {
                let from = self.subject_hint.as_ref().map(|hint| format!(" of subject {hint}")).unwrap_or_default();
                Err(self
                    .incompatible(topic, &format!("record `{}`{from} is not `{}`", self.full_name, wanted.full_name)))
            }
        }
    }

    fn incompatible(&self, topic: &str, reason: &str) -> Failure {
        let failure =
            Failure::contract("SCHEMA_INCOMPATIBLE", format!("schema {} cannot be read as {topic}: {reason}", self.id));
        match topics::find(topic) {
            Some(subject) => failure.owned_by(subject.owner),
            None => failure,
        }
    }

    /// Reads a datum straight into the type. Memory is bounded by the datum's size plus [`MAX_ALLOC_BYTES`].
    pub(crate) fn decode<T: Payload>(&self, datum: &[u8]) -> Result<T, Failure> {
        self.fits(T::TOPIC)?;
        let mut config = DeserializerConfig::new(&self.schema);
        config.max_seq_size = if self.weightless_items { MAX_WEIGHTLESS_ITEMS } else { datum.len() };
        config.allowed_depth = MAX_DEPTH;
        let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
        let budget = Budget::start(MAX_ALLOC_BYTES);
        let value = T::deserialize(state.deserializer()).map_err(|error| classify(&error, &budget))?;
        if state.into_reader().read(&mut [0]).unwrap_or(0) > 0 {
            return Err(Failure::poison("DATUM_TRUNCATED", "bytes follow after the end of the datum"));
        }
        Ok(value)
    }
}

/// The topic whose record has this name, or (as Avro compares names) the same name without namespace.
fn own_subject(full_name: &str) -> Option<&'static Subject> {
    let simple = |name: &'static str| name.rsplit('.').next();
    topics::SUBJECTS
        .iter()
        .find(|subject| subject.full_name == full_name)
        .or_else(|| topics::SUBJECTS.iter().find(|subject| simple(subject.full_name) == full_name.rsplit('.').next()))
}

fn classify(error: &DeError, budget: &Budget) -> Failure {
    let text = error.to_string();
    let ended = error.io_error().is_some()
        || text.starts_with("Unexpected end")
        || text.contains("Reached EOF")
        || text.contains("skip");
    if budget.exceeded() || text.starts_with("Exceeding max sequence size") {
        Failure::poison("ALLOCATION_LIMIT", "a count in the datum asks for more items than a record may have")
    } else if ended {
        Failure::poison("DATUM_TRUNCATED", "the value ends before the datum does")
    } else {
        Failure::poison("BYTES_NOT_AVRO", format!("the datum does not have the form of its schema: {text}"))
    }
}
