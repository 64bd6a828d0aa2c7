//! An idempotent producer whose acknowledgements can be trusted: a record counts only when the broker says so.

mod delivery;

use crate::{ClientConfig, Error, Result, context};
use bytes::Bytes;
use delivery::{Collector, DeliveryContext, Ticket};
use events::{Headers, record::HeaderName};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to publish. The partition is chosen as Java's clients do (murmur2 over the key) unless it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub topic: Arc<str>,
    pub partition: Option<i32>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
    /// Milliseconds since the epoch; the time of sending if absent.
    pub timestamp_ms: Option<i64>,
}

impl Outgoing {
    /// Bytes of key, value and headers: what the size limit counts.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + self.headers.size_bytes()
    }
}

/// Where an acknowledged record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    pub partition: i32,
    pub offset: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProducerConfig {
    /// Shared by all clients of a program; set by it, not read from the producer's section.
    #[serde(skip)]
    pub client: ClientConfig,
    /// Largest record, key and headers included. Topics must allow as much (`max.message.bytes`), see `deploy/topics.yaml`.
    pub max_record_bytes: usize,
    /// How long a batch waits for more, in milliseconds.
    pub linger_ms: u64,
    /// After this long without an acknowledgement a record is given up, in milliseconds.
    pub delivery_timeout_ms: u64,
    /// Bound of the queue in KiB.
    pub queue_kib: usize,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            client: ClientConfig::default(),
            max_record_bytes: 1_000_000,
            linger_ms: 5,
            delivery_timeout_ms: 120_000,
            queue_kib: 32 * 1024,
        }
    }
}

/// A producer and its thread. Clones share both.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<ThreadedProducer<DeliveryContext>>,
    max_record_bytes: usize,
    patience: Duration,
}

/// How often a full queue is tried again.
const QUEUE_RETRY: Duration = Duration::from_millis(2);
/// What the batch format adds to a record at most, beyond names and lengths of headers.
const RECORD_OVERHEAD: usize = 128;

impl Producer {
    pub fn start(config: &ProducerConfig) -> Result<Self> {
        let mut native = config.client.native()?;
        native
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("compression.type", "lz4")
            .set("linger.ms", config.linger_ms.to_string())
            .set("batch.num.messages", "100000")
            .set("message.max.bytes", (config.max_record_bytes + 64 * 1024).to_string())
            .set("delivery.timeout.ms", config.delivery_timeout_ms.to_string())
            .set("queue.buffering.max.messages", "400000")
            .set("queue.buffering.max.kbytes", config.queue_kib.to_string());
        for (name, value) in &config.client.properties {
            native.set(name, value);
        }
        let inner = native
            .create_with_context::<_, ThreadedProducer<DeliveryContext>>(DeliveryContext)
            .map_err(|error| Error::Config(vec![format!("producer: {error}")]))?;
        let patience = Duration::from_millis(config.delivery_timeout_ms);
        Ok(Self { inner: Arc::new(inner), max_record_bytes: config.max_record_bytes, patience })
    }

    /// Publishes one record; returns when the broker has it.
    pub async fn send(&self, record: &Outgoing) -> Result<Ack> {
        let mut acks = self.send_all(std::slice::from_ref(record)).await;
        acks.pop().unwrap_or(Err(Error::Closed))
    }

    /// Publishes all records in this order and returns their results in the same order. Waits while the queue is full.
    /// Where one is refused, later ones of the same partition may be there all the same.
    pub async fn send_all(&self, records: &[Outgoing]) -> Vec<Result<Ack>> {
        let (collector, done) = Collector::new(records.len());
        let deadline = Instant::now() + self.patience;
        for (index, record) in records.iter().enumerate() {
            let mut ticket = Box::new(Ticket::new(collector.clone(), index, record));
            loop {
                match self.enqueue(record, ticket) {
                    Ok(()) => break,
                    Err((Error::QueueFull, back)) if Instant::now() < deadline => {
                        ticket = back;
                        tokio::time::sleep(QUEUE_RETRY).await;
                    }
                    Err((error, back)) => {
                        back.settle(Err(error));
                        break;
                    }
                }
            }
        }
        drop(collector);
        done.await.unwrap_or_else(|_| records.iter().map(|_| Err(Error::Closed)).collect())
    }

    fn enqueue(&self, record: &Outgoing, ticket: Box<Ticket>) -> std::result::Result<(), (Error, Box<Ticket>)> {
        let size = record.size_bytes() + record.headers.0.len() * 10 + RECORD_OVERHEAD;
        if size > self.max_record_bytes + RECORD_OVERHEAD {
            return Err((Error::TooLarge { topic: record.topic.to_string(), bytes: record.size_bytes() }, ticket));
        }
        let mut native = BaseRecord::<[u8], [u8], Box<Ticket>>::with_opaque_to(&record.topic, ticket);
        native.key = record.key.as_deref();
        native.payload = record.value.as_deref();
        native.partition = record.partition;
        native.timestamp = record.timestamp_ms;
        native.headers = native_headers(&record.headers);
        self.inner.send(native).map_err(|(error, back)| (send_error(record, &error), back.delivery_opaque))
    }

    /// Records that are queued or under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.inner.in_flight_count()).unwrap_or(0)
    }

    /// The fatal error of this client, if it has met one: it must be started anew.
    #[must_use]
    pub fn fatal_error(&self) -> Option<Error> {
        self.inner.client().fatal_error().map(|(code, reason)| Error::Fatal { reason: format!("{code}: {reason}") })
    }

    /// Waits until everything queued is acknowledged, at most until `deadline`; returns how many records are left unanswered.
    pub async fn close(self, deadline: Duration) -> usize {
        let until = Instant::now() + deadline;
        while self.in_flight() > 0 && Instant::now() < until {
            tokio::time::sleep(QUEUE_RETRY).await;
        }
        let left = self.in_flight();
        // Dropping the last clone joins a thread.
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
        left
    }
}

fn native_headers(headers: &Headers) -> Option<OwnedHeaders> {
    if headers.0.is_empty() {
        return None;
    }
    let empty = OwnedHeaders::new_with_capacity(headers.0.len());
    let insert = |native: OwnedHeaders, (name, value): &(HeaderName, Option<Bytes>)| {
        native.insert(Header { key: name.as_ref(), value: value.as_deref() })
    };
    Some(headers.0.iter().fold(empty, insert))
}

fn send_error(record: &Outgoing, error: &KafkaError) -> Error {
    match error.rdkafka_error_code() {
        Some(code) => delivery_error(&record.topic, record.size_bytes(), code),
        None => Error::Config(vec![format!("topic `{}`: {error}", record.topic)]),
    }
}

fn delivery_error(topic: &str, bytes: usize, code: RDKafkaErrorCode) -> Error {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize => {
            Error::TooLarge { topic: topic.to_owned(), bytes }
        }
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownPartition => Error::UnknownTopic { topic: topic.to_owned() },
        RDKafkaErrorCode::MessageTimedOut
        | RDKafkaErrorCode::RequestTimedOut
        | RDKafkaErrorCode::PurgeInflight
        | RDKafkaErrorCode::PurgeQueue
        | RDKafkaErrorCode::BrokerTransportFailure => {
            Error::NotAcknowledged { topic: topic.to_owned(), reason: code.to_string() }
        }
        other => Error::from_code(format!("publish to `{topic}`"), other),
    }
}

#[cfg(test)]
mod tests;
