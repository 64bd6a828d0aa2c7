//! Columns that both databases keep as text: the changing part of a parked record, and what an entry publishes.

use crate::codec;
use crate::horizon::publishes;
use crate::jobs::ItemResult;
use crate::journal::Entry;
use crate::types::{FirstFailure, ParkedFate};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The column of the failure: the last one, and beside its fields the first.
#[derive(Serialize, Deserialize)]
struct Failed {
    #[serde(flatten)]
    failure: failure::Failure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<FirstFailure>,
}

/// A fate as columns; the JSON ones are read by people with the database's own operators.
#[derive(Debug)]
pub(crate) struct FateColumns {
    pub state: &'static str,
    pub failure: Option<String>,
    pub receipts: String,
    pub unknown: String,
    /// Copied out of the failure for selections.
    pub class: Option<&'static str>,
    pub code: Option<String>,
    pub edit: Option<Vec<u8>>,
}

impl FateColumns {
    pub(crate) fn of(fate: &ParkedFate) -> Self {
        Self {
            state: fate.state.as_str(),
            failure: fate.failure.clone().map(|failure| to_json(&Failed { failure, first: fate.first.clone() })),
            receipts: to_json(&fate.receipts),
            unknown: to_json(&fate.unknown),
            class: fate.failure.as_ref().map(|failure| failure.class.as_str()),
            code: fate.failure.as_ref().map(|failure| failure.code.to_string()),
            edit: fate.edit.as_deref().map(codec::encode_edit),
        }
    }
}

/// A fate as read from its columns.
#[derive(Debug)]
pub(crate) struct FateRow<'a> {
    pub state: &'a str,
    pub failure: Option<&'a str>,
    pub attempts: i32,
    pub refusals: i32,
    pub receipts: &'a str,
    pub unknown: &'a str,
    pub changed_ms: i64,
    pub version: i32,
    pub fingerprint: Option<String>,
    pub edit: Option<&'a [u8]>,
}

pub(crate) fn fate(row: FateRow<'_>) -> Result<ParkedFate> {
    let failed: Option<Failed> = row.failure.map(from_json).transpose()?;
    let (failure, first) = failed.map_or((None, None), |failed| (Some(failed.failure), failed.first));
    Ok(ParkedFate {
        state: row.state.parse().map_err(Error::Corrupt)?,
        failure,
        first,
        attempts: row.attempts,
        refusals: row.refusals,
        receipts: from_json(row.receipts)?,
        unknown: from_json(row.unknown)?,
        changed_ms: row.changed_ms,
        version: row.version,
        fingerprint: row.fingerprint,
        edit: row.edit.map(codec::decode_edit).transpose()?.map(Box::new),
    })
}

/// A job's result columns: state, ended, code, fingerprint, prediction, note, changed_ms.
pub(crate) fn result(
    state: &str,
    ended: Option<&str>,
    prediction: Option<&str>,
    texts: [Option<String>; 3],
    changed_ms: i64,
) -> Result<ItemResult> {
    let [code, fingerprint, note] = texts;
    Ok(ItemResult {
        state: state.parse().map_err(Error::Corrupt)?,
        ended: ended.map(str::parse).transpose().map_err(Error::Corrupt)?,
        code,
        fingerprint,
        prediction: prediction.map(str::parse).transpose().map_err(Error::Corrupt)?,
        note,
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

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text keys is always JSON")
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt(format!("a JSON column: {error}")))
}
