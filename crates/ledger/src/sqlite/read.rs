//! What services and people read.

use super::error::convert;
use super::row::{self, all, first};
use crate::types::{
    AuditRow, DocumentFilter, DocumentRow, LoadRequest, Loaded, Millis, ParkedFilter, ParkedRecord, ParkedSequence,
    StoredEntry,
};
use crate::{ParkedState, Result};
use events::PayloadHash;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

const PARKED_COLUMNS: &str = r#"slice, sequence, no, topic, partition, "offset", timestamp_ms, key, value, headers, uid,
    hash, parked_ms, state, failure, attempts, refusals, receipts, unknown, changed_ms"#;
const SEQUENCE_COLUMNS: &str = "slice, sequence, class, code, reason, owner, field, awaits, attempts, next_attempt_ms,
    since_ms, head_no, tail_no, depth";

/// In one read transaction: a floor and the identities it belongs to.
pub(super) fn load(connection: &mut Connection, request: &LoadRequest) -> Result<Loaded> {
    let transaction = connection.transaction().map_err(convert)?;
    let mut loaded = Loaded { floor_ms: floor(&transaction)?, ..Loaded::default() };
    for uid in &request.uids {
        let sql = match uid.time_ms() {
            Some(_) => "SELECT hash FROM identity WHERE uid = ?1",
            None => "SELECT hash FROM identity_untimed WHERE uid = ?1",
        };
        if let Some(hash) = first(&transaction, sql, [uid.0], |c| c.value())? {
            loaded.identities.insert(*uid, PayloadHash(hash));
        }
    }
    let sql = "SELECT kind, key, slice, version, status, account_id, body, updated_ms FROM document
               WHERE kind = ?1 AND key = ?2";
    for key in &request.documents {
        if let Some(row) = first(&transaction, sql, params![key.kind, key.key], row::document)? {
            loaded.documents.insert(key.clone(), row);
        }
    }
    Ok(loaded)
}

pub(super) fn floor(connection: &Connection) -> Result<Millis> {
    Ok(first(connection, "SELECT floor_ms FROM horizon", [], |c| c.value())?.unwrap_or(0))
}

pub(super) fn entries(connection: &Connection, slice: i32, from: i64, limit: usize) -> Result<Vec<StoredEntry>> {
    let sql =
        "SELECT slice, entry, epoch, at_ms, body FROM journal WHERE slice = ?1 AND entry >= ?2 ORDER BY entry LIMIT ?3";
    all(connection, sql, params![slice, from, bound(limit)], row::entry)
}

pub(super) fn parked_page(
    connection: &Connection,
    slice: i32,
    sequence: &str,
    from_no: i64,
    limit: usize,
) -> Result<Vec<ParkedRecord>> {
    let sql = format!(
        "SELECT {PARKED_COLUMNS} FROM parked_record WHERE slice = ?1 AND sequence = ?2 AND no >= ?3
         AND state IN ('waiting', 'letter_pending', 'dead_lettered') ORDER BY no LIMIT ?4"
    );
    all(connection, &sql, params![slice, sequence, from_no, bound(limit)], row::parked)
}

pub(super) fn audit(connection: &Connection, limit: usize) -> Result<Vec<AuditRow>> {
    let sql =
        "SELECT seq, at_ms, actor, action, subject, reason, before, after, hash FROM audit ORDER BY seq DESC LIMIT ?1";
    let mut newest_first = all(connection, sql, [bound(limit)], row::audit)?;
    newest_first.reverse();
    Ok(newest_first)
}

pub(super) fn sequences(connection: &Connection, slice: Option<i32>) -> Result<Vec<ParkedSequence>> {
    let mut filter = Filter::default();
    filter.equal("slice", slice.map(i64::from));
    let sql = format!("SELECT {SEQUENCE_COLUMNS} FROM parked_sequence {} ORDER BY slice, sequence", filter.condition());
    all(connection, &sql, params_from_iter(filter.values), row::sequence)
}

pub(super) fn documents(connection: &Connection, wanted: &DocumentFilter) -> Result<Vec<DocumentRow>> {
    let mut filter = Filter::default();
    filter.equal("kind", wanted.kind.clone());
    filter.equal("key", wanted.key.clone());
    filter.equal("account_id", wanted.account_id.clone());
    let sql = format!(
        "SELECT kind, key, slice, version, status, account_id, body, updated_ms FROM document {}
         ORDER BY kind, key LIMIT {}",
        filter.condition(),
        bound(wanted.limit)
    );
    all(connection, &sql, params_from_iter(filter.values), row::document)
}

pub(super) fn parked_records(connection: &Connection, wanted: &ParkedFilter) -> Result<Vec<ParkedRecord>> {
    let mut filter = Filter::default();
    filter.equal("slice", wanted.slice.map(i64::from));
    filter.equal("sequence", wanted.sequence.clone());
    filter.equal("state", wanted.state.map(|state| ParkedState::as_str(state).to_owned()));
    filter.equal("uid", wanted.uid.map(|uid| uid.0.to_vec()));
    let sql = format!(
        "SELECT {PARKED_COLUMNS} FROM parked_record {} ORDER BY parked_ms, slice, sequence, no LIMIT {}",
        filter.condition(),
        bound(wanted.limit)
    );
    all(connection, &sql, params_from_iter(filter.values), row::parked)
}

pub(super) fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Conditions that a person chose: a statement of its own for each combination, so that each finds its index.
#[derive(Default)]
struct Filter {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Filter {
    fn equal(&mut self, column: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.conditions.push(format!("{column} = ?{}", self.values.len()));
        }
    }

    fn condition(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!("WHERE {}", self.conditions.join(" AND ")) }
    }
}
