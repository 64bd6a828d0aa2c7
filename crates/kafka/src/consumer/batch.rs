//! Gathers messages of one partition into records that share one buffer.

use crate::native;
use bytes::Bytes;
use events::{
    Headers, Record,
    record::{HeaderName, header_name},
};
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use std::ops::Range;
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct Building {
    buffer: Vec<u8>,
    spans: Vec<Span>,
    headers: Vec<(HeaderName, Option<Range<usize>>)>,
}

struct Span {
    offset: i64,
    timestamp_ms: i64,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

impl Building {
    pub(crate) fn add(&mut self, message: &BorrowedMessage<'_>) {
        let first_header = self.headers.len();
        let (buffer, headers) = (&mut self.buffer, &mut self.headers);
        native::visit_headers(message, |name, value| {
            headers.push((header_name(name), value.map(|value| append(buffer, value))));
        });
        let span = Span {
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            key: message.key().map(|key| append(&mut self.buffer, key)),
            value: message.payload().map(|value| append(&mut self.buffer, value)),
            headers: first_header..self.headers.len(),
        };
        self.spans.push(span);
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.spans.clear();
        self.headers.clear();
    }

    /// The records gathered so far; leaves this empty, with room for as much again.
    pub(crate) fn take(&mut self, topic: &Arc<str>, partition: i32) -> Vec<Record> {
        let room = self.buffer.len();
        let shared = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(room)));
        let mut headers = self.headers.drain(..);
        let slice = |range: Option<Range<usize>>| range.map(|range| shared.slice(range));
        self.spans
            .drain(..)
            .map(|span| Record {
                topic: topic.clone(),
                partition,
                offset: span.offset,
                timestamp_ms: span.timestamp_ms,
                key: slice(span.key),
                value: slice(span.value),
                headers: Headers(
                    headers.by_ref().take(span.headers.len()).map(|(name, value)| (name, slice(value))).collect(),
                ),
            })
            .collect()
    }
}

fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Range<usize> {
    let start = buffer.len();
    buffer.extend_from_slice(bytes);
    start..buffer.len()
}
