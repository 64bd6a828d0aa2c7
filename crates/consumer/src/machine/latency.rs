//! How long events of each source took to take effect outside, by minute: counts and sums that add up over slices and minutes. A minute is
//! told when it is over; until then it is a document of the ledger.

use ledger::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kind of the document that holds the open minutes of a slice.
pub const KIND: &str = "sync_latency";

/// Bounds of the histogram: a column each, so that no row has a list.
pub(super) const UP_TO_MS: [Millis; 10] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000];

const MINUTE_MS: Millis = 60_000;

/// The newest minute of each source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Minutes(BTreeMap<String, Minute>);

/// One minute of one source; without events it has been told already, and only its number counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Minute {
    /// From 1, without gaps.
    pub number: i64,
    pub begin_ms: Millis,
    pub newest_ms: Millis,
    pub events: i64,
    pub sum_ms: i64,
    pub max_ms: i64,
    /// Cumulative.
    pub up_to: [i64; UP_TO_MS.len()],
}

/// A minute that is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub source: String,
    pub minute: Minute,
}

impl Minutes {
    /// What the ledger kept of the last owner.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers under text keys are always JSON")
    }

    /// Counts an event; the minute before, if that is over now. A clock that went back counts into the newest minute.
    pub fn count(&mut self, source: &str, latency_ms: Millis, now: Millis) -> Option<Closed> {
        let begin_ms = now - now.rem_euclid(MINUTE_MS);
        if !self.0.contains_key(source) {
            self.0.insert(source.to_owned(), Minute::default());
        }
        let minute = self.0.get_mut(source)?;
        let closed = (minute.events > 0 && begin_ms > minute.begin_ms).then(|| minute.take());
        if minute.events == 0 {
            *minute = Minute { number: minute.number + 1, begin_ms, ..Minute::default() };
        }
        let latency_ms = latency_ms.max(0);
        minute.events += 1;
        minute.sum_ms = minute.sum_ms.saturating_add(latency_ms);
        minute.max_ms = minute.max_ms.max(latency_ms);
        minute.newest_ms = minute.newest_ms.max(now);
        for (bound, count) in UP_TO_MS.iter().zip(&mut minute.up_to) {
            *count += i64::from(latency_ms <= *bound);
        }
        closed.map(|minute| Closed { source: source.to_owned(), minute })
    }

    /// All minutes that are over.
    pub fn close(&mut self, now: Millis) -> Vec<Closed> {
        let over = self.0.iter_mut().filter(|(_, minute)| minute.events > 0 && minute.end_ms() <= now);
        over.map(|(source, minute)| Closed { source: source.clone(), minute: minute.take() }).collect()
    }

    /// When the first open minute is over.
    pub fn due(&self) -> Option<Millis> {
        self.0.values().filter(|minute| minute.events > 0).map(Minute::end_ms).min()
    }
}

impl Minute {
    const fn end_ms(&self) -> Millis {
        self.begin_ms + MINUTE_MS
    }

    /// It is told, and begins nothing by itself.
    fn take(&mut self) -> Self {
        let told = *self;
        *self = Self { number: told.number, begin_ms: told.begin_ms, ..Self::default() };
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_says_what_was_counted_by_hand() {
        let mut minutes = Minutes::default();
        for (latency, now) in [(90, 60_000), (100, 60_010), (7_000, 119_999)] {
            assert_eq!(minutes.count("billing", latency, now), None);
        }
        assert_eq!(minutes.count("crm", 5, 119_999), None, "each source has a minute of its own");
        assert_eq!(minutes.due(), Some(120_000));
        assert_eq!(minutes.close(119_999), []);
        let closed = minutes.count("billing", 1, 120_000).expect("the minute is over");
        let up_to = [2, 2, 2, 2, 2, 2, 3, 3, 3, 3];
        let minute =
            Minute { number: 1, begin_ms: 60_000, newest_ms: 119_999, events: 3, sum_ms: 7_190, max_ms: 7_000, up_to };
        assert_eq!(closed, Closed { source: "billing".into(), minute });
        let rest: Vec<_> =
            minutes.close(180_000).into_iter().map(|closed| (closed.source, closed.minute.number)).collect();
        assert_eq!(rest, [("billing".into(), 2), ("crm".into(), 1)]);
        assert_eq!((minutes.close(i64::MAX), minutes.due()), (Vec::new(), None), "each minute is told once");
    }

    #[test]
    fn the_next_owner_goes_on_with_the_open_minute() {
        let mut minutes = Minutes::default();
        minutes.count("billing", 10, 61_000);
        let mut next = Minutes::read(&minutes.to_json()).expect("its own form");
        assert_eq!(next, minutes);
        next.count("billing", 20, 59_000);
        let closed = next.close(120_000).remove(0).minute;
        assert_eq!((closed.number, closed.events, closed.sum_ms), (1, 2, 30), "its clock is behind: the minute stays");
    }
}
