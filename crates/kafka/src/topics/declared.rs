//! Reads the topics file. Nothing is guessed: a key that is not known, a unit that is wrong or a name that Kafka refuses is a
//! problem, and all problems are told together.

use super::units::{parse_bytes, parse_duration};
use crate::TopicSpec;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// All topics of the installation, in order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub topics: Vec<TopicDeclaration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDeclaration {
    pub name: String,
    pub partitions: i32,
    pub replication: i32,
    pub retention: Retention,
    pub cleanup: Cleanup,
    /// Largest record batch the topic takes.
    pub max_message_bytes: i64,
    /// The team that answers for what is in it.
    pub owner: String,
    pub doc: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    Millis(i64),
    Forever,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    Delete,
    Compact,
}

/// One thing that is wrong, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl TopicDeclaration {
    /// What Kafka is told about it. `replication` overrides the file's, for clusters of fewer brokers.
    #[must_use]
    pub fn spec(&self, replication: Option<i32>) -> TopicSpec {
        let replication = replication.unwrap_or(self.replication);
        let retention = match self.retention {
            Retention::Millis(millis) => millis,
            Retention::Forever => -1,
        };
        let cleanup = match self.cleanup {
            Cleanup::Delete => "delete",
            Cleanup::Compact => "compact",
        };
        let settings = BTreeMap::from([
            ("cleanup.policy".to_owned(), cleanup.to_owned()),
            ("max.message.bytes".to_owned(), self.max_message_bytes.to_string()),
            // One broker may be away without stopping publishers, and no acknowledged record is on one disk only.
            ("min.insync.replicas".to_owned(), (replication - 1).max(1).to_string()),
            ("retention.ms".to_owned(), retention.to_string()),
        ]);
        TopicSpec { name: self.name.clone(), partitions: self.partitions, replication: Some(replication), settings }
    }
}

impl Declared {
    /// Reads the file's text.
    pub fn parse(yaml: &str) -> Result<Self, Vec<Problem>> {
        let root: Value = serde_saphyr::from_str(yaml)
            .map_err(|error| vec![Problem { path: "file".to_owned(), message: format!("is not YAML: {error}") }])?;
        let mut reader = Reader::default();
        let topics = reader.file(&root);
        if reader.problems.is_empty() { Ok(Self { topics }) } else { Err(reader.problems) }
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<&TopicDeclaration> {
        self.topics.iter().find(|topic| topic.name == name)
    }
}

const TOPIC_KEYS: [&str; 7] =
    ["partitions", "replication", "retention", "cleanup", "max_message_bytes", "owner", "doc"];

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

/// A topic's own table, and what holds where it is silent.
struct Table<'a> {
    path: String,
    own: &'a Map<String, Value>,
    defaults: &'a Map<String, Value>,
}

impl Reader {
    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), message: message.into() });
    }

    fn file(&mut self, root: &Value) -> Vec<TopicDeclaration> {
        let empty = Map::new();
        let table = self.table(root, "file").unwrap_or(&empty);
        self.unknown_keys(table, "", &["version", "defaults", "topics"]);
        if table.get("version") != Some(&Value::from(1)) {
            self.problem("version", "must be 1");
        }
        let defaults = table.get("defaults").and_then(|value| self.table(value, "defaults")).unwrap_or(&empty);
        self.unknown_keys(defaults, "defaults.", &TOPIC_KEYS);
        let Some(topics) = table.get("topics").and_then(|value| self.table(value, "topics")) else {
            self.problem("topics", "is missing");
            return Vec::new();
        };
        topics.iter().map(|(name, value)| self.topic(name, value, defaults)).collect()
    }

    fn table<'a>(&mut self, value: &'a Value, path: &str) -> Option<&'a Map<String, Value>> {
        let table = value.as_object();
        if table.is_none() {
            self.problem(path, "must be a table");
        }
        table
    }

    fn unknown_keys(&mut self, table: &Map<String, Value>, prefix: &str, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            self.problem(format!("{prefix}{key}"), format!("unknown key (known: {})", known.join(", ")));
        }
    }

    fn topic(&mut self, name: &str, value: &Value, defaults: &Map<String, Value>) -> TopicDeclaration {
        let path = format!("topics.{name}");
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > 249 || !name.chars().all(legal) {
            self.problem(&path, "is no topic name (letters, digits, `.`, `_`, `-`, at most 249)");
        }
        let empty = Map::new();
        let own = self.table(value, &path).unwrap_or(&empty);
        self.unknown_keys(own, &format!("{path}."), &TOPIC_KEYS);
        let table = Table { path, own, defaults };
        TopicDeclaration {
            name: name.to_owned(),
            partitions: self.count(&table, "partitions", 1..=10_000),
            replication: self.count(&table, "replication", 1..=10),
            retention: self.text(&table, "retention", "a duration such as 90d, or `forever`", |text| match text {
                "forever" => Some(Retention::Forever),
                text => parse_duration(text).map(Retention::Millis),
            }),
            cleanup: self.text(&table, "cleanup", "`delete` or `compact`", |text| match text {
                "delete" => Some(Cleanup::Delete),
                "compact" => Some(Cleanup::Compact),
                _ => None,
            }),
            max_message_bytes: self.text(&table, "max_message_bytes", "a size such as 2MiB", parse_bytes),
            owner: self.text(&table, "owner", "the name of a team", words),
            doc: self.text(&table, "doc", "a sentence", words),
        }
    }

    fn value<'a>(&mut self, table: &Table<'a>, key: &str) -> Option<&'a Value> {
        let found = table.own.get(key).or_else(|| table.defaults.get(key));
        if found.is_none() {
            self.problem(format!("{}.{key}", table.path), "is missing, and there is no default");
        }
        found
    }

    fn count(&mut self, table: &Table<'_>, key: &str, range: std::ops::RangeInclusive<i64>) -> i32 {
        let Some(value) = self.value(table, key) else { return 1 };
        match value.as_i64().filter(|count| range.contains(count)) {
            Some(count) => i32::try_from(count).unwrap_or(1),
            None => {
                let message = format!("must be a whole number from {} to {}", range.start(), range.end());
                self.problem(format!("{}.{key}", table.path), message);
                1
            }
        }
    }

    fn text<T: Fallback>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Some(value) = self.value(table, key) else { return T::fallback() };
        value.as_str().and_then(read).unwrap_or_else(|| {
            self.problem(format!("{}.{key}", table.path), format!("must be {expected}"));
            T::fallback()
        })
    }
}

fn words(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Stands in for a value that is wrong until the problems are reported.
trait Fallback {
    fn fallback() -> Self;
}

impl Fallback for Retention {
    fn fallback() -> Self {
        Self::Forever
    }
}

impl Fallback for Cleanup {
    fn fallback() -> Self {
        Self::Delete
    }
}

impl Fallback for i64 {
    fn fallback() -> Self {
        1
    }
}

impl Fallback for String {
    fn fallback() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_with_its_place() {
        let yaml = "
version: 2
defaults: {partitions: 12, replication: 3, retention: 90 days, cleanup: delete, max_message_bytes: 1MiB, colour: red}
topics:
  good.v1: {owner: billing, doc: Fine., retention: forever}
  bad name: {owner: billing, doc: Fine., partitions: 0, max_message_bytes: 1MB}
  lonely.v1: {}
";
        let problems = Declared::parse(yaml).expect_err("wrong");
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "version",
                "defaults.colour",
                "topics.bad name",
                "topics.bad name.partitions",
                "topics.bad name.retention",
                "topics.bad name.max_message_bytes",
                "topics.lonely.v1.retention",
                "topics.lonely.v1.owner",
                "topics.lonely.v1.doc",
            ]
        );
    }

    #[test]
    fn the_file_of_the_repository_declares_every_event_topic_alike() {
        let declared = Declared::parse(include_str!("../../../../deploy/topics.yaml")).expect("sound");
        let partitions = declared.find("dlq.erp-sync").expect("declared").partitions;
        for subject in events::topics::SUBJECTS {
            let topic = declared.find(subject.topic).unwrap_or_else(|| panic!("{} is not declared", subject.topic));
            assert_eq!((topic.partitions, &*topic.owner), (partitions, subject.owner), "{}", subject.topic);
        }
        assert_eq!(declared.find("replay.erp-sync").expect("declared").partitions, partitions);
    }
}
