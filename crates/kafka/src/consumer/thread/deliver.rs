//! Delivers what is fetched, as far as there is room.
//!
//! Each partition has a queue of its own, so one that is far ahead is in nobody's way: a receiver that merges topics waits for
//! the next record of one of them while it holds those of others. Half of the room is shared out evenly, so that there always is
//! some for it; the other half is for whoever has something. What is not asked for stays with the library, which stops fetching a
//! partition whose queue is full and loses nothing of it.

use super::PollThread;
use rdkafka::error::KafkaError;
use std::sync::Arc;
use std::time::Duration;

/// Taken of one partition before others are looked at.
const TURN: usize = 64;
/// Taken before commands are looked at again.
const ROUND: usize = 4_096;
const SMALLEST_SHARE: usize = 16 * 1024;

impl PollThread {
    /// One round; true if there may be more.
    pub(super) fn deliver(&mut self) -> bool {
        // A release from here on wakes us: what it makes room for may have been passed over.
        self.delivery.backlog.set_hungry(true);
        let count = self.delivery.partitions.len();
        let share = self.share();
        let (mut taken, mut is_any_left) = (0, false);
        for step in 0..count {
            let index = (self.first + step) % count;
            let turn = self.turn(index, share);
            taken += turn.taken;
            is_any_left |= turn.is_left;
            if taken >= ROUND {
                self.first = (index + 1) % count;
                break;
            }
        }
        self.delivery.flush_all();
        if !is_any_left {
            self.delivery.backlog.set_hungry(false);
        }
        taken > 0
    }

    /// What one partition may hold when all are short of room.
    fn share(&self) -> usize {
        let open = self.delivery.partitions.iter().filter(|p| p.is_open()).count().max(1);
        (self.config.backlog_bytes / 2 / open).max(SMALLEST_SHARE)
    }

    fn turn(&mut self, index: usize, share: usize) -> Turn {
        let mut turn = Turn { taken: 0, is_left: false };
        let partition = self.delivery.partitions.at(index);
        if !partition.is_open() {
            return turn;
        }
        let queue = Arc::clone(&partition.queue);
        while turn.taken < TURN {
            if self.delivery.held() >= self.config.backlog_bytes / 2 && self.delivery.held_of(index) >= share {
                turn.is_left = true;
                break;
            }
            match queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => self.delivery.take(index, &message),
                Some(Err(KafkaError::PartitionEOF(_))) => self.delivery.tell_end(index),
                Some(Err(error)) => self.delivery.take_error(&error),
            }
            turn.taken += 1;
        }
        turn
    }
}

struct Turn {
    taken: usize,
    /// There was no room for more.
    is_left: bool,
}
