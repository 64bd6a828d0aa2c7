//! Which letters are meant: the selection that every verb takes.

use super::{Condition, LetterId, Money, State, condition, fingerprint, summary};
use crate::{
    error::{Error, Kind, Result},
    params::{self, Kind as Param, Param as P, WORD, optional},
};
use bytes::Bytes;
use ledger::{ParkedFilter, ParkedRecord, ParkedState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;

/// Ids that one request may name.
pub const MAX_IDS: usize = 100_000;

/// The parameters of a selection, all joined by "and".
pub const SELECTION: &[P] = &[
    optional("service", WORD, "letters of this service"),
    optional("group", WORD, "letters of the group with this fingerprint"),
    optional(
        "class",
        Param::Word(&["business", "dependency", "unknown", "not_yet", "poison", "contract", "bug"]),
        "failures of this class",
    ),
    optional("code", WORD, "failures with this code"),
    optional("step", Param::Word(&["read", "decide", "send"]), "failed here on its way"),
    optional("topic", WORD, "records of this topic"),
    optional("key", WORD, "records with this key"),
    optional("sequence", WORD, "records of this sequence"),
    optional("account", WORD, "records of this account: the record key"),
    optional("order", WORD, "records about this order, contract or opportunity"),
    optional("since", Param::Time, "parked at or after"),
    optional("until", Param::Time, "parked before"),
    optional("attempts", Param::Text(16), "how often it was tried: 3, >=3, <3 …"),
    optional("state", Param::Word(&["open", "blocked", "waiting", "ended", "all"]), "where they stand; open if absent"),
    optional("where", Param::Text(2_000), "a CEL expression over key, value, headers, error"),
    optional("ids", Param::Texts(MAX_IDS, 1_024), "these letters"),
    optional("all", Param::Flag, "really all of them, where nothing else is chosen"),
    optional("sample", Param::Integer(1, 10_000), "a sample of so many, evenly over what matches"),
];

/// A selection as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<failure::Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<failure::Stage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<i64>,
}

/// A letter that matched.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: LetterId,
    pub record: ParkedRecord,
    pub state: State,
    /// Masked. Absent where it was not asked for or nobody can read it.
    pub body: Option<Value>,
    pub money: Money,
}

impl Seen {
    #[must_use]
    pub fn summary(&self) -> Value {
        let mut value = summary(&self.id.service, &self.record, self.state);
        value["at_risk"] = serde_json::json!(self.money);
        value
    }
}

/// How one is compared with the number given.
#[derive(Debug, Clone, Copy)]
struct Attempts(std::cmp::Ordering, bool, i32);

impl Attempts {
    fn parse(text: &str) -> Result<Self> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let text = text.trim();
        let (order, or_equal, rest) =
            [(">=", Greater, true), ("<=", Less, true), (">", Greater, false), ("<", Less, false)]
                .into_iter()
                .find_map(|(sign, order, or_equal)| Some((order, or_equal, text.strip_prefix(sign)?)))
                .unwrap_or((Equal, true, text.trim_start_matches('=')));
        let number = rest.trim().parse();
        number.map(|number| Self(order, or_equal, number)).map_err(|_| {
            Error::invalid(format!("`attempts`: `{text}` is no number")).hint("write 3, >=3, >3, <=3 or <3")
        })
    }

    fn holds(self, attempts: i32) -> bool {
        let order = attempts.cmp(&self.2);
        order == self.0 || (self.1 && order.is_eq())
    }
}

impl Selection {
    /// Whether anything at all was chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nothing = Self { all: self.all, state: self.state.clone(), sample: self.sample, ..Self::default() };
        *self == nothing
    }

    /// For verbs that change something: everything must be said.
    ///
    /// # Errors
    /// `EMPTY_SELECTION`.
    pub fn must_choose(&self) -> Result<()> {
        if !self.is_empty() || self.all {
            return Ok(());
        }
        Err(Error::new(Kind::Invalid, "EMPTY_SELECTION", "nothing is selected")
            .hint("choose with --group, --code, --key, … or say --all"))
    }

    /// Everything that can be wrong with it, before anything is read.
    ///
    /// # Errors
    /// Names the part that is wrong.
    pub fn compile(&self, now_ms: i64) -> Result<Compiled> {
        let time = |text: &Option<String>| text.as_deref().and_then(|text| params::time_ms(text, now_ms));
        let ids: Result<HashSet<LetterId>> = self.ids.iter().map(|id| id.parse()).collect();
        let wanted = match self.state.as_deref() {
            None if !self.ids.is_empty() => None,
            None | Some("open") => Some(State::Open),
            Some("blocked") => Some(State::Blocked),
            Some("waiting") => Some(State::Waiting),
            Some("ended") => Some(State::Ended),
            Some(_) => None,
        };
        Ok(Compiled {
            since: time(&self.since),
            until: time(&self.until),
            attempts: self.attempts.as_deref().map(Attempts::parse).transpose()?,
            condition: self.condition.as_deref().map(Condition::parse).transpose()?,
            ids: ids?,
            wanted,
            selection: self.clone(),
            now_ms,
        })
    }
}

/// A selection ready to be asked.
#[derive(Debug)]
pub struct Compiled {
    selection: Selection,
    since: Option<i64>,
    until: Option<i64>,
    attempts: Option<Attempts>,
    pub condition: Option<Condition>,
    pub(super) ids: HashSet<LetterId>,
    wanted: Option<State>,
    now_ms: i64,
}

impl Compiled {
    pub(super) fn matches(&self, service: &str, record: &ParkedRecord, state: State) -> bool {
        let Selection { group, class, code, step, topic, key, sequence, account, .. } = &self.selection;
        let failure = record.fate.failure.as_ref();
        let is = |wanted: &Option<String>, found: Option<&[u8]>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted.as_bytes()))
        };
        self.wanted.is_none_or(|wanted| wanted == state)
            && (self.ids.is_empty() || self.ids.contains(&LetterId::of(service, record)))
            && class.is_none_or(|class| failure.is_some_and(|failure| failure.class == class))
            && is(code, failure.map(|failure| failure.code.as_bytes()))
            && step.is_none_or(|step| failure.is_some_and(|failure| failure.stage == Some(step)))
            && is(topic, Some(record.topic.as_bytes()))
            && is(sequence, Some(record.sequence.as_bytes()))
            && is(key, record.key.as_deref())
            && is(account, record.key.as_deref())
            && self.since.is_none_or(|since| record.parked_ms >= since)
            && self.until.is_none_or(|until| record.parked_ms < until)
            && self.attempts.is_none_or(|attempts| attempts.holds(record.fate.attempts))
            && group.as_ref().is_none_or(|group| fingerprint(service, record).as_ref() == Some(group))
    }

    /// What the ledger is asked for: no less than what matches.
    pub(crate) fn filter(&self) -> ParkedFilter {
        let Selection { class, code, topic, key, account, sequence, .. } = &self.selection;
        let key = key.as_ref().or(account.as_ref()).map(|key| Bytes::copy_from_slice(key.as_bytes()));
        let states = ParkedState::ALL.into_iter().filter(|state| match self.wanted {
            None => true,
            Some(State::Ended) => !state.is_alive(),
            Some(State::Open | State::Blocked | State::Waiting) => state.is_alive(),
        });
        ParkedFilter {
            states: states.collect(),
            sequence: sequence.clone(),
            class: *class,
            code: code.clone(),
            topic: topic.clone(),
            key,
            failed: matches!(self.wanted, Some(State::Open | State::Waiting)),
            since_ms: self.since,
            until_ms: self.until,
            ..ParkedFilter::default()
        }
    }

    /// Whether bodies must be read to tell what matches.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.selection.order.is_some() || self.condition.as_ref().is_some_and(|condition| condition.reads_body)
    }

    /// Whether what is asked of its content holds.
    pub(super) fn holds(&self, seen: &Seen) -> Result<bool> {
        if self.selection.order.as_ref().is_some_and(|order| !is_about(seen, order)) {
            return Ok(false);
        }
        let Some(condition) = &self.condition else { return Ok(true) };
        let age = (self.now_ms - seen.record.parked_ms) / 1_000;
        let summary = summary(&seen.id.service, &seen.record, seen.state);
        condition.holds(&condition::seen(&summary, &seen.record.headers, seen.body.as_ref(), age))
    }

    /// How many are wanted of all that match, evenly.
    pub(crate) fn sample(&self) -> Option<usize> {
        self.selection.sample.and_then(|sample| usize::try_from(sample).ok())
    }
}

/// Whether a record is about an order: by its subject, or by what its event names.
fn is_about(seen: &Seen, order: &str) -> bool {
    let names = |body: &Value| ["order_id", "contract_id", "opportunity_id"].iter().any(|name| body[name] == order);
    seen.record.headers.text("ce_subject") == Some(order) || seen.body.as_ref().is_some_and(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_chosen_is_refused_and_all_must_be_said() {
        let empty = Selection { state: Some("open".to_owned()), ..Selection::default() };
        assert_eq!(empty.must_choose().unwrap_err().code, "EMPTY_SELECTION");
        assert!(Selection { all: true, ..empty.clone() }.must_choose().is_ok());
        assert!(Selection { code: Some("X".to_owned()), ..empty }.must_choose().is_ok());
    }

    #[test]
    fn attempts_compare_as_they_are_written() {
        for (text, attempts, expected) in
            [("3", 3, true), ("=3", 4, false), (">=3", 3, true), (">3", 3, false), ("<3", 2, true), ("<= 3", 3, true)]
        {
            assert_eq!(Attempts::parse(text).unwrap().holds(attempts), expected, "{text} {attempts}");
        }
        assert!(Attempts::parse("many").is_err());
    }

    #[test]
    fn a_selection_that_cannot_be_meant_is_refused_before_anything_is_read() {
        let bad = |selection: Selection| selection.compile(0).unwrap_err().message;
        assert!(bad(Selection { ids: vec!["x".to_owned()], ..Selection::default() }).contains("no id of a letter"));
        assert!(bad(Selection { condition: Some("1 +".to_owned()), ..Selection::default() }).contains("--where"));
        assert!(bad(Selection { attempts: Some("x".to_owned()), ..Selection::default() }).contains("attempts"));
    }
}
