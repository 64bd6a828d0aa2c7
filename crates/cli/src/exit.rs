//! How a command ends: its exit code, and what it says when it could not do its work.

use std::process::ExitCode;

/// Stable from here on: scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All done; an empty list is that, too.
    Done = 0,
    Failed = 1,
    Usage = 2,
    /// Some items were done, others refused.
    Partial = 3,
    /// Nobody knows who asks, or they may not.
    Denied = 4,
    /// Nothing matched, and `--fail-if-empty` was given.
    Empty = 5,
    /// What was planned is not what is there any more.
    Stale = 6,
    /// A rule wants something first, such as a second person.
    Refused = 7,
    /// The time to wait ran out; what was waited for goes on.
    TimedOut = 8,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, in the form that is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Upper-case and stable.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
    /// Whether the same command may succeed later.
    pub(crate) retryable: bool,
    pub(crate) exit: Exit,
}

pub(crate) type Result<T> = std::result::Result<T, Trouble>;

impl Trouble {
    pub(crate) fn failed(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: String::new(),
            retryable: false,
            exit: Exit::Failed,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::failed("USAGE", message) }
    }

    /// Something that does not answer now.
    pub(crate) fn unavailable(code: &str, message: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::failed(code, message) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    pub(crate) fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, ..Self::failed("INTERRUPTED", "interrupted") }
    }
}
