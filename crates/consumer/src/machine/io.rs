//! What goes into a slice's machine and what it asks for: the whole boundary between deciding and doing.

use super::{
    Reports,
    jobs::{LoadedRow, RowRequest},
};
use crate::handler::{Intent, Receipt};
use events::{Envelope, PayloadHash, Record, Uid};
use failure::{Failure, RetryPolicy};
use ledger::{
    Job, JobItem, LoadRequest, Loaded, Millis, Outgoing, ParkedRecord, PublishedMark, RowKey, SliceCommit, StepId,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// A record as the decoder left it. What could not be read is a verdict, not an error: the machine decides where it goes.
#[derive(Debug, Clone)]
pub struct Arrived<E> {
    pub record: Record,
    /// Absent where the headers are unreadable.
    pub envelope: Option<Envelope>,
    pub uid: Option<Uid>,
    pub hash: PayloadHash,
    pub event: Result<E, Failure>,
    /// Of a record that came back by the replay topic: the sequence it is parked in already.
    pub waits_in: Option<Arc<str>>,
    bytes: usize,
    is_detached: bool,
}

impl<E> Arrived<E> {
    /// `decoded`: what lists and boxes of the event hold, as [`events::measured`] tells.
    pub fn new(
        record: Record,
        envelope: Option<Envelope>,
        hash: PayloadHash,
        event: Result<E, Failure>,
        decoded: usize,
    ) -> Self {
        /// Texts of event and envelope are bytes of the record once more, each rounded up by the allocator.
        const TEXTS: usize = 3;
        let uid = envelope.as_ref().map(Envelope::uid);
        let value = record.value.as_ref().map_or(0, bytes::Bytes::len);
        let headers = record.headers.0.len() * size_of::<(events::record::HeaderName, Option<bytes::Bytes>)>();
        let bytes = size_of::<Self>() + headers + decoded + TEXTS * (value + record.headers.size_bytes());
        Self { record, envelope, uid, hash, event, waits_in: None, bytes, is_detached: false }
    }

    /// What the record, its envelope and its event occupy in memory, roughly: what bounds count.
    #[must_use]
    pub const fn weight(&self) -> usize {
        self.bytes
    }

    /// To be called before the record is kept for longer than its neighbours; false if it was called before.
    pub(super) fn detach(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.is_detached, true);
        if first {
            self.record.detach();
        }
        first
    }

    /// The record key as text; empty where there is none.
    #[must_use]
    pub fn key(&self) -> &str {
        self.record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default()
    }
}

/// What happened outside. `now` comes with each step, in milliseconds since the epoch.
#[derive(Debug)]
pub enum Input<E> {
    /// Records of one topic, in offset order.
    Arrived { topic: Arc<str>, records: Vec<Arrived<E>> },
    /// The topic holds nothing more for now; its next record will have at least this offset.
    End { topic: Arc<str>, offset: i64 },
    /// Answer to [`Output::Load`].
    Loaded(Loaded),
    /// Answer to [`Output::LoadParked`]: rows and their decoded records, in order.
    ParkedLoaded { sequence: Arc<str>, records: Vec<(ParkedRecord, Arrived<E>)> },
    /// The commit that was asked for last is durable.
    Committed,
    /// Another owner has the slice: nothing more may be done here.
    Fenced,
    /// Calls came back.
    Returned(Vec<Returned>),
    /// Outgoing events are acknowledged by the broker, in order per topic and partition.
    Published(Vec<PublishedMark>),
    /// Closed while an outside system or the dead-letter topic is out of order: nothing new is decided.
    Gate { closed: bool },
    /// Time passed.
    Tick,
    /// Finish what is under way, start nothing new (shutdown, revocation).
    Drain,
    /// An operator or a rule wants the head of a parked sequence tried now.
    Retry { sequence: Arc<str> },
    /// The live jobs that have pending items in this slice, as the ledger has them now; all of them, at each look.
    Jobs(Vec<Job>),
    /// Answer to [`Output::LoadJobItems`]: pending items, in order.
    JobItems { job: String, items: Vec<JobItem> },
    /// Answer to [`Output::LoadRow`].
    RowLoaded(Box<LoadedRow<E>>),
}

/// Names one call of one effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId {
    pub step: StepId,
    pub effect: usize,
}

#[derive(Debug, Clone)]
pub struct Returned {
    pub call: CallId,
    pub result: CallResult,
    /// False for a breaker's probe: its failure does not count against the effect.
    pub counts: bool,
}

#[derive(Debug, Clone)]
pub enum CallResult {
    Applied(Result<Receipt, Failure>),
    LookedUp(Result<Option<Receipt>, Failure>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    Apply,
    /// Asked because an earlier call may have taken effect.
    LookUp,
}

#[derive(Debug, Clone)]
pub struct Call<F> {
    pub id: CallId,
    pub kind: CallKind,
    pub entity: String,
    pub intent: Intent<F>,
}

/// What the machine asks its drivers for.
#[derive(Debug)]
pub enum Output<F> {
    /// At most one is outstanding.
    Load(LoadRequest),
    LoadParked {
        sequence: Arc<str>,
        from_no: i64,
        limit: usize,
    },
    /// Pending items of a job in this slice behind one of them; at most one is outstanding for each job.
    LoadJobItems {
        job: String,
        after: Option<RowKey>,
        limit: usize,
    },
    /// The row of one item; at most one is outstanding for each sequence.
    LoadRow(RowRequest),
    /// At most one is outstanding; repeated by the driver until it is durable or fenced.
    Commit(Box<SliceCommit>),
    Call(Call<F>),
    /// To be sent in this order; all of them are durable in the journal.
    Publish(Vec<Outgoing>),
    Pause {
        topic: Arc<str>,
    },
    Resume {
        topic: Arc<str>,
    },
    /// The slice stops until an operator acts; the reason is in the ledger too.
    Stopped {
        code: &'static str,
        reason: String,
    },
    /// Answer to [`Input::Drain`]: nothing is under way any more.
    Drained,
}

/// Bounds and waits of one slice's machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Records decided in one turn; a journal entry holds about as many.
    pub batch_records: usize,
    /// Records of one topic in memory before it is paused; it resumes at half.
    pub inbox_records: usize,
    /// The same in bytes.
    pub inbox_bytes: usize,
    /// Records that wait behind others of their sequence; beyond this nothing new is taken.
    pub waiting_records: usize,
    /// The same in bytes.
    pub waiting_bytes: usize,
    /// Steps whose effects are not done; beyond this nothing new is decided.
    pub open_steps: usize,
    /// The same in bytes.
    pub open_step_bytes: usize,
    /// Bytes of events that are decided and not acknowledged by the broker; beyond this nothing new is decided.
    pub outbox_bytes: usize,
    /// Identities kept in memory: 40 bytes each.
    pub recent_identities: usize,
    pub document_cache_bytes: usize,
    /// How long a topic that is behind may be waited for, so that older records of it go first.
    pub merge_wait: Duration,
    /// Delays of a call that found its dependency out of order; after the last the cause is parked.
    pub call_retry: RetryPolicy,
    /// Delays between tries of a parked head that is retried by itself.
    pub parked_retry: RetryPolicy,
    /// A record that waits longer than this for another becomes a dead letter.
    pub not_yet_deadline: Duration,
    /// How long an effect may stay invisible to a look-up.
    pub visibility: Duration,
    /// Look-ups in a row that must find nothing before an effect of unknown outcome is sent again.
    pub absences: u32,
    /// When too many dead letters stop the slice.
    pub line: StopTheLine,
    /// Largest value a dead letter carries; a larger one stays in the ledger and the letter refers to it.
    pub letter_max_bytes: usize,
    /// Bytes for the headers of a dead letter.
    pub letter_header_bytes: usize,
    /// Families of other tools whose header names our dead letters carry, too.
    pub letter_aliases: Vec<events::foreign::Family>,
    /// Rows of a parked sequence read at once.
    pub parked_page: usize,
    /// Acknowledgements are written with the next entry, or alone after this.
    pub mark_linger: Duration,
    /// Partitions of each topic this service publishes to.
    pub partitions: Arc<HashMap<String, i32>>,
    /// Live records that may wait before jobs of people get only a trickle.
    pub redrive_backlog: usize,
    /// Between two items of a job while live traffic is behind.
    pub redrive_trickle: Duration,
    /// What is told of the work itself.
    pub reports: Reports,
    /// Put into dead letters; the version of the running binary.
    pub version: &'static str,
}

/// When a slice stops by itself: each rule alone is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopTheLine {
    /// More dead letters than this one after another, with nothing that took effect between them.
    pub in_row: u32,
    /// What the other rules look back on.
    pub window: Duration,
    /// More dead letters than this within the window; 0: no such rule.
    pub letters: u32,
    /// More percent than this of the events that ended within the window became dead letters; 0: no such rule.
    pub percent: u32,
    /// The ratio is looked at once so many events have ended within the window.
    pub percent_from: u32,
}

impl Default for StopTheLine {
    fn default() -> Self {
        Self { in_row: 50, window: Duration::from_secs(60), letters: 0, percent: 50, percent_from: 200 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_records: 1_000,
            inbox_records: 4_000,
            inbox_bytes: 4 << 20,
            waiting_records: 4_000,
            waiting_bytes: 4 << 20,
            open_steps: 256,
            open_step_bytes: 4 << 20,
            outbox_bytes: 4 << 20,
            recent_identities: 50_000,
            document_cache_bytes: 4 << 20,
            merge_wait: Duration::from_millis(300),
            call_retry: RetryPolicy::new(Duration::from_millis(100), Duration::from_secs(5), Some(10)),
            parked_retry: RetryPolicy::new(Duration::from_secs(1), Duration::from_secs(60), None),
            not_yet_deadline: Duration::from_secs(24 * 3600),
            visibility: Duration::ZERO,
            absences: 1,
            line: StopTheLine::default(),
            letter_max_bytes: 900 << 10,
            letter_header_bytes: 16 << 10,
            letter_aliases: Vec::new(),
            parked_page: 200,
            mark_linger: Duration::from_millis(100),
            partitions: Arc::new(HashMap::new()),
            redrive_backlog: 500,
            redrive_trickle: Duration::from_secs(1),
            reports: Reports::default(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Settings {
    /// Records that the machine of a slice with so many input topics has at most in memory without a durable disposition, and so the
    /// most that a crash makes its next owner decide again (I7), beside what its driver has delivered and the machine not yet taken.
    #[must_use]
    pub const fn in_flight(&self, topics: usize) -> usize {
        // In the inboxes, behind others of their sequence, and decided in a batch that is under construction or being committed. A batch
        // takes one turn beyond its size: what waits may become decidable at once.
        topics * self.inbox_records + self.waiting_records + 2 * (self.batch_records + self.waiting_records)
    }
}

/// Milliseconds of a duration, saturating.
pub(crate) fn millis(wait: Duration) -> Millis {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 4)
}
