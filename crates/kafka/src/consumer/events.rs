//! What a consumer tells, in the order in which it happened.

use super::Lease;
use super::backlog::Waker;
use crate::Error;
use events::Record;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

#[derive(Debug)]
pub enum Event {
    /// These partitions are ours now; each delivers nothing before its `seek_and_resume`. Partition *i* of several topics
    /// may come in different events.
    Assigned(Vec<TopicPartition>),
    /// These partitions go to somebody else as soon as `done` is dropped, at the latest at its deadline. No more of their
    /// records arrive.
    Revoked {
        partitions: Vec<TopicPartition>,
        done: Done,
    },
    /// These partitions belong to somebody else already. Whatever is still written about them must be refused by fencing.
    Lost(Vec<TopicPartition>),
    Records(Batch),
    /// Everything up to `offset` has been delivered and the partition ends there, for now.
    End {
        partition: TopicPartition,
        offset: i64,
        generation: u64,
    },
    /// The broker does not have the offset that one of the flowing partitions asked for (truncated, recreated, or removed by
    /// retention). It does not say which: compare positions with [`super::Consumer::watermarks`] and stop or seek.
    OutOfRange,
    /// Something is wrong; the client goes on by itself unless it is [`Error::Fatal`], after which no event follows.
    Error(Error),
}

/// Records of one partition, in offset order, sharing one buffer: one record kept for long keeps the whole batch.
#[derive(Debug)]
pub struct Batch {
    pub partition: TopicPartition,
    /// The start of delivery they belong to, see [`super::Consumer::seek_and_resume`].
    pub generation: u64,
    pub records: Vec<Record>,
    /// Counts them against the bound until dropped.
    pub lease: Lease,
}

/// Says that a revocation may take place: by being dropped, every clone of it.
#[derive(Clone)]
pub struct Done(Arc<DoneInner>);

struct DoneInner {
    flag: Arc<AtomicBool>,
    waker: Arc<Waker>,
    deadline: Instant,
}

impl Done {
    /// The promise and the flag that tells when it is kept.
    pub(super) fn new(waker: Arc<Waker>, deadline: Instant) -> (Self, Arc<AtomicBool>) {
        let flag = Arc::new(AtomicBool::new(false));
        (Self(Arc::new(DoneInner { flag: flag.clone(), waker, deadline })), flag)
    }

    /// When the partitions are given away in any case.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }
}

impl Drop for DoneInner {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Done(by {:?})", self.0.deadline)
    }
}

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub partition: TopicPartition,
    /// The next offset to be delivered; `None` before the first seek.
    pub next_offset: Option<i64>,
    /// The end as the last fetch told it.
    pub end_offset: Option<i64>,
    pub is_paused: bool,
    /// Bytes delivered and not yet released.
    pub held_bytes: usize,
}

impl Progress {
    /// Records not yet delivered, as far as known.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        Some((self.end_offset? - self.next_offset?).max(0))
    }
}
