//! Assignment and revocation. The group waits for our answer to either, so a revocation can be drained while polling goes on.

use super::super::context::give_away;
use super::super::partitions::Phase;
use super::super::{Done, Event, TopicPartition};
use super::{End, PollThread, native_list};
use crate::Error;
use rdkafka::consumer::{Consumer as _, RebalanceProtocol};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::oneshot;

/// Partitions on their way out.
pub(super) struct Drain {
    partitions: Vec<TopicPartition>,
    is_done: Arc<AtomicBool>,
    deadline: Instant,
    /// The group waits for our answer (it does not when we close by ourselves).
    is_asked_by_group: bool,
}

impl PollThread {
    pub(super) fn answer_group(&mut self) {
        for asked in self.consumer.context().take_asked() {
            let ids = asked.partitions.iter().map(|(topic, partition)| self.id(topic, *partition)).collect();
            if asked.assign { self.take_over(ids) } else { self.let_go(ids) }
        }
    }

    /// The topic's name is shared by all records, so it is made once per subscription.
    fn id(&self, topic: &str, partition: i32) -> TopicPartition {
        let known = self.delivery.partitions.iter().find(|p| &*p.id.topic == topic).map(|p| p.id.topic.clone());
        TopicPartition { topic: known.unwrap_or_else(|| topic.into()), partition }
    }

    fn take_over(&mut self, ids: Vec<TopicPartition>) {
        let mut list = TopicPartitionList::with_capacity(ids.len());
        for id in &ids {
            // Any place will do, for nothing is fetched before the seek; a numbered one saves asking for the committed offset.
            drop(list.add_partition_offset(&id.topic, id.partition, Offset::Offset(0)));
        }
        let result = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => self.consumer.assign(&list),
        };
        drop(list);
        if let Err(error) = result {
            tracing::warn!(target: "kafka", %error, "assign");
            return;
        }
        self.set_native_pause(&ids, true);
        for id in &ids {
            self.split(id);
        }
        if !ids.is_empty() && self.closing.is_none() {
            tracing::info!(target: "kafka", partitions = ids.len(), "assigned");
            self.delivery.send(Event::Assigned(ids));
        }
    }

    /// Gives the partition a queue of its own. Before its first seek, so that nothing that matters is in the common queue.
    fn split(&mut self, id: &TopicPartition) {
        let Some(mut queue) = self.consumer.split_partition_queue(&id.topic, id.partition) else {
            let reason = format!("the client library has no queue for {id}");
            return self.delivery.send(Event::Error(Error::Fatal { reason }));
        };
        let waker = self.delivery.backlog.waker().clone();
        queue.set_nonempty_callback(move || waker.wake());
        self.delivery.partitions_change().add(id.clone(), queue);
    }

    fn let_go(&mut self, ids: Vec<TopicPartition>) {
        let fresh = self.mark_leaving(&ids);
        if self.consumer.assignment_lost() {
            self.forget(&ids);
            self.lose(fresh);
            return give_away(&self.consumer, &native_list(&ids));
        }
        let (is_done, deadline) = match self.drains.iter().find(|_| fresh.is_empty()) {
            Some(drain) => (drain.is_done.clone(), drain.deadline),
            None => self.revoke(fresh),
        };
        self.drains.push(Drain { partitions: ids, is_done, deadline, is_asked_by_group: true });
    }

    /// Returns those that were not leaving already.
    fn mark_leaving(&mut self, ids: &[TopicPartition]) -> Vec<TopicPartition> {
        let partitions = self.delivery.partitions_change();
        let mut fresh = Vec::new();
        for id in ids {
            if let Some(partition) = partitions.get_mut(id)
                && partition.phase != Phase::Leaving
            {
                partition.phase = Phase::Leaving;
                fresh.push(id.clone());
            }
        }
        fresh
    }

    fn revoke(&mut self, partitions: Vec<TopicPartition>) -> (Arc<AtomicBool>, Instant) {
        let deadline = Instant::now() + self.config.drain_deadline();
        let (done, is_done) = Done::new(self.delivery.backlog.waker().clone(), deadline);
        if !partitions.is_empty() {
            tracing::info!(target: "kafka", partitions = partitions.len(), "revoked, draining");
            self.delivery.send(Event::Revoked { partitions, done });
        }
        (is_done, deadline)
    }

    fn lose(&mut self, partitions: Vec<TopicPartition>) {
        if !partitions.is_empty() {
            tracing::warn!(target: "kafka", partitions = partitions.len(), "lost: another member may have them already");
            self.delivery.send(Event::Lost(partitions));
        }
    }

    fn forget(&mut self, ids: &[TopicPartition]) {
        let partitions = self.delivery.partitions_change();
        ids.iter().for_each(|id| partitions.remove(id));
    }

    pub(super) fn finish_drains(&mut self) {
        let now = Instant::now();
        let is_lost = !self.drains.is_empty() && self.consumer.assignment_lost();
        for drain in std::mem::take(&mut self.drains) {
            let is_done = drain.is_done.load(Ordering::Acquire);
            if !is_done && !is_lost && now < drain.deadline {
                self.drains.push(drain);
                continue;
            }
            if !is_done {
                tracing::warn!(target: "kafka", partitions = drain.partitions.len(), "not drained in time: abandoned to fencing");
            }
            self.forget(&drain.partitions);
            if is_lost && !is_done {
                self.lose(drain.partitions.clone());
            }
            if drain.is_asked_by_group {
                give_away(&self.consumer, &native_list(&drain.partitions));
            }
        }
        if self.drains.is_empty()
            && let Some(answer) = self.closing.take()
        {
            self.end = Some(End::Leave(Some(answer)));
        }
    }

    pub(super) fn begin_close(&mut self, answer: oneshot::Sender<()>) {
        self.closing = Some(answer);
        let all = self.delivery.partitions.ids();
        let fresh = self.mark_leaving(&all);
        if !fresh.is_empty() {
            self.set_native_pause(&fresh, true);
            let (is_done, deadline) = self.revoke(fresh.clone());
            self.drains.push(Drain { partitions: fresh, is_done, deadline, is_asked_by_group: false });
        }
    }
}
