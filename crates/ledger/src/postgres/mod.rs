//! The ledger in PostgreSQL 14 or later: one schema per service, a few connections, one round trip per commit.

mod commit;
mod error;
mod jobs;
mod pool;
mod prune;
mod ranges;
mod read;
mod row;
mod rules;
mod schema;
mod slices;
mod text;
mod tls;
mod write;

use crate::batch;
use crate::jobs::{Creation, ItemFilter, Job, JobAction, JobFilter, JobItem, LetterCount, LetterGroup, NewJob, RowKey};
use crate::rules::{DecisionHorizon, LetterRule, Outlook};
use crate::types::{
    AuditRow, DocumentFilter, DocumentRow, LoadRequest, Loaded, Millis, NewAudit, ParkedFilter, ParkedRecord,
    ParkedSequence, Position, SliceCommit, SliceStatus, StoredEntry, Takeover,
};
use crate::{CommitOutcome, Config, Error, Ledger, Result};
use async_trait::async_trait;
use pool::Pool;
use ranges::Ranges;
use std::time::Duration;

/// How much longer than the server we wait for an answer.
const GRACE: Duration = Duration::from_secs(5);

/// A service's schema in a PostgreSQL database.
pub struct PgLedger {
    schema: String,
    pool: Pool,
    ranges: Ranges,
    deadline: Duration,
}

/// Runs one call on a connection of its own. A macro, because a closure could not lend the connection to its future.
macro_rules! on_connection {
    ($self:ident, $conn:ident => $work:expr) => {{
        let mut lease = $self.pool.lease().await?;
        let $conn = lease.conn();
        let outcome = tokio::time::timeout($self.deadline, $work).await;
        lease.settle(outcome)
    }};
}

impl PgLedger {
    /// Connects, and creates or migrates the tables.
    pub async fn open(config: &Config) -> Result<Self> {
        schema::check_name(&config.schema)?;
        let ledger = Self {
            schema: config.schema.clone(),
            pool: Pool::new(config)?,
            ranges: Ranges::default(),
            deadline: Duration::from_millis(config.statement_timeout_ms) + GRACE,
        };
        let mut lease = ledger.pool.lease().await?;
        // No deadline: whoever waits for another process that migrates waits until that is done.
        let migrated = schema::migrate(lease.conn(), &ledger.schema).await;
        lease.settle(Ok(migrated))?;
        Ok(ledger)
    }
}

impl std::fmt::Debug for PgLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PgLedger({})", self.schema)
    }
}

#[async_trait]
impl Ledger for PgLedger {
    async fn take_over(&self, slice: i32, owner: &str) -> Result<Takeover> {
        if slice < 0 {
            return Err(Error::Misuse(format!("slice {slice}: slices count from 0")));
        }
        on_connection!(self, conn => slices::take_over(conn, slice, owner))
    }

    async fn commit(&self, batches: &[SliceCommit]) -> Result<Vec<CommitOutcome>> {
        batch::check(batches)?;
        on_connection!(self, conn => async {
            self.ranges.ensure(conn, batches.iter().map(|batch| batch.at_ms)).await?;
            commit::commit(conn, &self.schema, batches).await
        })
    }

    async fn load(&self, request: &LoadRequest) -> Result<Loaded> {
        on_connection!(self, conn => read::load(conn, request))
    }

    async fn parked_page(&self, slice: i32, sequence: &str, from_no: i64, limit: usize) -> Result<Vec<ParkedRecord>> {
        on_connection!(self, conn => read::parked_page(conn, slice, sequence, from_no, limit))
    }

    async fn slices(&self) -> Result<Vec<SliceStatus>> {
        on_connection!(self, conn => slices::statuses(conn))
    }

    async fn entries(&self, slice: i32, from: i64, limit: usize) -> Result<Vec<StoredEntry>> {
        on_connection!(self, conn => read::entries(conn, slice, from, limit))
    }

    async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<DocumentRow>> {
        on_connection!(self, conn => read::documents(conn, filter))
    }

    async fn sequences(&self, slice: Option<i32>) -> Result<Vec<ParkedSequence>> {
        on_connection!(self, conn => read::sequences(conn, slice))
    }

    async fn parked_records(&self, filter: &ParkedFilter) -> Result<Vec<ParkedRecord>> {
        on_connection!(self, conn => read::parked_records(conn, filter))
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditRow>> {
        on_connection!(self, conn => read::audit(conn, limit))
    }

    async fn floor_ms(&self) -> Result<i64> {
        on_connection!(self, conn => read::floor(conn))
    }

    async fn accept_position(&self, slice: i32, position: &Position, audit: &NewAudit) -> Result<()> {
        on_connection!(self, conn => slices::accept_position(conn, &self.schema, slice, position, audit))
    }

    async fn set_stopped(&self, slice: i32, reason: Option<&str>, audit: &NewAudit) -> Result<()> {
        on_connection!(self, conn => slices::set_stopped(conn, &self.schema, slice, reason, audit))
    }

    async fn parked_record(&self, row: &RowKey) -> Result<Option<ParkedRecord>> {
        on_connection!(self, conn => read::parked_record(conn, row))
    }

    async fn letter_counts(&self, filter: &ParkedFilter) -> Result<Vec<LetterCount>> {
        on_connection!(self, conn => read::letter_counts(conn, filter))
    }

    async fn letter_groups(&self) -> Result<Vec<LetterGroup>> {
        on_connection!(self, conn => jobs::groups(conn))
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        on_connection!(self, conn => jobs::list(conn, filter))
    }

    async fn job(&self, id: &str) -> Result<Option<Job>> {
        on_connection!(self, conn => jobs::job(&conn.client, id))
    }

    async fn job_items(&self, id: &str, filter: &ItemFilter) -> Result<Vec<JobItem>> {
        on_connection!(self, conn => jobs::items(conn, id, filter))
    }

    async fn audit_page(&self, from_seq: i64, limit: usize) -> Result<Vec<AuditRow>> {
        on_connection!(self, conn => read::audit_page(conn, from_seq, limit))
    }

    async fn create_job(&self, job: &NewJob, audit: &NewAudit) -> Result<Creation> {
        crate::jobs::check(job)?;
        on_connection!(self, conn => jobs::create(conn, &self.schema, job, audit))
    }

    async fn set_job(&self, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job> {
        on_connection!(self, conn => jobs::set(conn, &self.schema, id, action, audit))
    }

    async fn put_letter_group(&self, group: &LetterGroup, audit: &NewAudit) -> Result<()> {
        on_connection!(self, conn => jobs::put_group(conn, &self.schema, group, audit))
    }

    async fn letter_rules(&self) -> Result<Vec<LetterRule>> {
        on_connection!(self, conn => rules::list(conn))
    }

    async fn outlooks(&self) -> Result<Vec<Outlook>> {
        on_connection!(self, conn => rules::outlooks(conn))
    }

    async fn add_letter_rule(&self, rule: &LetterRule, audit: &NewAudit) -> Result<()> {
        crate::rules::check(rule)?;
        on_connection!(self, conn => rules::add(conn, &self.schema, rule, audit))
    }

    async fn remove_letter_rule(&self, id: &str, audit: &NewAudit) -> Result<()> {
        on_connection!(self, conn => rules::remove(conn, &self.schema, id, audit))
    }

    async fn put_outlooks(&self, slice: i32, outlooks: &[Outlook]) -> Result<()> {
        on_connection!(self, conn => rules::put_outlooks(conn, slice, outlooks))
    }

    async fn prune_decisions(&self, horizon: DecisionHorizon) -> Result<u64> {
        on_connection!(self, conn => rules::prune(conn, horizon))
    }

    async fn append_audit(&self, audit: &NewAudit) -> Result<()> {
        on_connection!(self, conn => slices::add_audit(conn, &self.schema, audit))
    }

    async fn prune(&self, before_ms: Millis) -> Result<Millis> {
        on_connection!(self, conn => prune::prune(conn, before_ms))
    }
}
