//! The ledger in memory, for simulations and tests: the same rules as the databases, no I/O, no waiting.
//!
//! Its futures are ready at the first poll, so that a single-threaded simulation may poll them once. A clone is another
//! handle to the same ledger: a "restarted" service sees what the one before it committed.

mod jobs;
mod rules;
mod state;

use crate::jobs::{Creation, ItemFilter, Job, JobAction, JobFilter, JobItem, LetterCount, LetterGroup, NewJob, RowKey};
use crate::rules::{DecisionHorizon, LetterRule, Outlook};
use crate::types::{
    AuditRow, DocumentFilter, DocumentRow, LoadRequest, Loaded, Millis, NewAudit, ParkedFilter, ParkedRecord,
    ParkedSequence, Position, SliceCommit, SliceStatus, StoredEntry, Takeover,
};
use crate::{CommitOutcome, Ledger, Result};
use async_trait::async_trait;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle to a ledger that lives as long as its last handle.
#[derive(Clone, Default)]
pub struct MemoryLedger {
    state: Arc<Mutex<State>>,
}

impl MemoryLedger {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere leaves the state whole: everything is checked before the first change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryLedger")
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn take_over(&self, slice: i32, owner: &str) -> Result<Takeover> {
        self.state().take_over(slice, owner)
    }

    async fn commit(&self, batches: &[SliceCommit]) -> Result<Vec<CommitOutcome>> {
        self.state().commit(batches)
    }

    async fn load(&self, request: &LoadRequest) -> Result<Loaded> {
        Ok(self.state().load(request))
    }

    async fn parked_page(&self, slice: i32, sequence: &str, from_no: i64, limit: usize) -> Result<Vec<ParkedRecord>> {
        Ok(self.state().parked_page(slice, sequence, from_no, limit))
    }

    async fn slices(&self) -> Result<Vec<SliceStatus>> {
        Ok(self.state().statuses())
    }

    async fn entries(&self, slice: i32, from: i64, limit: usize) -> Result<Vec<StoredEntry>> {
        Ok(self.state().entries(slice, from, limit))
    }

    async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<DocumentRow>> {
        Ok(self.state().documents(filter))
    }

    async fn sequences(&self, slice: Option<i32>) -> Result<Vec<ParkedSequence>> {
        Ok(self.state().sequences(slice))
    }

    async fn parked_records(&self, filter: &ParkedFilter) -> Result<Vec<ParkedRecord>> {
        Ok(self.state().parked_records(filter))
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditRow>> {
        Ok(self.state().audit(limit))
    }

    async fn floor_ms(&self) -> Result<i64> {
        Ok(self.state().floor_ms)
    }

    async fn accept_position(&self, slice: i32, position: &Position, audit: &NewAudit) -> Result<()> {
        self.state().accept_position(slice, position, audit)
    }

    async fn set_stopped(&self, slice: i32, reason: Option<&str>, audit: &NewAudit) -> Result<()> {
        self.state().set_stopped(slice, reason, audit)
    }

    async fn parked_record(&self, row: &RowKey) -> Result<Option<ParkedRecord>> {
        Ok(self.state().parked_record(row).cloned())
    }

    async fn letter_counts(&self, filter: &ParkedFilter) -> Result<Vec<LetterCount>> {
        Ok(self.state().letter_counts(filter))
    }

    async fn letter_groups(&self) -> Result<Vec<LetterGroup>> {
        Ok(self.state().jobs.groups.values().cloned().collect())
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        Ok(self.state().jobs.list(filter))
    }

    async fn job(&self, id: &str) -> Result<Option<Job>> {
        Ok(self.state().jobs.job(id))
    }

    async fn job_items(&self, id: &str, filter: &ItemFilter) -> Result<Vec<JobItem>> {
        Ok(self.state().jobs.items(id, filter))
    }

    async fn audit_page(&self, from_seq: i64, limit: usize) -> Result<Vec<AuditRow>> {
        Ok(self.state().audit_page(from_seq, limit))
    }

    async fn create_job(&self, job: &NewJob, audit: &NewAudit) -> Result<Creation> {
        self.state().create_job(job, audit)
    }

    async fn set_job(&self, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job> {
        self.state().set_job(id, action, audit)
    }

    async fn put_letter_group(&self, group: &LetterGroup, audit: &NewAudit) -> Result<()> {
        let mut state = self.state();
        state.jobs.groups.insert(group.fingerprint.clone(), group.clone());
        state.record(audit);
        Ok(())
    }

    async fn letter_rules(&self) -> Result<Vec<LetterRule>> {
        Ok(self.state().rules.rules.values().cloned().collect())
    }

    async fn outlooks(&self) -> Result<Vec<Outlook>> {
        Ok(self.state().rules.outlooks.values().cloned().collect())
    }

    async fn add_letter_rule(&self, rule: &LetterRule, audit: &NewAudit) -> Result<()> {
        self.state().add_rule(rule, audit)
    }

    async fn remove_letter_rule(&self, id: &str, audit: &NewAudit) -> Result<()> {
        self.state().remove_rule(id, audit)
    }

    async fn put_outlooks(&self, slice: i32, outlooks: &[Outlook]) -> Result<()> {
        self.state().put_outlooks(slice, outlooks);
        Ok(())
    }

    async fn prune_decisions(&self, horizon: DecisionHorizon) -> Result<u64> {
        Ok(self.state().prune_decisions(horizon))
    }

    async fn append_audit(&self, audit: &NewAudit) -> Result<()> {
        self.state().record(audit);
        Ok(())
    }

    async fn prune(&self, before_ms: Millis) -> Result<Millis> {
        Ok(self.state().prune(before_ms))
    }
}
