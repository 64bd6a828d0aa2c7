//! Simulation: the real machine and a real handler over a memory ledger, a simulated topic, a model of the outside system and a
//! simulated clock, on one thread, from one seed. Faults at every boundary: crashes before and after each commit and call, owners
//! that come back as zombies, redelivery, lost answers, late effects, dependencies that are down. The same seed replays the same run.
//!
//! [`assert_replay_safe`] is the test every handler has: under any schedule the final documents, the outside system's own log and the
//! published events equal those of a twin run without faults.

mod check;
mod member;
mod outside;
mod world;

pub use check::{Observed, compare};
pub use outside::{Committed, Rule};
pub use world::{Options, Sometimes, World};

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

/// What a run is made of besides the handler.
pub struct Case<H: Handler> {
    pub handler: Arc<H>,
    pub events: Vec<SimEvent<H::Event>>,
    /// What the outside system refuses for business reasons, in every run.
    pub rule: Rule<H::Effect>,
    /// Whether people try what was refused again when everything else is done: once in vain, then with the rule taken away.
    pub is_looked_after: bool,
    /// Whether these people work by jobs: what is refused is predicted and retried by jobs, with pauses and cancellations while there are
    /// faults, and what is refused for good in the end is given up.
    pub by_jobs: bool,
}

impl<H: Handler> Case<H> {
    pub fn new(handler: H, events: Vec<SimEvent<H::Event>>) -> Self {
        Self { handler: Arc::new(handler), events, rule: |_| None, is_looked_after: false, by_jobs: false }
    }

    /// Runs one schedule and compares it with its twin.
    pub fn run(&self, seed: u64) -> Result<Sometimes, String> {
        let twin = World::new(self, Options::calm(), 0).run()?;
        self.run_against(&twin.0, seed)
    }

    fn run_against(&self, twin: &Observed, seed: u64) -> Result<Sometimes, String> {
        let (observed, sometimes) = World::new(self, Options::stormy(seed), seed).run()?;
        compare(twin, &observed)?;
        Ok(sometimes)
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
        if let Err(reason) = case.run_against(&twin, seed) {
            panic!("seed {seed}: {reason}");
        }
        return;
    }
    let seeds = from_environment("THROUGHLINE_SEEDS").unwrap_or(seeds);
    let mut sometimes = Sometimes::default();
    for seed in 1..=seeds {
        match case.run_against(&twin, seed) {
            Ok(seen) => sometimes.add(&seen),
            Err(reason) => panic!("{reason}\nreplay with THROUGHLINE_SEED={seed}"),
        }
    }
    if let Some(never) = sometimes.never(!twin.effects.is_empty(), !twin.published.is_empty()) {
        panic!("{seeds} schedules never reached: {never}; the run proves nothing about it");
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
