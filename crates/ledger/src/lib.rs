//! The only state of a service, and the only crate with SQL: slices, journal, identities, documents, parking, timers, audit.
//!
//! One trait, one contract-test suite, three implementations. A micro-batch of a slice is one [`SliceCommit`]: it happens
//! whole or not at all, and never under an epoch that is not the newest (I5).

mod audit;
mod batch;
pub mod codec;
mod columns;
mod config;
pub mod faulty;
mod horizon;
pub mod jobs;
pub mod journal;
pub mod memory;
pub mod postgres;
pub mod rules;
pub mod sqlite;
pub mod types;

pub use audit::verify_audit;
pub use config::{Config, open, schema_of};
pub use jobs::*;
pub use journal::*;
pub use rules::*;
pub use types::*;

use async_trait::async_trait;

/// Why a ledger call failed. Nothing was changed unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer or asks to try again; the same call may be repeated as it is.
    #[error("ledger unavailable: {0}")]
    Unavailable(String),
    /// The database holds a newer schema than this binary knows.
    #[error("the ledger has schema version {found}, this binary knows up to {known}: deploy a newer binary")]
    NewerSchema { found: i64, known: i64 },
    /// Stored bytes cannot be read back.
    #[error("ledger content is damaged: {0}")]
    Corrupt(String),
    /// Bad address, credentials or rights.
    #[error("ledger configuration: {0}")]
    Config(String),
    /// A rule of the ledger was broken by the caller.
    #[error("ledger misuse: {0}")]
    Misuse(String),
}

pub type Result<T> = std::result::Result<T, Error>;

/// What happened to one slice's part of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Done, now or by an earlier try of the same entry whose answer was lost.
    Committed,
    /// Another owner has taken the slice: nothing of this slice was written.
    Fenced,
}

/// One service's ledger. All methods are safe to repeat after [`Error::Unavailable`].
#[async_trait]
pub trait Ledger: Send + Sync + std::fmt::Debug + 'static {
    /// Takes a slice over: raises its epoch (creating the slice if it is new) and reads all that its machine needs to go on.
    async fn take_over(&self, slice: i32, owner: &str) -> Result<Takeover>;

    /// Commits micro-batches of several slices in one transaction. A fenced slice drops out, the others go on.
    /// Repeating a commit whose outcome was lost answers `Committed` and writes nothing twice: the entry number decides.
    async fn commit(&self, batches: &[SliceCommit]) -> Result<Vec<CommitOutcome>>;

    /// What `decide` needs for a batch, in one round trip: known identities and documents. Absent ones are absent.
    async fn load(&self, request: &LoadRequest) -> Result<Loaded>;

    /// Records of one parked sequence that are still alive (`waiting`, `letter_pending`, `dead_lettered`), in order, from `from_no`.
    async fn parked_page(&self, slice: i32, sequence: &str, from_no: i64, limit: usize) -> Result<Vec<ParkedRecord>>;

    // -- reading for people and tools: never needs an epoch, never blocks a service; at most `limit` rows, 0 means none --

    async fn slices(&self) -> Result<Vec<SliceStatus>>;
    /// Journal entries of a slice with number >= `from`, in order.
    async fn entries(&self, slice: i32, from: i64, limit: usize) -> Result<Vec<StoredEntry>>;
    /// Ordered by kind and key.
    async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<DocumentRow>>;
    async fn sequences(&self, slice: Option<i32>) -> Result<Vec<ParkedSequence>>;
    /// Parked records of every state, oldest first (by time of parking, slice, sequence, number). The next page starts behind
    /// [`ParkedCursor::of`] the last row.
    async fn parked_records(&self, filter: &ParkedFilter) -> Result<Vec<ParkedRecord>>;
    /// One parked record of any state.
    async fn parked_record(&self, row: &RowKey) -> Result<Option<ParkedRecord>>;
    /// Failed rows by fingerprint, class and code, the most rows first. The filter's `after` is not looked at.
    async fn letter_counts(&self, filter: &ParkedFilter) -> Result<Vec<LetterCount>>;
    /// Ordered by fingerprint.
    async fn letter_groups(&self) -> Result<Vec<LetterGroup>>;
    /// Newest first.
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>>;
    async fn job(&self, id: &str) -> Result<Option<Job>>;
    /// Ordered by slice, sequence and number.
    async fn job_items(&self, id: &str, filter: &ItemFilter) -> Result<Vec<JobItem>>;
    /// The newest `limit` rows, oldest of them first, as [`verify_audit`] takes them.
    async fn audit(&self, limit: usize) -> Result<Vec<AuditRow>>;
    /// Rows with number >= `from_seq`, in order.
    async fn audit_page(&self, from_seq: i64, limit: usize) -> Result<Vec<AuditRow>>;
    /// Ordered by id, expired ones too.
    async fn letter_rules(&self) -> Result<Vec<LetterRule>>;
    /// Ordered by slice and fingerprint.
    async fn outlooks(&self) -> Result<Vec<Outlook>>;
    /// The floor in milliseconds: a timed identity older than this is answered `outside_horizon`.
    async fn floor_ms(&self) -> Result<i64>;

    // -- operators' writes: each leaves an audit row in the same transaction --

    /// Accepts a new start of one topic in a slice after it was recreated or truncated. Raises the epoch, so that a
    /// running owner stops and takes the slice over again.
    async fn accept_position(&self, slice: i32, position: &Position, audit: &NewAudit) -> Result<()>;
    /// Marks a slice as stopped with a reason, or (with `None`) lets it go on. Does not raise the epoch.
    async fn set_stopped(&self, slice: i32, reason: Option<&str>, audit: &NewAudit) -> Result<()>;
    /// Freezes a job's items, in one transaction with the audit row. Refused as a whole, naming rows, if one is held by another
    /// live job (two jobs cannot hold one letter) or is not what people saw: a retry, edit or discard needs a row that is alive,
    /// a restore one that is discarded, each with the version of the item; a prediction needs a row that is there. A repeated
    /// call with the id of a job that exists answers that job and writes nothing. A job without items, with more than its
    /// `max`, with a row twice or an edit where none belongs (or none where one does) is misuse.
    async fn create_job(&self, job: &NewJob, audit: &NewAudit) -> Result<Creation>;
    /// Pauses, resumes or cancels. Owners of slices notice within a second or two; what they have begun then, they end. Saying
    /// what a job already does changes nothing but the audit. A job that is over, or that is not there, is misuse.
    async fn set_job(&self, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job>;
    /// Puts what people think of a group in place of what was there.
    async fn put_letter_group(&self, group: &LetterGroup, audit: &NewAudit) -> Result<()>;
    /// Puts a standing rule there. The same rule again writes nothing; another one with its id is misuse, and so is one that selects
    /// nothing, has no owner, reason or end, or fires more often than once a minute.
    async fn add_letter_rule(&self, rule: &LetterRule, audit: &NewAudit) -> Result<()>;
    /// Takes a rule away; one that is not there is misuse.
    async fn remove_letter_rule(&self, id: &str, audit: &NewAudit) -> Result<()>;
    /// For attempts that change nothing, such as a refused request.
    async fn append_audit(&self, audit: &NewAudit) -> Result<()>;

    // -- what a service writes about its letters, outside of commits: it changes nothing that anybody decides by --

    /// Puts these in place of all outlooks of a slice.
    async fn put_outlooks(&self, slice: i32, outlooks: &[Outlook]) -> Result<()>;

    /// Drops jobs that are over and whose newest change lies before their time, unless a letter of theirs is still alive; rules
    /// that expired before it; and what people said of causes that no row has any more. Returns the number of jobs.
    async fn prune_decisions(&self, horizon: DecisionHorizon) -> Result<u64>;

    /// Drops journal and identity ranges that lie wholly before `before_ms`, and parked records that ended before it, as
    /// far as redelivery is provably impossible (nothing open, parked or unpublished needs them), and raises the floor.
    /// Returns the new floor, which is the start of a UTC day and never falls. Identities without a time are kept.
    async fn prune(&self, before_ms: i64) -> Result<i64>;
}
