//! The header names of each family, as the tools' own sources have them.

use super::{Family, Origin, number};
use crate::Headers;

/// Where a family writes what. An absent name is one that it does not write.
#[derive(Debug)]
pub(super) struct Names {
    pub family: Family,
    /// One of these makes a record a letter of this family.
    pub marks: &'static [&'static str],
    pub topic: &'static str,
    pub partition: &'static str,
    pub offset: &'static str,
    pub timestamp: &'static str,
    pub consumer: &'static str,
    pub attempts: &'static str,
    pub error: &'static [&'static str],
    pub message: &'static [&'static str],
    pub stage: &'static str,
    /// Numbers are big-endian bytes, not digits.
    pub binary: bool,
    /// Of a repeated header the first counts; otherwise the last, as Kafka's clients read one.
    first_wins: bool,
}

pub(super) const ALL: &[Names] = &[
    Names {
        family: Family::Throughline,
        marks: &["dlq.id"],
        topic: "dlq.original.topic",
        partition: "dlq.original.partition",
        offset: "dlq.original.offset",
        timestamp: "dlq.original.timestamp",
        consumer: "dlq.consumer",
        attempts: "dlq.attempts",
        error: &["dlq.code"],
        message: &["dlq.reason"],
        stage: "dlq.class",
        binary: false,
        first_wins: false,
    },
    Names {
        family: Family::SpringDeadLetter,
        marks: &["kafka_dlt-original-topic", "kafka_dlt-exception-fqcn", "kafka_dlt-original-offset"],
        topic: "kafka_dlt-original-topic",
        partition: "kafka_dlt-original-partition",
        offset: "kafka_dlt-original-offset",
        timestamp: "kafka_dlt-original-timestamp",
        consumer: "kafka_dlt-original-consumer-group",
        attempts: "",
        error: &["kafka_dlt-exception-cause-fqcn", "kafka_dlt-exception-fqcn", "kafka_dlt-key-exception-fqcn"],
        message: &["kafka_dlt-exception-message", "kafka_dlt-key-exception-message"],
        stage: "",
        binary: true,
        first_wins: false,
    },
    Names {
        family: Family::SpringRetry,
        marks: &["kafka_original-topic", "retry_topic-attempts", "kafka_exception-fqcn"],
        topic: "kafka_original-topic",
        partition: "kafka_original-partition",
        offset: "kafka_original-offset",
        timestamp: "kafka_original-timestamp",
        // Spring writes the group of a retry under the name it has in a dead-letter topic.
        consumer: "kafka_dlt-original-consumer-group",
        attempts: "retry_topic-attempts",
        error: &["kafka_exception-cause-fqcn", "kafka_exception-fqcn", "kafka_key-exception-fqcn"],
        message: &["kafka_exception-message", "kafka_key-exception-message"],
        stage: "",
        binary: true,
        first_wins: false,
    },
    Names {
        family: Family::KafkaConnect,
        marks: &["__connect.errors.topic", "__connect.errors.connector.name"],
        topic: "__connect.errors.topic",
        partition: "__connect.errors.partition",
        offset: "__connect.errors.offset",
        timestamp: "",
        consumer: "__connect.errors.connector.name",
        attempts: "",
        error: &["__connect.errors.exception.class.name"],
        message: &["__connect.errors.exception.message"],
        stage: "__connect.errors.stage",
        binary: false,
        first_wins: true,
    },
    Names {
        family: Family::KafkaStreams,
        marks: &["__streams.errors.topic", "__streams.errors.exception"],
        topic: "__streams.errors.topic",
        partition: "__streams.errors.partition",
        offset: "__streams.errors.offset",
        timestamp: "",
        consumer: "",
        attempts: "",
        error: &["__streams.errors.exception"],
        message: &["__streams.errors.message"],
        stage: "",
        binary: false,
        first_wins: false,
    },
    Names {
        family: Family::ShareGroup,
        marks: &["__dlq.errors.topic", "__dlq.errors.group"],
        topic: "__dlq.errors.topic",
        partition: "__dlq.errors.partition",
        offset: "__dlq.errors.offset",
        timestamp: "",
        consumer: "__dlq.errors.group",
        attempts: "__dlq.errors.delivery.count",
        error: &[],
        message: &["__dlq.errors.message"],
        stage: "",
        binary: false,
        first_wins: false,
    },
    Names {
        family: Family::SmallRye,
        marks: &["dead-letter-topic", "dead-letter-reason", "deserialization-failure-reason"],
        topic: "dead-letter-topic",
        partition: "dead-letter-partition",
        offset: "dead-letter-offset",
        timestamp: "",
        consumer: "",
        attempts: "",
        error: &["dead-letter-cause-class-name", "dead-letter-exception-class-name"],
        message: &["dead-letter-reason", "dead-letter-cause", "deserialization-failure-reason"],
        stage: "deserialization-failure-deserializer",
        binary: false,
        first_wins: false,
    },
    Names {
        family: Family::Kafbat,
        marks: &["x-original-topic"],
        topic: "x-original-topic",
        partition: "",
        offset: "",
        timestamp: "",
        consumer: "",
        attempts: "",
        error: &[],
        message: &[],
        stage: "",
        binary: false,
        first_wins: false,
    },
];

/// The names of a family; `Unknown` has none.
pub(super) fn of(family: Family) -> Option<&'static Names> {
    ALL.iter().find(|names| names.family == family)
}

/// Stack traces in a message are not for a list.
const MAX_TEXT: usize = 2_000;

impl Names {
    pub fn is_in(&self, headers: &Headers) -> bool {
        self.marks.iter().any(|mark| headers.0.iter().any(|(name, _)| name == mark))
    }

    /// Every name of the family.
    pub fn all(&self) -> impl Iterator<Item = &'static str> {
        let single =
            [self.topic, self.partition, self.offset, self.timestamp, self.consumer, self.attempts, self.stage];
        let several = [self.marks, self.error, self.message];
        single.into_iter().chain(several.into_iter().flatten().copied()).filter(|name| !name.is_empty())
    }

    pub fn read(&self, headers: &Headers) -> Origin {
        let mut reader = Reader { names: self, headers, problems: Vec::new() };
        let origin = Origin {
            family: self.family,
            topic: reader.text(self.topic),
            partition: reader.number(self.partition, 4, 1_000_000).and_then(|number| i32::try_from(number).ok()),
            offset: reader.number(self.offset, 8, 1 << 53),
            timestamp_ms: reader.number(self.timestamp, 8, 1 << 53),
            consumer: reader.text(self.consumer),
            attempts: reader.number(self.attempts, 4, 1 << 31),
            error: self.error.iter().find_map(|name| reader.text(name)),
            message: self.message.iter().find_map(|name| reader.text(name)),
            stage: reader.text(self.stage),
            problems: Vec::new(),
        };
        Origin { problems: reader.problems, ..origin }
    }
}

struct Reader<'a> {
    names: &'a Names,
    headers: &'a Headers,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    fn get(&mut self, name: &str) -> Option<&'a [u8]> {
        if name.is_empty() {
            return None;
        }
        let mut values =
            self.headers.0.iter().filter(|(found, _)| found == name).filter_map(|(_, value)| value.as_deref());
        let first = values.next()?;
        let last = values.next_back().unwrap_or(first);
        if first != last {
            self.problems.push(format!("`{name}` is there twice, with different values"));
        }
        Some(if self.names.first_wins { first } else { last })
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let bytes = self.get(name)?;
        match std::str::from_utf8(bytes) {
            Ok("") => None,
            Ok(text) => Some(text.chars().take(MAX_TEXT).collect()),
            Err(_) => {
                self.problems.push(format!("`{name}` is no text"));
                None
            }
        }
    }

    fn number(&mut self, name: &str, width: usize, most: i64) -> Option<i64> {
        let bytes = self.get(name)?;
        let read = if self.names.binary { number::binary(bytes, width, most) } else { number::digits(bytes, most) };
        if read.is_none() {
            self.problems.push(format!("`{name}` is no number that can be true"));
        }
        read
    }
}
