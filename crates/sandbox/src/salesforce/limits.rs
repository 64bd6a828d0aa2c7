//! The organisation's quota of requests in 24 rolling hours.

use std::collections::VecDeque;

const MINUTE_MS: i64 = 60_000;
const WINDOW_MINUTES: i64 = 24 * 60;

/// Requests by minute of virtual time.
#[derive(Debug, Default)]
pub struct Quota {
    minutes: VecDeque<(i64, u64)>,
    used: u64,
}

impl Quota {
    /// Counts one request unless that would be more than `most`.
    pub fn take(&mut self, now_ms: i64, most: u64) -> bool {
        let minute = now_ms / MINUTE_MS;
        while let Some((oldest, count)) = self.minutes.front().copied().filter(|(at, _)| *at <= minute - WINDOW_MINUTES)
        {
            debug_assert!(oldest < minute);
            self.used -= count;
            self.minutes.pop_front();
        }
        if self.used >= most {
            return false;
        }
        self.used += 1;
        match self.minutes.back_mut() {
            Some((at, count)) if *at == minute => *count += 1,
            Some(_) | None => self.minutes.push_back((minute, 1)),
        }
        true
    }

    /// Requests of the last 24 hours.
    pub fn used(&self) -> u64 {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_free_again_after_a_day() {
        let mut quota = Quota::default();
        assert!(quota.take(0, 2) && quota.take(MINUTE_MS, 2) && !quota.take(2 * MINUTE_MS, 2));
        assert!(quota.take(WINDOW_MINUTES * MINUTE_MS, 2), "the first one is a day old");
        assert!(!quota.take(WINDOW_MINUTES * MINUTE_MS, 2));
        assert_eq!(quota.used(), 2);
    }
}
