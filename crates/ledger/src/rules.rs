//! What a service does about its letters by itself, as rows: standing rules of people, and what today's code would do about
//! each cause.

use crate::{jobs::Destination, types::Millis};
use serde::{Deserialize, Serialize};

/// What a rule does about the letters that it selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum RuleAction {
    /// Tries them again, so often.
    Retry { every_ms: Millis },
    /// Gives them up, with the rule's reason.
    Discard,
    /// Puts them on another topic, for good.
    Redirect(Destination),
}

/// A standing rule: what happens to letters without anybody looking at each. It has an owner and an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterRule {
    /// 1 to 32 lower-case letters, digits and `-`.
    pub id: String,
    /// Who answers for it: a person or a team.
    pub owner: String,
    /// Who put it there.
    pub who: String,
    pub reason: String,
    /// What is set must all hold; at least one is, and a rule that discards names a code or a fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<failure::Class>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    pub action: RuleAction,
    pub created_ms: Millis,
    /// From then on it does nothing.
    pub ends_ms: Millis,
}

impl LetterRule {
    #[must_use]
    pub const fn is_expired(&self, now: Millis) -> bool {
        now >= self.ends_ms
    }
}

/// The shortest time between two firings of a rule that retries.
pub const LEAST_EVERY_MS: Millis = 60_000;

/// What today's code would do about the letters of one cause in one slice, by a sample of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    pub slice: i32,
    pub fingerprint: String,
    pub checked_ms: Millis,
    /// Build of the service that was asked.
    pub build: String,
    pub sampled: u32,
    /// Of these, how many would end now: they took effect, or have none any more.
    pub would_end: u32,
    /// How many would be sent again to an outside system that refused them: only it can tell.
    pub would_ask: u32,
    /// The job that retries them by itself, where policy says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// For people: why nothing is done, or what would fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How long decisions about letters are kept; each is a time before which they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionHorizon {
    /// Of predictions, which changed nothing.
    pub predictions_ms: Millis,
    /// Of other jobs, expired rules, and what people said of causes without a letter.
    pub decisions_ms: Millis,
}

/// Refuses rules that no correct caller makes.
pub(crate) fn check(rule: &LetterRule) -> crate::Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let wrong = if rule.id.is_empty() || rule.id.len() > 32 || !rule.id.chars().all(plain) {
        "an id has 1 to 32 lower-case letters, digits and `-`"
    } else if rule.owner.trim().is_empty() || rule.reason.trim().is_empty() {
        "it needs an owner and a reason"
    } else if rule.class.is_none() && rule.code.is_none() && rule.fingerprint.is_none() {
        "it selects nothing: give a class, a code or a fingerprint"
    } else if ends_letters(&rule.action) && rule.code.is_none() && rule.fingerprint.is_none() {
        "a rule that discards or redirects names a code or a fingerprint"
    } else if rule.ends_ms <= rule.created_ms {
        "its end lies before its beginning"
    } else if matches!(rule.action, RuleAction::Retry { every_ms } if every_ms < LEAST_EVERY_MS) {
        "it may retry once a minute at most"
    } else if matches!(&rule.action, RuleAction::Redirect(to) if to.topic.is_empty() || to.partitions < 1) {
        "it redirects to no topic"
    } else {
        return Ok(());
    };
    Err(crate::Error::Misuse(format!("rule `{}`: {wrong}", rule.id)))
}

/// Whether letters are over for the service once the rule was there: a whole class of them is never meant.
const fn ends_letters(action: &RuleAction) -> bool {
    match action {
        RuleAction::Discard | RuleAction::Redirect(_) => true,
        RuleAction::Retry { .. } => false,
    }
}

/// A rule with the id of one that exists.
pub(crate) fn again(found: &LetterRule, rule: &LetterRule) -> crate::Result<()> {
    if found == rule {
        return Ok(());
    }
    Err(crate::Error::Misuse(format!("rule `{}` exists and says something else", rule.id)))
}

pub(crate) fn unknown(id: &str) -> crate::Error {
    crate::Error::Misuse(format!("there is no rule `{id}`"))
}
