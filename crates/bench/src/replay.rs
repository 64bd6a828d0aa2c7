//! The commits of an earlier run, given to a ledger as fast as it takes them: as many workers as the runtime has, one commit of
//! a slice at a time, what waits goes together. What the ledger reaches here is the ceiling of the runtime on it.

use crate::{usage::Moment, watched::Watched};
use anyhow::{Context as _, Result, ensure};
use ledger::{CommitOutcome, Ledger as _, SliceCommit};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex as Blocking, PoisonError},
};
use tokio::sync::{Mutex, mpsc};

/// As the runtime has by default.
const WORKERS: usize = 2;
const TOGETHER: usize = 32;

type Waiting = Arc<Blocking<HashMap<i32, VecDeque<SliceCommit>>>>;

#[derive(Clone)]
struct Worker {
    ledger: Arc<Watched>,
    waiting: Waiting,
    ready: Arc<Mutex<mpsc::UnboundedReceiver<i32>>>,
    again: mpsc::UnboundedSender<i32>,
}

/// Commits everything, each slice in order; answers when the first was sent and the last was durable.
pub async fn replay(ledger: &Arc<Watched>, commits: Vec<SliceCommit>) -> Result<(Moment, Moment)> {
    let total = commits.len() as u64;
    let mut slices: HashMap<i32, VecDeque<SliceCommit>> = HashMap::new();
    for commit in commits {
        slices.entry(commit.slice).or_default().push_back(commit);
    }
    let (again, ready) = mpsc::unbounded_channel();
    for slice in slices.keys() {
        ledger.take_over(*slice, "bench").await?;
        again.send(*slice).context("the queue is open")?;
    }
    let worker = Worker {
        ledger: ledger.clone(),
        waiting: Arc::new(Blocking::new(slices)),
        ready: Arc::new(Mutex::new(ready)),
        again,
    };
    let begun = Moment::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(worker.clone().run());
    }
    tokio::select! {
        () = ledger.until(|done| done.commits >= total) => {}
        Some(ended) = workers.join_next() => ended??,
    }
    Ok((begun, Moment::now()))
}

impl Worker {
    async fn run(self) -> Result<()> {
        while let Some(batches) = self.gather().await {
            let outcomes = self.ledger.commit(&batches).await?;
            ensure!(
                outcomes.iter().all(|outcome| *outcome == CommitOutcome::Committed),
                "a replayed commit was refused"
            );
            for batch in batches {
                self.again.send(batch.slice).context("the queue is open")?;
            }
        }
        Ok(())
    }

    async fn gather(&self) -> Option<Vec<SliceCommit>> {
        let mut ready = self.ready.lock().await;
        loop {
            let mut slices = vec![ready.recv().await?];
            while slices.len() < TOGETHER
                && let Ok(slice) = ready.try_recv()
            {
                slices.push(slice);
            }
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let batches: Vec<_> = slices.iter().filter_map(|slice| waiting.get_mut(slice)?.pop_front()).collect();
            if !batches.is_empty() {
                return Some(batches);
            }
        }
    }
}
