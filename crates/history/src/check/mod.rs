//! The invariants, each a comparison of lines that were written independently.

mod dispositions;
mod effects;
mod order;
mod outbox;
mod progress;
mod twin;

use crate::Line;
use crate::line::{Appeared, Decided, Effect, Money, Place, Published};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// An invariant that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// `I1` … `I11`.
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// How many things an invariant was compared on; 0 means that nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    pub invariant: &'static str,
    pub count: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub compared: Vec<Compared>,
    pub broken: Vec<Broken>,
}

impl Report {
    fn count(&mut self, invariant: &'static str, count: usize) {
        let count = count as u64;
        match self.compared.iter_mut().find(|compared| compared.invariant == invariant) {
            Some(compared) => compared.count += count,
            None => self.compared.push(Compared { invariant, count }),
        }
    }

    fn broken(&mut self, invariant: &'static str, what: String) {
        self.broken.push(Broken { invariant, what });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        for Compared { invariant, count } in &self.compared {
            let breaks: Vec<_> = self.broken.iter().filter(|broken| broken.invariant == *invariant).collect();
            match (breaks.len(), count) {
                (0, 0) => writeln!(f, "{invariant:<4} not compared: the history has no lines for it")?,
                (0, count) => writeln!(f, "{invariant:<4} kept, {count} compared")?,
                (number, _) => writeln!(f, "{invariant:<4} BROKEN {number} times")?,
            }
            for broken in breaks.iter().take(SHOWN) {
                writeln!(f, "       {}", broken.what)?;
            }
        }
        Ok(())
    }
}

/// The lines of a history by kind.
#[derive(Default)]
struct View<'a> {
    published: Vec<&'a Published>,
    decided: Vec<&'a Decided>,
    effects: Vec<&'a Effect>,
    appeared: Vec<&'a Appeared>,
    parked: HashMap<&'a Place, &'a str>,
    positions: BTreeMap<(&'a str, i32), i64>,
    entries: Vec<(i32, i64, i64)>,
    committed: Vec<(i32, &'a str, i32, i64)>,
    documents: BTreeMap<&'a str, &'a str>,
    open: Vec<&'a str>,
    sent_again: Vec<&'a str>,
    crashes: Vec<(i32, u64, u64)>,
    rereads: Vec<(u64, u64, u64, u64)>,
}

impl<'a> View<'a> {
    fn of(lines: &'a [Line]) -> Self {
        let mut view = Self::default();
        for line in lines {
            match line {
                Line::Published(published) => view.published.push(published),
                Line::Decided(decided) => view.decided.push(decided),
                Line::Effect(effect) => view.effects.push(effect),
                Line::Appeared(appeared) => view.appeared.push(appeared),
                Line::Position { topic, partition, next } => {
                    view.positions.insert((topic, *partition), *next);
                }
                Line::Entry { slice, entry, epoch } => view.entries.push((*slice, *entry, *epoch)),
                Line::Parked { place, state } => {
                    view.parked.insert(place, state);
                }
                Line::Committed { slice, topic, partition, number } => {
                    view.committed.push((*slice, topic, *partition, *number));
                }
                Line::Open { what } => view.open.push(what),
                Line::Document { key, digest } => {
                    view.documents.insert(key, digest);
                }
                Line::Crash { slice, redone, limit } => view.crashes.push((*slice, *redone, *limit)),
                Line::SentAgain { key } => view.sent_again.push(key),
                Line::Reread { records, documents_changed, effects_added, published_added } => {
                    view.rereads.push((*records, *documents_changed, *effects_added, *published_added));
                }
            }
        }
        view
    }

    /// The first copy of each event, by identity and bytes.
    fn events(&self) -> BTreeMap<&'a str, &'a Published> {
        let mut first = BTreeMap::new();
        for published in &self.published {
            if let Some(event) = &published.event {
                let known = first.entry(event.as_str()).or_insert(*published);
                if published.place.topic == known.place.topic && published.place.offset < known.place.offset {
                    *known = published;
                }
            }
        }
        first
    }

    /// Where a record ended: its parked row, or what the journal says.
    fn fate(&self, decided: &'a Decided) -> &'a str {
        self.parked.get(&decided.place).copied().unwrap_or(&decided.disposition)
    }
}

/// Parked records that a person or a rule still has to do something about.
fn is_alive(state: &str) -> bool {
    matches!(state, "waiting" | "letter_pending" | "dead_lettered")
}

fn minor(money: Option<&Money>) -> i128 {
    money.map_or(0, |money| i128::from(money.minor))
}

/// Compares everything that the history tells; `twin` is a run of the same input without faults.
#[must_use]
pub fn check(lines: &[Line], twin: Option<&[Line]>) -> Report {
    let view = View::of(lines);
    let mut report = Report::default();
    dispositions::one_each(&view, &mut report);
    effects::once(&view, &mut report);
    order::of_effects(&view, &mut report);
    order::behind_parked(&view, &mut report);
    effects::money(&view, &mut report);
    progress::fenced(&view, &mut report);
    progress::live(&view, &mut report);
    progress::bounded_redo(&view, &mut report);
    outbox::published(&view, &mut report);
    outbox::letters(&view, &mut report);
    dispositions::copies_are_free(&view, &mut report);
    if let Some(twin) = twin {
        twin::equal(&View::of(twin), &view, &mut report);
    }
    report
}
