//! The partitions a consumer has, sorted, each with what it needs to know about its delivery.

use super::TopicPartition;
use super::batch::Building;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Assigned; waits for its first seek.
    Waiting,
    /// A seek to this offset is to be done (again).
    Seeking(i64),
    /// Delivers.
    Flowing,
    /// Revoked, its owner drains.
    Leaving,
}

pub(super) struct Partition {
    pub(super) id: TopicPartition,
    pub(super) phase: Phase,
    pub(super) generation: u64,
    /// Records below this offset are not delivered (again).
    pub(super) next: i64,
    pub(super) is_paused_by_user: bool,
    pub(super) is_paused_by_backlog: bool,
    /// The end that was told last.
    pub(super) told_end: Option<i64>,
    pub(super) held: Arc<AtomicUsize>,
    pub(super) building: Building,
}

impl Partition {
    fn new(id: TopicPartition) -> Self {
        Self {
            id,
            phase: Phase::Waiting,
            generation: 0,
            next: -1,
            is_paused_by_user: false,
            is_paused_by_backlog: false,
            told_end: None,
            held: Arc::default(),
            building: Building::default(),
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    pub(super) fn is_flowing(&self) -> bool {
        self.phase == Phase::Flowing
    }
}

/// Sorted by topic and partition; indexes are good until the next `add` or `remove`.
#[derive(Default)]
pub(super) struct Partitions(Vec<Partition>);

impl Partitions {
    pub(super) fn index(&self, topic: &str, partition: i32) -> Option<usize> {
        self.0.binary_search_by(|p| (&*p.id.topic, p.id.partition).cmp(&(topic, partition))).ok()
    }

    pub(super) fn get_mut(&mut self, id: &TopicPartition) -> Option<&mut Partition> {
        let index = self.index(&id.topic, id.partition)?;
        self.0.get_mut(index)
    }

    pub(super) fn at(&mut self, index: usize) -> &mut Partition {
        &mut self.0[index]
    }

    /// Adds a partition, afresh if it is there already.
    pub(super) fn add(&mut self, id: TopicPartition) {
        self.remove(&id);
        let place = self.0.partition_point(|p| p.id < id);
        self.0.insert(place, Partition::new(id));
    }

    pub(super) fn remove(&mut self, id: &TopicPartition) {
        self.0.retain(|p| p.id != *id);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.0.iter_mut()
    }

    pub(super) fn ids(&self) -> Vec<TopicPartition> {
        self.0.iter().map(|p| p.id.clone()).collect()
    }
}
