//! From polled messages to batches, ends and errors.

use super::backlog::Backlog;
use super::partitions::{Partitions, Phase};
use super::{Batch, ConsumerConfig, Event, EventSender};
use crate::Error;
use rdkafka::Message;
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
        &mut self.partitions
    }

    /// Takes a message of the partition at `index`.
    pub(super) fn take(&mut self, index: usize, message: &BorrowedMessage<'_>) {
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

    /// What is delivered and gathered, in bytes.
    pub(super) fn held(&self) -> usize {
        self.backlog.total() + self.gathered
    }

    /// The same of one partition.
    pub(super) fn held_of(&mut self, index: usize) -> usize {
        let partition = self.partitions.at(index);
        partition.held_bytes() + partition.building.bytes() * DECODED
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
    pub(super) fn take_error(&mut self, error: &KafkaError) {
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

    /// Everything that was published so far is delivered of the partition at `index`.
    pub(super) fn tell_end(&mut self, index: usize) {
        self.flush(index);
        let partition = self.partitions.at(index);
        if !partition.is_flowing() || partition.told_end == Some(partition.next) {
            return;
        }
        partition.told_end = Some(partition.next);
        let (id, offset, generation) = (partition.id.clone(), partition.next, partition.generation);
        self.send(Event::End { partition: id, offset, generation });
    }
}

/// Decoded, an event of many lines takes eight times its Avro. If only the bytes of Kafka counted, a poll thread that is ahead of
/// the decoders could deliver many times the bound.
const DECODED: usize = 8;

/// What a record is counted as until its receiver has decoded it and says what it takes ([`Lease::resize`](super::Lease::resize)).
fn expected_bytes(record: &events::Record) -> usize {
    record.size_bytes() + DECODED * record.value.as_ref().map_or(0, bytes::Bytes::len)
}
