//! Bytes delivered and not yet released, counted in all and per partition, and the way to wake the poll thread.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// Wakes the poll thread, from any thread, as often as one likes.
#[derive(Default)]
pub(super) struct Waker(OnceLock<Thread>);

impl Waker {
    /// Names the thread to wake: the caller.
    pub(super) fn claim(&self) {
        drop(self.0.set(std::thread::current()));
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

pub(super) struct Backlog {
    total: AtomicUsize,
    /// Set while the thread waits for bytes to be released.
    hungry: AtomicBool,
    waker: Arc<Waker>,
}

impl Backlog {
    pub(super) const fn new(waker: Arc<Waker>) -> Self {
        Self { total: AtomicUsize::new(0), hungry: AtomicBool::new(false), waker }
    }

    pub(super) fn total(&self) -> usize {
        self.total.load(Ordering::Acquire)
    }

    pub(super) const fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }

    pub(super) fn set_hungry(&self, hungry: bool) {
        self.hungry.store(hungry, Ordering::Release);
    }

    fn released(&self) {
        if self.hungry.load(Ordering::Acquire) {
            self.waker.wake();
        }
    }

    pub(super) fn lease(self: &Arc<Self>, held: &Arc<AtomicUsize>, bytes: usize) -> Lease {
        self.total.fetch_add(bytes, Ordering::AcqRel);
        held.fetch_add(bytes, Ordering::AcqRel);
        Lease { backlog: self.clone(), held: held.clone(), bytes }
    }
}

/// Counts a batch against the bound until it is dropped: keep it as long as the records are kept in memory.
pub struct Lease {
    backlog: Arc<Backlog>,
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl Lease {
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts what the records really occupy, once that is known: decoded they are a few times what Kafka delivered.
    pub fn resize(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes >= before {
            self.count(|counter| counter.fetch_add(bytes - before, Ordering::AcqRel));
        } else {
            self.count(|counter| counter.fetch_sub(before - bytes, Ordering::AcqRel));
            self.backlog.released();
        }
    }

    fn count(&self, change: impl Fn(&AtomicUsize) -> usize) {
        change(&self.held);
        change(&self.backlog.total);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.count(|counter| counter.fetch_sub(self.bytes, Ordering::AcqRel));
        self.backlog.released();
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({} bytes)", self.bytes)
    }
}
