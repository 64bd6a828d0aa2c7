//! Which letters: the flags that every verb takes, joined by "and".

use crate::exit::{Result, Trouble};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SelectionArgs {
    /// Letters of the group with this fingerprint
    #[arg(long, value_name = "FINGERPRINT")]
    group: Option<String>,
    /// business, dependency, unknown, not_yet, poison, contract or bug
    #[arg(long)]
    class: Option<String>,
    /// Such as PERIOD_CLOSED
    #[arg(long)]
    code: Option<String>,
    /// read, decide or send: where it failed
    #[arg(long)]
    step: Option<String>,
    /// Such as erp-sync
    #[arg(long)]
    service: Option<String>,
    /// Topic that the record came from
    #[arg(long)]
    pub(super) topic: Option<String>,
    /// Record key
    #[arg(long)]
    key: Option<String>,
    /// Customer account
    #[arg(long)]
    account: Option<String>,
    /// Records about this order, contract or opportunity
    #[arg(long)]
    order: Option<String>,
    /// Records of this sequence
    #[arg(long)]
    sequence: Option<String>,
    /// Parked at or after: RFC 3339, or 2h for two hours ago
    #[arg(long)]
    since: Option<String>,
    /// Parked before
    #[arg(long)]
    until: Option<String>,
    /// How often it was tried: 3, '>=3', …
    #[arg(long)]
    attempts: Option<String>,
    /// open (the default), blocked, waiting, ended or all
    #[arg(long)]
    state: Option<String>,
    /// CEL over key, value, headers, error, topic, service, attempts, age_seconds
    #[arg(long = "where", value_name = "CEL")]
    condition: Option<String>,
    /// One letter; may be repeated
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Letters by id, one a line; - reads standard input
    #[arg(long, value_name = "FILE")]
    ids_from: Option<PathBuf>,
    /// An even sample of so many
    #[arg(long, value_name = "N")]
    sample: Option<i64>,
    /// Everything, where nothing else is chosen
    #[arg(long)]
    all: bool,
}

impl SelectionArgs {
    /// One letter.
    pub(super) fn of_one(id: &str) -> Self {
        Self { id: vec![id.to_owned()], ..Self::default() }
    }

    /// The topic that is named, if no event of ours lies on it: it holds dead letters that some tool wrote.
    pub(super) fn foreign_topic(&self) -> Option<&str> {
        self.topic.as_deref().filter(|topic| events::topics::find(topic).is_none())
    }

    /// Records of such a topic, as fields of a body.
    pub(super) fn of_topic(&self, topic: &str, max_replays: Option<u32>) -> Result<Map<String, Value>> {
        let others = [
            &self.group,
            &self.class,
            &self.code,
            &self.step,
            &self.order,
            &self.attempts,
            &self.state,
            &self.condition,
            &self.sequence,
        ];
        if others.iter().any(|one| one.is_some())
            || self.ids_from.is_some()
            || self.id.len() > 1
            || self.sample.is_some()
        {
            let message =
                format!("{topic} holds somebody else's letters: they are chosen by --id, --key, --since and --until");
            return Err(Trouble::usage(message));
        }
        let Some(service) = &self.service else {
            return Err(
                Trouble::usage(format!("which service shall see the letters of {topic}?")).hint("--service erp-sync")
            );
        };
        let mut fields = Map::from_iter([("service".to_owned(), json!(service)), ("topic".to_owned(), json!(topic))]);
        let key = self.key.as_ref().or(self.account.as_ref());
        for (name, value) in [("key", key), ("since", self.since.as_ref()), ("until", self.until.as_ref())] {
            fields.extend(value.map(|value| (name.to_owned(), json!(value))));
        }
        if let Some(id) = self.id.first() {
            let place = id.strip_prefix(&format!("{topic}/")).and_then(|rest| rest.split_once('@'));
            let number = |text: &str| text.parse::<i64>().ok();
            let place = place.and_then(|(partition, offset)| Some((number(partition)?, number(offset)?)));
            let Some((partition, offset)) = place else {
                return Err(Trouble::usage(format!("--id {id}: write {topic}/PARTITION@OFFSET")));
            };
            fields.insert("partition".to_owned(), json!(partition));
            fields.insert("offset".to_owned(), json!(offset));
        }
        if fields.len() == 2 && self.all {
            fields.insert("all".to_owned(), json!(true));
        }
        fields.extend(max_replays.map(|most| ("max_replays".to_owned(), json!(most))));
        Ok(fields)
    }

    /// As fields of a body.
    pub(super) fn fields(&self) -> Result<Map<String, Value>> {
        let mut fields = Map::new();
        let texts = [
            ("group", &self.group),
            ("class", &self.class),
            ("code", &self.code),
            ("step", &self.step),
            ("service", &self.service),
            ("topic", &self.topic),
            ("key", &self.key),
            ("account", &self.account),
            ("order", &self.order),
            ("sequence", &self.sequence),
            ("since", &self.since),
            ("until", &self.until),
            ("attempts", &self.attempts),
            ("state", &self.state),
            ("where", &self.condition),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        let ids = self.ids()?;
        if !ids.is_empty() {
            fields.insert("ids".to_owned(), json!(ids));
        }
        if self.all {
            fields.insert("all".to_owned(), json!(true));
        }
        if let Some(sample) = self.sample {
            fields.insert("sample".to_owned(), json!(sample));
        }
        Ok(fields)
    }

    fn ids(&self) -> Result<Vec<String>> {
        let mut ids = self.id.clone();
        let Some(file) = &self.ids_from else { return Ok(ids) };
        let text = if file.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(file)
        };
        let text = text.map_err(|error| Trouble::usage(format!("{}: {error}", file.display())))?;
        ids.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        if ids.is_empty() {
            return Err(Trouble::usage(format!("{} names no letter", file.display())));
        }
        Ok(ids)
    }

    /// As a query.
    pub(super) fn query(&self) -> Result<Vec<(String, String)>> {
        let mut query = Vec::new();
        for (name, value) in self.fields()? {
            match value {
                Value::String(text) => query.push((name, text)),
                Value::Array(items) => {
                    query.extend(items.into_iter().filter_map(|item| Some((name.clone(), item.as_str()?.to_owned()))));
                }
                other => query.push((name, other.to_string())),
            }
        }
        Ok(query)
    }
}
