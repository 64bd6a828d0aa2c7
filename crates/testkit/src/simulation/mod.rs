//! Simulation: the real machine and a real handler over a memory ledger, simulated topics, a model of the outside system and a
//! simulated clock, on one thread, from one seed. Faults at every boundary: between what is asked for, done and answered, at every
//! call of the ledger, of the outside system and of the topics; owners that come back as zombies, commits that come late, look-ups
//! that see late, leaves that are cut short. The same seed replays the same run.
//!
//! After a run the history checker decides what it kept (I1–I10), and its end is compared with that of a twin run without faults (I11).
//! [`assert_replay_safe`] is the test every handler has; [`Scenario`] is a case for `make simulate`, which shrinks what fails.

pub mod cases;
mod check;
mod member;
mod options;
mod outside;
mod record;
mod scenario;
mod shrink;
mod sometimes;
mod topic;
mod work;
mod world;

pub use check::{Observed, compare};
pub use options::Options;
pub use outside::{Committed, Details, Rule};
pub use scenario::{Plan, Replayed, Scenario};
pub use shrink::Shrunk;
pub use sometimes::{Sometimes, Traits, Window};
pub use world::{End, Outcome, World};

use consumer::Handler;
use events::Envelope;
use failure::Failure;
use std::sync::Arc;

/// One record of the input, as its publisher meant it.
#[derive(Debug, Clone)]
pub struct SimEvent<E> {
    pub topic: &'static str,
    /// Record key: the account.
    pub key: String,
    pub envelope: Envelope,
    /// An error stands for bytes that nobody can read.
    pub event: Result<E, Failure>,
}

impl<E> SimEvent<E> {
    /// The same for a service that reads further families.
    #[must_use]
    pub fn among<F: From<E>>(self) -> SimEvent<F> {
        let Self { topic, key, envelope, event } = self;
        SimEvent { topic, key, envelope, event: event.map(F::from) }
    }
}

/// A currency and an amount in minor units.
pub type Amount = (String, i64);

/// What an event asks to be moved outside, and what an effect moves: for I4.
pub struct Money<H: Handler> {
    pub asked: fn(&H::Event) -> Option<Amount>,
    pub moved: fn(&H::Effect) -> Option<Amount>,
}

impl<H: Handler> Clone for Money<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Handler> Copy for Money<H> {}

/// What a run is made of besides the handler.
pub struct Case<H: Handler> {
    pub handler: Arc<H>,
    pub events: Vec<SimEvent<H::Event>>,
    /// What the outside system refuses for business reasons, in every run.
    pub rule: Rule<H::Effect>,
    /// What it says of an effect that took place, besides its id: the receipt's details.
    pub details: Details<H::Effect>,
    /// Whether people try what was refused again when everything else is done: once in vain, then with the rule taken away.
    pub is_looked_after: bool,
    /// Whether these people work by jobs: what is refused is predicted and retried by jobs, with pauses and cancellations while there are
    /// faults, and what is refused for good in the end is given up.
    pub by_jobs: bool,
    pub money: Option<Money<H>>,
    /// Whether waiting events are coalesced, so that only the last effect of each entity is the same in every run.
    pub coalesces: bool,
}

impl<H: Handler> Case<H> {
    pub fn new(handler: H, events: Vec<SimEvent<H::Event>>) -> Self {
        let handler = Arc::new(handler);
        Self {
            handler,
            events,
            rule: |_| None,
            details: |_| Default::default(),
            is_looked_after: false,
            by_jobs: false,
            money: None,
            coalesces: false,
        }
    }

    /// The same with some of its events only.
    fn keeping(&self, kept: &[usize]) -> Self {
        let events = kept.iter().filter_map(|index| self.events.get(*index).cloned()).collect();
        Self {
            handler: self.handler.clone(),
            events,
            rule: self.rule,
            details: self.details,
            is_looked_after: self.is_looked_after,
            by_jobs: self.by_jobs,
            money: self.money,
            coalesces: self.coalesces,
        }
    }

    /// Runs one schedule and compares it with its twin.
    ///
    /// # Errors
    /// With the first promise that was broken.
    pub fn run(&self, seed: u64) -> Result<Sometimes, String> {
        let twin = World::new(self, Options::calm(), 0).run()?;
        self.run_against(&twin.0, Options::stormy(seed))
    }

    fn run_against(&self, twin: &Observed, options: Options) -> Result<Sometimes, String> {
        let seed = options.seed;
        let (observed, sometimes) = World::new(self, options, seed).run()?;
        self.compare(twin, &observed)?;
        Ok(sometimes)
    }

    fn compare(&self, twin: &Observed, observed: &Observed) -> Result<(), String> {
        if self.coalesces { check::compare_coalesced(twin, observed) } else { compare(twin, observed) }
    }
}

/// Runs `seeds` schedules; panics with the seed that breaks a promise. Set `THROUGHLINE_SEED` to replay one, and
/// `THROUGHLINE_SEEDS` to try more or fewer.
///
/// # Panics
/// If any schedule ends in another state than the twin, loses or repeats an effect, or breaks the order of a key, and if the
/// schedules together never reached one of the faults they are meant to show (the run would prove nothing).
pub fn assert_replay_safe<H: Handler>(case: &Case<H>, seeds: u64) {
    let twin = match World::new(case, Options::calm(), 0).run() {
        Ok((observed, _)) => observed,
        Err(reason) => panic!("the run without faults failed: {reason}"),
    };
    if let Some(seed) = from_environment("THROUGHLINE_SEED") {
        if let Err(reason) = case.run_against(&twin, Options::stormy(seed)) {
            panic!("seed {seed}: {reason}");
        }
        return;
    }
    let seeds = from_environment("THROUGHLINE_SEEDS").unwrap_or(seeds);
    let mut sometimes = Sometimes::default();
    for seed in 1..=seeds {
        match case.run_against(&twin, Options::stormy(seed)) {
            Ok(seen) => sometimes.add(&seen),
            Err(reason) => panic!("{reason}\nreplay with THROUGHLINE_SEED={seed}"),
        }
    }
    if let Some(never) = sometimes.never(Traits::of(case, &twin)) {
        panic!("{seeds} schedules never reached: {never}; the run proves nothing about it");
    }
}

impl Traits {
    /// What the case does, as its run without faults shows.
    #[must_use]
    pub fn of<H: Handler>(case: &Case<H>, twin: &Observed) -> Self {
        Self {
            by_jobs: case.by_jobs,
            has_effects: !twin.effects.is_empty(),
            publishes: !twin.published.is_empty(),
            parks: !twin.cases.is_empty(),
        }
    }
}

/// Seeds to try: from 1 to `count`, or what `THROUGHLINE_SEED` (that one alone) and `THROUGHLINE_SEEDS` (so many) say.
#[must_use]
pub fn seeds(count: u64) -> std::ops::RangeInclusive<u64> {
    match from_environment("THROUGHLINE_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=from_environment("THROUGHLINE_SEEDS").unwrap_or(count),
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
