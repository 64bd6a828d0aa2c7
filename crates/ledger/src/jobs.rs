//! Jobs: what people decided to do with parked records, as rows, so that the owner of each slice works them off and a crash
//! goes on after the last finished item.
//!
//! A job's items are frozen when it is created: new failures stay out of it. An item names a parked row and the version it
//! had when people looked at it. Its result is written in the same commit as the row's change of fate
//! ([`SliceCommit::items`](crate::SliceCommit::items)), so that doing a job twice changes nothing. What a job is doing follows
//! from its items: nobody has to write that it is finished.

use crate::types::{Edit, Millis, ParkedState};
use serde::{Deserialize, Serialize};

/// What is done with each item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Tries the sequence from its first row; the rows behind a head that ends move by themselves.
    Retry,
    /// Puts the item's [`Edit`] beside the original and tries it.
    Edit,
    /// Gives the row up; its sequence goes on.
    Discard,
    /// Brings a discarded row back to its place, unless something behind it has taken effect since.
    Restore,
    /// Closes a row whose copy is on another topic; its sequence goes on.
    Move,
    /// Ends the row and forgets what is in it, for good; its sequence goes on.
    Erase,
    /// Says what a retry would do now, and changes nothing. It holds no items.
    Predict,
}

impl Verb {
    pub const ALL: [Self; 7] =
        [Self::Retry, Self::Edit, Self::Discard, Self::Restore, Self::Move, Self::Erase, Self::Predict];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Edit => "edit",
            Self::Discard => "discard",
            Self::Restore => "restore",
            Self::Move => "move",
            Self::Erase => "erase",
            Self::Predict => "predict",
        }
    }

    /// Whether no other job may have its items meanwhile.
    #[must_use]
    pub const fn holds(self) -> bool {
        !matches!(self, Self::Predict)
    }
}

/// When a job stops by itself; what is left of it is released then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StopRule {
    /// So many items that failed again, over the whole job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refailed: Option<u32>,
    /// More than so many percent of the tried items failed again; looked at from the 20th tried item on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// So many items of one slice failed again with the same fingerprint, one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_fingerprint: Option<u32>,
}

/// What people asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    pub verb: Verb,
    /// Items a second over all slices; `None`: as fast as the outside system and live traffic allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Sizes of the first batches of each slice: a batch starts when the one before it has ended. After the last one, no batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ramp: Vec<u32>,
    /// The most items the job may have: one with more is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    #[serde(default)]
    pub stop: StopRule,
    /// Hash of the plan that was reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    pub who: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The second person, where policy asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// For [`Verb::Move`]: where the service puts the copies itself, each in the transaction that ends its row. `None`: they are
    /// there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Destination>,
}

/// A topic that copies go to, with as many partitions as it had when somebody looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub topic: String,
    pub partitions: i32,
}

/// Names a parked row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    pub slice: i32,
    pub sequence: String,
    pub no: i64,
}

/// One item of a job to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    pub row: RowKey,
    /// [`ParkedFate::version`](crate::ParkedFate::version) as people saw it.
    pub version: i32,
    /// For [`Verb::Edit`]: the new value and headers. Its number and job are set when the owner of the slice puts it into the row.
    pub edit: Option<Edit>,
}

/// A job to be created. The id is the caller's, so that a repeated call creates nothing twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    pub id: String,
    pub at_ms: Millis,
    pub spec: JobSpec,
    pub items: Vec<NewItem>,
}

/// What became of [`create_job`](crate::Ledger::create_job).
// Few are made, and none is kept.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum Creation {
    /// Created now, or by an earlier call with the same id.
    Created(Job),
    /// Nothing was created. At most [`NAMED`] rows of each kind are named.
    Refused {
        /// Rows that a live job holds, with its id.
        held: Vec<(RowKey, String)>,
        /// Rows that are not what people saw: another version, ended, not discarded (for a restore), or not there.
        changed: Vec<RowKey>,
    },
}

/// Rows that a refusal names at most.
pub const NAMED: usize = 100;

/// What a job is doing. All but `Paused`, `Cancelled` and `Stopped` follow from its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// No item is worked on yet.
    Queued,
    Running,
    Paused,
    /// Each item has its result.
    Finished,
    /// Given up by people; items that were not begun are released.
    Cancelled,
    /// Its stop rule or a missing right to go on has ended it; items that were not begun are released.
    Stopped,
}

impl JobState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
        }
    }

    /// Items may still be worked on, now or after a resume.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Running | Self::Paused)
    }
}

/// What is stored of a job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    Live,
    Paused,
    Cancelled,
    Stopped,
}

impl Course {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
        }
    }

    pub(crate) fn parse(word: &str) -> Result<Self, String> {
        [Self::Live, Self::Paused, Self::Cancelled, Self::Stopped]
            .into_iter()
            .find(|course| course.as_str() == word)
            .ok_or_else(|| format!("unknown course of a job `{word}`"))
    }

    pub(crate) const fn state(self, counts: &JobCounts) -> JobState {
        match self {
            Self::Cancelled => JobState::Cancelled,
            Self::Stopped => JobState::Stopped,
            Self::Live | Self::Paused if counts.pending == 0 => JobState::Finished,
            Self::Paused => JobState::Paused,
            Self::Live if counts.pending == counts.total => JobState::Queued,
            Self::Live => JobState::Running,
        }
    }
}

/// Items by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    pub total: u64,
    pub pending: u64,
    pub done: u64,
    pub refailed: u64,
    pub changed: u64,
    pub blocked: u64,
    pub refused: u64,
    pub predicted: u64,
    pub released: u64,
}

impl JobCounts {
    pub(crate) fn add(&mut self, state: ItemState, count: u64) {
        self.total += count;
        *match state {
            ItemState::Pending => &mut self.pending,
            ItemState::Done => &mut self.done,
            ItemState::Refailed => &mut self.refailed,
            ItemState::Changed => &mut self.changed,
            ItemState::Blocked => &mut self.blocked,
            ItemState::Refused => &mut self.refused,
            ItemState::Predicted => &mut self.predicted,
            ItemState::Released => &mut self.released,
        } += count;
    }
}

/// A job as people and owners of slices see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    pub spec: JobSpec,
    pub state: JobState,
    /// Why it was stopped.
    pub stopped: Option<String>,
    pub counts: JobCounts,
    /// Pending items in the slice that [`JobFilter::pending_in`] named; 0 where none was.
    pub pending_here: u64,
    pub created_ms: Millis,
    /// When people or its stop rule last changed its course.
    pub updated_ms: Millis,
}

#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only jobs that are neither finished nor given up.
    pub live: bool,
    /// Only jobs with items in this slice that have no result yet.
    pub pending_in: Option<i32>,
    /// Leaves out predictions, of which a service makes many by itself.
    pub no_predictions: bool,
    pub limit: usize,
}

/// What people may do to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAction {
    Pause,
    Resume,
    Cancel,
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Has no result yet.
    Pending,
    /// Its row ended, or is back where it was (restore); [`ItemResult::ended`] says how.
    Done,
    /// Its row was tried and failed again; `code`, `fingerprint` and `note` say why.
    Refailed,
    /// Its row is not what people saw any more: nothing was done.
    Changed,
    /// An earlier row of its sequence, which is not part of the job or failed again, stands in front of it: nothing was done.
    Blocked,
    /// It cannot be done; `code` and `note` say why. Nothing was changed.
    Refused,
    /// `prediction` and `note` say what a retry would do.
    Predicted,
    /// The job ended before its turn: nothing was done.
    Released,
}

impl ItemState {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Done,
        Self::Refailed,
        Self::Changed,
        Self::Blocked,
        Self::Refused,
        Self::Predicted,
        Self::Released,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Refailed => "refailed",
            Self::Changed => "changed",
            Self::Blocked => "blocked",
            Self::Refused => "refused",
            Self::Predicted => "predicted",
            Self::Released => "released",
        }
    }
}

impl std::str::FromStr for ItemState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| format!("unknown item state `{word}`"))
    }
}

/// What a retry would do, by today's code on today's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// It takes effect; the note names the effects it would send.
    Apply,
    /// Everything it would send is done already: only its documents take hold.
    AlreadyApplied,
    /// Something it would send may have taken effect: asked first.
    NeedsLookUp,
    /// It has no effect, by the rule in the note.
    Superseded,
    /// It fails again; `code` and note say why.
    Refused,
    /// An earlier row of its sequence would fail first.
    Blocked,
}

impl Prediction {
    pub const ALL: [Self; 6] =
        [Self::Apply, Self::AlreadyApplied, Self::NeedsLookUp, Self::Superseded, Self::Refused, Self::Blocked];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::AlreadyApplied => "already_applied",
            Self::NeedsLookUp => "needs_look_up",
            Self::Superseded => "superseded",
            Self::Refused => "refused",
            Self::Blocked => "blocked",
        }
    }
}

impl std::str::FromStr for Prediction {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| format!("unknown prediction `{word}`"))
    }
}

/// The result of one item so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemResult {
    pub state: ItemState,
    pub ended: Option<ParkedState>,
    pub code: Option<String>,
    pub fingerprint: Option<String>,
    pub prediction: Option<Prediction>,
    /// For people.
    pub note: Option<String>,
    pub changed_ms: Millis,
}

impl ItemResult {
    /// A result with nothing but a state.
    #[must_use]
    pub const fn new(state: ItemState, changed_ms: Millis) -> Self {
        Self { state, ended: None, code: None, fingerprint: None, prediction: None, note: None, changed_ms }
    }
}

/// One item of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobItem {
    pub job: String,
    pub row: RowKey,
    /// The version its row had when the job was created.
    pub version: i32,
    pub edit: Option<Edit>,
    pub result: ItemResult,
}

#[derive(Debug, Clone, Default)]
pub struct ItemFilter {
    pub slice: Option<i32>,
    pub state: Option<ItemState>,
    /// Items behind this one, in the order slice, sequence, number.
    pub after: Option<RowKey>,
    pub limit: usize,
}

/// Part of a commit: an item got its result. One that has a result keeps it; one that was released while it was under way takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemChange {
    pub job: String,
    pub sequence: String,
    pub no: i64,
    pub result: ItemResult,
}

/// Part of a commit: a job's stop rule has ended it. What is pending is released; a job that is over stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStop {
    pub job: String,
    pub reason: String,
}

/// What people think of all failures of one fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterGroup {
    pub fingerprint: String,
    pub state: GroupState,
    /// For `Archived`: shown again from then on.
    pub until_ms: Option<Millis>,
    pub who: String,
    pub note: Option<String>,
    pub updated_ms: Millis,
}

/// A group without a row is new; one with a failure newer than a `Resolved` row has regressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    Acknowledged,
    Resolved,
    Archived,
}

impl GroupState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Archived => "archived",
        }
    }
}

impl std::str::FromStr for GroupState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Acknowledged, Self::Resolved, Self::Archived]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| format!("unknown group state `{word}`"))
    }
}

/// Failed rows of one fingerprint, counted by the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterCount {
    /// `None`: rows from before fingerprints were kept.
    pub fingerprint: Option<String>,
    pub class: failure::Class,
    pub code: String,
    pub rows: u64,
    pub sequences: u64,
    pub first_ms: Millis,
    pub last_ms: Millis,
}

/// Refuses jobs that no correct caller makes.
pub(crate) fn check(job: &NewJob) -> crate::Result<()> {
    let misuse = |text: String| Err(crate::Error::Misuse(format!("job `{}`: {text}", job.id)));
    if job.id.is_empty() || job.id.len() > 64 {
        return misuse("an id has 1 to 64 bytes".into());
    }
    if job.items.is_empty() {
        return misuse("it has no items".into());
    }
    if let Some(max) = job.spec.max.filter(|max| job.items.len() > *max as usize) {
        return misuse(format!("it has {} items, its bound is {max}", job.items.len()));
    }
    let mut rows = std::collections::HashSet::new();
    for item in &job.items {
        let RowKey { slice, sequence, no } = &item.row;
        if !rows.insert(&item.row) {
            return misuse(format!("row {slice}/{sequence}/{no} is in it twice"));
        }
        if item.edit.is_some() != (job.spec.verb == Verb::Edit) {
            return misuse(format!(
                "row {slice}/{sequence}/{no}: an edit, and only an edit, brings what to put in its place"
            ));
        }
    }
    Ok(())
}

/// Whether a row is what people saw, and fit for the verb.
pub(crate) fn fits(verb: Verb, version: i32, row: Option<(ParkedState, i32)>) -> bool {
    let Some((state, found)) = row else { return false };
    let is_fit = match verb {
        Verb::Retry | Verb::Edit | Verb::Discard | Verb::Move => state.is_alive(),
        // What was given up still lies there.
        Verb::Erase => state.is_alive() || state == ParkedState::Discarded,
        Verb::Restore => state == ParkedState::Discarded,
        Verb::Predict => true,
    };
    is_fit && version == found
}

pub(crate) fn unknown(id: &str) -> crate::Error {
    crate::Error::Misuse(format!("there is no job `{id}`"))
}

/// The course after an action, if the job can still take one.
pub(crate) fn act(id: &str, state: JobState, action: JobAction) -> crate::Result<Course> {
    if !state.is_live() {
        return Err(crate::Error::Misuse(format!("job `{id}` is {}", state.as_str())));
    }
    Ok(match action {
        JobAction::Pause => Course::Paused,
        JobAction::Resume => Course::Live,
        JobAction::Cancel => Course::Cancelled,
    })
}

/// A job that an earlier call with the same id created.
pub(crate) fn again(found: Job, job: &NewJob) -> crate::Result<Creation> {
    if found.spec == job.spec && found.counts.total == job.items.len() as u64 {
        return Ok(Creation::Created(found));
    }
    Err(crate::Error::Misuse(format!("job `{}` exists and asks for something else", job.id)))
}
