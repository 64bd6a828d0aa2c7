//! A retry policy is the delays it allows: an iterator, so that a test reads it and no loop can forget its bound.

use std::time::Duration;

/// Exponential back-off with jitter. `attempts: None` goes on for ever, which is right only for what must not be given up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RetryPolicy {
    /// Delay before the second attempt.
    pub first: Duration,
    /// No delay is longer than this.
    pub max: Duration,
    /// Attempts after the first one; `None` means no end.
    pub attempts: Option<u32>,
}

impl RetryPolicy {
    #[must_use]
    pub const fn new(first: Duration, max: Duration, attempts: Option<u32>) -> Self {
        Self { first, max, attempts }
    }

    /// The delays, jittered by ±20 % from `seed`: the same seed gives the same delays.
    ///
    /// ```
    /// # use failure::RetryPolicy; use std::time::Duration;
    /// let policy = RetryPolicy::new(Duration::from_millis(100), Duration::from_secs(1), Some(3));
    /// assert_eq!(policy.delays(7).count(), 3);
    /// ```
    #[must_use]
    pub fn delays(&self, seed: u64) -> Delays {
        Delays { policy: self.clone(), seed, attempt: 0 }
    }

    /// The delay after `attempt` failed attempts (from 1), or `None` once the policy gives up.
    #[must_use]
    pub fn delay_after(&self, attempt: u32, seed: u64) -> Option<Duration> {
        if attempt == 0 || self.attempts.is_some_and(|most| attempt > most) {
            return None;
        }
        let doublings = (attempt - 1).min(20);
        let base = self.first.saturating_mul(1 << doublings).min(self.max);
        Some(jitter(base, seed ^ u64::from(attempt)).min(self.max))
    }
}

/// The iterator of [`RetryPolicy::delays`].
#[derive(Debug, Clone)]
pub struct Delays {
    policy: RetryPolicy,
    seed: u64,
    attempt: u32,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.attempt = self.attempt.saturating_add(1);
        self.policy.delay_after(self.attempt, self.seed)
    }
}

/// ±20 %, from a splitmix64 step: spreading is all that is asked of it.
fn jitter(base: Duration, seed: u64) -> Duration {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let share = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
    base.mul_f64(0.8 + 0.4 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays_double_until_the_cap_and_end_with_the_attempts() {
        let policy = RetryPolicy::new(Duration::from_millis(100), Duration::from_millis(400), Some(5));
        let delays: Vec<_> = policy.delays(1).collect();
        assert_eq!(delays.len(), 5);
        assert!(delays[0] < delays[1] && delays[1] < delays[2]);
        assert!(delays.iter().all(|delay| *delay <= policy.max));
    }

    proptest! {
        #[test]
        fn no_attempt_waits_longer_than_the_cap(attempt in 1u32..10_000, seed: u64) {
            let policy = RetryPolicy::new(Duration::from_millis(50), Duration::from_secs(30), None);
            prop_assert!(policy.delay_after(attempt, seed).is_some_and(|delay| delay <= policy.max));
        }
    }
}
