//! From polled messages to batches, ends and errors.

use super::backlog::Backlog;
use super::context::GroupContext;
use super::partitions::{Partitions, Phase};
use super::{Batch, ConsumerConfig, Event, EventSender};
use crate::{Error, native};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The same error is told again after this long.
const ERROR_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Delivery {
    pub(super) partitions: Partitions,
    pub(super) backlog: Arc<Backlog>,
    pub(super) is_receiver_gone: bool,
    events: EventSender,
    config: Arc<ConsumerConfig>,
    /// The partition of the last message: native topic, partition, index. Messages come in runs.
    run: Option<(usize, i32, usize)>,
    /// Partitions with records not yet sent, and what these count.
    touched: Vec<usize>,
    gathered: usize,
    told_errors: HashMap<String, Instant>,
}

impl Delivery {
    pub(super) fn new(backlog: Arc<Backlog>, events: EventSender, config: Arc<ConsumerConfig>) -> Self {
        Self {
            partitions: Partitions::default(),
            backlog,
            is_receiver_gone: false,
            events,
            config,
            run: None,
            touched: Vec::new(),
            gathered: 0,
            told_errors: HashMap::new(),
        }
    }

    pub(super) fn send(&mut self, event: Event) {
        self.is_receiver_gone |= self.events.send(event).is_err();
    }

    /// To be called before partitions are added or removed: indexes change.
    pub(super) fn partitions_change(&mut self) -> &mut Partitions {
        self.flush_all();
        self.run = None;
        &mut self.partitions
    }

    pub(super) fn take(&mut self, message: &BorrowedMessage<'_>) {
        let native_topic = message.topic_ptr() as usize;
        let index = match self.run {
            Some((topic, partition, index)) if topic == native_topic && partition == message.partition() => index,
            _ => match self.partitions.index(message.topic(), message.partition()) {
                Some(index) => index,
                None => return,
            },
        };
        self.run = Some((native_topic, message.partition(), index));
        let partition = self.partitions.at(index);
        if partition.phase != Phase::Flowing || message.offset() < partition.next {
            return;
        }
        if partition.building.len() == 0 {
            self.touched.push(index);
        }
        partition.next = message.offset() + 1;
        let before = partition.building.bytes();
        partition.building.add(message);
        self.gathered += (partition.building.bytes() - before) * DECODED;
        if partition.building.len() >= self.config.batch_records
            || partition.building.bytes() >= self.config.batch_bytes
        {
            self.flush(index);
        }
    }

    pub(super) fn flush_all(&mut self) {
        for index in std::mem::take(&mut self.touched) {
            self.flush(index);
        }
    }

    /// Whether what is delivered and gathered reaches the bound.
    pub(super) fn is_full(&self) -> bool {
        self.backlog.total() + self.gathered >= self.config.backlog_bytes
    }

    fn flush(&mut self, index: usize) {
        let partition = self.partitions.at(index);
        if partition.building.len() == 0 {
            return;
        }
        self.gathered = self.gathered.saturating_sub(partition.building.bytes() * DECODED);
        let records = partition.building.take(&partition.id.topic, partition.id.partition);
        let bytes = records.iter().map(expected_bytes).sum();
        let batch = Batch {
            partition: partition.id.clone(),
            generation: partition.generation,
            records,
            lease: self.backlog.lease(&partition.held, bytes),
        };
        self.send(Event::Records(batch));
    }

    /// What a poll returned instead of a message.
    pub(super) fn take_error(&mut self, consumer: &BaseConsumer<GroupContext>, error: &KafkaError) {
        if let KafkaError::PartitionEOF(partition) = error {
            self.flush_all();
            return self.tell_ends(consumer, *partition);
        }
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                // A partition that was not started yet may fetch once from a place of no importance.
                if self.partitions.iter().any(super::partitions::Partition::is_flowing) {
                    self.tell("out of range", Event::OutOfRange);
                }
            }
            Some(code) if fatal => self.send(Event::Error(Error::Fatal { reason: code.to_string() })),
            _ => self.tell(&error.to_string(), Event::Error(Error::from_client("consume", error))),
        }
    }

    fn tell(&mut self, name: &str, event: Event) {
        let now = Instant::now();
        if self.told_errors.get(name).is_none_or(|told| now.duration_since(*told) >= ERROR_INTERVAL) {
            self.told_errors.insert(name.to_owned(), now);
            self.send(event);
        }
    }

    /// The library says only that partition `number` of some topic is at its end: that topic is found by the ends it knows.
    /// Where these do not tell (markers of transactions behind the last record) and there is a choice, nothing is told.
    fn tell_ends(&mut self, consumer: &BaseConsumer<GroupContext>, number: i32) {
        let is_at_end = |topic: &str, next: i64| {
            native::known_watermarks(consumer.client(), topic, number).is_some_and(|(_, high)| next >= high)
        };
        let open =
            |p: &super::partitions::Partition| p.id.partition == number && p.is_flowing() && p.told_end != Some(p.next);
        let candidates: Vec<_> = self.partitions.iter().filter(|p| open(p)).map(|p| (p.id.clone(), p.next)).collect();
        let sole = candidates.len() == 1;
        for (id, next) in candidates {
            if !sole && !is_at_end(&id.topic, next) {
                continue;
            }
            if let Some(partition) = self.partitions.get_mut(&id) {
                partition.told_end = Some(next);
                let generation = partition.generation;
                self.send(Event::End { partition: id, offset: next, generation });
            }
        }
    }
}

/// Decoded, an event of many lines takes eight times its Avro. If only the bytes of Kafka counted, a poll thread that is ahead of
/// the decoders could deliver many times the bound.
const DECODED: usize = 8;

/// What a record is counted as until its receiver has decoded it and says what it takes ([`Lease::resize`](super::Lease::resize)).
fn expected_bytes(record: &events::Record) -> usize {
    record.size_bytes() + DECODED * record.value.as_ref().map_or(0, bytes::Bytes::len)
}
