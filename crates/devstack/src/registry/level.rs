//! Compatibility levels and modes, as the API spells them.

use serde::{Deserialize, Serialize};

use super::Error;

/// How a new version of a subject must get on with the older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Level {
    const ALL: [(Self, &str); 7] = [
        (Self::None, "NONE"),
        (Self::Backward, "BACKWARD"),
        (Self::BackwardTransitive, "BACKWARD_TRANSITIVE"),
        (Self::Forward, "FORWARD"),
        (Self::ForwardTransitive, "FORWARD_TRANSITIVE"),
        (Self::Full, "FULL"),
        (Self::FullTransitive, "FULL_TRANSITIVE"),
    ];

    /// Reads a level in any case, as Confluent does.
    pub fn parse(text: &str) -> Result<Self, Error> {
        by_name(&Self::ALL, text).ok_or_else(|| Error::InvalidLevel(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        name_of(&Self::ALL, self)
    }

    /// The new schema must read what the old ones wrote.
    #[must_use]
    pub const fn reads_old(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// The old schemas must read what the new one writes.
    #[must_use]
    pub const fn read_by_old(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// All versions count, not only the newest.
    #[must_use]
    pub const fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    pub(super) fn names() -> String {
        names(&Self::ALL)
    }
}

/// What may be done with a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    ReadWrite,
    ReadOnly,
    ReadOnlyOverride,
    Import,
}

impl Mode {
    const ALL: [(Self, &str); 4] = [
        (Self::ReadWrite, "READWRITE"),
        (Self::ReadOnly, "READONLY"),
        (Self::ReadOnlyOverride, "READONLY_OVERRIDE"),
        (Self::Import, "IMPORT"),
    ];

    /// Reads a mode in any case.
    pub fn parse(text: &str) -> Result<Self, Error> {
        by_name(&Self::ALL, text).ok_or_else(|| Error::InvalidMode(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        name_of(&Self::ALL, self)
    }

    #[must_use]
    pub const fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }

    pub(super) fn names() -> String {
        names(&Self::ALL)
    }
}

fn by_name<T: Copy>(all: &[(T, &str)], text: &str) -> Option<T> {
    all.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(value, _)| *value)
}

fn name_of<T: Copy + PartialEq>(all: &[(T, &'static str)], value: T) -> &'static str {
    all.iter().find(|(one, _)| *one == value).map(|(_, name)| *name).expect("the table lists every variant")
}

fn names<T>(all: &[(T, &str)]) -> String {
    all.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}
