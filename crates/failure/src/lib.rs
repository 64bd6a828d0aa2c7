//! Why something could not be done, and what happens next.
//!
//! A [`Failure`] is a verdict: its [`Class`] alone decides where a record goes (an exhaustive match in the runtime,
//! never a look at the text), its code is what machines and runbooks know it by, its reason is for people.
//! Pure: no clock, no I/O.

mod codes;
mod fingerprint;
mod retry;

pub use codes::{CODES, Explanation, explain};
pub use fingerprint::fingerprint;
pub use retry::{Delays, RetryPolicy};

use std::{borrow::Cow, fmt, time::Duration};

/// What a failure means for the record that met it. The runtime matches on it exhaustively.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The business must decide: the sequence is parked and a case with an owner opened. Never pages.
    Business,
    /// The world is broken and nothing was changed by the call: back off, pause, move no position.
    Dependency,
    /// A call was sent and its outcome is not known: look up before any second call.
    Unknown,
    /// Something this record needs has not arrived yet: wait, and try again by itself.
    NotYet,
    /// Nobody can read this record: dead letter at once.
    Poison,
    /// Readable, but it breaks the wire contract: dead letter, the owner named.
    Contract,
    /// Our own fault: dead letter; too many in a row stop the slice.
    Bug,
}

impl Class {
    /// The word used in headers, metrics and the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Dependency => "dependency",
            Self::Unknown => "unknown",
            Self::NotYet => "not_yet",
            Self::Poison => "poison",
            Self::Contract => "contract",
            Self::Bug => "bug",
        }
    }

    /// Every class, in the order people read them.
    pub const ALL: [Self; 7] =
        [Self::Business, Self::Dependency, Self::Unknown, Self::NotYet, Self::Poison, Self::Contract, Self::Bug];
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Class {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == word)
            .ok_or_else(|| format!("unknown failure class `{word}`"))
    }
}

/// Where on its way a record failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nobody could read it, or it breaks the wire contract.
    Read,
    /// The service's own rules said no.
    Decide,
    /// The outside system said no, or could not be reached for it.
    Send,
}

impl Stage {
    /// The word used on screens and in fingerprints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decide => "decide",
            Self::Send => "send",
        }
    }
}

/// A stable, upper-case identifier such as `PERIOD_CLOSED`; `throughline explain CODE` tells what to do.
pub type Code = Cow<'static, str>;

/// A verdict on one record, effect or call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    pub class: Class,
    pub code: Code,
    /// One sentence for people. Must hold no personal data: it reaches logs, headers and screens.
    pub reason: String,
    /// Who has to act: a work queue for `Business`, the owner of the topic for `Contract`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The field the failure is about, in the form `lines[2].sku`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// For `NotYet`: the subject (`ce_subject`) whose event is awaited; it may pass the sequence that waits for it. For a refusal: the
    /// subject whose event ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<String>,
    /// For `Dependency`: how long the other side asked us to stay away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// Set by the runtime; absent in rows of older builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
}

impl Failure {
    fn new(class: Class, code: impl Into<Code>, reason: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            reason: reason.into(),
            owner: None,
            field: None,
            awaits: None,
            retry_after: None,
            stage: None,
        }
    }

    /// The business must decide; `owner` is the queue that will.
    pub fn business(code: impl Into<Code>, owner: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { owner: Some(owner.into()), ..Self::new(Class::Business, code, reason) }
    }

    /// The other side cannot serve us now, and certainly changed nothing.
    pub fn dependency(code: impl Into<Code>, reason: impl Into<String>) -> Self {
        Self::new(Class::Dependency, code, reason)
    }

    /// The call may or may not have taken effect.
    pub fn unknown(code: impl Into<Code>, reason: impl Into<String>) -> Self {
        Self::new(Class::Unknown, code, reason)
    }

    /// `subject` has to come first.
    pub fn not_yet(code: impl Into<Code>, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { awaits: Some(subject.into()), ..Self::new(Class::NotYet, code, reason) }
    }

    /// An event of this subject ends what is refused: it may pass the sequence that waits behind the refusal.
    #[must_use]
    pub fn ended_by(mut self, subject: impl Into<String>) -> Self {
        self.awaits = Some(subject.into());
        self
    }

    pub fn poison(code: impl Into<Code>, reason: impl Into<String>) -> Self {
        Self::new(Class::Poison, code, reason)
    }

    pub fn contract(code: impl Into<Code>, reason: impl Into<String>) -> Self {
        Self::new(Class::Contract, code, reason)
    }

    pub fn bug(code: impl Into<Code>, reason: impl Into<String>) -> Self {
        Self::new(Class::Bug, code, reason)
    }

    #[must_use]
    pub fn at_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The first word counts: whoever passes a failure on does not know better where it began.
    #[must_use]
    pub fn at_stage(mut self, stage: Stage) -> Self {
        self.stage.get_or_insert(stage);
        self
    }

    #[must_use]
    pub fn owned_by(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.class, self.reason)?;
        if let Some(field) = &self.field {
            write!(f, " [{field}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_reads_back_from_its_word() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse::<Class>(), Ok(class));
        }
    }

    #[test]
    fn a_failure_reads_as_code_class_reason_and_field() {
        let failure =
            Failure::business("PERIOD_CLOSED", "finance", "period 2026-01 is closed").at_field("posting_period");
        assert_eq!(failure.to_string(), "PERIOD_CLOSED (business): period 2026-01 is closed [posting_period]");
    }
}
