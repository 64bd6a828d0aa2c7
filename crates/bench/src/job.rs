//! One measured run. Each is a process of its own, so that its processor time and its memory are nobody else's.

use crate::{
    handlers::{Caller, Calls, FirstDecision, Noop, Sleeper},
    record,
    replay::replay,
    runtime::{Checked, measure},
    service_job,
    usage::{self, Moment},
    watched::{Mode, Watched},
};
use anyhow::{Context as _, Result, bail, ensure};
use consumer::Nobody;
use ledger::{Ledger, memory::MemoryLedger};
use serde::{Deserialize, Serialize};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Where the servers are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    pub brokers: String,
    pub registry: String,
    pub postgres: String,
    /// Folder of the stack that a service runs on; absent where only servers run.
    pub stack: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The client library alone counts the topic.
    Drain,
    /// The runtime with a handler that does nothing, on a ledger that answers at once.
    Noop,
    /// The runtime on PostgreSQL.
    Ledger { documents: bool },
    /// The commits of such a run, given to PostgreSQL without Kafka.
    Replay { documents: bool },
    /// The runtime on PostgreSQL, with one call of `work_ms` for each record and `limit` calls at once.
    Effects { work_ms: u64, limit: usize },
    /// As many sleeps by as many tasks and nothing else: what the timer of this machine allows.
    Sleep { work_ms: u64, limit: usize },
    /// `analytics-feed` over a backlog.
    Feed,
    /// What it committed and published, given to PostgreSQL and Kafka without it.
    FeedReplay,
    /// `erp-sync` over a backlog.
    Erp,
    /// The calls that it made, made again without it.
    ErpCalls,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub place: Place,
    pub topic: String,
    pub records: u64,
    /// PostgreSQL schema of this run alone.
    pub schema: String,
    pub side: Side,
}

/// What one run came to. Only runs whose check held make one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Sample {
    pub records: u64,
    pub seconds: f64,
    /// Processor seconds of the measured process alone.
    pub cpu_seconds: f64,
    /// Highest resident memory; absent where what is kept for the measurement would be counted.
    pub peak_bytes: Option<u64>,
    /// Records in a transaction, on average.
    pub records_per_transaction: Option<f64>,
}

impl Sample {
    pub fn per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    pub fn cpu_per_million(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.records as f64
    }

    pub fn between(records: u64, begun: Moment, ended: Moment) -> Self {
        let (seconds, cpu_seconds) = begun.until(&ended);
        Self { records, seconds, cpu_seconds, peak_bytes: None, records_per_transaction: None }
    }

    fn with_peak(self) -> Self {
        Self { peak_bytes: Some(usage::peak_bytes()), ..self }
    }
}

impl Job {
    pub async fn run(&self) -> Result<Sample> {
        record::read_from(&self.topic);
        match self.side {
            Side::Drain => self.drain().await,
            Side::Noop => self.noop().await,
            Side::Ledger { documents } => self.ledger(documents).await,
            Side::Replay { documents } => self.replay(documents).await,
            Side::Effects { work_ms, limit } => self.effects(Duration::from_millis(work_ms), limit).await,
            Side::Sleep { work_ms, limit } => self.sleep(Duration::from_millis(work_ms), limit).await,
            Side::Feed => service_job::feed(self).await,
            Side::FeedReplay => service_job::feed_replay(self).await,
            Side::Erp => service_job::erp(self).await,
            Side::ErpCalls => service_job::erp_calls(self).await,
        }
    }

    async fn drain(&self) -> Result<Sample> {
        let drain = kafka::Drain::new(kafka::ClientConfig::new(&self.place.brokers), Duration::from_secs(300));
        let before = Moment::now();
        let count = drain.count(&self.topic).await?;
        let (_, cpu_seconds) = before.until(&Moment::now());
        ensure!(count.records == self.records, "drained {} of {} records", count.records, self.records);
        let (first, last) = count.span.context("an empty topic")?;
        let sample = Sample { cpu_seconds, ..Sample::between(self.records, before, Moment::now()) };
        Ok(Sample { seconds: (last - first).as_secs_f64(), ..sample }.with_peak())
    }

    async fn noop(&self) -> Result<Sample> {
        let watched = Watched::new(Arc::new(MemoryLedger::new()), Mode::Swallow);
        self.passive(&watched, false).await
    }

    async fn ledger(&self, documents: bool) -> Result<Sample> {
        let watched = Watched::new(self.postgres().await?, Mode::Through);
        self.passive(&watched, documents).await
    }

    async fn passive(&self, watched: &Arc<Watched>, documents: bool) -> Result<Sample> {
        let first = FirstDecision::default();
        let handler = Noop { first: first.clone(), documents };
        let checked = Checked { records: self.records, first };
        let enough = self.records;
        let (begun, ended) =
            measure(self, handler, Nobody, watched.clone(), checked, move |done| done.records >= enough).await?;
        let done = watched.done();
        let records_per_transaction = Some(done.records as f64 / done.transactions as f64);
        Ok(Sample { records_per_transaction, ..Sample::between(self.records, begun, ended) }.with_peak())
    }

    async fn replay(&self, documents: bool) -> Result<Sample> {
        let kept = Watched::new(Arc::new(MemoryLedger::new()), Mode::Keep);
        self.passive(&kept, documents).await.context("the run whose commits are replayed")?;
        let commits = kept.take_kept();
        let watched = Watched::new(self.postgres().await?, Mode::Through);
        let (begun, ended) = replay(&watched, commits).await?;
        let done = watched.done();
        ensure!(done.records == self.records, "replayed {} of {} records", done.records, self.records);
        let records_per_transaction = Some(done.records as f64 / done.transactions as f64);
        Ok(Sample { records_per_transaction, ..Sample::between(self.records, begun, ended) })
    }

    async fn effects(&self, work: Duration, limit: usize) -> Result<Sample> {
        let (first, calls) = (FirstDecision::default(), Arc::new(Calls::default()));
        let watched = Watched::new(self.postgres().await?, Mode::Through);
        let target = Sleeper { work, concurrency: limit, calls: calls.clone() };
        let checked = Checked { records: self.records, first: first.clone() };
        let enough = self.records;
        let handler = Caller { first };
        let (begun, ended) =
            measure(self, handler, target, watched.clone(), checked, move |done| done.effects >= enough).await?;
        let (all, wrong) = (calls.all.load(Ordering::Relaxed), calls.out_of_order.load(Ordering::Relaxed));
        ensure!(all == self.records, "{all} calls for {} records", self.records);
        ensure!(wrong == 0, "{wrong} calls overtook an older one of their account");
        Ok(Sample::between(self.records, begun, ended).with_peak())
    }

    async fn sleep(&self, work: Duration, limit: usize) -> Result<Sample> {
        let begun = Moment::now();
        let left = Arc::new(std::sync::atomic::AtomicU64::new(self.records));
        let tasks: Vec<_> = (0..limit)
            .map(|_| {
                let left = left.clone();
                tokio::spawn(async move {
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                        tokio::time::sleep(work).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        Ok(Sample::between(self.records, begun, Moment::now()))
    }

    async fn postgres(&self) -> Result<Arc<dyn Ledger>> {
        if self.schema.is_empty() {
            bail!("a run on PostgreSQL needs a schema of its own");
        }
        Ok(ledger::open(&ledger::Config::new(&self.place.postgres, &self.schema)).await?)
    }
}
