//! Columns that both databases keep as text: the changing part of a parked record, and what an entry publishes.

use crate::horizon::publishes;
use crate::journal::Entry;
use crate::types::ParkedFate;
use crate::{Error, Result};

/// A fate as columns; the JSON ones are read by people with the database's own operators.
#[derive(Debug)]
pub(crate) struct FateColumns {
    pub state: &'static str,
    pub failure: Option<String>,
    pub receipts: String,
    pub unknown: String,
}

impl FateColumns {
    pub(crate) fn of(fate: &ParkedFate) -> Self {
        Self {
            state: fate.state.as_str(),
            failure: fate.failure.as_ref().map(to_json),
            receipts: to_json(&fate.receipts),
            unknown: to_json(&fate.unknown),
        }
    }
}

/// The fate that such columns hold, in the order of the columns.
pub(crate) fn fate(
    state: &str,
    failure: Option<&str>,
    attempts: i32,
    refusals: i32,
    receipts: &str,
    unknown: &str,
    changed_ms: i64,
) -> Result<ParkedFate> {
    Ok(ParkedFate {
        state: state.parse().map_err(Error::Corrupt)?,
        failure: failure.map(from_json).transpose()?,
        attempts,
        refusals,
        receipts: from_json(receipts)?,
        unknown: from_json(unknown)?,
        changed_ms,
    })
}

pub(crate) fn class(word: &str) -> Result<failure::Class> {
    word.parse().map_err(Error::Corrupt)
}

/// What an entry publishes, for [`prune`](crate::Ledger::prune): `[[topic, partition, highest number], …]`.
pub(crate) fn publishes_column(entry: &Entry) -> Option<String> {
    let highest = publishes(entry);
    if highest.is_empty() {
        return None;
    }
    Some(to_json(
        &highest.into_iter().map(|((topic, partition), number)| (topic, partition, number)).collect::<Vec<_>>(),
    ))
}

pub(crate) fn read_publishes(column: &str) -> Result<Vec<(String, i32, i64)>> {
    from_json(column)
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text keys is always JSON")
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt(format!("a JSON column: {error}")))
}
