//! What was asked and answered: the newest requests, and counts of all.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// One request. Headers and bodies are not kept: they may hold tokens.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// From 1 since the last reset.
    pub seq: u64,
    /// Virtual time of arrival.
    pub at: jiff::Timestamp,
    pub method: String,
    /// Path as the client sent it.
    pub path: String,
    /// Status of the answer; absent when the connection was cut.
    pub status: Option<u16>,
    /// The fault rule that decided, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

const KEPT: usize = 10_000;

/// The journal of requests.
#[derive(Debug, Default)]
pub struct Journal {
    newest: VecDeque<Seen>,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
    total: u64,
}

impl Journal {
    /// Notes a request. `route` is its method and path without ids, under which it is counted.
    pub fn note(&mut self, route: String, mut seen: Seen) {
        self.total += 1;
        seen.seq = self.total;
        let answer = seen.status.map_or_else(|| "cut".to_owned(), |status| status.to_string());
        *self.counts.entry(route).or_default().entry(answer).or_default() += 1;
        if self.newest.len() == KEPT {
            self.newest.pop_back();
        }
        self.newest.push_front(seen);
    }

    /// All requests since the last reset.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counts by route and answer.
    pub fn counts(&self) -> &BTreeMap<String, BTreeMap<String, u64>> {
        &self.counts
    }

    /// The newest requests, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Seen> {
        self.newest.iter()
    }
}
