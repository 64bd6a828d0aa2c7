//! A set of numbers that come almost in order, as the runs that they make: millions of them take a few bytes.

use std::collections::BTreeMap;

/// First number of each run → its last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Numbers(BTreeMap<i64, i64>);

impl Numbers {
    pub fn add(&mut self, number: i64) {
        if self.holds(number) {
            return;
        }
        let mut last = number;
        if let Some(end) = self.0.remove(&(number + 1)) {
            last = end;
        }
        match self.0.range_mut(..number).next_back() {
            Some((_, end)) if *end + 1 == number => *end = last,
            _ => drop(self.0.insert(number, last)),
        }
    }

    pub fn holds(&self, number: i64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| length(*first, *last)).sum()
    }

    /// How many numbers are in both.
    pub fn shared(&self, other: &Self) -> u64 {
        let overlaps = |(first, last): (&i64, &i64)| -> u64 {
            let begun_before = other.0.range(..*first).next_back();
            let runs = begun_before.into_iter().chain(other.0.range(*first..=*last));
            runs.map(|(from, to)| length(*first.max(from), *last.min(to))).sum()
        };
        self.0.iter().map(overlaps).sum()
    }
}

/// Numbers from `first` to `last`, both included.
fn length(first: i64, last: i64) -> u64 {
    u64::try_from(last - first + 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn both(numbers: &[i64]) -> (Numbers, BTreeSet<i64>) {
        let mut runs = Numbers::default();
        numbers.iter().for_each(|number| runs.add(*number));
        (runs, numbers.iter().copied().collect())
    }

    #[test]
    fn runs_hold_what_a_set_holds_in_whatever_order_it_comes() {
        // A small generator of its own: every order of a few hundred numbers with gaps and repetitions.
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> 57).expect("small")
        };
        for _ in 0..200 {
            let (a, plain_a) = both(&(0..next()).map(|_| next()).collect::<Vec<_>>());
            let (b, plain_b) = both(&(0..next()).map(|_| next()).collect::<Vec<_>>());
            assert_eq!(a.count(), plain_a.len() as u64);
            assert!((0..130).all(|number| a.holds(number) == plain_a.contains(&number)));
            assert_eq!(a.shared(&b), plain_a.intersection(&plain_b).count() as u64);
            assert_eq!(a == b, plain_a == plain_b);
        }
    }

    #[test]
    fn numbers_in_order_are_one_run() {
        let (runs, _) = both(&(1..=1_000).collect::<Vec<_>>());
        assert_eq!(runs.0.len(), 1);
    }
}
