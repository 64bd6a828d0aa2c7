//! Makes a failing run small: as few events and faults as still break the same promise, so that a person can read what happened.

use super::{Plan, Scenario};

/// A smaller plan and what it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    pub plan: Plan,
    pub reason: String,
}

/// Schedules tried for each smaller input: with fewer events the same seed makes another schedule.
const SEEDS: u64 = 12;
/// Runs that shrinking may cost.
const RUNS: u32 = 3_000;

struct Shrinking<'a> {
    scenario: &'a Scenario,
    best: Shrunk,
    runs: u32,
}

impl Scenario {
    /// The smallest plan found that breaks what this one does.
    #[must_use]
    pub fn shrink(&self, plan: Plan, reason: String) -> Shrunk {
        let mut shrinking = Shrinking { scenario: self, best: Shrunk { plan, reason }, runs: 0 };
        shrinking.fewer_events();
        shrinking.fewer_faults();
        shrinking.best
    }
}

/// The number of the invariant, or what else a reason begins with.
fn invariant(reason: &str) -> &str {
    reason.split([':', '@']).next().unwrap_or_default()
}

impl Shrinking<'_> {
    fn still_fails(&mut self, plan: Plan) -> bool {
        self.runs += 1;
        match self.scenario.run(&plan) {
            Err(reason) if invariant(&reason) == invariant(&self.best.reason) => {
                self.best = Shrunk { plan, reason };
                true
            }
            _ => false,
        }
    }

    fn fewer_events(&mut self) {
        let mut kept: Vec<usize> = match &self.best.plan.kept {
            Some(kept) => kept.clone(),
            None => (0..self.scenario.events().len()).collect(),
        };
        let mut chunk = kept.len() / 2;
        while chunk > 0 && self.runs < RUNS {
            let mut from = 0;
            while from < kept.len() && self.runs < RUNS {
                let mut fewer = kept.clone();
                fewer.drain(from..(from + chunk).min(kept.len()));
                let (first, faults) = (self.best.plan.seed, self.best.plan.faults);
                let seeds = first..first + SEEDS;
                let mut plans = seeds.map(|seed| Plan { seed, faults, kept: Some(fewer.clone()) });
                if plans.any(|plan| self.still_fails(plan)) {
                    kept = fewer;
                } else {
                    from += chunk;
                }
            }
            chunk /= 2;
        }
    }

    /// A run with fewer faults is the same run up to the last of them.
    fn fewer_faults(&mut self) {
        for faults in 0..self.best.plan.faults {
            if self.still_fails(Plan { faults, ..self.best.plan.clone() }) {
                return;
            }
        }
    }
}
