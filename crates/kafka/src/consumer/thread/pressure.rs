//! What happens when delivered records are not released: first wait a little, then pause who holds most.
//!
//! Pausing makes the library throw away what it has fetched ahead, so a receiver that is merely slower than the network is
//! better served by not polling for a moment. But polling also serves the group, so the moment is short.

use super::PollThread;
use std::time::{Duration, Instant};

/// The longest that polling waits for bytes to be released before partitions are paused.
const HOLD: Duration = Duration::from_millis(200);
const SMALLEST_SHARE: usize = 16 * 1024;

impl PollThread {
    /// False while there is no room and the wait is not over.
    pub(super) fn may_poll(&mut self) -> bool {
        if self.delivery.backlog.total() < self.config.backlog_bytes {
            self.held_since = None;
            return true;
        }
        // From here on a release wakes us; look again for one that came just before.
        self.delivery.backlog.set_hungry(true);
        if self.delivery.backlog.total() < self.config.backlog_bytes {
            return true;
        }
        let since = *self.held_since.get_or_insert_with(Instant::now);
        if since.elapsed() < HOLD {
            return false;
        }
        self.pause_hogs();
        true
    }

    /// What one partition may hold when all are short of room.
    fn share(&self) -> usize {
        let flowing = self.delivery.partitions.iter().filter(|p| p.is_flowing()).count().max(1);
        (self.config.backlog_bytes / flowing).max(SMALLEST_SHARE)
    }

    /// Pauses who holds its share or more; far beyond the bound, whoever holds anything. Who holds nothing flows on: the receiver may
    /// wait for its next record before it releases those of others.
    fn pause_hogs(&mut self) {
        let far = self.delivery.backlog.total() >= self.config.backlog_bytes / 4 * 5;
        let share = if far { 1 } else { self.share() };
        let mut paused = Vec::new();
        for partition in self.delivery.partitions.iter_mut() {
            if partition.is_flowing() && !partition.is_paused_by_backlog && partition.held_bytes() >= share {
                partition.is_paused_by_backlog = true;
                if !partition.is_paused_by_user {
                    paused.push(partition.id.clone());
                }
            }
        }
        self.set_native_pause(&paused, true);
    }

    /// Resumes partitions that have released enough.
    pub(super) fn relieve(&mut self) {
        let low = self.share() / 2;
        let mut resumed = Vec::new();
        let mut is_any_left = false;
        for partition in self.delivery.partitions.iter_mut().filter(|p| p.is_paused_by_backlog) {
            if partition.held_bytes() > low {
                is_any_left = true;
                continue;
            }
            partition.is_paused_by_backlog = false;
            if partition.is_flowing() && !partition.is_paused_by_user {
                resumed.push(partition.id.clone());
            }
        }
        self.set_native_pause(&resumed, false);
        self.delivery.backlog.set_hungry(is_any_left || self.held_since.is_some());
    }
}
