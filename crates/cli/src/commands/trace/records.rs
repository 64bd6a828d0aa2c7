//! The records of one thing, from all topics.

use crate::{
    exit::Result,
    output::Progress,
    stack::{Stack, broker_trouble},
};
use events::{
    Record,
    topics::{Family, of_family},
};
use kafka::Admin;
use serde::Serialize;
use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc, time::Duration};

/// Reading all topics may take long; longer than this is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is looked for.
#[derive(Debug, Clone)]
pub(super) struct Question {
    what: Arc<str>,
    limit: usize,
}

/// A record that matches, without its content: that may be personal data.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// When the broker got it.
    pub(super) at: String,
    #[serde(skip)]
    pub(super) timestamp_ms: i64,
    /// When it happened, as its publisher says.
    pub(super) time: Option<String>,
    pub(super) account: Option<String>,
    pub(super) id: Option<String>,
    pub(super) source: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) bytes: usize,
}

impl Question {
    pub(super) fn new(what: &str, limit: usize) -> Self {
        Self { what: what.into(), limit }
    }

    /// Ids are compared whole: a prefix of an account is another account.
    fn matches(&self, record: &Record) -> bool {
        let header = |name| record.headers.text(name) == Some(&self.what);
        record.key.as_deref() == Some(self.what.as_bytes())
            || header("ce_id")
            || header("ce_subject")
            || header("ce_correlationid")
    }
}

/// All that match, oldest first, and whether there were more than the limit.
pub(super) async fn find(stack: &Stack, question: &Question, progress: &Progress) -> Result<(Vec<Found>, bool)> {
    let config = stack.kafka()?;
    let admin = Admin::connect(&config).map_err(|error| broker_trouble(&error))?;
    let known = admin.list().await.map_err(|error| broker_trouble(&error))?;
    let drain = kafka::Drain::new(config, PATIENCE);
    let replays = super::super::SERVICES.iter().map(|service| format!("replay.{service}"));
    let letters = super::super::SERVICES.iter().map(|service| format!("dlq.{service}"));
    let inputs = super::super::SERVICES.iter().flat_map(|service| verify::inputs_of(service));
    let inputs: BTreeSet<String> = inputs.map(str::to_owned).collect();
    let rows = of_family(Family::Analytics).map(|subject| subject.topic.to_owned());
    let topics = inputs.into_iter().chain(replays).chain(letters).chain(rows);
    let mut found = Vec::new();
    for topic in topics.filter(|topic| known.contains_key(topic)) {
        let asked = question.clone();
        let visit = move |state: &mut (Vec<Found>, u64), record: Record| {
            state.1 += 1;
            if asked.matches(&record) {
                state.0.push(Found::of(&record));
            }
            if state.0.len() > asked.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let read = drain.fold(&topic, (Vec::new(), 0), visit).await;
        let (matching, count) = read.map_err(|error| broker_trouble(&error))?;
        progress.add(count);
        found.extend(matching);
    }
    found.sort_by(|a, b| a.order().cmp(&b.order()));
    let cut = found.len() > question.limit;
    found.truncate(question.limit);
    Ok((found, cut))
}

impl Found {
    /// A publisher sends many in one millisecond: then its own time tells.
    fn order(&self) -> (i64, Option<&str>, &str, i64) {
        (self.timestamp_ms, self.time.as_deref(), &self.topic, self.offset)
    }

    fn of(record: &Record) -> Self {
        let header = |name| record.headers.text(name).map(str::to_owned);
        Self {
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            at: time(record.timestamp_ms),
            timestamp_ms: record.timestamp_ms,
            time: header("ce_time"),
            account: record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).map(str::to_owned),
            id: header("ce_id"),
            source: header("ce_source"),
            subject: header("ce_subject"),
            correlation_id: header("ce_correlationid"),
            bytes: record.size_bytes(),
        }
    }
}

/// RFC 3339, or a dash where there is no time.
pub(super) fn time(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).ok().filter(|_| millis >= 0);
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Headers;

    fn record(key: &str, headers: &[(&str, &str)]) -> Record {
        let mut all = Headers::default();
        headers.iter().for_each(|(name, value)| all.push(*name, (*value).to_owned()));
        let key = Some(key.to_owned().into());
        Record { topic: "t".into(), partition: 0, offset: 1, timestamp_ms: 0, key, value: None, headers: all }
    }

    #[test]
    fn a_record_is_found_by_account_event_subject_or_correlation() {
        let record = record("A-1", &[("ce_id", "e"), ("ce_subject", "INV-1"), ("ce_correlationid", "c")]);
        for what in ["A-1", "e", "INV-1", "c"] {
            assert!(Question::new(what, 1).matches(&record), "{what}");
        }
        for what in ["A-", "A-11", "INV", ""] {
            assert!(!Question::new(what, 1).matches(&record), "{what}");
        }
    }
}
