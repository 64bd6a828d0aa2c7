//! What SQLite's errors mean for the caller.

use crate::Error;
use rusqlite::ErrorCode;

pub(super) fn convert(error: rusqlite::Error) -> Error {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt(text),
        Some(ErrorCode::ConstraintViolation) => Error::Misuse(text),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            Error::Config(format!("{text}: check the rights on the file and its folder"))
        }
        // Another process writes, the disk is full, the file cannot be opened just now.
        Some(_) => Error::Unavailable(text),
        // The library's own: a column that is not what it should be.
        None => Error::Corrupt(text),
    }
}
