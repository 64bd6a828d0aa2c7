//! Whether this process may still believe what it believed: one that was stopped (SIGSTOP, a frozen virtual machine, a long swap)
//! wakes with calls in its queues, while another member may have taken its slices over. Writes of such a zombie are fenced by the
//! ledger; its calls would not be. So after a gap no call starts before the epochs are asked for once more.

use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub struct Awake {
    /// A longer gap is a sleep.
    limit: Duration,
    /// The last moment at which it was certain that nobody else owns our slices.
    certain: Instant,
    ticks: tokio::time::Interval,
}

impl Awake {
    /// `session`: nobody takes a slice over earlier than that after the last sign of life.
    pub fn new(session: Duration) -> Self {
        let limit = (session / 2).max(Duration::from_millis(4));
        let mut ticks = interval(limit / 4);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { limit, certain: Instant::now(), ticks }
    }

    /// Returns from time to time; while it does, the process is awake.
    pub async fn tick(&mut self) {
        self.ticks.tick().await;
        if !self.slept() {
            self.certain = Instant::now();
        }
    }

    /// True from a sleep on, until [`Awake::confirmed`].
    pub fn slept(&self) -> bool {
        self.certain.elapsed() >= self.limit
    }

    /// The epochs were asked for at `asked`, and what is not ours any more is gone.
    pub fn confirmed(&mut self, asked: Instant) {
        self.certain = self.certain.max(asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_a_sleep_until_it_is_confirmed_and_ticking_is_not() {
        let mut awake = Awake::new(Duration::from_secs(10));
        for _ in 0..20 {
            awake.tick().await;
            assert!(!awake.slept());
        }
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(awake.slept());
        awake.tick().await;
        assert!(awake.slept(), "a tick after the gap must not hide it");
        awake.confirmed(Instant::now());
        assert!(!awake.slept());
    }
}
