//! Brings delivery reports back to whoever sent the records, in the order of sending.

use super::{Ack, Outgoing, context, delivery_error};
use crate::{Error, Result};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use rdkafka::{ClientContext, Statistics};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Gathers the results of one call; sends them when the last ticket is settled.
pub(super) struct Collector {
    state: Mutex<State>,
}

struct State {
    results: Vec<Result<Ack>>,
    missing: usize,
    done: Option<oneshot::Sender<Vec<Result<Ack>>>>,
}

impl Collector {
    pub(super) fn new(count: usize) -> (Arc<Self>, oneshot::Receiver<Vec<Result<Ack>>>) {
        let (done, receiver) = oneshot::channel();
        let mut state = State { results: vec![Err(Error::Closed); count], missing: count, done: Some(done) };
        state.finish_if_complete();
        (Arc::new(Self { state: Mutex::new(state) }), receiver)
    }

    fn settle(&self, index: usize, result: Result<Ack>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = state.results.get_mut(index) {
            *place = result;
        }
        state.missing = state.missing.saturating_sub(1);
        state.finish_if_complete();
    }
}

impl State {
    fn finish_if_complete(&mut self) {
        if self.missing == 0
            && let Some(done) = self.done.take()
        {
            // A caller that went away does not want to know.
            drop(done.send(std::mem::take(&mut self.results)));
        }
    }
}

/// Travels through librdkafka with a record and comes back with its delivery report.
pub(super) struct Ticket {
    collector: Arc<Collector>,
    index: usize,
    topic: Arc<str>,
    bytes: usize,
}

impl Ticket {
    pub(super) fn new(collector: Arc<Collector>, index: usize, record: &Outgoing) -> Self {
        Self { collector, index, topic: record.topic.clone(), bytes: record.size_bytes() }
    }

    pub(super) fn settle(self, result: Result<Ack>) {
        self.collector.settle(self.index, result);
    }
}

pub(super) struct DeliveryContext;

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "kafka", %error, reason, "producer error");
    }

    fn stats(&self, _statistics: Statistics) {}
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, report: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let result = match report {
            Ok(message) => Ok(Ack { partition: message.partition(), offset: message.offset() }),
            Err((error, _)) => Err(match error.rdkafka_error_code() {
                Some(code) => delivery_error(&ticket.topic, ticket.bytes, code),
                None => Error::NotAcknowledged { topic: ticket.topic.to_string(), reason: error.to_string() },
            }),
        };
        ticket.settle(result);
    }
}
