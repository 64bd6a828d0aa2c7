//! When a slice stops by itself: too many of its events become dead letters. One bad record is a letter; a broken world is not ten
//! thousand letters.
//!
//! Counted are the ends of events that nobody of ours had a hand in: took effect, or became a letter. What jobs of people try does not
//! count, they look at it already and have a stop rule of their own. Counts live in memory: a slice that was let go on, or taken over,
//! counts anew.

use super::io::{StopTheLine, millis};
use ledger::Millis;
use std::collections::VecDeque;

/// Parts of the window: it moves on by one at a time.
const PARTS: i64 = 20;

/// Ends of events in one part of the window.
#[derive(Debug, Clone, Copy)]
struct Part {
    since: Millis,
    applied: u64,
    letters: u64,
}

/// What has ended lately.
#[derive(Debug, Default)]
pub(super) struct Line {
    parts: VecDeque<Part>,
    in_row: u32,
}

impl Line {
    /// So many events took effect.
    pub(super) fn applied(&mut self, count: usize, rule: &StopTheLine, now: Millis) {
        self.in_row = 0;
        self.part(rule, now).applied += count as u64;
    }

    /// An event became a letter. Answers why the slice must stop, if it must.
    pub(super) fn letter(&mut self, rule: &StopTheLine, now: Millis) -> Option<String> {
        self.in_row = self.in_row.saturating_add(1);
        self.part(rule, now).letters += 1;
        let letters: u64 = self.parts.iter().map(|part| part.letters).sum();
        let ended = letters + self.parts.iter().map(|part| part.applied).sum::<u64>();
        let window = rule.window.as_secs();
        if self.in_row > rule.in_row {
            return Some(format!("{} dead letters in a row", self.in_row));
        }
        if rule.letters > 0 && letters > u64::from(rule.letters) {
            return Some(format!("{letters} dead letters within {window} s, more than {}", rule.letters));
        }
        let percent = u64::from(rule.percent);
        if percent > 0 && ended >= u64::from(rule.percent_from) && letters * 100 > percent * ended {
            return Some(format!(
                "{letters} of {ended} events within {window} s became dead letters, more than {percent} %"
            ));
        }
        None
    }

    /// The newest part; what has left the window is forgotten. A clock that goes back counts in the newest part there is.
    fn part(&mut self, rule: &StopTheLine, now: Millis) -> &mut Part {
        let window = millis(rule.window);
        while self.parts.front().is_some_and(|part| part.since <= now - window) {
            self.parts.pop_front();
        }
        let length = (window / PARTS).max(1);
        if self.parts.back().is_none_or(|part| part.since + length <= now) {
            self.parts.push_back(Part { since: now, applied: 0, letters: 0 });
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NONE: StopTheLine =
        StopTheLine { in_row: u32::MAX, window: Duration::from_secs(60), letters: 0, percent: 0, percent_from: 0 };

    #[test]
    fn more_letters_in_a_row_than_allowed_stop_and_one_success_begins_anew() {
        let rule = StopTheLine { in_row: 3, ..NONE };
        let mut line = Line::default();
        assert!((0..3).all(|_| line.letter(&rule, 0).is_none()));
        line.applied(1, &rule, 0);
        assert!((0..3).all(|_| line.letter(&rule, 0).is_none()));
        assert_eq!(line.letter(&rule, 0).as_deref(), Some("4 dead letters in a row"));
    }

    #[test]
    fn a_count_of_letters_stops_within_the_window_and_not_beyond_it() {
        let rule = StopTheLine { letters: 5, ..NONE };
        let (mut slow, mut fast) = (Line::default(), Line::default());
        assert!((0..100).all(|n| slow.letter(&rule, n * 13_000).is_none()), "five a minute, for ever");
        let stopped = (0..100).find_map(|n| {
            fast.applied(100, &rule, n * 1_000);
            fast.letter(&rule, n * 1_000).map(|reason| (n, reason))
        });
        assert_eq!(stopped, Some((5, "6 dead letters within 60 s, more than 5".to_owned())));
    }

    #[test]
    fn a_ratio_stops_only_once_enough_events_ended() {
        let rule = StopTheLine { percent: 10, percent_from: 50, ..NONE };
        let mut few = Line::default();
        assert!((0..49).all(|_| few.letter(&rule, 0).is_none()), "too few to say");
        assert!(few.letter(&rule, 0).is_some());
        let mut most_are_well = Line::default();
        for n in 0..1_000 {
            most_are_well.applied(9, &rule, n);
            assert_eq!(most_are_well.letter(&rule, n), None, "one in ten is not more than 10 %");
        }
        let reason = most_are_well.letter(&rule, 1_000);
        assert!(reason.is_some_and(|reason| reason.ends_with("became dead letters, more than 10 %")));
    }

    #[test]
    fn what_left_the_window_does_not_count_in_the_ratio() {
        let rule = StopTheLine { percent: 50, percent_from: 10, ..NONE };
        let mut line = Line::default();
        line.applied(1_000, &rule, 0);
        assert!((0..20).all(|n| line.letter(&rule, 4_000 + n).is_none()), "a good minute before it");
        assert!(line.letter(&rule, 60_500).is_some(), "only the letters are left");
    }

    #[test]
    fn memory_is_bounded_whatever_the_rate() {
        let rule = StopTheLine { window: Duration::from_secs(3_600), ..NONE };
        let mut line = Line::default();
        (0..100_000).for_each(|n| line.applied(1, &rule, n * 1_000));
        assert!(line.parts.len() <= PARTS as usize + 1, "{}", line.parts.len());
    }
}
