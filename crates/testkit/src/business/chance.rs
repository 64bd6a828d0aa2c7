//! Chance that repeats itself: everything drawn comes from the seed and the account's number.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A UUIDv7 whose random part comes from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct EventId(pub(super) uuid::Uuid);

impl EventId {
    pub(super) const NIL: Self = Self(uuid::Uuid::nil());
}

/// One stream of chance.
#[derive(Debug, Clone)]
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub(super) fn of_account(seed: u64, index: u32) -> Self {
        Self::of_stream(seed, u64::from(index))
    }

    /// Chance for what concerns no single account.
    pub(super) fn of_disturbance(seed: u64) -> Self {
        Self::of_stream(seed, u64::MAX)
    }

    fn of_stream(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Below `bound`; 0 where the bound is 0. The bias of the multiplication is far below anything that could be seen here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).max(0) as u64 + 1) as i64
    }

    /// From 0 up to 1, without 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn share(&mut self, share: f64) -> bool {
        share > 0.0 && self.unit() < share
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of `items`, each as often as its weight says.
    pub(super) fn weighted<'a, T>(&mut self, items: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
        let mut drawn = self.below(items.iter().map(|item| u64::from(weight(item))).sum()) as u32;
        for item in items {
            match drawn.checked_sub(weight(item)) {
                Some(rest) => drawn = rest,
                None => return item,
            }
        }
        &items[items.len() - 1]
    }

    pub(super) fn event_id(&mut self, at_ms: i64) -> EventId {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.0.next_u64().to_le_bytes());
        random[8..].copy_from_slice(&self.0.next_u32().to_le_bytes()[..2]);
        EventId(uuid::Builder::from_unix_timestamp_millis(at_ms.max(0) as u64, &random).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, index| Chance::of_account(seed, index).below(u64::MAX);
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn an_event_id_is_a_version_7_uuid_of_its_time() {
        let id = Chance::of_account(1, 1).event_id(1_767_225_600_123);
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(events::Uid::derive("x", &id.0.to_string()).time_ms(), Some(1_767_225_600_123));
    }

    #[test]
    fn weights_decide_how_often_an_item_is_drawn() {
        let mut chance = Chance::of_account(7, 0);
        let often = (0..10_000).filter(|_| *chance.weighted(&[9u32, 1], |weight| *weight) == 9).count();
        assert!((8_500..9_500).contains(&often), "{often}");
    }
}
