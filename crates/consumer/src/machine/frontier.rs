//! How far one topic of a slice is contiguously done. The position never passes a record without a disposition (I1),
//! whatever the order in which records are decided; offsets that Kafka skips do not matter.

use std::collections::{BTreeSet, VecDeque};

#[derive(Debug, Default)]
pub struct Frontier {
    position: i64,
    /// Arrived records from the position on, in offset order, with whether they are decided.
    open: VecDeque<(i64, bool)>,
    /// Decided by an earlier owner although above the position it left.
    decided_before: BTreeSet<i64>,
    next_arrival: i64,
}

impl Frontier {
    #[must_use]
    pub fn new(position: i64, decided_before: BTreeSet<i64>) -> Self {
        Self { position, open: VecDeque::new(), decided_before, next_arrival: position }
    }

    /// The next offset to take: everything below has a disposition.
    #[must_use]
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// Whether the record is new to this slice; a redelivery leaves no trace.
    pub fn arrive(&mut self, offset: i64) -> bool {
        if offset < self.next_arrival {
            return false;
        }
        self.next_arrival = offset + 1;
        let decided = self.decided_before.remove(&offset);
        self.open.push_back((offset, decided));
        self.advance();
        !decided
    }

    /// The record has its disposition.
    pub fn decide(&mut self, offset: i64) {
        if let Some(index) = self.index(offset) {
            self.open[index].1 = true;
            self.advance();
        }
    }

    /// Offsets mostly have no gaps: then the distance from the first is the place.
    fn index(&self, offset: i64) -> Option<usize> {
        let guess = usize::try_from(offset - self.open.front()?.0).ok()?;
        if self.open.get(guess).is_some_and(|(found, _)| *found == offset) {
            return Some(guess);
        }
        self.open.binary_search_by_key(&offset, |(o, _)| *o).ok()
    }

    /// The topic ends here: offsets without records (transaction markers, compacted away) need no disposition.
    pub fn end(&mut self, offset: i64) {
        if self.open.is_empty() && offset > self.position {
            self.position = offset;
            self.next_arrival = self.next_arrival.max(offset);
        }
    }

    fn advance(&mut self) {
        while let Some((offset, true)) = self.open.front() {
            self.position = offset + 1;
            self.open.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_position_waits_for_the_oldest_undecided_record() {
        let mut frontier = Frontier::new(5, BTreeSet::new());
        for offset in [5, 6, 9] {
            assert!(frontier.arrive(offset));
        }
        frontier.decide(9);
        frontier.decide(6);
        assert_eq!(frontier.position(), 5);
        frontier.decide(5);
        assert_eq!(frontier.position(), 10);
    }

    #[test]
    fn what_an_earlier_owner_decided_above_its_position_is_not_new() {
        let mut frontier = Frontier::new(5, BTreeSet::from([6]));
        assert!(frontier.arrive(5));
        assert!(!frontier.arrive(6));
        frontier.decide(5);
        assert_eq!(frontier.position(), 7);
        assert!(!frontier.arrive(6), "a redelivery leaves no trace");
    }

    #[test]
    fn an_end_moves_the_position_only_past_offsets_without_records() {
        let mut frontier = Frontier::new(0, BTreeSet::new());
        frontier.arrive(0);
        frontier.end(2);
        assert_eq!(frontier.position(), 0);
        frontier.decide(0);
        frontier.end(2);
        assert_eq!(frontier.position(), 2);
    }

    proptest! {
        #[test]
        fn in_any_order_of_decisions_the_position_is_the_first_undecided_offset(order in Just((0i64..40).collect::<Vec<_>>()).prop_shuffle()) {
            let mut frontier = Frontier::new(0, BTreeSet::new());
            (0..40).for_each(|offset| { frontier.arrive(offset); });
            let mut decided = BTreeSet::new();
            for offset in order {
                frontier.decide(offset);
                decided.insert(offset);
                let first = (0..=40).find(|o| !decided.contains(o)).unwrap_or(40);
                prop_assert_eq!(frontier.position(), first);
            }
        }
    }
}
