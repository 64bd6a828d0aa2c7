//! Carries effects out for all slices of a member, within what the [`Governor`] allows. Holds calls while the breaker is open, and
//! tells every slice to decide nothing new until the other side is back. After a sleep of the process nothing starts before it is
//! certain that the slices are still ours (`awake`).

use super::{
    awake::Awake,
    committer::retrying,
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
use ledger::{Ledger, SliceStatus};
use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use telemetry::failpoint;
use tokio::sync::{mpsc, watch};

/// One effect to be carried out, and who asked.
pub struct Job<F> {
    pub slice: i32,
    pub call: Call<F>,
}

/// What the slices send to the caller.
pub enum Request<F> {
    Call(Job<F>),
    /// A slice is owned under this epoch; its answers go there.
    Join(i32, i64, Inbox),
    Leave(i32),
}

struct Owned {
    epoch: i64,
    inbox: Inbox,
}

/// What the ledger says of the slices, and when it was asked.
type Asked = (tokio::time::Instant, Result<Vec<SliceStatus>, ledger::Error>);

type Finished = (Vec<(i32, Returned)>, Signal);

pub struct Caller<F: Effect, T: Target<F>> {
    target: Arc<T>,
    governor: Governor,
    limits: Limits,
    requests: mpsc::UnboundedReceiver<Request<F>>,
    waiting: VecDeque<Job<F>>,
    slices: HashMap<i32, Owned>,
    ledger: Arc<dyn Ledger>,
    awake: Awake,
    confirming: Option<BoxFuture<'static, Asked>>,
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
        (ledger, awake): (Arc<dyn Ledger>, Awake),
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
            ledger,
            awake,
            confirming: None,
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
                asked = answered(&mut self.confirming) => self.confirmed(asked),
                () = self.awake.tick() => {}
                () = pause => {}
            }
        }
    }

    fn confirm(&mut self) {
        if self.confirming.is_some() {
            return;
        }
        tracing::warn!("this process slept: no call starts before the epochs of its slices are confirmed");
        let (ledger, observer, asked) = (self.ledger.clone(), self.observer.clone(), tokio::time::Instant::now());
        let asking = async move { (asked, retrying("confirm the epochs", &observer, || ledger.slices()).await) };
        self.confirming = Some(asking.boxed());
    }

    /// Slices that another member has taken over meanwhile end here, with the calls that wait for them.
    fn confirmed(&mut self, (asked, slices): Asked) {
        self.confirming = None;
        let held: HashMap<i32, i64> = match slices {
            Ok(slices) => slices.into_iter().map(|status| (status.slice, status.epoch)).collect(),
            Err(error) => {
                tracing::error!(%error, "the epochs cannot be read: all slices end");
                HashMap::new()
            }
        };
        self.slices.retain(|slice, owned| {
            let ours = held.get(slice) == Some(&owned.epoch);
            if !ours {
                owned.inbox.send(SliceInput::Fenced);
            }
            ours
        });
        self.waiting.retain(|job| self.slices.contains_key(&job.slice));
        self.awake.confirmed(asked);
        self.take_share();
    }

    fn take(&mut self, request: Request<F>) {
        match request {
            Request::Call(job) => self.waiting.push_back(job),
            Request::Join(slice, epoch, inbox) => {
                inbox.send(SliceInput::Gate { source: "breaker", closed: self.governor.is_open() });
                self.slices.insert(slice, Owned { epoch, inbox });
            }
            Request::Leave(slice) => {
                self.slices.remove(&slice);
                self.waiting.retain(|job| job.slice != slice);
            }
        }
        self.take_share();
    }

    /// This member's part of the remote account's limits follows from how many of all slices it owns.
    fn take_share(&mut self) {
        self.governor.own(self.slices.len(), (*self.all_slices.borrow()).max(self.slices.len()));
    }

    /// Starts what may be started; answers when to look again.
    fn start_calls(&mut self) -> Option<Duration> {
        while !self.waiting.is_empty() {
            if self.awake.slept() {
                self.confirm();
                return None;
            }
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
        let collection = first.call.intent.effect.collection();
        let mut jobs = vec![first];
        while kind == CallKind::Apply && collection.is_some() && jobs.len() < most {
            let fits = |job: &Job<F>| {
                job.call.kind == CallKind::Apply
                    && job.call.intent.effect.collection() == collection
                    && jobs.iter().all(|taken| taken.call.entity != job.call.entity)
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
            for owned in self.slices.values() {
                owned.inbox.send(SliceInput::Gate { source: "breaker", closed });
            }
        }
        let mut by_slice: HashMap<i32, Vec<Returned>> = HashMap::new();
        for (slice, returned) in results {
            by_slice.entry(slice).or_default().push(returned);
        }
        for (slice, returned) in by_slice {
            if let Some(owned) = self.slices.get(&slice) {
                owned.inbox.send(SliceInput::Returned(returned));
            }
        }
    }
}

async fn answered(confirming: &mut Option<BoxFuture<'static, Asked>>) -> Asked {
    match confirming {
        Some(asking) => asking.await,
        None => std::future::pending().await,
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
    die_amid("c5", Duration::from_millis(50));
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
    failpoint::hit("c6");
    let signal = results.iter().map(signal).max_by_key(severity).unwrap_or(Signal::Healthy);
    for (job, result) in jobs.iter().zip(&results) {
        observer.call(&job.call.intent.effect.key(), result, started.elapsed());
    }
    let returned =
        jobs.iter().zip(results).map(|(job, result)| (job.slice, Returned { call: job.call.id, result, counts }));
    (returned.collect(), signal)
}

/// A point amid something that is waited for, reached a little after its beginning.
pub fn die_amid(point: &'static str, after: Duration) {
    if failpoint::COMPILED_IN {
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            failpoint::hit(point);
        });
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::CallId;
    use async_trait::async_trait;
    use ledger::StepId;
    use service::Health;
    use std::{
        collections::BTreeMap,
        sync::atomic::{AtomicU64, Ordering},
    };

    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Touch {
        thing: String,
        collection: Option<u8>,
    }

    impl Effect for Touch {
        fn key(&self) -> String {
            format!("touch:{}", self.thing)
        }

        fn entity(&self) -> String {
            self.thing.clone()
        }

        fn collection(&self) -> Option<&'static str> {
            self.collection.map(|number| if number == 0 { "zero" } else { "other" })
        }
    }

    #[derive(Default)]
    struct Counting(AtomicU64);

    #[async_trait]
    impl Target<Touch> for Counting {
        async fn apply(&self, intents: &[Intent<Touch>]) -> Vec<Result<Receipt, Failure>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            intents.iter().map(|_| Ok(Receipt { external_id: "1".to_owned(), details: BTreeMap::new() })).collect()
        }

        async fn look_up(&self, _: &Intent<Touch>) -> Result<Option<Receipt>, Failure> {
            Ok(None)
        }

        fn limits(&self) -> Limits {
            Limits { batch: 1, concurrency: 4, per_second: None, visibility_ms: 0 }
        }
    }

    fn call() -> Job<Touch> {
        touch("thing", None)
    }

    fn touch(thing: &str, collection: Option<u8>) -> Job<Touch> {
        let effect = Touch { thing: thing.to_owned(), collection };
        let intent = Intent { effect, attempts: 0, traceparent: None, event_id: "e".to_owned(), correlation_id: None };
        let id = CallId { step: StepId { entry: 1, index: 0 }, effect: 0 };
        Job { slice: 0, call: Call { id, kind: CallKind::Apply, entity: thing.to_owned(), intent } }
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_takes_what_waits_of_one_collection_and_no_entity_twice() {
        let (_requests, from_slices) = mpsc::unbounded_channel();
        let (_all, all_slices) = watch::channel(1);
        let observer =
            Observer::new(Arc::new(telemetry::Metrics::new("test")), Health::new(Duration::from_secs(1)), "nobody");
        let ledger: Arc<dyn Ledger> = Arc::new(ledger::memory::MemoryLedger::default());
        let certain = (ledger, Awake::new(Duration::from_secs(10)));
        let mut caller = Caller::new(Arc::new(Counting::default()), from_slices, all_slices, certain, observer);
        caller.limits.batch = 3;
        let waiting = [
            ("a", Some(0)),
            ("b", Some(1)),
            ("c", None),
            ("a", Some(0)),
            ("d", Some(0)),
            ("e", Some(0)),
            ("f", Some(0)),
        ];
        caller.waiting.extend(waiting.map(|(thing, collection)| touch(thing, collection)));
        let mut calls = Vec::new();
        while !caller.waiting.is_empty() {
            let jobs = caller.next_jobs(false);
            calls.push(jobs.iter().map(|job| job.call.entity.clone()).collect::<Vec<_>>().join(" "));
        }
        assert_eq!(calls, ["a d e", "b", "c", "a f"]);
    }

    /// A member owns slice 0, sleeps, wakes and finds a call in its queue. What the slice is told, and how many calls went out.
    async fn wake_with_a_call(is_taken_over: bool) -> (SliceInput, u64) {
        let ledger: Arc<dyn Ledger> = Arc::new(ledger::memory::MemoryLedger::default());
        let epoch = ledger.take_over(0, "sleeper").await.expect("a memory ledger").epoch;
        let (requests, from_slices) = mpsc::unbounded_channel();
        let (_all, all_slices) = watch::channel(1);
        let (inbox, mut answers) = mpsc::unbounded_channel();
        let observer =
            Observer::new(Arc::new(telemetry::Metrics::new("test")), Health::new(Duration::from_secs(1)), "nobody");
        let target = Arc::new(Counting::default());
        let certain = (ledger.clone(), Awake::new(Duration::from_secs(10)));
        let caller = Caller::new(target.clone(), from_slices, all_slices, certain, observer);
        requests.send(Request::Join(0, epoch, Inbox(inbox))).ok();
        let running = tokio::spawn(caller.run());
        assert!(matches!(answers.recv().await, Some(SliceInput::Gate { closed: false, .. })));
        if is_taken_over {
            ledger.take_over(0, "somebody else").await.expect("a memory ledger");
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        requests.send(Request::Call(call())).ok();
        let told = answers.recv().await.expect("the caller answers");
        running.abort();
        (told, target.0.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn a_woken_zombie_makes_no_call() {
        let (told, calls) = wake_with_a_call(true).await;
        assert!(matches!(told, SliceInput::Fenced));
        assert_eq!(calls, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sleeps_and_still_owns_its_slices_goes_on() {
        let (told, calls) = wake_with_a_call(false).await;
        assert!(matches!(told, SliceInput::Returned(_)));
        assert_eq!(calls, 1);
    }
}
