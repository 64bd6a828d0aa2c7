//! Commits of all slices of a member, several in one transaction: one flush to disk for all of them. A ledger that does not answer is
//! tried again, with the same commit, until it does: the entry number makes that safe.

use super::{
    observe::Observer,
    slice::{Inbox, SliceInput},
};
use failure::RetryPolicy;
use ledger::{CommitOutcome, Error, Ledger, SliceCommit};
use std::{sync::Arc, time::Duration, time::Instant};
use telemetry::failpoint;
use tokio::sync::{Mutex, mpsc};

/// A commit and where its outcome goes.
pub struct CommitRequest {
    pub commit: SliceCommit,
    pub reply: Inbox,
}

/// Slices in one transaction at most.
const TOGETHER: usize = 32;

/// Waits between tries of a ledger that does not answer.
pub const LEDGER_RETRY: RetryPolicy = RetryPolicy::new(Duration::from_millis(50), Duration::from_secs(5), None);

#[derive(Clone)]
pub struct Committer {
    pub ledger: Arc<dyn Ledger>,
    pub requests: Arc<Mutex<mpsc::UnboundedReceiver<CommitRequest>>>,
    pub observer: Observer,
}

impl Committer {
    /// One of several workers: while one waits for the disk, the next gathers.
    pub async fn run(self) {
        while let Some(requests) = self.gather().await {
            let started = Instant::now();
            let (commits, replies): (Vec<_>, Vec<_>) =
                requests.into_iter().map(|request| (request.commit, request.reply)).unzip();
            let outcomes = retrying("commit", &self.observer, || self.ledger.commit(&commits)).await;
            match outcomes {
                Ok(outcomes) => {
                    self.observer.committed(&commits, &outcomes, started.elapsed());
                    if commits.iter().any(|commit| !commit.body.steps.is_empty()) {
                        failpoint::hit("c4");
                    }
                    if commits.iter().any(|commit| !commit.published.is_empty()) {
                        failpoint::hit("c11");
                    }
                    for (reply, outcome) in replies.iter().zip(outcomes) {
                        reply.send(match outcome {
                            CommitOutcome::Committed => SliceInput::Committed,
                            CommitOutcome::Fenced => SliceInput::Fenced,
                        });
                    }
                }
                Err(error) => replies.iter().for_each(|reply| reply.send(SliceInput::Broken(error.to_string()))),
            }
        }
    }

    async fn gather(&self) -> Option<Vec<CommitRequest>> {
        let mut requests = self.requests.lock().await;
        let mut together = vec![requests.recv().await?];
        while together.len() < TOGETHER {
            match requests.try_recv() {
                Ok(request) => together.push(request),
                Err(_) => break,
            }
        }
        Some(together)
    }
}

/// Repeats a ledger call while the ledger does not answer; any other error is the caller's.
pub async fn retrying<T, Fut>(doing: &str, observer: &Observer, mut call: impl FnMut() -> Fut) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    let mut attempt = 0;
    loop {
        match call().await {
            Ok(value) => {
                if attempt > 0 {
                    observer.ledger(None);
                    tracing::info!(doing, "the ledger is back");
                }
                return Ok(value);
            }
            Err(Error::Unavailable(reason)) => {
                attempt += 1;
                if attempt == 1 {
                    tracing::warn!(doing, reason, "the ledger does not answer: waiting");
                }
                observer.ledger(Some(&reason));
                let wait = LEDGER_RETRY.delay_after(attempt, 0).unwrap_or(LEDGER_RETRY.max);
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
}
