//! Carries effects out for all slices of a member, within what the [`Governor`] allows. Holds calls while the breaker is open, and
//! tells every slice to decide nothing new until the other side is back.

use super::{
    governor::{Governor, Signal, Start},
    observe::Observer,
    slice::{Inbox, SliceInput},
};
use crate::{
    handler::{Effect, Intent, Limits, Receipt, Target},
    machine::{Call, CallKind, CallResult, Returned},
};
use failure::{Class, Failure};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// One effect to be carried out, and who asked.
pub struct Job<F> {
    pub slice: i32,
    pub call: Call<F>,
}

/// What the slices send to the caller.
pub enum Request<F> {
    Call(Job<F>),
    /// A slice is owned now; its answers go there.
    Join(i32, Inbox),
    Leave(i32),
}

type Finished = (Vec<(i32, Returned)>, Signal);

pub struct Caller<F: Effect, T: Target<F>> {
    target: Arc<T>,
    governor: Governor,
    limits: Limits,
    requests: mpsc::UnboundedReceiver<Request<F>>,
    waiting: VecDeque<Job<F>>,
    slices: HashMap<i32, Inbox>,
    running: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// All slices of the service; how many of them this member owns follows from `slices`.
    all_slices: watch::Receiver<usize>,
    observer: Observer,
}

impl<F: Effect, T: Target<F>> Caller<F, T> {
    pub fn new(
        target: Arc<T>,
        requests: mpsc::UnboundedReceiver<Request<F>>,
        all_slices: watch::Receiver<usize>,
        observer: Observer,
    ) -> Self {
        let limits = target.limits();
        let (waiting, slices, running) = (VecDeque::new(), HashMap::new(), FuturesUnordered::new());
        Self {
            target,
            governor: Governor::new(limits),
            limits,
            requests,
            waiting,
            slices,
            running,
            all_slices,
            observer,
        }
    }

    /// Runs until every slice has gone and the last sender with them.
    pub async fn run(mut self) {
        loop {
            let wake = self.start_calls();
            let pause = async {
                match wake {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.take(request),
                    None => return,
                },
                Some(finished) = self.running.next(), if !self.running.is_empty() => self.finished(finished),
                () = pause => {}
            }
        }
    }

    fn take(&mut self, request: Request<F>) {
        match request {
            Request::Call(job) => self.waiting.push_back(job),
            Request::Join(slice, inbox) => {
                inbox.send(SliceInput::Gate { source: "breaker", closed: self.governor.is_open() });
                self.slices.insert(slice, inbox);
            }
            Request::Leave(slice) => {
                self.slices.remove(&slice);
                self.waiting.retain(|job| job.slice != slice);
            }
        }
        self.governor.own(self.slices.len(), (*self.all_slices.borrow()).max(self.slices.len()));
    }

    /// Starts what may be started; answers when to look again.
    fn start_calls(&mut self) -> Option<Duration> {
        while !self.waiting.is_empty() {
            let now = now_ms();
            let probe = match self.governor.start(now) {
                Start::Now => false,
                Start::Probe => true,
                Start::At(at) => return Some(Duration::from_millis(u64::try_from(at - now).unwrap_or(1).max(1))),
                Start::WhenFree => return None,
            };
            let jobs = self.next_jobs(probe);
            self.running.push(perform(self.target.clone(), jobs, !probe, self.observer.clone()).boxed());
        }
        None
    }

    /// One call's worth of jobs: several applications of different entities where the vendor takes them at once.
    fn next_jobs(&mut self, probe: bool) -> Vec<Job<F>> {
        let most = if probe { 1 } else { self.limits.batch.max(1) };
        let Some(first) = self.waiting.pop_front() else { return Vec::new() };
        let kind = first.call.kind;
        let mut jobs = vec![first];
        while kind == CallKind::Apply && jobs.len() < most {
            let fits = |job: &Job<F>| {
                job.call.kind == CallKind::Apply && jobs.iter().all(|taken| taken.call.entity != job.call.entity)
            };
            let Some(index) = self.waiting.iter().position(fits) else { break };
            let Some(job) = self.waiting.remove(index) else { break };
            jobs.push(job);
        }
        jobs
    }

    fn finished(&mut self, (results, signal): Finished) {
        let changed = self.governor.finish(now_ms(), signal);
        self.observer.breaker(self.governor.breaker_level());
        if changed {
            let closed = self.governor.is_open();
            if closed {
                tracing::warn!("the outside system is out of order: nothing new is decided until it is back");
            } else {
                tracing::info!("the outside system is back");
            }
            self.observer.outside(closed);
            for inbox in self.slices.values() {
                inbox.send(SliceInput::Gate { source: "breaker", closed });
            }
        }
        let mut by_slice: HashMap<i32, Vec<Returned>> = HashMap::new();
        for (slice, returned) in results {
            by_slice.entry(slice).or_default().push(returned);
        }
        for (slice, returned) in by_slice {
            if let Some(inbox) = self.slices.get(&slice) {
                inbox.send(SliceInput::Returned(returned));
            }
        }
    }
}

async fn perform<F: Effect, T: Target<F>>(
    target: Arc<T>,
    jobs: Vec<Job<F>>,
    counts: bool,
    observer: Observer,
) -> Finished {
    let started = Instant::now();
    let look_up = jobs.first().is_some_and(|job| job.call.kind == CallKind::LookUp);
    let intents: Vec<Intent<F>> = jobs.iter().map(|job| job.call.intent.clone()).collect();
    let work = async {
        if look_up {
            let mut found = Vec::with_capacity(intents.len());
            for intent in &intents {
                found.push(CallResult::LookedUp(target.look_up(intent).await));
            }
            found
        } else {
            target.apply(&intents).await.into_iter().map(CallResult::Applied).collect()
        }
    };
    // A panic in a connector leaves the outcome open: what was sent may have taken effect.
    let results = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_default();
    let lost = || {
        CallResult::Applied(Err(Failure::unknown("OUTCOME_UNKNOWN", "the connector gave no answer for this effect")))
    };
    let results: Vec<CallResult> = results.into_iter().chain(std::iter::repeat_with(lost)).take(jobs.len()).collect();
    let signal = results.iter().map(signal).max_by_key(severity).unwrap_or(Signal::Healthy);
    for (job, result) in jobs.iter().zip(&results) {
        observer.call(&job.call.intent.effect.key(), result, started.elapsed());
    }
    let returned =
        jobs.iter().zip(results).map(|(job, result)| (job.slice, Returned { call: job.call.id, result, counts }));
    (returned.collect(), signal)
}

fn signal(result: &CallResult) -> Signal {
    let failure = match result {
        CallResult::Applied(Ok(Receipt { .. })) | CallResult::LookedUp(Ok(_)) => return Signal::Healthy,
        CallResult::Applied(Err(failure)) | CallResult::LookedUp(Err(failure)) => failure,
    };
    match failure.class {
        Class::Dependency if failure.code == "RATE_LIMITED" => Signal::TooMany { retry_after: failure.retry_after },
        Class::Dependency | Class::Unknown => Signal::Unavailable { retry_after: failure.retry_after },
        Class::Business | Class::NotYet | Class::Poison | Class::Contract | Class::Bug => Signal::Healthy,
    }
}

const fn severity(signal: &Signal) -> u8 {
    match signal {
        Signal::Healthy => 0,
        Signal::TooMany { .. } => 1,
        Signal::Unavailable { .. } => 2,
    }
}

/// Wall clock in milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
