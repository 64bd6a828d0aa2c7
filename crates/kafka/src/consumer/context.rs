//! Callbacks of the group: they only note what happened, the thread acts on it after the poll that called them.

use crate::context;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A rebalance as the group asks for it; the thread must answer with assign or unassign.
pub(super) struct Asked {
    pub(super) assign: bool,
    pub(super) partitions: Vec<(String, i32)>,
}

#[derive(Default)]
pub(super) struct GroupContext {
    asked: Mutex<Vec<Asked>>,
    /// Rises with every callback: a poll that returns nothing may still have done something.
    pub(super) served: AtomicU64,
    /// Set before the consumer is dropped: nobody will act on notes any more.
    pub(super) closing: AtomicBool,
}

impl GroupContext {
    pub(super) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.count();
        // The end of a partition comes as an error too; it is told as an event.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(target: "kafka", %error, reason, "consumer error");
        }
    }

    fn stats(&self, _statistics: Statistics) {
        self.count();
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        self.count();
        let assign = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            if !assign {
                give_away(consumer, partitions);
            }
            return;
        }
        let partitions = partitions.elements().iter().map(|p| (p.topic().to_owned(), p.partition())).collect();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(Asked { assign, partitions });
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.count();
        if let Err(error) = result {
            tracing::debug!(target: "kafka", %error, "a committed offset, which is only a hint, was not taken");
        }
    }
}

/// Answers a revocation in the way of the group's protocol.
pub(super) fn give_away(consumer: &BaseConsumer<GroupContext>, partitions: &TopicPartitionList) {
    let result = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    };
    if let Err(error) = result {
        tracing::warn!(target: "kafka", %error, "unassign");
    }
}
