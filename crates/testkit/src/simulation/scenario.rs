//! A case with its handler forgotten, so that cases of many services can be run, shrunk and replayed alike.

use super::{Case, Observed, Options, Sometimes, Traits, World, options::FAULTS};
use consumer::Handler;
use history::Line;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

/// Names one run for ever: with the case and the code, all that is needed to replay it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    /// Faults before the world heals.
    pub faults: u32,
    /// Which events of the case there are; `None` for all.
    pub kept: Option<Vec<usize>>,
}

impl Plan {
    #[must_use]
    pub const fn whole(seed: u64) -> Self {
        Self { seed, faults: FAULTS, kept: None }
    }

    fn options(&self) -> Options {
        Options { faults: self.faults, ..Options::stormy(self.seed) }
    }
}

/// A run that was replayed with everything written down.
pub struct Replayed {
    pub end: Result<(), String>,
    pub trace: Vec<String>,
    /// The history of a run that came to its end.
    pub lines: Vec<Line>,
}

trait Runs: Send + Sync {
    fn run(&self, plan: &Plan) -> Result<Sometimes, String>;
    fn replay(&self, plan: &Plan) -> Replayed;
    fn traits(&self) -> Result<Traits, String>;
    fn events(&self) -> Vec<String>;
}

/// A named case.
pub struct Scenario {
    pub name: &'static str,
    runs: Box<dyn Runs>,
}

struct Prepared<H: Handler> {
    case: Case<H>,
    twin: OnceLock<Result<Observed, String>>,
}

impl<H: Handler> Prepared<H> {
    fn twin(&self) -> Result<&Observed, String> {
        let twin =
            self.twin.get_or_init(|| caught(|| World::new(&self.case, Options::calm(), 0).run().map(|(end, _)| end)));
        twin.as_ref().map_err(|reason| format!("without faults: {reason}"))
    }
}

/// A panic is a finding like any other.
fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

impl<H: Handler> Runs for Prepared<H> {
    fn run(&self, plan: &Plan) -> Result<Sometimes, String> {
        let Some(kept) = &plan.kept else {
            let twin = self.twin()?;
            return caught(|| self.case.run_against(twin, plan.options()));
        };
        let case = self.case.keeping(kept);
        caught(|| {
            let twin = World::new(&case, Options::calm(), 0).run()?;
            case.run_against(&twin.0, plan.options())
        })
    }

    fn replay(&self, plan: &Plan) -> Replayed {
        let all: Vec<usize> = (0..self.case.events.len()).collect();
        let case = self.case.keeping(plan.kept.as_deref().unwrap_or(&all));
        let options = Options { traced: true, ..plan.options() };
        let mut replayed = Replayed { end: Ok(()), trace: Vec::new(), lines: Vec::new() };
        let end = caught(|| {
            let twin = World::new(&case, Options::calm(), 0).run()?.0;
            let outcome = World::new(&case, options, plan.seed).outcome();
            replayed.trace = outcome.trace;
            let end = outcome.end?;
            replayed.lines = end.lines;
            case.compare(&twin, &end.observed)
        });
        Replayed { end, ..replayed }
    }

    fn traits(&self) -> Result<Traits, String> {
        self.twin().map(|twin| Traits::of(&self.case, twin))
    }

    fn events(&self) -> Vec<String> {
        self.case.events.iter().map(|event| format!("{} {} {}", event.topic, event.key, event.envelope.id)).collect()
    }
}

impl Scenario {
    pub fn new<H: Handler>(name: &'static str, case: Case<H>) -> Self {
        Self { name, runs: Box::new(Prepared { case, twin: OnceLock::new() }) }
    }

    /// Runs one schedule and compares it with its twin.
    ///
    /// # Errors
    /// With the promise that was broken, by its number where it has one.
    pub fn run(&self, plan: &Plan) -> Result<Sometimes, String> {
        self.runs.run(plan)
    }

    #[must_use]
    pub fn replay(&self, plan: &Plan) -> Replayed {
        self.runs.replay(plan)
    }

    /// # Errors
    /// If even the run without faults breaks a promise.
    pub fn traits(&self) -> Result<Traits, String> {
        self.runs.traits()
    }

    /// The input, a line each.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        self.runs.events()
    }
}
