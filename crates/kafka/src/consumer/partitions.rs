//! The partitions a consumer has, sorted, each with what it needs to know about its delivery.

use super::TopicPartition;
use super::batch::Building;
use super::context::GroupContext;
use rdkafka::consumer::base_consumer::PartitionQueue;
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
    pub(super) is_paused: bool,
    /// What the library has fetched of this partition and of no other.
    pub(super) queue: Arc<PartitionQueue<GroupContext>>,
    /// The end that was told last.
    pub(super) told_end: Option<i64>,
    pub(super) held: Arc<AtomicUsize>,
    pub(super) building: Building,
}

impl Partition {
    fn new(id: TopicPartition, queue: PartitionQueue<GroupContext>) -> Self {
        Self {
            id,
            phase: Phase::Waiting,
            generation: 0,
            next: -1,
            is_paused: false,
            queue: Arc::new(queue),
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

    /// Whether what is fetched may be delivered as far as there is room.
    pub(super) fn is_open(&self) -> bool {
        self.is_flowing() && !self.is_paused
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
    pub(super) fn add(&mut self, id: TopicPartition, queue: PartitionQueue<GroupContext>) {
        self.remove(&id);
        let place = self.0.partition_point(|p| p.id < id);
        self.0.insert(place, Partition::new(id, queue));
    }

    pub(super) fn remove(&mut self, id: &TopicPartition) {
        self.0.retain(|p| p.id != *id);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.0.iter()
    }

    pub(super) fn ids(&self) -> Vec<TopicPartition> {
        self.0.iter().map(|p| p.id.clone()).collect()
    }
}
