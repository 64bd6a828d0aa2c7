//! The body of a journal entry: what one micro-batch of a slice did. Its Avro schema is `schema/journal.v1.avsc`.

use crate::types::{DocumentChange, TimerChange};
use bytes::Bytes;
use events::{Headers, PayloadHash, Uid};

/// Where a record ended. Each offset below a position has exactly one (I1); a parked record's row overrides its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    Applied,
    Duplicate,
    Superseded,
    Conflict,
    Parked,
    DeadLettered,
    Skipped,
    OutsideHorizon,
}

impl Disposition {
    pub const ALL: [Self; 8] = [
        Self::Applied,
        Self::Duplicate,
        Self::Superseded,
        Self::Conflict,
        Self::Parked,
        Self::DeadLettered,
        Self::Skipped,
        Self::OutsideHorizon,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Superseded => "superseded",
            Self::Conflict => "conflict",
            Self::Parked => "parked",
            Self::DeadLettered => "dead_lettered",
            Self::Skipped => "skipped",
            Self::OutsideHorizon => "outside_horizon",
        }
    }
}

/// One micro-batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Topics that `records` point into.
    pub topics: Vec<String>,
    pub records: Vec<EntryRecord>,
    /// Work whose effects are about to be sent.
    pub steps: Vec<Step>,
    /// What came back for steps of this or earlier entries.
    pub outcomes: Vec<Outcome>,
    /// Events and dead letters to publish, in order.
    pub outgoing: Vec<Outgoing>,
}

impl Entry {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.steps.is_empty() && self.outcomes.is_empty() && self.outgoing.is_empty()
    }
}

/// What one record ended as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRecord {
    /// Index into [`Entry::topics`].
    pub topic: u16,
    pub offset: i64,
    /// `None` for a record that has no readable identity.
    pub uid: Option<Uid>,
    pub hash: PayloadHash,
    pub disposition: Disposition,
}

/// Names a step for ever: the entry that opened it and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct StepId {
    pub entry: i64,
    pub index: i32,
}

/// Effects of one decision, done one after another; what else was decided takes hold when the last of them is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub sequence: String,
    /// One; several where waiting events were coalesced: then only the last took effect, the others ended `superseded`.
    pub causes: Vec<Cause>,
    pub effects: Vec<EffectRow>,
    pub staged: Staged,
}

/// What a step was decided for.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// A live record, kept byte for byte until the step ends, so that it can be parked.
    Record(SourceRecord),
    /// A parked record of the step's sequence.
    Parked { no: i64 },
    /// A due timer.
    Timer { id: String, payload: String },
}

/// A record's bytes and identity.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
    pub uid: Option<Uid>,
    pub hash: PayloadHash,
}

/// One change in an outside system, as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRow {
    /// Deterministic: the same decision gives the same key. I2 counts by it.
    pub key: String,
    /// What it changes; calls of one entity never overlap.
    pub entity: String,
    /// JSON of the handler's effect.
    pub payload: String,
    /// Set where an earlier attempt has done it already: it is not sent again.
    pub receipt: Option<String>,
    /// Set where an earlier attempt's outcome is unknown: look up first.
    pub look_up: bool,
}

/// What a decision changes besides its effects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Staged {
    pub documents: Vec<DocumentChange>,
    pub outgoing: Vec<NewOutgoing>,
    pub timers: Vec<TimerChange>,
}

impl Staged {
    /// Adds what a later decision changes: of one document only its newest state takes hold.
    pub fn extend(&mut self, later: Self) {
        self.documents.retain(|old| later.documents.iter().all(|new| new.key != old.key));
        self.documents.extend(later.documents);
        self.outgoing.extend(later.outgoing);
        self.timers.extend(later.timers);
    }
}

/// An event to publish that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutgoing {
    pub topic: String,
    pub partition: i32,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
    pub timestamp_ms: i64,
}

/// An event to publish. `number` counts from 1 per slice, topic and partition, without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub number: i64,
    pub event: NewOutgoing,
    /// For a dead letter: the parked record that counts as dead-lettered once this is acknowledged.
    pub letter_of: Option<(String, i64)>,
}

/// What is known of one effect of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub step: StepId,
    /// Index into the step's effects.
    pub effect: i32,
    pub result: EffectResult,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectResult {
    /// Took effect, once; the receipt holds the outside system's ids (JSON).
    Done { receipt: String },
    /// Certainly did not take effect: the step ends here and its cause is parked.
    Refused { code: String },
    /// May have taken effect: nothing is sent again before a look-up has told.
    Unknown,
}
