//! I9: a dead letter equals its source byte for byte.

use super::Finding;
use crate::{Check, places::Place};
use consumer::machine::CLAIM_CHECK;
use events::Record;
use std::collections::BTreeMap;

/// Letters whose source has not passed by yet.
#[derive(Default)]
pub struct Letters {
    waiting: BTreeMap<Place, Vec<Record>>,
    finding: Finding,
}

impl Letters {
    pub fn take(&mut self, letter: Record) {
        match source(&letter) {
            Some(place) => self.waiting.entry(place).or_default().push(letter),
            None => self.finding.expect(false, || format!("letter @{} does not say where it came from", letter.offset)),
        }
    }

    pub fn compare(&mut self, place: &Place, source: &Record) {
        if self.waiting.is_empty() {
            return;
        }
        for letter in self.waiting.remove(place).into_iter().flatten() {
            self.finding.expect(equals(&letter, source), || format!("letter @{} differs from {place}", letter.offset));
        }
    }

    pub fn finish(mut self) -> Check {
        for (place, letters) in self.waiting {
            for letter in letters {
                self.finding.expect(false, || format!("letter @{}: its source {place} is not there", letter.offset));
            }
        }
        self.finding.check("I9", "a dead letter equals its source byte for byte", "letters")
    }
}

fn equals(letter: &Record, source: &Record) -> bool {
    let carries_value = letter.headers.get(CLAIM_CHECK).is_none();
    let headers_equal =
        letter.headers.get("dlq.headers_dropped").is_some() || letter.headers.0.starts_with(&source.headers.0);
    letter.key == source.key && (!carries_value || letter.value == source.value) && headers_equal
}

/// Where a dead letter says that it came from.
fn source(letter: &Record) -> Option<Place> {
    let text = |name: &str| letter.headers.text(name);
    Some(Place {
        topic: text("dlq.original.topic")?.into(),
        partition: text("dlq.original.partition")?.parse().ok()?,
        offset: text("dlq.original.offset")?.parse().ok()?,
    })
}
