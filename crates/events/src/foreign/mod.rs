//! Dead letters of any tool: where a record came from and why it failed, read from the headers that the tool writes; and the same
//! headers written beside our own, so that the tool's own readers understand our letters. The one place that knows these names.
//!
//! Headers are claims, not facts. What cannot be true is left out and told as a problem; nothing here is ever acted on by itself.

mod families;
mod number;
mod write;

pub use write::{ALIASES, Claim, alias, without_aliases, write};

use crate::Headers;
use serde::Serialize;

/// Who wrote the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    Throughline,
    SpringDeadLetter,
    SpringRetry,
    KafkaConnect,
    KafkaStreams,
    ShareGroup,
    SmallRye,
    Kafbat,
    /// No header that we know.
    Unknown,
}

/// What a letter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    pub family: Family,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub timestamp_ms: Option<i64>,
    /// The group, connector or application that failed.
    pub consumer: Option<String>,
    pub attempts: Option<i64>,
    /// The class of the error, such as `java.lang.IllegalStateException`.
    pub error: Option<String>,
    pub message: Option<String>,
    /// The step that failed, where the tool tells it.
    pub stage: Option<String>,
    /// What in the headers cannot be true.
    pub problems: Vec<String>,
}

/// Reads the headers of a record that lies in `topic`.
#[must_use]
pub fn origin(topic: &str, headers: &Headers, has_value: bool) -> Origin {
    let mut present: Vec<&families::Names> = families::ALL.iter().filter(|names| names.is_in(headers)).collect();
    let Some(names) = (!present.is_empty()).then(|| present.remove(0)) else { return Origin::unknown() };
    let mut origin = names.read(headers);
    // A letter that failed again as a letter carries the headers of both tools; the first in the table is the newest by habit.
    // Beside our own, one that tells the same place is another name for the same letter, as we write it by switch.
    let is_ours = names.family == Family::Throughline;
    let others = present.iter().map(|names| names.read(headers));
    let mut others = others.filter(|other| !(is_ours && other.is_alias_of(&origin)));
    if let Some(other) = others.next().map(|other| other.family) {
        origin.problems.push(format!("it has headers of {} as well", word(other)));
    }
    if origin.topic.as_deref() == Some(topic) {
        origin.problems.push("it names the topic it lies in as the one it came from".to_owned());
    }
    if origin.topic.is_none() {
        origin.problems.push("it does not say which topic it came from".to_owned());
    }
    if !has_value && names.family == Family::ShareGroup {
        origin
            .problems
            .push("share groups copy no value unless they are told to; the record is where it came from".to_owned());
    }
    origin
}

/// The header that names the topic a record came from, and what it says: of the families that are believed first. Ours, then what
/// names the origin across several hops, then the rest.
#[must_use]
pub fn origin_topic(headers: &Headers) -> Option<(&'static str, &str)> {
    families::ALL.iter().find_map(|names| headers.text(names.topic).map(|topic| (names.topic, topic)))
}

/// The name people know it by.
#[must_use]
pub const fn word(family: Family) -> &'static str {
    match family {
        Family::Throughline => "Throughline",
        Family::SpringDeadLetter => "Spring dead-letter topics",
        Family::SpringRetry => "Spring retry topics",
        Family::KafkaConnect => "Kafka Connect",
        Family::KafkaStreams => "Kafka Streams",
        Family::ShareGroup => "share groups",
        Family::SmallRye => "SmallRye",
        Family::Kafbat => "Kafbat",
        Family::Unknown => "nobody we know",
    }
}

impl Origin {
    /// Whether it says the same of where the record came from, as far as both say anything.
    fn is_alias_of(&self, other: &Self) -> bool {
        self.topic == other.topic && self.partition == other.partition && self.offset == other.offset
    }

    fn unknown() -> Self {
        Self {
            family: Family::Unknown,
            topic: None,
            partition: None,
            offset: None,
            timestamp_ms: None,
            consumer: None,
            attempts: None,
            error: None,
            message: None,
            stage: None,
            problems: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
