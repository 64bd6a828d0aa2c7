//! How many calls may be out at once: the remote account's limit, this member's share of it by owned slices, what the vendor has
//! answered lately, and a breaker that tells a broken world from a broken record. Pure: time is an argument.

use crate::handler::Limits;
use std::time::Duration;

/// What a finished call says about the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It answered, whatever it said about the business.
    Healthy,
    /// It is there, and asks for less.
    TooMany { retry_after: Option<Duration> },
    /// It is not there, or does not answer.
    Unavailable { retry_after: Option<Duration> },
}

/// Whether a call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Now,
    /// The one call that finds out whether the other side is back.
    Probe,
    /// Not before this time, in milliseconds.
    At(i64),
    /// When another call has come back.
    WhenFree,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaker {
    Closed { failures: u32 },
    Open { until: i64, opened: u32 },
    Probing { opened: u32 },
}

/// Failures in a row that open the breaker.
const OPENS_AFTER: u32 = 5;
/// First wait of an open breaker; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: i64 = 500;
const LONGEST_WAIT: i64 = 15_000;

#[derive(Debug)]
pub struct Governor {
    limits: Limits,
    /// Owned slices over all slices.
    share: f64,
    /// Adapted part of the share: halves when asked for less, grows slowly while all is well.
    factor: f64,
    in_flight: usize,
    not_before: i64,
    /// Calls allowed by the rate limit, and when they were counted.
    tokens: f64,
    counted: i64,
    breaker: Breaker,
}

impl Governor {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let breaker = Breaker::Closed { failures: 0 };
        Self { limits, share: 1.0, factor: 1.0, in_flight: 0, not_before: 0, tokens: 1.0, counted: 0, breaker }
    }

    pub fn own(&mut self, owned: usize, all: usize) {
        self.share = if all == 0 { 1.0 } else { owned as f64 / all as f64 };
    }

    /// Calls this member may have out now. Never less than one: a member that owns a slice must be able to move.
    #[must_use]
    pub fn allowed(&self) -> usize {
        let allowed = self.limits.concurrency as f64 * self.share * self.factor;
        (allowed.floor() as usize).max(1)
    }

    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.breaker, Breaker::Closed { .. })
    }

    /// 0 closed, 1 half open, 2 open: the metric's values.
    #[must_use]
    pub const fn breaker_level(&self) -> i64 {
        match self.breaker {
            Breaker::Closed { .. } => 0,
            Breaker::Probing { .. } => 1,
            Breaker::Open { .. } => 2,
        }
    }

    /// Asks for a call; `Now` and `Probe` count it as started.
    pub fn start(&mut self, now: i64) -> Start {
        match self.breaker {
            Breaker::Open { until, .. } if now < until => return Start::At(until),
            Breaker::Open { opened, .. } => {
                self.breaker = Breaker::Probing { opened };
                self.in_flight += 1;
                return Start::Probe;
            }
            Breaker::Probing { .. } => return Start::WhenFree,
            Breaker::Closed { .. } => {}
        }
        if now < self.not_before {
            return Start::At(self.not_before);
        }
        if self.in_flight >= self.allowed() {
            return Start::WhenFree;
        }
        if let Some(wait) = self.wait_for_token(now) {
            return Start::At(wait);
        }
        self.in_flight += 1;
        Start::Now
    }

    fn wait_for_token(&mut self, now: i64) -> Option<i64> {
        let rate = self.limits.per_second? * self.share * self.factor;
        if rate <= 0.0 {
            return None;
        }
        let burst = rate.max(1.0);
        let elapsed = (now - self.counted).max(0) as f64 / 1_000.0;
        self.tokens = (self.tokens + elapsed * rate).min(burst);
        self.counted = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        Some(now + (((1.0 - self.tokens) / rate * 1_000.0).ceil() as i64).max(1))
    }

    /// A call came back. True if the breaker changed between open and closed.
    pub fn finish(&mut self, now: i64, signal: Signal) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        let was_open = self.is_open();
        match signal {
            Signal::Healthy => {
                self.breaker = Breaker::Closed { failures: 0 };
                // Additive increase: about one call more per round of calls.
                self.factor = (self.factor + 1.0 / (self.allowed() as f64 * 8.0)).min(1.0);
            }
            Signal::TooMany { retry_after } => {
                self.breaker = Breaker::Closed { failures: 0 };
                self.factor = (self.factor / 2.0).max(0.01);
                self.not_before = now + wait(retry_after, 50);
            }
            Signal::Unavailable { retry_after } => self.unavailable(now, retry_after),
        }
        self.is_open() != was_open
    }

    fn unavailable(&mut self, now: i64, retry_after: Option<Duration>) {
        self.breaker = match self.breaker {
            Breaker::Closed { failures } if failures + 1 < OPENS_AFTER => Breaker::Closed { failures: failures + 1 },
            Breaker::Closed { .. } => Breaker::Open { until: now + wait(retry_after, FIRST_WAIT), opened: 1 },
            Breaker::Probing { opened } => {
                let pause = (FIRST_WAIT << opened.min(6)).min(LONGEST_WAIT);
                Breaker::Open { until: now + wait(retry_after, pause), opened: opened + 1 }
            }
            open @ Breaker::Open { .. } => open,
        };
    }
}

/// What was asked for, within reason: an absurd Retry-After must not stop a service for hours.
fn wait(retry_after: Option<Duration>, at_least: i64) -> i64 {
    const MOST: i64 = 60_000;
    retry_after.map_or(at_least, |asked| i64::try_from(asked.as_millis()).unwrap_or(MOST).clamp(at_least, MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn governor(concurrency: usize) -> Governor {
        Governor::new(Limits { batch: 1, concurrency, per_second: None, visibility_ms: 0 })
    }

    fn start_all(governor: &mut Governor, now: i64) -> usize {
        std::iter::from_fn(|| (governor.start(now) == Start::Now).then_some(())).count()
    }

    #[test]
    fn a_member_uses_its_share_of_the_accounts_limit_by_owned_slices() {
        let mut governor = governor(15);
        governor.own(4, 12);
        assert_eq!(start_all(&mut governor, 0), 5);
    }

    #[test]
    fn replicas_together_never_exceed_the_accounts_limit() {
        let members: usize = [5, 4, 3]
            .iter()
            .map(|owned| {
                let mut governor = governor(30);
                governor.own(*owned, 12);
                governor.allowed()
            })
            .sum();
        assert!(members <= 30);
    }

    #[test]
    fn too_many_requests_halve_the_calls_and_health_brings_them_back() {
        let mut governor = governor(16);
        assert_eq!(start_all(&mut governor, 0), 16);
        governor.finish(0, Signal::TooMany { retry_after: Some(Duration::from_secs(2)) });
        assert_eq!(governor.allowed(), 8);
        assert_eq!(governor.start(100), Start::At(2_000));
        (0..15).for_each(|_| {
            governor.finish(2_000, Signal::Healthy);
        });
        for _ in 0..400 {
            if governor.start(3_000) == Start::Now {
                governor.finish(3_000, Signal::Healthy);
            }
        }
        assert_eq!(governor.allowed(), 16);
    }

    #[test]
    fn an_outage_opens_the_breaker_one_probe_at_a_time_and_success_closes_it() {
        let mut governor = governor(8);
        assert_eq!(start_all(&mut governor, 0), 8);
        let changes: Vec<bool> =
            (0..8).map(|_| governor.finish(0, Signal::Unavailable { retry_after: None })).collect();
        assert_eq!(changes.iter().filter(|changed| **changed).count(), 1);
        assert_eq!(governor.start(100), Start::At(500));
        assert_eq!(governor.start(500), Start::Probe);
        assert_eq!(governor.start(501), Start::WhenFree);
        assert!(!governor.finish(600, Signal::Unavailable { retry_after: None }));
        assert_eq!(governor.start(601), Start::At(1_600));
        assert_eq!(governor.start(1_600), Start::Probe);
        assert!(governor.finish(1_700, Signal::Healthy));
        assert_eq!(governor.start(1_700), Start::Now);
    }

    #[test]
    fn one_bad_record_among_good_ones_does_not_open_the_breaker() {
        let mut governor = governor(1);
        for now in 0..50 {
            assert_eq!(governor.start(now), Start::Now);
            let signal = if now % 3 == 0 { Signal::Unavailable { retry_after: None } } else { Signal::Healthy };
            governor.finish(now, signal);
        }
        assert!(!governor.is_open());
    }

    #[test]
    fn a_rate_limit_spreads_calls_over_time() {
        let mut governor =
            Governor::new(Limits { batch: 1, concurrency: 100, per_second: Some(10.0), visibility_ms: 0 });
        let mut now = 1_000;
        let mut started = 0;
        while now < 11_000 {
            match governor.start(now) {
                Start::Now => started += 1,
                Start::At(at) => now = at,
                Start::WhenFree | Start::Probe => break,
            }
            if started % 50 == 0 {
                (0..50).for_each(|_| {
                    governor.finish(now, Signal::Healthy);
                });
            }
        }
        assert!((95..=115).contains(&started), "{started}");
    }
}
