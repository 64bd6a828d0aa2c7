//! The thread that polls: commands, group, messages, back-pressure, in one loop that waits only in `park`.

mod deliver;
mod group;

use super::backlog::Backlog;
use super::context::GroupContext;
use super::partitions::Phase;
use super::poll::Delivery;
use super::{Command, ConsumerConfig, EventSender, Progress, TopicPartition};
use crate::{Error, Result, native};
use group::Drain;
use rdkafka::config::ClientConfig as Native;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A wake-up comes earlier whenever there is something to do; this is for what nobody announces.
const PARK: Duration = Duration::from_millis(50);
/// The library answers a seek from its own memory.
const SEEK_TIMEOUT: Duration = Duration::from_millis(500);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Parts {
    pub(super) backlog: Arc<Backlog>,
    pub(super) config: Arc<ConsumerConfig>,
    pub(super) inbox: mpsc::Receiver<Command>,
    pub(super) events: EventSender,
    pub(super) progress: Arc<Mutex<Vec<Progress>>>,
}

/// Lets the library's own shutdown answer revocations, also when the thread unwinds. Must be dropped before the consumer.
struct ClosingGuard(Arc<GroupContext>);

impl Drop for ClosingGuard {
    fn drop(&mut self) {
        self.0.closing.store(true, Ordering::Release);
    }
}

struct PollThread {
    guard: ClosingGuard,
    /// Shared with the queues of its partitions, which are gone before it ends.
    consumer: Arc<BaseConsumer<GroupContext>>,
    delivery: Delivery,
    drains: Vec<Drain>,
    inbox: mpsc::Receiver<Command>,
    config: Arc<ConsumerConfig>,
    progress: Arc<Mutex<Vec<Progress>>>,
    progress_at: Instant,
    /// The partition that is asked first in the next round.
    first: usize,
    closing: Option<oneshot::Sender<()>>,
    end: Option<End>,
}

enum End {
    Leave(Option<oneshot::Sender<()>>),
    Die(oneshot::Sender<()>),
}

pub(super) fn start(native: &Native, parts: Parts) -> Result<()> {
    let mut consumer: BaseConsumer<GroupContext> = native
        .create_with_context(GroupContext::default())
        .map_err(|error| Error::Config(vec![format!("consumer: {error}")]))?;
    let guard = ClosingGuard(consumer.context().clone());
    let waker = parts.backlog.waker().clone();
    consumer.set_nonempty_callback(move || waker.wake());
    let topics: Vec<&str> = parts.config.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(|error| Error::Config(vec![format!("topics: {error}")]))?;
    let thread = PollThread {
        guard,
        consumer: Arc::new(consumer),
        delivery: Delivery::new(parts.backlog, parts.events, parts.config.clone()),
        drains: Vec::new(),
        inbox: parts.inbox,
        config: parts.config,
        progress: parts.progress,
        progress_at: Instant::now(),
        first: 0,
        closing: None,
        end: None,
    };
    let spawned = std::thread::Builder::new().name("kafka-poll".to_owned()).spawn(move || thread.run());
    spawned.map(drop).map_err(|error| Error::Fatal { reason: format!("cannot start the poll thread: {error}") })
}

impl PollThread {
    fn run(mut self) {
        self.delivery.backlog.waker().claim();
        loop {
            self.take_commands();
            if let Some(end) = self.end.take() {
                return self.finish(end);
            }
            let served = self.serve();
            let delivered = self.deliver();
            self.answer_group();
            self.finish_drains();
            self.retry_seeks();
            self.publish_progress();
            if !served && !delivered {
                std::thread::park_timeout(PARK);
            }
        }
    }

    fn finish(self, end: End) {
        let Self { guard, consumer, mut delivery, .. } = self;
        drop(guard);
        // Each queue keeps the consumer alive.
        delivery.partitions_change().clear();
        let answer = match end {
            End::Leave(answer) => {
                drop(consumer);
                answer
            }
            End::Die(answer) => {
                if let Some(consumer) = Arc::into_inner(consumer) {
                    native::die(consumer);
                }
                Some(answer)
            }
        };
        drop(delivery);
        if let Some(answer) = answer {
            // Whoever asked may have stopped waiting.
            answer.send(()).unwrap_or_default();
        }
    }

    /// Serves the group, which is due however full the backlog is; true if there may be more. Messages come by the queues of their
    /// partitions: what is here is from before the first seek, from a place of no importance.
    fn serve(&mut self) -> bool {
        let served = self.consumer.context().served.load(Ordering::Relaxed);
        match self.consumer.poll(Duration::ZERO) {
            None => self.consumer.context().served.load(Ordering::Relaxed) != served,
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => true,
            Some(Err(error)) => {
                self.delivery.take_error(&error);
                true
            }
        }
    }

    fn take_commands(&mut self) {
        if self.delivery.is_receiver_gone {
            self.end = Some(End::Leave(None));
        }
        while self.end.is_none() {
            match self.inbox.try_recv() {
                Ok(command) => self.obey(command),
                Err(mpsc::TryRecvError::Empty) => return,
                Err(mpsc::TryRecvError::Disconnected) => self.end = Some(End::Leave(None)),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Seek { partition, offset, generation } => self.begin_seek(&partition, offset, generation),
            Command::Pause(partitions) => self.set_pause(&partitions, true),
            Command::Resume(partitions) => self.set_pause(&partitions, false),
            Command::Commit(positions) => self.commit(&positions),
            Command::Close(answer) => self.begin_close(answer),
            Command::Abandon(answer) => self.end = Some(End::Die(answer)),
        }
    }

    fn begin_seek(&mut self, id: &TopicPartition, offset: i64, generation: u64) {
        if let Some(partition) = self.delivery.partitions.get_mut(id)
            && partition.phase != Phase::Leaving
        {
            partition.phase = Phase::Seeking(offset);
            partition.generation = generation;
            partition.building.clear();
            partition.is_paused = false;
            self.seek(id);
        }
    }

    fn retry_seeks(&mut self) {
        let open = |p: &&super::partitions::Partition| matches!(p.phase, Phase::Seeking(_));
        let waiting: Vec<_> = self.delivery.partitions.iter().filter(open).map(|p| p.id.clone()).collect();
        for id in waiting {
            self.seek(&id);
        }
    }

    /// Does what [`Phase::Seeking`] says, or leaves it to the next try: right after an assignment the library may not be ready.
    fn seek(&mut self, id: &TopicPartition) {
        let Some(partition) = self.delivery.partitions.get_mut(id) else { return };
        let Phase::Seeking(offset) = partition.phase else { return };
        if let Err(error) = seek_native(&self.consumer, id, offset) {
            tracing::debug!(target: "kafka", partition = %id, offset, %error, "seek, will be tried again");
            return;
        }
        partition.phase = Phase::Flowing;
        partition.next = offset;
        partition.told_end = None;
        self.set_native_pause(std::slice::from_ref(id), false);
    }

    /// The library is told nothing: it stops by itself when the queue of the partition is full, and keeps what it has.
    fn set_pause(&mut self, partitions: &[TopicPartition], pause: bool) {
        for id in partitions {
            if let Some(partition) = self.delivery.partitions.get_mut(id) {
                partition.is_paused = pause;
            }
        }
    }

    fn set_native_pause(&self, partitions: &[TopicPartition], pause: bool) {
        if partitions.is_empty() {
            return;
        }
        let list = native_list(partitions);
        let result = if pause { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(error) = result {
            tracing::warn!(target: "kafka", %error, pause, "pause or resume");
        }
    }

    fn commit(&self, positions: &[(TopicPartition, i64)]) {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (id, offset) in positions {
            if self.delivery.partitions.index(&id.topic, id.partition).is_some() {
                // Refuses only negative offsets, which are no positions.
                drop(list.add_partition_offset(&id.topic, id.partition, Offset::Offset(*offset)));
            }
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(target: "kafka", %error, "commit of a hint");
        }
    }

    fn publish_progress(&mut self) {
        if self.progress_at.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.progress_at = Instant::now();
        let client = self.consumer.client();
        let progress = self.delivery.partitions.iter().map(|p| Progress {
            partition: p.id.clone(),
            next_offset: (p.next >= 0).then_some(p.next),
            end_offset: native::known_watermarks(client, &p.id.topic, p.id.partition).map(|(_, high)| high),
            is_paused: p.is_paused || !p.is_flowing(),
            held_bytes: p.held_bytes(),
        });
        let progress = progress.collect();
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

/// Lists must never outlive a call: one that is alive while the consumer is destroyed blocks that for ever.
fn native_list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for id in partitions {
        list.add_partition(&id.topic, id.partition);
    }
    list
}

fn seek_native(consumer: &BaseConsumer<GroupContext>, id: &TopicPartition, offset: i64) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&id.topic, id.partition, Offset::Offset(offset))?;
    let list = consumer.seek_partitions(list, SEEK_TIMEOUT)?;
    list.elements().iter().try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)
}
