//! The difference between what is declared and what there is. Pure.

use super::Declared;
use crate::{ActualTopic, TopicSpec};
use std::fmt;

/// One difference. Settings that others have added to a topic are left alone and are no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Create(TopicSpec),
    Alter {
        topic: String,
        settings: Vec<SettingChange>,
    },
    /// More partitions are declared. Done only when asked for: keys move, and order with them.
    Grow {
        topic: String,
        from: i32,
        to: i32,
    },
    /// Fewer partitions are declared. Kafka cannot, and we would not.
    Shrink {
        topic: String,
        from: i32,
        to: i32,
    },
    /// Copies differ; moving them is work for the cluster's own tools.
    Replication {
        topic: String,
        from: i32,
        to: i32,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    pub name: String,
    /// `None`: the broker's default holds now.
    pub from: Option<String>,
    pub to: String,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct PlanOptions {
    /// Copies of each topic, instead of the file's number, for clusters of fewer brokers.
    pub replication: Option<i32>,
}

impl Change {
    /// A change that no option carries out: the file is wrong, or somebody has to act elsewhere.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        match self {
            Self::Shrink { .. } | Self::Replication { .. } => true,
            Self::Create(_) | Self::Alter { .. } | Self::Grow { .. } => false,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(spec) => {
                write!(f, "create {} ({} partitions", spec.name, spec.partitions)?;
                spec.settings.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))?;
                f.write_str(")")
            }
            Self::Alter { topic, settings } => {
                write!(f, "alter {topic}:")?;
                settings.iter().enumerate().try_for_each(|(index, setting)| {
                    let comma = if index == 0 { "" } else { "," };
                    let from = setting.from.as_deref().unwrap_or("(default)");
                    write!(f, "{comma} {}: {from} -> {}", setting.name, setting.to)
                })
            }
            Self::Grow { topic, from, to } => {
                write!(
                    f,
                    "grow {topic}: {from} -> {to} partitions; keys move to other partitions, order per key breaks"
                )
            }
            Self::Shrink { topic, from, to } => {
                write!(f, "refused {topic}: {from} -> {to} partitions; a topic cannot shrink")
            }
            Self::Replication { topic, from, to } => {
                write!(f, "refused {topic}: {from} -> {to} copies; use the cluster's reassignment tool")
            }
        }
    }
}

/// What has to change so that the cluster is as declared, topics in order of their names.
#[must_use]
pub fn plan(declared: &Declared, actual: &[ActualTopic], options: PlanOptions) -> Vec<Change> {
    let mut changes = Vec::new();
    for topic in &declared.topics {
        let spec = topic.spec(options.replication);
        match actual.iter().find(|found| found.name == topic.name) {
            None => changes.push(Change::Create(spec)),
            Some(found) => compare(&spec, found, &mut changes),
        }
    }
    changes
}

fn compare(spec: &TopicSpec, found: &ActualTopic, changes: &mut Vec<Change>) {
    let (topic, from, to) = (spec.name.clone(), found.partitions, spec.partitions);
    if to > from {
        changes.push(Change::Grow { topic, from, to });
    } else if to < from {
        changes.push(Change::Shrink { topic, from, to });
    }
    if let Some(copies) = spec.replication.filter(|copies| *copies != found.replication) {
        changes.push(Change::Replication { topic: spec.name.clone(), from: found.replication, to: copies });
    }
    let differs = |(name, to): (&String, &String)| {
        let from = found.settings.get(name);
        (from != Some(to)).then(|| SettingChange { name: name.clone(), from: from.cloned(), to: to.clone() })
    };
    let settings: Vec<_> = spec.settings.iter().filter_map(differs).collect();
    if !settings.is_empty() {
        changes.push(Change::Alter { topic: spec.name.clone(), settings });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
version: 1
defaults: {partitions: 12, replication: 3, retention: 90d, cleanup: delete, max_message_bytes: 1MiB, owner: a, doc: b}
topics: {t.v1: {}}
";

    fn declared() -> Declared {
        Declared::parse(FILE).expect("sound")
    }

    fn as_declared() -> ActualTopic {
        let spec = declared().topics[0].spec(None);
        ActualTopic { name: spec.name, partitions: 12, replication: 3, settings: spec.settings }
    }

    #[test]
    fn a_topic_as_declared_needs_nothing_whatever_else_is_set_on_it() {
        let mut found = as_declared();
        found.settings.insert("segment.ms".into(), "1000".into());
        assert_eq!(plan(&declared(), &[found], PlanOptions::default()), []);
    }

    #[test]
    fn a_missing_topic_is_created_with_the_copies_asked_for() {
        let changes = plan(&declared(), &[], PlanOptions { replication: Some(1) });
        let [Change::Create(spec)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((spec.partitions, spec.replication), (12, Some(1)));
        assert_eq!(spec.settings["min.insync.replicas"], "1");
        assert_eq!(spec.settings["retention.ms"], "7776000000");
    }

    #[test]
    fn shrinking_is_refused_and_growing_warns() {
        let more = ActualTopic { partitions: 24, ..as_declared() };
        let changes = plan(&declared(), &[more], PlanOptions::default());
        assert!(changes[0].is_refused() && changes[0].to_string().contains("cannot shrink"), "{changes:?}");
        let fewer = ActualTopic { partitions: 6, ..as_declared() };
        let changes = plan(&declared(), &[fewer], PlanOptions::default());
        assert!(!changes[0].is_refused() && changes[0].to_string().contains("keys move"), "{changes:?}");
    }

    #[test]
    fn a_setting_that_differs_is_altered_and_shown() {
        let mut found = as_declared();
        found.settings.insert("retention.ms".into(), "1".into());
        found.settings.remove("cleanup.policy");
        let changes = plan(&declared(), &[found], PlanOptions::default());
        assert_eq!(
            changes[0].to_string(),
            "alter t.v1: cleanup.policy: (default) -> delete, retention.ms: 1 -> 7776000000"
        );
    }
}
