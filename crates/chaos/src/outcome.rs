//! What became of a case, as the state file and the page have it.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Kept,
    /// A promise was broken, or the stack did not come to rest.
    Broken(String),
    /// The fault never hit its window: the run proves nothing.
    Void(String),
    /// It cannot be run here, and why.
    NotRun(String),
}

/// Why a case ended before it was judged.
#[derive(Debug)]
pub enum End {
    Broken(String),
    Void(String),
    NotRun(String),
}

impl From<anyhow::Error> for End {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(format!("{error:#}"))
    }
}

impl From<testkit::NotInTime> for End {
    fn from(error: testkit::NotInTime) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<End> for Verdict {
    fn from(end: End) -> Self {
        match end {
            End::Broken(why) => Self::Broken(why),
            End::Void(why) => Self::Void(why),
            End::NotRun(why) => Self::NotRun(why),
        }
    }
}

/// One case, run once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub case: String,
    pub seed: u64,
    /// Of the code that ran.
    pub revision: String,
    pub verdict: Verdict,
    /// Records published, the copies among them too.
    pub records: u64,
    /// Effects in the outside system's own log.
    pub effects: u64,
    /// Processes that were killed or stopped.
    pub faults: u64,
    /// What the probes saw, and how often.
    pub probes: BTreeMap<String, u64>,
    /// Things compared, by invariant: verify's, then the history checker's as `history I1`.
    pub compared: BTreeMap<String, u64>,
    /// Records that services held when they were killed, all together: at most so many were read again.
    pub in_flight: u64,
    /// From a fault to the next committed entry, the longest, in milliseconds.
    pub recovered_ms: Option<u64>,
    /// The most that one process of a service took: resident bytes, open files, and a share of its service's connections to PostgreSQL.
    pub resident: u64,
    pub files: u64,
    #[serde(default)]
    pub connections: u64,
    /// The longest that a transaction of a service was seen open, in milliseconds.
    #[serde(default)]
    pub transaction_ms: u64,
    /// The most records that any look saw undecided in one process, and what the settings allow there (I7).
    #[serde(default)]
    pub held: u64,
    #[serde(default)]
    pub held_limit: u64,
    pub seconds: u64,
}

impl Outcome {
    /// Of a case that begins.
    #[must_use]
    pub fn of(case: &str, seed: u64, revision: &str) -> Self {
        let (probes, compared) = Default::default();
        let (case, revision) = (case.to_owned(), revision.to_owned());
        Self {
            case,
            seed,
            revision,
            verdict: Verdict::Kept,
            records: 0,
            effects: 0,
            faults: 0,
            probes,
            compared,
            in_flight: 0,
            recovered_ms: None,
            resident: 0,
            files: 0,
            connections: 0,
            transaction_ms: 0,
            held: 0,
            held_limit: 0,
            seconds: 0,
        }
    }
}

/// Outcomes of earlier runs: a line of JSON each, so that an interrupted run goes on where it was.
pub struct State {
    path: PathBuf,
    pub outcomes: Vec<Outcome>,
}

impl State {
    /// # Errors
    /// If the file is there and cannot be read. A torn last line is left out.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let outcomes = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self { path: path.to_owned(), outcomes })
    }

    /// The newest outcome of a case by this seed and code that need not be run again.
    #[must_use]
    pub fn done(&self, case: &str, seed: u64, revision: &str) -> Option<&Outcome> {
        let same = |one: &&Outcome| one.case == case && one.seed == seed && one.revision == revision;
        let found = self.outcomes.iter().rev().find(same);
        found.filter(|one| matches!(one.verdict, Verdict::Kept | Verdict::NotRun(_)))
    }

    /// The newest outcome of a case, whatever it is.
    #[must_use]
    pub fn newest(&self, case: &str) -> Option<&Outcome> {
        self.outcomes.iter().rev().find(|one| one.case == case)
    }

    /// # Errors
    /// If the line cannot be written.
    pub fn add(&mut self, outcome: Outcome) -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
        writeln!(file, "{}", serde_json::to_string(&outcome)?)?;
        self.outcomes.push(outcome);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(case: &str, verdict: Verdict) -> Outcome {
        Outcome { verdict, ..Outcome::of(case, 1, "r") }
    }

    #[test]
    fn what_was_kept_is_not_run_again_and_what_was_void_or_cut_short_is() {
        let scratch = testkit::Scratch::try_new("chaos-state").expect("a folder");
        let path = scratch.join("state.ndjson");
        let mut state = State::open(&path).expect("no file yet");
        state.add(outcome("kept", Verdict::Kept)).expect("written");
        state.add(outcome("void", Verdict::Void("never hit".into()))).expect("written");
        let torn = std::fs::read_to_string(&path).expect("there") + "{\"case\":\"torn\"";
        std::fs::write(&path, torn).expect("written");
        let state = State::open(&path).expect("read");
        assert!(state.done("kept", 1, "r").is_some());
        assert!(state.done("kept", 2, "r").is_none() && state.done("kept", 1, "other").is_none());
        assert!(state.done("void", 1, "r").is_none() && state.done("torn", 1, "r").is_none());
        assert_eq!(state.outcomes.len(), 2);
    }
}
