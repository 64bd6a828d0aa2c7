//! A ledger that counts what is committed through it, so that a figure is printed only for work that was done.

use crate::usage::Moment;
use async_trait::async_trait;
use ledger::{
    AuditRow, CommitOutcome, Creation, DecisionHorizon, Disposition, DocumentFilter, DocumentRow, EffectResult,
    ItemFilter, Job, JobAction, JobFilter, JobItem, Ledger, LetterCount, LetterGroup, LetterRule, LoadRequest, Loaded,
    NewAudit, NewJob, Outlook, ParkedFilter, ParkedRecord, ParkedSequence, Position, Result, RowKey, SliceCommit,
    SliceStatus, StoredEntry, Takeover,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// What a commit does besides being counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It goes to the ledger behind.
    Through,
    /// It is answered at once: what remains is the runtime's own cost.
    Swallow,
    /// It goes to the ledger behind and is kept, to be given to another ledger later.
    Keep,
}

/// What was committed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    pub records: u64,
    pub effects: u64,
    pub commits: u64,
    pub transactions: u64,
    /// Offsets below the positions: each must have exactly one disposition.
    pub passed: i64,
}

#[derive(Debug, Default)]
struct State {
    done: Done,
    dispositions: BTreeMap<Disposition, u64>,
    positions: BTreeMap<(i32, String), i64>,
    kept: Vec<SliceCommit>,
    span: Option<(Moment, Moment)>,
}

#[derive(Debug)]
pub struct Watched {
    inner: Arc<dyn Ledger>,
    mode: Mode,
    state: Mutex<State>,
    told: watch::Sender<Done>,
}

impl Watched {
    pub fn new(inner: Arc<dyn Ledger>, mode: Mode) -> Arc<Self> {
        Arc::new(Self { inner, mode, state: Mutex::default(), told: watch::Sender::new(Done::default()) })
    }

    /// Waits until `enough` is committed.
    pub async fn until(&self, enough: impl FnMut(&Done) -> bool) {
        // The sender is `self`: it is there as long as anybody can wait.
        drop(self.told.subscribe().wait_for(enough).await);
    }

    pub fn done(&self) -> Done {
        *self.told.borrow()
    }

    pub fn dispositions(&self) -> BTreeMap<Disposition, u64> {
        self.state().dispositions.clone()
    }

    /// From the first question for what is known, when the first records are to be decided, to the newest commit.
    pub fn span(&self) -> Option<(Moment, Moment)> {
        self.state().span
    }

    pub fn take_kept(&self) -> Vec<SliceCommit> {
        std::mem::take(&mut self.state().kept)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_moment(&self) {
        let now = Moment::now();
        let mut state = self.state();
        state.span = Some((state.span.map_or(now, |(first, _)| first), now));
    }

    fn count(&self, batches: &[SliceCommit], outcomes: &[CommitOutcome]) {
        self.note_moment();
        let mut state = self.state();
        let committed = batches.iter().zip(outcomes).filter(|(_, outcome)| **outcome == CommitOutcome::Committed);
        for (batch, _) in committed {
            for record in &batch.body.records {
                *state.dispositions.entry(record.disposition).or_default() += 1;
            }
            let done = |result: &EffectResult| matches!(result, EffectResult::Done { .. });
            let effects = batch.body.outcomes.iter().filter(|outcome| done(&outcome.result)).count();
            state.done.records += batch.body.records.len() as u64;
            state.done.effects += effects as u64;
            state.done.commits += 1;
            for position in &batch.positions {
                state.positions.insert((batch.slice, position.topic.clone()), position.next_offset);
            }
        }
        state.done.transactions += 1;
        state.done.passed = state.positions.values().sum();
        if self.mode == Mode::Keep {
            state.kept.extend_from_slice(batches);
        }
        self.told.send_replace(state.done);
    }
}

#[async_trait]
impl Ledger for Watched {
    async fn commit(&self, batches: &[SliceCommit]) -> Result<Vec<CommitOutcome>> {
        let outcomes = match self.mode {
            Mode::Through | Mode::Keep => self.inner.commit(batches).await?,
            Mode::Swallow => vec![CommitOutcome::Committed; batches.len()],
        };
        self.count(batches, &outcomes);
        Ok(outcomes)
    }

    async fn take_over(&self, slice: i32, owner: &str) -> Result<Takeover> {
        self.inner.take_over(slice, owner).await
    }

    async fn load(&self, request: &LoadRequest) -> Result<Loaded> {
        self.state().span.get_or_insert_with(|| (Moment::now(), Moment::now()));
        self.inner.load(request).await
    }

    async fn parked_page(&self, slice: i32, sequence: &str, from_no: i64, limit: usize) -> Result<Vec<ParkedRecord>> {
        self.inner.parked_page(slice, sequence, from_no, limit).await
    }

    async fn slices(&self) -> Result<Vec<SliceStatus>> {
        self.inner.slices().await
    }

    async fn entries(&self, slice: i32, from: i64, limit: usize) -> Result<Vec<StoredEntry>> {
        self.inner.entries(slice, from, limit).await
    }

    async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<DocumentRow>> {
        self.inner.documents(filter).await
    }

    async fn sequences(&self, slice: Option<i32>) -> Result<Vec<ParkedSequence>> {
        self.inner.sequences(slice).await
    }

    async fn parked_records(&self, filter: &ParkedFilter) -> Result<Vec<ParkedRecord>> {
        self.inner.parked_records(filter).await
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditRow>> {
        self.inner.audit(limit).await
    }

    async fn floor_ms(&self) -> Result<i64> {
        self.inner.floor_ms().await
    }

    async fn accept_position(&self, slice: i32, position: &Position, audit: &NewAudit) -> Result<()> {
        self.inner.accept_position(slice, position, audit).await
    }

    async fn set_stopped(&self, slice: i32, reason: Option<&str>, audit: &NewAudit) -> Result<()> {
        self.inner.set_stopped(slice, reason, audit).await
    }

    async fn parked_record(&self, row: &RowKey) -> Result<Option<ParkedRecord>> {
        self.inner.parked_record(row).await
    }

    async fn letter_counts(&self, filter: &ParkedFilter) -> Result<Vec<LetterCount>> {
        self.inner.letter_counts(filter).await
    }

    async fn letter_groups(&self) -> Result<Vec<LetterGroup>> {
        self.inner.letter_groups().await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        self.inner.jobs(filter).await
    }

    async fn job(&self, id: &str) -> Result<Option<Job>> {
        self.inner.job(id).await
    }

    async fn job_items(&self, id: &str, filter: &ItemFilter) -> Result<Vec<JobItem>> {
        self.inner.job_items(id, filter).await
    }

    async fn audit_page(&self, from_seq: i64, limit: usize) -> Result<Vec<AuditRow>> {
        self.inner.audit_page(from_seq, limit).await
    }

    async fn create_job(&self, job: &NewJob, audit: &NewAudit) -> Result<Creation> {
        self.inner.create_job(job, audit).await
    }

    async fn set_job(&self, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job> {
        self.inner.set_job(id, action, audit).await
    }

    async fn put_letter_group(&self, group: &LetterGroup, audit: &NewAudit) -> Result<()> {
        self.inner.put_letter_group(group, audit).await
    }

    async fn letter_rules(&self) -> Result<Vec<LetterRule>> {
        self.inner.letter_rules().await
    }

    async fn outlooks(&self) -> Result<Vec<Outlook>> {
        self.inner.outlooks().await
    }

    async fn add_letter_rule(&self, rule: &LetterRule, audit: &NewAudit) -> Result<()> {
        self.inner.add_letter_rule(rule, audit).await
    }

    async fn remove_letter_rule(&self, id: &str, audit: &NewAudit) -> Result<()> {
        self.inner.remove_letter_rule(id, audit).await
    }

    async fn put_outlooks(&self, slice: i32, outlooks: &[Outlook]) -> Result<()> {
        self.inner.put_outlooks(slice, outlooks).await
    }

    async fn prune_decisions(&self, horizon: DecisionHorizon) -> Result<u64> {
        self.inner.prune_decisions(horizon).await
    }

    async fn append_audit(&self, audit: &NewAudit) -> Result<()> {
        self.inner.append_audit(audit).await
    }

    async fn prune(&self, before_ms: i64) -> Result<i64> {
        self.inner.prune(before_ms).await
    }
}
