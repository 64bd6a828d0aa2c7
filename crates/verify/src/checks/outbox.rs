//! I8: published events are the committed ones, first appearances in order.

use super::Finding;
use crate::{Check, Known, journal::OutboxPlace, numbers::Numbers};
use events::Record;
use std::{collections::BTreeMap, sync::Arc};

/// How far the first appearances in one partition have come.
#[derive(Default)]
struct Seen {
    highest: i64,
    /// In order, as runs: a service numbers from 1 without gaps.
    numbers: Numbers,
    /// Numbers that came after a higher one, for the first time.
    late: u64,
}

#[derive(Default)]
pub struct Outbox(BTreeMap<OutboxPlace, Seen>);

impl Outbox {
    pub fn take(&mut self, known: &Known, record: &Record) {
        let Some((slice, number)) = numbered(&known.service, record) else { return };
        let seen = self.0.entry((slice, record.topic.clone(), record.partition)).or_default();
        if number > seen.highest {
            seen.highest = number;
            seen.numbers.add(number);
        } else if !seen.numbers.holds(number) {
            seen.numbers.add(number);
            seen.late += 1;
        }
    }

    pub fn finish(mut self, known: &Known) -> Check {
        let mut finding = Finding::new();
        for (place, committed) in &known.journal.outgoing {
            let seen = self.0.remove(place).unwrap_or_default();
            finding.counted += committed.count();
            if seen.numbers != *committed || seen.late > 0 {
                let missing = committed.count() - committed.shared(&seen.numbers);
                let unknown = seen.numbers.count() - committed.shared(&seen.numbers);
                let late = seen.late;
                finding.breaks.push(format!("{}: {missing} missing, {late} late, {unknown} unknown", name(place)));
            }
        }
        for (place, seen) in self.0 {
            finding.breaks.push(format!("{}: {} events that no journal holds", name(&place), seen.numbers.count()));
        }
        finding.check("I8", "published events are the committed ones, first appearances in order", "events")
    }
}

fn name((slice, topic, partition): &(i32, Arc<str>, i32)) -> String {
    format!("{topic}/{partition} of slice {slice}")
}

/// Slice and number of an event that this service published.
fn numbered(service: &str, record: &Record) -> Option<(i32, i64)> {
    let header = record.headers.text(consumer::runtime::NUMBER_HEADER)?;
    let (slice, number) = header.strip_prefix(service)?.strip_prefix('/')?.split_once('/')?;
    Some((slice.parse().ok()?, number.parse().ok()?))
}
