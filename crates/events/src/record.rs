//! What Kafka delivers, byte for byte, free of any client library.

use bytes::Bytes;
use std::{borrow::Cow, sync::Arc};

/// Headers in the order they came; names may repeat and values may be null.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Headers(pub Vec<(HeaderName, Option<Bytes>)>);

/// A header's name; [`header_name`] makes one without an allocation where the name is an ordinary one.
pub type HeaderName = Cow<'static, str>;

/// What nearly every header of nearly every record is called.
const ORDINARY: [&str; 13] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_correlationid",
    "ce_causationid",
    "ce_sequence",
    "ce_dataschema",
    "content-type",
    "traceparent",
    crate::wire::VALUE_SCHEMA_ID,
];

/// The name of a header as Kafka has it; bytes that are not UTF-8 are replaced.
#[must_use]
pub fn header_name(name: &[u8]) -> HeaderName {
    match ORDINARY.iter().find(|ordinary| ordinary.as_bytes() == name) {
        Some(ordinary) => Cow::Borrowed(ordinary),
        None => Cow::Owned(String::from_utf8_lossy(name).into_owned()),
    }
}

impl Headers {
    /// The last value of `name`, as Kafka's own clients read a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().rev().find(|(n, _)| n == name).and_then(|(_, value)| value.as_ref())
    }

    /// The last value of `name` as text; `None` if it is missing or not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push((Cow::Owned(name.into()), Some(value.into())));
    }

    /// Bytes of names and values: what the header budget counts.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len)).sum()
    }
}

/// One record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch, as the broker has it; -1 where it has none.
    pub timestamp_ms: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl Record {
    /// Copies key, value and headers out of the buffer that the records of a delivery share: one record that is kept for long
    /// must not keep its neighbours.
    pub fn detach(&mut self) {
        let parts = [&self.key, &self.value].into_iter().chain(self.headers.0.iter().map(|(_, value)| value));
        let mut copy = Vec::with_capacity(parts.clone().flatten().map(Bytes::len).sum());
        parts.flatten().for_each(|bytes| copy.extend_from_slice(bytes));
        let (copy, mut at) = (Bytes::from(copy), 0);
        let mut own = |part: &mut Option<Bytes>| {
            if let Some(bytes) = part {
                let end = at + bytes.len();
                *bytes = copy.slice(at..end);
                at = end;
            }
        };
        own(&mut self.key);
        own(&mut self.value);
        self.headers.0.iter_mut().for_each(|(_, value)| own(value));
    }

    /// What the record occupies in memory, roughly: the unit of every byte bound.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        const FIXED: usize = 160;
        FIXED
            + self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + self.headers.size_bytes()
            + self.headers.0.len() * 56
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detached_record_is_the_same_record_in_a_buffer_of_its_own() {
        let shared = Bytes::from_static(b"neighbour:key:value:header");
        let mut headers = Headers(vec![("a".into(), Some(shared.slice(20..))), ("b".into(), None)]);
        headers.push("c", Bytes::new());
        let mut record = Record {
            topic: "t".into(),
            partition: 0,
            offset: 1,
            timestamp_ms: 2,
            key: Some(shared.slice(10..13)),
            value: Some(shared.slice(14..19)),
            headers,
        };
        let before = record.clone();
        record.detach();
        assert_eq!(record, before);
        let inside = |part: &Bytes| shared.as_ptr_range().contains(&part.as_ptr());
        assert!(!record.value.iter().chain(&record.key).any(inside));
    }
}
