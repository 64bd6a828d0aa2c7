//! The simulated world: topics, ledger, outside system, clock, and a scheduler that picks what happens next from a seed.

mod end;
mod faults;
mod foretold;
mod moves;
mod people;
mod redrive;
mod takeover;

pub use end::{End, Outcome};

use super::{
    Case, Options,
    member::Member,
    outside::Outside,
    sometimes::{Sometimes, Window},
    topic::{Log, Outputs, publish},
};
use consumer::{
    Handler,
    machine::{Input, REPORTS, Reports, Settings, StopTheLine},
};
use failure::RetryPolicy;
use history::Line;
use ledger::{Ledger as _, RowKey, SliceCommit, memory::MemoryLedger};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

pub struct World<'a, H: Handler> {
    case: &'a Case<H>,
    options: Options,
    rng: ChaCha8Rng,
    now: i64,
    ledger: MemoryLedger,
    log: Log<H::Event>,
    outside: Outside<H::Effect>,
    published: Outputs,
    member: Option<Member<H>>,
    zombies: Vec<Member<H>>,
    /// Commits of owners that are gone, still on their way.
    late_commits: Vec<SliceCommit>,
    /// How far the last owner had been delivered each topic.
    furthest: BTreeMap<Arc<str>, usize>,
    gate_closed: bool,
    faults_left: u32,
    people_began: bool,
    jobs_made: u32,
    foretold: Option<foretold::Foretold>,
    /// Rows that were brought back once after they had been given up.
    restored: BTreeSet<RowKey>,
    reread: Option<end::Before>,
    sometimes: Sometimes,
    /// What the world itself saw: crashes and what they cost.
    seen: Vec<Line>,
    trace: Vec<String>,
}

/// Longest time until a call has taken effect and can be seen; the machine waits this long before it believes a look-up.
const LATE: i64 = 500;
const SLICE: i32 = 0;

impl<'a, H: Handler> World<'a, H> {
    #[must_use]
    pub fn new(case: &'a Case<H>, mut options: Options, seed: u64) -> Self {
        // A row that waits lets the one it waits for go first, each time it is tried: how often people try it is the schedule's doing
        // then, and each refusal is told. About one schedule in a hundred ends with an order that people gave up before its cause was
        // mended, and invoices that wait for it.
        options.disorder &= !case.by_jobs;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let log = publish(&case.events, &options, &mut rng);
        Self {
            case,
            faults_left: options.faults,
            options,
            rng,
            now: 1_750_000_000_000,
            ledger: MemoryLedger::default(),
            log,
            outside: Outside::new(case.rule, case.details),
            published: Outputs::new(),
            member: None,
            zombies: Vec::new(),
            late_commits: Vec::new(),
            furthest: BTreeMap::new(),
            gate_closed: false,
            people_began: false,
            jobs_made: 0,
            foretold: None,
            restored: BTreeSet::new(),
            reread: None,
            sometimes: Sometimes::default(),
            seen: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// Runs until everything is read, nothing is under way and waiting brings nothing new; then decides what the run kept.
    ///
    /// # Errors
    /// With the first promise that was broken.
    pub fn run(self) -> Result<(super::Observed, Sometimes), String> {
        let outcome = self.outcome();
        outcome.end.map(|end| (end.observed, outcome.sometimes))
    }

    /// The same with everything that is known of the run, also where it failed.
    #[must_use]
    pub fn outcome(mut self) -> Outcome {
        let end = self.go().and_then(|quiet_waits| self.finish(quiet_waits));
        Outcome { end, sometimes: self.sometimes, trace: self.trace }
    }

    fn go(&mut self) -> Result<u32, String> {
        const STEPS: u32 = 400_000;
        let mut quiet_waits = 0;
        for _ in 0..STEPS {
            if self.member.is_none() {
                self.take_over()?;
                continue;
            }
            if self.faults_left > 0 && self.rng.random_bool(0.02) {
                self.fault()?;
                continue;
            }
            self.past_comes_back()?;
            if self.act()? {
                quiet_waits = 0;
                continue;
            }
            let quiet = self.member.as_ref().is_none_or(|member| member.machine.is_quiet());
            if !self.wait() || (quiet && quiet_waits > 60 && quiet_waits > self.patience()) {
                if !self.people_act()? && !self.read_again()? {
                    return Ok(quiet_waits);
                }
                quiet_waits = 0;
            }
            quiet_waits += 1;
        }
        Err(format!("I6: the run did not come to rest: {}", self.describe()))
    }

    /// Waits in a row that bring nothing before the run is over. A timer that is set still has to fire, however far away it is: the end
    /// of a run must not depend on how many other waits came before it.
    fn patience(&self) -> u32 {
        let slices = now_or_never(self.ledger.slices()).unwrap_or_default();
        if slices.iter().any(|slice| slice.timers > 0) { 4_000 } else { 60 }
    }

    fn describe(&self) -> String {
        let gauges = self.member.as_ref().map(|member| member.machine.gauges());
        format!("{gauges:?}, {} effects", self.outside.log.len())
    }

    fn settings(&self) -> Settings {
        let mut partitions = HashMap::from([(format!("dlq.{}", self.case.handler.name()), 3)]);
        partitions.extend(self.case.handler.outputs().into_iter().chain(REPORTS).map(|topic| (topic.to_owned(), 3)));
        Settings {
            batch_records: 7,
            inbox_records: 9,
            waiting_records: 30,
            recent_identities: 5,
            document_cache_bytes: 2_000,
            outbox_bytes: 1_000,
            parked_page: 3,
            merge_wait: if self.options.disorder { Duration::ZERO } else { Duration::from_secs(3_600) },
            visibility: Duration::from_millis(LATE as u64),
            call_retry: RetryPolicy::new(Duration::from_millis(50), Duration::from_secs(1), Some(4)),
            parked_retry: RetryPolicy::new(Duration::from_millis(200), Duration::from_secs(5), None),
            line: StopTheLine { in_row: 1_000, percent: 0, ..StopTheLine::default() },
            // Timers make days pass: how long something has waited by then is the schedule's doing, not the handler's.
            not_yet_deadline: Duration::from_secs(if self.options.impatient { 60 } else { 1_000 * 24 * 3_600 }),
            partitions: Arc::new(partitions),
            reports: Reports { recovery: Some(1), latency: Some((2, "outside")) },
            ..Settings::default()
        }
    }

    fn storm(&mut self, chance: f64) -> bool {
        self.faults_left > 0 && self.rng.random_bool(chance)
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.options.traced {
            self.trace.push(format!("{:>8} ms  {}", self.now - 1_750_000_000_000, what()));
        }
    }

    /// Nothing can be done now: time passes. False if nobody waits for anything.
    fn wait(&mut self) -> bool {
        let Some(member) = &mut self.member else { return true };
        if self.faults_left > 0 && member.has_read_all(&self.log) {
            // The storm is over once the input is read; what is left must heal.
            self.faults_left = self.faults_left.saturating_sub(1);
        }
        if std::mem::take(&mut self.gate_closed) {
            member.step(self.now, Input::Gate { closed: false });
            return true;
        }
        let empty: Vec<Arc<str>> =
            self.log.iter().filter(|(_, records)| records.is_empty()).map(|(topic, _)| topic.clone()).collect();
        for topic in empty {
            member.step(self.now, Input::End { topic, offset: 0 });
        }
        if member.is_busy() {
            return true;
        }
        let Some(at) = member.machine.next_wake() else { return self.faults_left > 0 };
        self.now = at.max(self.now + 1);
        self.outside.advance(self.now);
        member.step(self.now, Input::Tick);
        true
    }

    fn hit(&mut self, window: Window) {
        self.sometimes.hit(window);
    }
}

/// The memory ledger never waits, so its futures are ready when they are first looked at.
pub fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the memory ledger never waits"),
    }
}
