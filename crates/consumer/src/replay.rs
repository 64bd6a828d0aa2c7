//! `replay.<service>`: records that any Kafka tool copied there, with their key, value and headers. The headers say which topic each
//! came from, ours (`dlq.original.*`) or those of other frameworks; then it is read as a record of that topic.
//!
//! What must never happen: a record is believed to come from a topic that the service does not read; one is taken by a slice that does
//! not own its key; one goes round for ever.

use events::{Headers, Record, foreign, partition::partition_for_key};
use failure::Failure;
use std::sync::Arc;

/// How often a record may become a letter and come back before it stays one.
pub const MOST_ROUNDS: usize = 3;

/// The code of a record that went round too often. It stays in the ledger, and no further letter of it is published.
pub const LOOP: &str = "REPLAY_LOOP";

/// Counts how often a record came back: put into letters of records that were letters before.
pub const ROUNDS: &str = "dlq.replay.count";

/// The replay topic of a service.
#[must_use]
pub fn topic(service: &str) -> String {
    format!("replay.{service}")
}

#[must_use]
pub fn is_replay(topic: &str) -> bool {
    topic.starts_with("replay.")
}

/// The topic that a record of the replay topic is read as.
///
/// # Errors
/// `REPLAY_LOOP`, `REPLAY_ORIGIN_UNKNOWN`, `REPLAY_WRONG_PARTITION`: letters, because nobody can tell what to do with the record.
pub fn origin(record: &Record, inputs: &[&'static str], partitions: i32) -> Result<Arc<str>, Failure> {
    let rounds = rounds(&record.headers);
    if rounds >= MOST_ROUNDS {
        let reason = format!("it came back {rounds} times and failed each time");
        return Err(Failure::contract(LOOP, reason));
    }
    if let Some(key) = &record.key {
        let home = partition_for_key(key, partitions);
        if home != record.partition {
            let reason = format!("its key belongs to partition {home}, it lies in {}", record.partition);
            return Err(Failure::contract("REPLAY_WRONG_PARTITION", reason));
        }
    }
    let (header, topic) = match foreign::origin_topic(&record.headers) {
        Some(named) => named,
        None => ("ce_type", of_type(&record.headers, inputs)?),
    };
    let known = inputs.iter().find(|input| **input == topic);
    known.map(|input| Arc::from(*input)).ok_or_else(|| {
        let reason = format!("`{header}` names `{}`, which this service does not read", shortened(topic));
        Failure::contract("REPLAY_ORIGIN_UNKNOWN", reason).at_field(header)
    })
}

/// Without an origin, the type of the event names its topic.
fn of_type<'a>(headers: &'a Headers, inputs: &[&'static str]) -> Result<&'a str, Failure> {
    let unknown = |reason: &str| Failure::contract("REPLAY_ORIGIN_UNKNOWN", reason.to_owned());
    let event_type = headers.text("ce_type").ok_or_else(|| unknown("no header says which topic it came from"))?;
    let topic = inputs.iter().find(|input| events::topics::type_matches(event_type, input));
    topic.and_then(|topic| event_type.get(event_type.len() - topic.len()..)).ok_or_else(|| {
        unknown("no header says which topic it came from, and `ce_type` names none that this service reads")
    })
}

/// How often the record was a letter and came back.
#[must_use]
pub fn rounds(headers: &Headers) -> usize {
    headers.text(ROUNDS).and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(100);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const INPUTS: &[&str] = &["invoice.posted.v1", "contract.activated.v1"];

    fn record(headers: &[(&str, &str)]) -> Record {
        let mut all = Headers::default();
        headers.iter().for_each(|(name, value)| all.push(*name, (*value).to_owned()));
        Record {
            topic: "replay.erp-sync".into(),
            partition: partition_for_key(b"acct-1", 12),
            offset: 0,
            timestamp_ms: 0,
            key: Some(Bytes::from_static(b"acct-1")),
            value: None,
            headers: all,
        }
    }

    #[test]
    fn letters_of_each_family_are_read_as_records_of_the_topic_they_came_from() {
        for header in [
            "dlq.original.topic",
            "kafka_dlt-original-topic",
            "kafka_original-topic",
            "__connect.errors.topic",
            "__streams.errors.topic",
            "__dlq.errors.topic",
            "dead-letter-topic",
            "x-original-topic",
        ] {
            let found = origin(&record(&[(header, "invoice.posted.v1")]), INPUTS, 12);
            assert_eq!(found.as_deref(), Ok("invoice.posted.v1"), "{header}");
        }
    }

    #[test]
    fn without_an_origin_the_type_of_the_event_names_its_topic() {
        let typed = record(&[("ce_type", "com.example.throughline.contract.activated.v1")]);
        assert_eq!(origin(&typed, INPUTS, 12).as_deref(), Ok("contract.activated.v1"));
    }

    #[test]
    fn headers_that_lie_end_in_a_clear_letter() {
        let code = |record: &Record| origin(record, INPUTS, 12).map_err(|failure| failure.code.into_owned());
        let strange = record(&[("kafka_dlt-original-topic", "payroll.v1")]);
        assert_eq!(code(&strange), Err("REPLAY_ORIGIN_UNKNOWN".into()));
        assert_eq!(code(&record(&[])), Err("REPLAY_ORIGIN_UNKNOWN".into()));
        assert_eq!(code(&record(&[("ce_type", "x")])), Err("REPLAY_ORIGIN_UNKNOWN".into()));
        let sound = record(&[("dlq.original.topic", "invoice.posted.v1")]);
        let astray = Record { partition: sound.partition + 1, ..sound.clone() };
        assert_eq!(code(&astray), Err("REPLAY_WRONG_PARTITION".into()));
        let round = record(&[("dlq.original.topic", "invoice.posted.v1"), (ROUNDS, "3")]);
        assert_eq!(code(&round), Err("REPLAY_LOOP".into()));
    }
}
