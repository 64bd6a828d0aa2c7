//! I1: every offset below a position has exactly one disposition.

use super::{Finding, Ranges};
use crate::{Check, Known, input::Input, places::Place};

#[derive(Default)]
pub struct Dispositions(Finding);

impl Dispositions {
    pub fn take(&mut self, known: &Known, input: &Input) {
        let Place { topic, partition, offset } = &input.place;
        let position = known.journal.positions.get(&(topic.clone(), *partition)).copied().unwrap_or(0);
        let count = input.told.map_or(0, |told| told.count);
        let expected = u8::from(*offset < position && !known.journal.accepted.passed(&input.place));
        self.0.expect(count == expected || (expected == 0 && count == 1), || {
            format!("{} has {count} dispositions, the position is {position}", input.place)
        });
    }

    pub fn finish(mut self, ranges: &Ranges, untold: impl Iterator<Item = Place>) -> Check {
        for place in untold {
            let low = ranges.get(&(place.topic.clone(), place.partition)).map_or(0, |range| range.0);
            if place.offset >= low {
                self.0.breaks.push(format!("{place} is in the journal and not in the topic"));
            }
        }
        self.0.check("I1", "every offset below a position has exactly one disposition", "records")
    }
}
