//! I5, I6 and I7: who wrote, whether all was done, and how much a crash cost.

use super::{Report, View};
use std::collections::BTreeMap;

/// I5: in the order of a slice's journal, epochs never fall and entries have no gaps.
pub(super) fn fenced(view: &View<'_>, report: &mut Report) {
    let mut last: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    report.count("I5", view.entries.len());
    for (slice, entry, epoch) in &view.entries {
        if let Some((before, newest)) = last.insert(*slice, (*entry, *epoch)) {
            if *epoch < newest {
                report.broken("I5", format!("slice {slice}: entry {entry} has epoch {epoch} after epoch {newest}"));
            }
            if *entry != before + 1 {
                report.broken("I5", format!("slice {slice}: entry {entry} follows entry {before}"));
            }
        }
    }
}

/// I6: everything is read and nothing stays open.
pub(super) fn live(view: &View<'_>, report: &mut Report) {
    let mut ends: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    for published in &view.published {
        let end = ends.entry((published.place.topic.as_str(), published.place.partition)).or_default();
        *end = (*end).max(published.place.offset + 1);
    }
    report.count("I6", ends.len());
    for ((topic, partition), end) in ends {
        let position = view.positions.get(&(topic, partition)).copied().unwrap_or(0);
        if position < end {
            report.broken("I6", format!("{topic}/{partition}: {} records to read", end - position));
        }
    }
    for what in &view.open {
        report.broken("I6", format!("{what} is still open"));
    }
}

/// I7: what a crash makes a new owner decide again is bounded by what may be in flight.
pub(super) fn bounded_redo(view: &View<'_>, report: &mut Report) {
    report.count("I7", view.crashes.len());
    for (slice, redone, limit) in &view.crashes {
        if redone > limit {
            report.broken("I7", format!("slice {slice}: {redone} records again after a crash, the limit is {limit}"));
        }
    }
}
