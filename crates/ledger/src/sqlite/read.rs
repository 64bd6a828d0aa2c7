//! What services and people read.

use super::error::convert;
use super::row::{self, all, first};
use crate::Result;
use crate::jobs::{LetterCount, RowKey};
use crate::types::{
    AuditRow, DocumentFilter, DocumentRow, LoadRequest, Loaded, Millis, ParkedFilter, ParkedRecord, ParkedSequence,
    StoredEntry,
};
use events::PayloadHash;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

const PARKED_COLUMNS: &str = r#"slice, sequence, no, topic, partition, "offset", timestamp_ms, key, value, headers, uid,
    hash, parked_ms, state, failure, attempts, refusals, receipts, unknown, changed_ms, version, fingerprint, edit"#;
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
    let filter = parked_filter(wanted);
    let sql = format!(
        "SELECT {PARKED_COLUMNS} FROM parked_record {} ORDER BY parked_ms, slice, sequence, no LIMIT {}",
        filter.condition(),
        bound(wanted.limit)
    );
    all(connection, &sql, params_from_iter(filter.values), row::parked)
}

fn parked_filter(wanted: &ParkedFilter) -> Filter {
    let mut filter = Filter::default();
    filter.equal("slice", wanted.slice.map(i64::from));
    filter.equal("sequence", wanted.sequence.clone());
    filter.any("state", wanted.states.iter().map(|state| state.as_str().to_owned()));
    filter.equal("uid", wanted.uid.map(|uid| uid.0.to_vec()));
    filter.equal("class", wanted.class.map(|class| class.as_str().to_owned()));
    filter.equal("code", wanted.code.clone());
    filter.equal("fingerprint", wanted.fingerprint.clone());
    filter.equal("topic", wanted.topic.clone());
    filter.equal("key", wanted.key.as_ref().map(|key| key.to_vec()));
    filter.compare("parked_ms", ">=", wanted.since_ms);
    filter.compare("parked_ms", "<", wanted.until_ms);
    filter.compare("attempts", ">=", wanted.min_attempts.map(i64::from));
    if wanted.failed {
        filter.conditions.push("failure IS NOT NULL".into());
    }
    if let Some(after) = &wanted.after {
        let place = [
            Value::from(after.parked_ms),
            i64::from(after.slice).into(),
            after.sequence.clone().into(),
            after.no.into(),
        ];
        filter.behind("(parked_ms, slice, sequence, no)", place);
    }
    filter
}

pub(super) fn parked_record(connection: &Connection, row: &RowKey) -> Result<Option<ParkedRecord>> {
    let sql = format!("SELECT {PARKED_COLUMNS} FROM parked_record WHERE slice = ?1 AND sequence = ?2 AND no = ?3");
    first(connection, &sql, params![row.slice, row.sequence, row.no], row::parked)
}

pub(super) fn letter_counts(connection: &Connection, wanted: &ParkedFilter) -> Result<Vec<LetterCount>> {
    let filter = parked_filter(&ParkedFilter { failed: true, after: None, ..wanted.clone() });
    let sql = format!(
        "SELECT fingerprint, class, code, count(*), count(DISTINCT slice || '/' || sequence), min(parked_ms), max(changed_ms)
         FROM parked_record {} GROUP BY fingerprint, class, code ORDER BY count(*) DESC, code, fingerprint LIMIT {}",
        filter.condition(),
        bound(wanted.limit)
    );
    all(connection, &sql, params_from_iter(filter.values), row::letter_count)
}

pub(super) fn audit_page(connection: &Connection, from_seq: i64, limit: usize) -> Result<Vec<AuditRow>> {
    let sql = "SELECT seq, at_ms, actor, action, subject, reason, before, after, hash FROM audit
               WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
    all(connection, sql, params![from_seq, bound(limit)], row::audit)
}

pub(super) fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Conditions that a person chose: a statement of its own for each combination, so that each finds its index.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) conditions: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Filter {
    pub(super) fn equal(&mut self, column: &str, value: Option<impl Into<Value>>) {
        self.compare(column, "=", value);
    }

    pub(super) fn compare(&mut self, column: &str, how: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            let place = self.place(value.into());
            self.conditions.push(format!("{column} {how} {place}"));
        }
    }

    pub(super) fn place(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    pub(super) fn any<T: Into<Value>>(&mut self, column: &str, values: impl Iterator<Item = T>) {
        let places: Vec<String> = values.map(|value| self.place(value.into())).collect();
        if !places.is_empty() {
            self.conditions.push(format!("{column} IN ({})", places.join(", ")));
        }
    }

    /// Rows behind a place in the order of some columns.
    pub(super) fn behind<const N: usize>(&mut self, columns: &str, place: [Value; N]) {
        let places: Vec<String> = place.into_iter().map(|value| self.place(value)).collect();
        self.conditions.push(format!("{columns} > ({})", places.join(", ")));
    }

    pub(super) fn condition(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!("WHERE {}", self.conditions.join(" AND ")) }
    }
}
