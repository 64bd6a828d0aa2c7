//! Time ranges that are dropped whole, and how far they may be dropped.
//!
//! The floor is always the start of a UTC day. Journal ranges are days; identity ranges are [`IDENTITY_DAYS`] long, cut
//! by the time in front of the uid. Uids without a time are kept: nothing about them proves that they are old, and a
//! forgotten one could take effect twice.

use crate::journal::Entry;
use crate::types::{Millis, ParkedRecord, PublishedMark};
use std::collections::{BTreeMap, HashMap};

pub(crate) const DAY_MS: Millis = 86_400_000;

/// Shorter ranges drop sooner; each range costs a lock and an index per look-up.
pub(crate) const IDENTITY_DAYS: i64 = 8;

/// Start of the day that `ms` lies in.
pub(crate) const fn day_start(ms: Millis) -> Millis {
    ms.div_euclid(DAY_MS).saturating_mul(DAY_MS)
}

/// Start of the identity range that `ms` lies in: below the floor's start every range lies wholly before the floor.
pub(crate) const fn identity_start(ms: Millis) -> Millis {
    const RANGE_MS: Millis = IDENTITY_DAYS * DAY_MS;
    ms.div_euclid(RANGE_MS).saturating_mul(RANGE_MS)
}

/// The oldest thing that a parked record still needs.
pub(crate) fn needed_since(record: &ParkedRecord) -> Millis {
    record.uid.and_then(|uid| uid.time_ms()).map_or(record.parked_ms, |time| time.min(record.parked_ms))
}

/// The highest number per topic and partition that an entry publishes.
pub(crate) fn publishes(entry: &Entry) -> BTreeMap<(&str, i32), i64> {
    let mut highest = BTreeMap::new();
    for outgoing in &entry.outgoing {
        let number =
            highest.entry((outgoing.event.topic.as_str(), outgoing.event.partition)).or_insert(outgoing.number);
        *number = outgoing.number.max(*number);
    }
    highest
}

/// How far each topic and partition of one slice is published.
#[derive(Debug, Default)]
pub(crate) struct Marks(HashMap<(String, i32), i64>);

impl Marks {
    pub(crate) fn add(&mut self, mark: &PublishedMark) {
        self.0.insert((mark.topic.clone(), mark.partition), mark.number);
    }

    pub(crate) fn cover(&self, topic: &str, partition: i32, number: i64) -> bool {
        self.0.get(&(topic.to_owned(), partition)).is_some_and(|mark| *mark >= number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_start_at_or_before_their_times_also_before_1970() {
        assert_eq!(day_start(DAY_MS + 5), DAY_MS);
        assert_eq!(day_start(-1), -DAY_MS);
        assert_eq!(identity_start(9 * DAY_MS), 8 * DAY_MS);
        assert_eq!(identity_start(8 * DAY_MS - 1), 0);
    }
}
