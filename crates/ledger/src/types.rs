//! What goes into a ledger and comes out of it, the same for every implementation.

use crate::jobs::{ItemChange, JobStop};
use crate::journal::Entry;
use bytes::Bytes;
use events::{Headers, PayloadHash, Uid};
use std::collections::{BTreeMap, HashMap};

/// Milliseconds since the epoch; time is always an argument here, never read.
pub type Millis = i64;

/// The next offset a slice will take from its partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    pub topic: String,
    /// Kafka's id of the topic, where the broker tells it; another id means that the topic was recreated.
    pub topic_id: Option<String>,
    pub next_offset: i64,
}

/// How far a slice's outgoing events to one partition are acknowledged by the broker.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PublishedMark {
    pub topic: String,
    pub partition: i32,
    /// Number of the last acknowledged event; numbers count from 1 per slice, topic and partition.
    pub number: i64,
    /// Offset of that event: the relay looks for its place from here.
    pub offset: i64,
}

/// All that a new owner needs to go on where the old one stopped.
#[derive(Debug, Clone, Default)]
pub struct Takeover {
    pub epoch: i64,
    /// Number of the next journal entry.
    pub next_entry: i64,
    /// All entries up to this one are closed.
    pub closed_entry: i64,
    pub positions: Vec<Position>,
    /// Entries after `closed_entry`, in order.
    pub open_entries: Vec<StoredEntry>,
    pub sequences: Vec<ParkedSequence>,
    pub timers: Vec<TimerRow>,
    pub published: Vec<PublishedMark>,
    pub floor_ms: Millis,
    pub stopped: Option<String>,
}

/// A journal entry as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntry {
    pub slice: i32,
    pub entry: i64,
    pub epoch: i64,
    pub at_ms: Millis,
    pub body: Entry,
}

/// One slice's micro-batch. Empty parts write nothing; the entry itself is always written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SliceCommit {
    pub slice: i32,
    pub epoch: i64,
    /// Number of this entry; must be the slice's next one.
    pub entry: i64,
    pub at_ms: Millis,
    pub body: Entry,
    /// Positions that moved.
    pub positions: Vec<Position>,
    pub identities: Vec<IdentityRow>,
    pub documents: Vec<DocumentChange>,
    /// Parked sequences that changed: the whole row, or its removal.
    pub sequences: Vec<SequenceChange>,
    /// Parked records that are new (`Insert`) or whose fate changed (`Update`).
    pub parked: Vec<ParkedChange>,
    pub intents: Vec<IntentChange>,
    pub timers: Vec<TimerChange>,
    /// The newest entry up to which everything is closed, where it moved.
    pub closed_entry: Option<i64>,
    pub published: Vec<PublishedMark>,
    /// Set to stop the slice with a reason that survives a restart.
    pub stopped: Option<String>,
    /// Results of job items, in the transaction of what they are about.
    pub items: Vec<ItemChange>,
    /// Jobs that end by their own rule.
    pub job_stops: Vec<JobStop>,
}

/// A known identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityRow {
    pub uid: Uid,
    pub hash: PayloadHash,
}

/// Names a document: a kind such as `invoice` and its business key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct DocumentKey {
    pub kind: String,
    pub key: String,
}

impl DocumentKey {
    pub fn new(kind: impl Into<String>, key: impl Into<String>) -> Self {
        Self { kind: kind.into(), key: key.into() }
    }
}

/// A document as stored. `body` is JSON; `status` and `account_id` are copied out of it for people's queries.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentRow {
    pub key: DocumentKey,
    pub slice: i32,
    /// Counts the changes of this document, from 1.
    pub version: i64,
    pub status: String,
    pub account_id: String,
    pub body: String,
    pub updated_ms: Millis,
}

/// The new state of a document (`None` removes it).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DocumentChange {
    pub key: DocumentKey,
    pub status: String,
    pub account_id: String,
    pub body: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    pub slice: i32,
    pub uids: Vec<Uid>,
    pub documents: Vec<DocumentKey>,
}

#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub identities: HashMap<Uid, PayloadHash>,
    pub documents: HashMap<DocumentKey, DocumentRow>,
    /// The floor, read after the identities: an absent timed identity older than this may have been dropped, so it ends
    /// `outside_horizon`. Newer than the one of the take-over if somebody pruned since.
    pub floor_ms: Millis,
}

/// Why a sequence waits, and until when. Its records are rows of [`ParkedRecord`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ParkedSequence {
    pub slice: i32,
    pub sequence: String,
    pub class: failure::Class,
    pub code: String,
    pub reason: String,
    pub owner: Option<String>,
    pub field: Option<String>,
    /// The subject whose event may pass the sequence, because its head waits for it.
    pub awaits: Option<String>,
    /// Failed attempts of the head.
    pub attempts: i32,
    /// When the head is tried again by itself; `None`: a person or a rule must act.
    pub next_attempt_ms: Option<Millis>,
    pub since_ms: Millis,
    /// Number of the first record alive; a record that is set in front gets a lower one.
    pub head_no: i64,
    /// Number the next record behind will get.
    pub tail_no: i64,
    /// Records alive, the head included.
    pub depth: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SequenceChange {
    Put(ParkedSequence),
    Remove { sequence: String },
}

/// Where a parked record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedState {
    /// Waits in its sequence.
    Waiting,
    /// Its dead letter is on its way to the dead-letter topic; it does not count as dead-lettered yet.
    LetterPending,
    /// Its dead letter is acknowledged by the broker.
    DeadLettered,
    /// Ended: took effect after all.
    Applied,
    /// Ended: a newer state took its place.
    Superseded,
    /// Ended: its rule says that it has no effect.
    Skipped,
    /// Ended: the same event had been applied already.
    Duplicate,
    /// Ended: given up by an operator, on the record.
    Discarded,
    /// Ended here: what nobody could read became readable and went on as a row of the sequence it belongs to, or people put a copy
    /// on another topic ([`Verb::Move`](crate::Verb::Move)).
    Moved,
    /// Ended: the person it is about was forgotten. Its value and its edit are gone ([`Verb::Erase`](crate::Verb::Erase)).
    Erased,
}

impl ParkedState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::LetterPending => "letter_pending",
            Self::DeadLettered => "dead_lettered",
            Self::Applied => "applied",
            Self::Superseded => "superseded",
            Self::Skipped => "skipped",
            Self::Duplicate => "duplicate",
            Self::Discarded => "discarded",
            Self::Moved => "moved",
            Self::Erased => "erased",
        }
    }

    pub const ALL: [Self; 10] = [
        Self::Waiting,
        Self::LetterPending,
        Self::DeadLettered,
        Self::Applied,
        Self::Superseded,
        Self::Skipped,
        Self::Duplicate,
        Self::Discarded,
        Self::Moved,
        Self::Erased,
    ];

    /// Still part of its sequence.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Waiting | Self::LetterPending | Self::DeadLettered)
    }
}

impl std::str::FromStr for ParkedState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| format!("unknown parked state `{word}`"))
    }
}

/// A record set aside, byte for byte, with what is known of its failure. Key: (slice, sequence, no).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRecord {
    pub slice: i32,
    pub sequence: String,
    pub no: i64,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: Millis,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
    pub uid: Option<Uid>,
    pub hash: PayloadHash,
    pub parked_ms: Millis,
    pub fate: ParkedFate,
}

/// The part of a parked record that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedFate {
    pub state: ParkedState,
    /// Why it is here; `None` for one that only waits behind.
    pub failure: Option<failure::Failure>,
    pub attempts: i32,
    /// How often it was refused for good (classes `Business` and `Contract`); other failures do not count.
    pub refusals: i32,
    /// Effects of an earlier attempt that are done (effect key → receipt): never sent again.
    pub receipts: BTreeMap<String, String>,
    /// Effects of an earlier attempt whose outcome is unknown: looked up before anything else.
    pub unknown: Vec<String>,
    pub changed_ms: Millis,
    /// Counts what people must know of before they decide about the row: tries that failed, edits, its end and its return. A
    /// letter's acknowledgement does not count.
    pub version: i32,
    /// Groups failures of one cause ([`failure::fingerprint`]); `None` where nothing failed.
    pub fingerprint: Option<String>,
    /// What people put in place of value and headers. The original stays as it is.
    pub edit: Option<Box<Edit>>,
    /// Its first failure; `None` where it only waits behind, and in rows from before it was kept.
    pub first: Option<FirstFailure>,
}

/// When a parked record failed first, and how.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FirstFailure {
    pub at_ms: Millis,
    pub class: failure::Class,
    pub code: failure::Code,
}

/// What stands in for the value and headers of a parked record; key, topic and place stay those of the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Counts the edits of a row from 1. An edited event that nothing was sent for has the identity `<ce_id>#edit-<number>`.
    pub number: i32,
    /// The job that brought it.
    pub job: String,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParkedChange {
    Insert(ParkedRecord),
    Update { sequence: String, no: i64, fate: ParkedFate },
}

/// A row for an intent that waits long, so that people can see it: open, unknown or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentChange {
    Put(IntentRow),
    Remove { effect_key: String },
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IntentRow {
    pub effect_key: String,
    pub sequence: String,
    pub entity: String,
    /// `open`, `unknown` or `refused`.
    pub state: String,
    pub attempts: i32,
    pub code: Option<String>,
    pub reason: Option<String>,
    pub since_ms: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TimerRow {
    /// Deterministic name within the slice; setting it again moves it.
    pub id: String,
    pub due_ms: Millis,
    pub sequence: String,
    /// JSON for the handler.
    pub payload: String,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TimerChange {
    Set(TimerRow),
    Clear { id: String },
}

/// One line of `throughline status`.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceStatus {
    pub slice: i32,
    pub epoch: i64,
    pub owner: String,
    pub taken_ms: Millis,
    pub next_entry: i64,
    pub closed_entry: i64,
    pub positions: Vec<Position>,
    pub published: Vec<PublishedMark>,
    pub stopped: Option<String>,
    /// Intents with a row: open long, unknown or refused.
    pub intents: Vec<IntentRow>,
    pub timers: i64,
}

#[derive(Debug, Clone, Default)]
pub struct DocumentFilter {
    pub kind: Option<String>,
    pub key: Option<String>,
    pub account_id: Option<String>,
    pub limit: usize,
}

/// Which parked records; what is set must all hold.
#[derive(Debug, Clone, Default)]
pub struct ParkedFilter {
    pub slice: Option<i32>,
    pub sequence: Option<String>,
    /// Any of these; empty: any.
    pub states: Vec<ParkedState>,
    pub uid: Option<Uid>,
    /// Only rows that failed: heads, not what merely waits behind one.
    pub failed: bool,
    pub class: Option<failure::Class>,
    pub code: Option<String>,
    pub fingerprint: Option<String>,
    pub topic: Option<String>,
    /// The record key, byte for byte.
    pub key: Option<Bytes>,
    /// Parked at or after, and before.
    pub since_ms: Option<Millis>,
    pub until_ms: Option<Millis>,
    pub min_attempts: Option<i32>,
    /// Rows behind this one, in the order of the answer.
    pub after: Option<ParkedCursor>,
    pub limit: usize,
}

/// A place in the order of [`parked_records`](crate::Ledger::parked_records).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ParkedCursor {
    pub parked_ms: Millis,
    pub slice: i32,
    pub sequence: String,
    pub no: i64,
}

impl ParkedCursor {
    /// The place of a row.
    #[must_use]
    pub fn of(row: &ParkedRecord) -> Self {
        Self { parked_ms: row.parked_ms, slice: row.slice, sequence: row.sequence.clone(), no: row.no }
    }
}

impl ParkedFilter {
    /// Whether a row is wanted, whatever the order and the limit: what the databases ask in their own words.
    pub(crate) fn takes(&self, row: &ParkedRecord) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let failure = row.fate.failure.as_ref();
        self.slice.is_none_or(|slice| row.slice == slice)
            && is(&self.sequence, &row.sequence)
            && is(&self.topic, &row.topic)
            && (self.states.is_empty() || self.states.contains(&row.fate.state))
            && self.uid.is_none_or(|uid| row.uid == Some(uid))
            && (!self.failed || failure.is_some())
            && self.class.is_none_or(|class| failure.is_some_and(|failure| failure.class == class))
            && self.code.as_ref().is_none_or(|code| failure.is_some_and(|failure| failure.code == *code))
            && (self.fingerprint.is_none() || row.fate.fingerprint == self.fingerprint)
            && (self.key.is_none() || row.key == self.key)
            && self.since_ms.is_none_or(|since| row.parked_ms >= since)
            && self.until_ms.is_none_or(|until| row.parked_ms < until)
            && self.min_attempts.is_none_or(|attempts| row.fate.attempts >= attempts)
            && self.after.as_ref().is_none_or(|after| ParkedCursor::of(row) > *after)
    }
}

/// Who did what and why; the ledger adds time order and the hash chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    pub at_ms: Millis,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub reason: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub seq: i64,
    pub row: NewAudit,
    /// SHA-256 (hex) over the previous row's hash and this row.
    pub hash: String,
}
