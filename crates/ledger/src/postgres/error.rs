//! What PostgreSQL's errors mean for the caller.

use crate::Error;
use tokio_postgres::error::{DbError, SqlState};

pub(super) fn convert(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(refusal) => refused(refusal),
        // The connection is gone, or was never there.
        None => Error::Unavailable(with_sources(error)),
    }
}

fn refused(refusal: &DbError) -> Error {
    let text = format!("{} (SQLSTATE {})", refusal.message(), refusal.code().code());
    // Two-character classes of Appendix A of PostgreSQL's manual.
    match refusal.code().code().get(..2).unwrap_or_default() {
        "28" | "3D" | "3F" => Error::Config(text),
        "42" => Error::Config(format!("{text}: check the rights of the user and that nobody changed the tables")),
        "22" | "23" => Error::Misuse(text),
        _ if matches!(*refusal.code(), SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED) => Error::Corrupt(text),
        // Shutting down, starting up, out of space or connections, deadlock, timeouts, read-only after a fail-over.
        _ => Error::Unavailable(text),
    }
}

/// Messages of this client name the operation only; the reason is in the sources.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

pub(super) fn is(error: &tokio_postgres::Error, code: &SqlState) -> bool {
    error.code() == Some(code)
}
