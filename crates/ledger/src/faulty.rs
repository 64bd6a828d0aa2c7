//! A ledger that fails on command: for simulations and crash tests, where "the answer was lost" must be as ordinary as
//! an answer.

use crate::jobs::{Creation, ItemFilter, Job, JobAction, JobFilter, JobItem, LetterCount, LetterGroup, NewJob, RowKey};
use crate::rules::{DecisionHorizon, LetterRule, Outlook};
use crate::types::{
    AuditRow, DocumentFilter, DocumentRow, LoadRequest, Loaded, Millis, NewAudit, ParkedFilter, ParkedRecord,
    ParkedSequence, Position, SliceCommit, SliceStatus, StoredEntry, Takeover,
};
use crate::{CommitOutcome, Error, Ledger, Result};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    None,
    /// It fails before anything happened.
    Before,
    /// It happens, but its answer is lost.
    After,
}

/// The call that a fault is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Counts the calls of this wrapper from 0.
    pub number: u64,
    /// The name of the trait's method.
    pub method: &'static str,
}

type Choose = dyn FnMut(Call) -> Fault + Send;

struct Plan {
    next: u64,
    choose: Box<Choose>,
}

/// Wraps a ledger; a clone shares the plan of faults.
#[derive(Clone)]
pub struct FaultyLedger {
    inner: Arc<dyn Ledger>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultyLedger {
    /// `choose` is asked once for each call, in the order of the calls.
    pub fn new(inner: Arc<dyn Ledger>, choose: impl FnMut(Call) -> Fault + Send + 'static) -> Self {
        Self { inner, plan: Arc::new(Mutex::new(Plan { next: 0, choose: Box::new(choose) })) }
    }

    /// One fault a call from `faults`; when they are used up, everything works.
    pub fn with_faults(
        inner: Arc<dyn Ledger>,
        faults: impl IntoIterator<Item = Fault, IntoIter: Send + 'static>,
    ) -> Self {
        let mut faults = faults.into_iter();
        Self::new(inner, move |_| faults.next().unwrap_or(Fault::None))
    }

    fn choose(&self, method: &'static str) -> Fault {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let number = plan.next;
        plan.next += 1;
        (plan.choose)(Call { number, method })
    }

    async fn around<T: Send>(&self, method: &'static str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let lost = |when: &str| Error::Unavailable(format!("injected fault {when} {method}"));
        match self.choose(method) {
            Fault::None => call.await,
            Fault::Before => Err(lost("before")),
            // An error of the call itself is told as it is: nothing happened, so there is no answer to lose.
            Fault::After => call.await.and_then(|_| Err(lost("after"))),
        }
    }
}

impl std::fmt::Debug for FaultyLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaultyLedger({:?})", self.inner)
    }
}

#[async_trait]
impl Ledger for FaultyLedger {
    async fn take_over(&self, slice: i32, owner: &str) -> Result<Takeover> {
        self.around("take_over", self.inner.take_over(slice, owner)).await
    }

    async fn commit(&self, batches: &[SliceCommit]) -> Result<Vec<CommitOutcome>> {
        self.around("commit", self.inner.commit(batches)).await
    }

    async fn load(&self, request: &LoadRequest) -> Result<Loaded> {
        self.around("load", self.inner.load(request)).await
    }

    async fn parked_page(&self, slice: i32, sequence: &str, from_no: i64, limit: usize) -> Result<Vec<ParkedRecord>> {
        self.around("parked_page", self.inner.parked_page(slice, sequence, from_no, limit)).await
    }

    async fn slices(&self) -> Result<Vec<SliceStatus>> {
        self.around("slices", self.inner.slices()).await
    }

    async fn entries(&self, slice: i32, from: i64, limit: usize) -> Result<Vec<StoredEntry>> {
        self.around("entries", self.inner.entries(slice, from, limit)).await
    }

    async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<DocumentRow>> {
        self.around("documents", self.inner.documents(filter)).await
    }

    async fn sequences(&self, slice: Option<i32>) -> Result<Vec<ParkedSequence>> {
        self.around("sequences", self.inner.sequences(slice)).await
    }

    async fn parked_records(&self, filter: &ParkedFilter) -> Result<Vec<ParkedRecord>> {
        self.around("parked_records", self.inner.parked_records(filter)).await
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditRow>> {
        self.around("audit", self.inner.audit(limit)).await
    }

    async fn floor_ms(&self) -> Result<i64> {
        self.around("floor_ms", self.inner.floor_ms()).await
    }

    async fn accept_position(&self, slice: i32, position: &Position, audit: &NewAudit) -> Result<()> {
        self.around("accept_position", self.inner.accept_position(slice, position, audit)).await
    }

    async fn set_stopped(&self, slice: i32, reason: Option<&str>, audit: &NewAudit) -> Result<()> {
        self.around("set_stopped", self.inner.set_stopped(slice, reason, audit)).await
    }

    async fn parked_record(&self, row: &RowKey) -> Result<Option<ParkedRecord>> {
        self.around("parked_record", self.inner.parked_record(row)).await
    }

    async fn letter_counts(&self, filter: &ParkedFilter) -> Result<Vec<LetterCount>> {
        self.around("letter_counts", self.inner.letter_counts(filter)).await
    }

    async fn letter_groups(&self) -> Result<Vec<LetterGroup>> {
        self.around("letter_groups", self.inner.letter_groups()).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        self.around("jobs", self.inner.jobs(filter)).await
    }

    async fn job(&self, id: &str) -> Result<Option<Job>> {
        self.around("job", self.inner.job(id)).await
    }

    async fn job_items(&self, id: &str, filter: &ItemFilter) -> Result<Vec<JobItem>> {
        self.around("job_items", self.inner.job_items(id, filter)).await
    }

    async fn audit_page(&self, from_seq: i64, limit: usize) -> Result<Vec<AuditRow>> {
        self.around("audit_page", self.inner.audit_page(from_seq, limit)).await
    }

    async fn create_job(&self, job: &NewJob, audit: &NewAudit) -> Result<Creation> {
        self.around("create_job", self.inner.create_job(job, audit)).await
    }

    async fn set_job(&self, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job> {
        self.around("set_job", self.inner.set_job(id, action, audit)).await
    }

    async fn put_letter_group(&self, group: &LetterGroup, audit: &NewAudit) -> Result<()> {
        self.around("put_letter_group", self.inner.put_letter_group(group, audit)).await
    }

    async fn letter_rules(&self) -> Result<Vec<LetterRule>> {
        self.around("letter_rules", self.inner.letter_rules()).await
    }

    async fn outlooks(&self) -> Result<Vec<Outlook>> {
        self.around("outlooks", self.inner.outlooks()).await
    }

    async fn add_letter_rule(&self, rule: &LetterRule, audit: &NewAudit) -> Result<()> {
        self.around("add_letter_rule", self.inner.add_letter_rule(rule, audit)).await
    }

    async fn remove_letter_rule(&self, id: &str, audit: &NewAudit) -> Result<()> {
        self.around("remove_letter_rule", self.inner.remove_letter_rule(id, audit)).await
    }

    async fn put_outlooks(&self, slice: i32, outlooks: &[Outlook]) -> Result<()> {
        self.around("put_outlooks", self.inner.put_outlooks(slice, outlooks)).await
    }

    async fn prune_decisions(&self, horizon: DecisionHorizon) -> Result<u64> {
        self.around("prune_decisions", self.inner.prune_decisions(horizon)).await
    }

    async fn append_audit(&self, audit: &NewAudit) -> Result<()> {
        self.around("append_audit", self.inner.append_audit(audit)).await
    }

    async fn prune(&self, before_ms: Millis) -> Result<Millis> {
        self.around("prune", self.inner.prune(before_ms)).await
    }
}
