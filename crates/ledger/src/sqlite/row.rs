//! Rows back into types, column by column in the order of the statement.

use super::error::convert;
use crate::Result;
use crate::codec;
use crate::columns::{self, FateRow};
use crate::jobs::LetterCount;
use crate::types::{
    AuditRow, DocumentKey, DocumentRow, IntentRow, NewAudit, ParkedFate, ParkedRecord, ParkedSequence, Position,
    PublishedMark, StoredEntry, TimerRow,
};
use bytes::Bytes;
use events::{PayloadHash, Uid};
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};

pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r, 's> Columns<'r, 's> {
    pub(super) const fn of(row: &'r Row<'s>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn value<T: FromSql>(&mut self) -> Result<T> {
        let index = self.next;
        self.next += 1;
        self.row.get(index).map_err(convert)
    }

    fn blob(&mut self) -> Result<Option<Bytes>> {
        Ok(self.value::<Option<Vec<u8>>>()?.map(Bytes::from))
    }
}

/// All rows of a statement, each read by `read`.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&mut Columns<'_, '_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(convert)?;
    let mut rows = statement.query(params).map_err(convert)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(convert)? {
        all.push(read(&mut Columns::of(row))?);
    }
    Ok(all)
}

/// The first row of a statement, if there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&mut Columns<'_, '_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(convert)?;
    let mut rows = statement.query(params).map_err(convert)?;
    rows.next().map_err(convert)?.map(|row| read(&mut Columns::of(row))).transpose()
}

/// Runs a statement; answers how many rows it changed.
pub(super) fn change(connection: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map_err(convert)
}

pub(super) fn position(c: &mut Columns<'_, '_>) -> Result<(i32, Position)> {
    Ok((c.value()?, Position { topic: c.value()?, topic_id: c.value()?, next_offset: c.value()? }))
}

pub(super) fn published(c: &mut Columns<'_, '_>) -> Result<(i32, PublishedMark)> {
    let slice = c.value()?;
    let mark = PublishedMark { topic: c.value()?, partition: c.value()?, number: c.value()?, offset: c.value()? };
    Ok((slice, mark))
}

pub(super) fn entry(c: &mut Columns<'_, '_>) -> Result<StoredEntry> {
    Ok(StoredEntry {
        slice: c.value()?,
        entry: c.value()?,
        epoch: c.value()?,
        at_ms: c.value()?,
        body: codec::decode(&c.value::<Vec<u8>>()?)?,
    })
}

pub(super) fn document(c: &mut Columns<'_, '_>) -> Result<DocumentRow> {
    Ok(DocumentRow {
        key: DocumentKey { kind: c.value()?, key: c.value()? },
        slice: c.value()?,
        version: c.value()?,
        status: c.value()?,
        account_id: c.value()?,
        body: c.value()?,
        updated_ms: c.value()?,
    })
}

pub(super) fn sequence(c: &mut Columns<'_, '_>) -> Result<ParkedSequence> {
    Ok(ParkedSequence {
        slice: c.value()?,
        sequence: c.value()?,
        class: columns::class(&c.value::<String>()?)?,
        code: c.value()?,
        reason: c.value()?,
        owner: c.value()?,
        field: c.value()?,
        awaits: c.value()?,
        attempts: c.value()?,
        next_attempt_ms: c.value()?,
        since_ms: c.value()?,
        head_no: c.value()?,
        tail_no: c.value()?,
        depth: c.value()?,
    })
}

pub(super) fn parked(c: &mut Columns<'_, '_>) -> Result<ParkedRecord> {
    Ok(ParkedRecord {
        slice: c.value()?,
        sequence: c.value()?,
        no: c.value()?,
        topic: c.value()?,
        partition: c.value()?,
        offset: c.value()?,
        timestamp_ms: c.value()?,
        key: c.blob()?,
        value: c.blob()?,
        headers: codec::decode_headers(&c.value::<Vec<u8>>()?)?,
        uid: c.value::<Option<[u8; 16]>>()?.map(Uid),
        hash: PayloadHash(c.value()?),
        parked_ms: c.value()?,
        fate: fate(c)?,
    })
}

fn fate(c: &mut Columns<'_, '_>) -> Result<ParkedFate> {
    let (state, failure): (String, Option<String>) = (c.value()?, c.value()?);
    let (attempts, refusals) = (c.value()?, c.value()?);
    let (receipts, unknown): (String, String) = (c.value()?, c.value()?);
    let (changed_ms, version, fingerprint) = (c.value()?, c.value()?, c.value()?);
    let edit: Option<Vec<u8>> = c.value()?;
    columns::fate(FateRow {
        state: &state,
        failure: failure.as_deref(),
        attempts,
        refusals,
        receipts: &receipts,
        unknown: &unknown,
        changed_ms,
        version,
        fingerprint,
        edit: edit.as_deref(),
    })
}

pub(super) fn letter_count(c: &mut Columns<'_, '_>) -> Result<LetterCount> {
    Ok(LetterCount {
        fingerprint: c.value()?,
        class: columns::class(&c.value::<String>()?)?,
        code: c.value()?,
        rows: c.value::<i64>()?.unsigned_abs(),
        sequences: c.value::<i64>()?.unsigned_abs(),
        first_ms: c.value()?,
        last_ms: c.value()?,
    })
}

pub(super) fn intent(c: &mut Columns<'_, '_>) -> Result<(i32, IntentRow)> {
    let slice = c.value()?;
    let row = IntentRow {
        effect_key: c.value()?,
        sequence: c.value()?,
        entity: c.value()?,
        state: c.value()?,
        attempts: c.value()?,
        code: c.value()?,
        reason: c.value()?,
        since_ms: c.value()?,
    };
    Ok((slice, row))
}

pub(super) fn timer(c: &mut Columns<'_, '_>) -> Result<TimerRow> {
    Ok(TimerRow { id: c.value()?, due_ms: c.value()?, sequence: c.value()?, payload: c.value()? })
}

pub(super) fn audit(c: &mut Columns<'_, '_>) -> Result<AuditRow> {
    Ok(AuditRow {
        seq: c.value()?,
        row: NewAudit {
            at_ms: c.value()?,
            actor: c.value()?,
            action: c.value()?,
            subject: c.value()?,
            reason: c.value()?,
            before: c.value()?,
            after: c.value()?,
        },
        hash: c.value()?,
    })
}
