//! The ledger in one SQLite file: the default on one machine, shared by the processes there.
//!
//! One thread writes and two read, each with a connection of its own. The file is in WAL mode with full durability, so
//! that the command line reads while a service writes, and a second process of the same service may write too.

mod error;
mod jobs;
mod prune;
mod read;
mod row;
mod rules;
mod schema;
mod slices;
mod worker;
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
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use worker::Worker;

const READERS: usize = 2;

/// A ledger in a file.
pub struct SqliteLedger {
    path: PathBuf,
    writer: Worker,
    readers: Vec<Worker>,
    next_reader: AtomicUsize,
}

impl SqliteLedger {
    /// Opens the file, and creates or migrates its tables.
    pub async fn open(config: &Config) -> Result<Self> {
        let path = path(&config.url)?;
        let lock_timeout = Duration::from_millis(config.lock_timeout_ms);
        let opened = tokio::task::spawn_blocking(move || {
            let mut writer = worker::connect(&path, lock_timeout)?;
            schema::migrate(&mut writer)?;
            let readers = (0..READERS).map(|_| worker::connect(&path, lock_timeout)).collect::<Result<Vec<_>>>()?;
            Ok((path, writer, readers))
        });
        let (path, writer, readers) =
            opened.await.map_err(|e| Error::Unavailable(format!("opening the ledger was interrupted: {e}")))??;
        let readers = readers.into_iter().map(|reader| Worker::start("ledger-reader", reader));
        Ok(Self {
            path,
            writer: Worker::start("ledger-writer", writer)?,
            readers: readers.collect::<Result<_>>()?,
            next_reader: AtomicUsize::new(0),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
        self.readers[turn].run(job).await
    }
}

fn path(url: &str) -> Result<PathBuf> {
    match url.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() && !path.contains('?') => Ok(PathBuf::from(path)),
        _ => Err(Error::Config(format!("the ledger's url `{url}`: write `sqlite:///path/file.db`"))),
    }
}

impl std::fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqliteLedger({})", self.path.display())
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn take_over(&self, slice: i32, owner: &str) -> Result<Takeover> {
        if slice < 0 {
            return Err(Error::Misuse(format!("slice {slice}: slices count from 0")));
        }
        let owner = owner.to_owned();
        // Shown to people only, like the database's own clock in PostgreSQL.
        let now_ms = jiff::Timestamp::now().as_millisecond();
        self.writer.run(move |connection| slices::take_over(connection, slice, &owner, now_ms)).await
    }

    async fn commit(&self, batches: &[SliceCommit]) -> Result<Vec<CommitOutcome>> {
        batch::check(batches)?;
        let encoded: Vec<_> = batches.iter().map(write::Encoded::of).collect();
        self.writer.run(move |connection| write::commit(connection, &encoded)).await
    }

    async fn load(&self, request: &LoadRequest) -> Result<Loaded> {
        let request = request.clone();
        self.read(move |connection| read::load(connection, &request)).await
    }

    async fn parked_page(&self, slice: i32, sequence: &str, from_no: i64, limit: usize) -> Result<Vec<ParkedRecord>> {
        let sequence = sequence.to_owned();
        self.read(move |connection| read::parked_page(connection, slice, &sequence, from_no, limit)).await
    }

    async fn slices(&self) -> Result<Vec<SliceStatus>> {
        self.read(slices::statuses).await
    }

    async fn entries(&self, slice: i32, from: i64, limit: usize) -> Result<Vec<StoredEntry>> {
        self.read(move |connection| read::entries(connection, slice, from, limit)).await
    }

    async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<DocumentRow>> {
        let filter = filter.clone();
        self.read(move |connection| read::documents(connection, &filter)).await
    }

    async fn sequences(&self, slice: Option<i32>) -> Result<Vec<ParkedSequence>> {
        self.read(move |connection| read::sequences(connection, slice)).await
    }

    async fn parked_records(&self, filter: &ParkedFilter) -> Result<Vec<ParkedRecord>> {
        let filter = filter.clone();
        self.read(move |connection| read::parked_records(connection, &filter)).await
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditRow>> {
        self.read(move |connection| read::audit(connection, limit)).await
    }

    async fn floor_ms(&self) -> Result<i64> {
        self.read(|connection| read::floor(connection)).await
    }

    async fn accept_position(&self, slice: i32, position: &Position, audit: &NewAudit) -> Result<()> {
        let (position, audit) = (position.clone(), audit.clone());
        self.writer.run(move |connection| slices::accept_position(connection, slice, &position, &audit)).await
    }

    async fn set_stopped(&self, slice: i32, reason: Option<&str>, audit: &NewAudit) -> Result<()> {
        let (reason, audit) = (reason.map(str::to_owned), audit.clone());
        self.writer.run(move |connection| slices::set_stopped(connection, slice, reason.as_deref(), &audit)).await
    }

    async fn parked_record(&self, row: &RowKey) -> Result<Option<ParkedRecord>> {
        let row = row.clone();
        self.read(move |connection| read::parked_record(connection, &row)).await
    }

    async fn letter_counts(&self, filter: &ParkedFilter) -> Result<Vec<LetterCount>> {
        let filter = filter.clone();
        self.read(move |connection| read::letter_counts(connection, &filter)).await
    }

    async fn letter_groups(&self) -> Result<Vec<LetterGroup>> {
        self.read(|connection| jobs::groups(connection)).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        let filter = filter.clone();
        self.read(move |connection| jobs::list(connection, &filter)).await
    }

    async fn job(&self, id: &str) -> Result<Option<Job>> {
        let id = id.to_owned();
        self.read(move |connection| jobs::job(connection, &id)).await
    }

    async fn job_items(&self, id: &str, filter: &ItemFilter) -> Result<Vec<JobItem>> {
        let (id, filter) = (id.to_owned(), filter.clone());
        self.read(move |connection| jobs::items(connection, &id, &filter)).await
    }

    async fn audit_page(&self, from_seq: i64, limit: usize) -> Result<Vec<AuditRow>> {
        self.read(move |connection| read::audit_page(connection, from_seq, limit)).await
    }

    async fn create_job(&self, job: &NewJob, audit: &NewAudit) -> Result<Creation> {
        crate::jobs::check(job)?;
        let (job, audit) = (job.clone(), audit.clone());
        self.writer.run(move |connection| jobs::create(connection, &job, &audit)).await
    }

    async fn set_job(&self, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job> {
        let (id, audit) = (id.to_owned(), audit.clone());
        self.writer.run(move |connection| jobs::set(connection, &id, action, &audit)).await
    }

    async fn put_letter_group(&self, group: &LetterGroup, audit: &NewAudit) -> Result<()> {
        let (group, audit) = (group.clone(), audit.clone());
        self.writer.run(move |connection| jobs::put_group(connection, &group, &audit)).await
    }

    async fn letter_rules(&self) -> Result<Vec<LetterRule>> {
        self.read(|connection| rules::list(connection)).await
    }

    async fn outlooks(&self) -> Result<Vec<Outlook>> {
        self.read(|connection| rules::outlooks(connection)).await
    }

    async fn add_letter_rule(&self, rule: &LetterRule, audit: &NewAudit) -> Result<()> {
        crate::rules::check(rule)?;
        let (rule, audit) = (rule.clone(), audit.clone());
        self.writer.run(move |connection| rules::add(connection, &rule, &audit)).await
    }

    async fn remove_letter_rule(&self, id: &str, audit: &NewAudit) -> Result<()> {
        let (id, audit) = (id.to_owned(), audit.clone());
        self.writer.run(move |connection| rules::remove(connection, &id, &audit)).await
    }

    async fn put_outlooks(&self, slice: i32, outlooks: &[Outlook]) -> Result<()> {
        let outlooks = outlooks.to_vec();
        self.writer.run(move |connection| rules::put_outlooks(connection, slice, &outlooks)).await
    }

    async fn prune_decisions(&self, horizon: DecisionHorizon) -> Result<u64> {
        let mut dropped = 0;
        loop {
            match self.writer.run(move |connection| rules::drop_jobs(connection, horizon)).await? {
                0 => break,
                page => dropped += page,
            }
        }
        self.writer.run(move |connection| rules::drop_said(connection, horizon)).await?;
        Ok(dropped)
    }

    async fn append_audit(&self, audit: &NewAudit) -> Result<()> {
        let audit = audit.clone();
        self.writer.run(move |connection| slices::add_audit(connection, &audit)).await
    }

    async fn prune(&self, before_ms: Millis) -> Result<Millis> {
        let floor = self.writer.run(move |connection| prune::raise_floor(connection, before_ms)).await?;
        while self.writer.run(move |connection| prune::drop_page(connection, floor)).await? {}
        Ok(floor)
    }
}
