//! How many calls at once a remote account bears: found out by asking, because no vendor tells it in time.
//!
//! Additive increase, multiplicative decrease: a refusal for load halves the limit, a full round of successes raises it by one.
//! [`AdaptiveLimit::acquire`] holds calls back beyond it, so that a 429 slows the next call down and not the one after the next.

use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

#[derive(Debug)]
pub struct AdaptiveLimit {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    most: usize,
    limit: usize,
    in_flight: usize,
    successes: usize,
}

/// A place among the calls in flight; dropping it frees the place.
#[derive(Debug)]
pub struct Place<'a> {
    of: &'a AdaptiveLimit,
}

impl AdaptiveLimit {
    /// Starts at `most` and never goes above it nor below 1.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { state: Mutex::new(State { most, limit: most, in_flight: 0, successes: 0 }), freed: Notify::new() }
    }

    /// What [`Self::current`] never goes above.
    #[must_use]
    pub fn most(&self) -> usize {
        self.lock().most
    }

    /// Lowers the most; calls in flight beyond it end in their own time.
    pub fn keep_below(&self, most: usize) {
        let mut state = self.lock();
        state.most = state.most.min(most.max(1));
        state.limit = state.limit.min(state.most);
    }

    #[must_use]
    pub fn current(&self) -> usize {
        self.lock().limit
    }

    /// Waits for a place.
    pub async fn acquire(&self) -> Place<'_> {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.lock();
                if state.in_flight < state.limit {
                    state.in_flight += 1;
                    return Place { of: self };
                }
            }
            freed.await;
        }
    }

    /// The other side refused a call for load.
    pub fn refused(&self) {
        let mut state = self.lock();
        state.limit = (state.limit / 2).max(1);
        state.successes = 0;
    }

    /// The other side took a call.
    pub fn accepted(&self) {
        let mut state = self.lock();
        state.successes += 1;
        if state.successes >= state.limit && state.limit < state.most {
            state.limit += 1;
            state.successes = 0;
            drop(state);
            self.freed.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of.lock().in_flight -= 1;
        self.of.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[test]
    fn a_refusal_halves_and_a_round_of_successes_adds_one() {
        let limit = AdaptiveLimit::new(8);
        limit.refused();
        assert_eq!(limit.current(), 4);
        (0..4).for_each(|_| limit.accepted());
        assert_eq!(limit.current(), 5);
        (0..10).for_each(|_| limit.refused());
        assert_eq!(limit.current(), 1);
        (0..1000).for_each(|_| limit.accepted());
        assert_eq!(limit.current(), 8);
    }

    #[test]
    fn what_the_account_allows_is_never_exceeded_again() {
        let limit = AdaptiveLimit::new(8);
        limit.keep_below(3);
        (0..1000).for_each(|_| limit.accepted());
        assert_eq!((limit.most(), limit.current()), (3, 3));
        limit.keep_below(9);
        assert_eq!(limit.most(), 3, "it is a bound, not a wish");
    }

    #[tokio::test]
    async fn a_call_beyond_the_limit_waits_for_a_place() {
        let limit = AdaptiveLimit::new(1);
        let first = limit.acquire().await;
        assert!(timeout(Duration::ZERO, limit.acquire()).await.is_err());
        drop(first);
        assert!(timeout(Duration::ZERO, limit.acquire()).await.is_ok());
    }
}
