//! Letters that go to another topic for good: key, value and headers byte for byte, and whence each came and why.

use events::{Headers, partition::partition_for_key};
use ledger::{Destination, Millis, NewOutgoing, ParkedRecord};

/// The headers of a moved letter: its own, then whence it came, why it failed, and who moved it (`by`: who, and the reason).
#[must_use]
pub fn moved_headers(service: &str, row: &ParkedRecord, by: (&str, &str)) -> Headers {
    let mut headers = row.headers.clone();
    let failure = row.fate.failure.as_ref();
    let said = [
        ("dlq.id", Some(format!("{service}/{}/{}/{}", row.slice, row.sequence, row.no))),
        ("dlq.original.topic", Some(row.topic.clone())),
        ("dlq.original.partition", Some(row.partition.to_string())),
        ("dlq.original.offset", Some(row.offset.to_string())),
        ("dlq.original.timestamp", Some(row.timestamp_ms.to_string())),
        ("dlq.consumer", Some(service.to_owned())),
        ("dlq.class", failure.map(|failure| failure.class.to_string())),
        ("dlq.code", failure.map(|failure| failure.code.to_string())),
        ("dlq.reason", failure.map(|failure| failure.reason.clone())),
        ("dlq.moved.by", Some(by.0.to_owned())),
        ("dlq.moved.reason", Some(by.1.to_owned())),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            headers.push(name, value);
        }
    }
    headers
}

/// The copy as an event of the outbox, in the partition of its key.
pub(super) fn copy(service: &str, row: &ParkedRecord, to: &Destination, by: (&str, &str), now: Millis) -> NewOutgoing {
    let partitions = to.partitions.max(1);
    let partition =
        row.key.as_ref().map_or_else(|| row.slice.rem_euclid(partitions), |key| partition_for_key(key, partitions));
    NewOutgoing {
        topic: to.topic.clone(),
        partition,
        key: row.key.clone(),
        value: row.value.clone(),
        headers: moved_headers(service, row, by),
        timestamp_ms: now,
    }
}
