//! Rows back into types, column by column in the order of the statement.

use super::error::convert;
use super::text::from_column;
use crate::codec;
use crate::columns::{self, FateRow};
use crate::jobs::LetterCount;
use crate::types::{
    AuditRow, DocumentKey, DocumentRow, IntentRow, NewAudit, ParkedRecord, ParkedSequence, Position, PublishedMark,
    StoredEntry, TimerRow,
};
use crate::{Error, Result};
use bytes::Bytes;
use events::{PayloadHash, Uid};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

pub(super) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) const fn of(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn value<T: FromSql<'r>>(&mut self) -> Result<T> {
        let index = self.next;
        self.next += 1;
        self.row.try_get(index).map_err(|error| match convert(&error) {
            Error::Unavailable(text) => Error::Corrupt(text),
            other => other,
        })
    }

    pub(super) fn text(&mut self) -> Result<String> {
        self.value().map(from_column)
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>> {
        Ok(self.value::<Option<String>>()?.map(from_column))
    }

    fn blob(&mut self) -> Result<Option<Bytes>> {
        Ok(self.value::<Option<&[u8]>>()?.map(Bytes::copy_from_slice))
    }
}

/// All rows, each read by `read`.
pub(super) fn all<T>(rows: &[Row], read: fn(&mut Columns<'_>) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(|row| read(&mut Columns::of(row))).collect()
}

pub(super) fn uid(uuid: Uuid) -> Uid {
    Uid(uuid.into_bytes())
}

pub(super) fn position(c: &mut Columns<'_>) -> Result<(i32, Position)> {
    Ok((c.value()?, Position { topic: c.text()?, topic_id: c.optional_text()?, next_offset: c.value()? }))
}

pub(super) fn published(c: &mut Columns<'_>) -> Result<(i32, PublishedMark)> {
    let mark = |c: &mut Columns<'_>| -> Result<PublishedMark> {
        Ok(PublishedMark { topic: c.text()?, partition: c.value()?, number: c.value()?, offset: c.value()? })
    };
    Ok((c.value()?, mark(c)?))
}

pub(super) fn entry(c: &mut Columns<'_>) -> Result<StoredEntry> {
    Ok(StoredEntry {
        slice: c.value()?,
        entry: c.value()?,
        epoch: c.value()?,
        at_ms: c.value()?,
        body: codec::decode(c.value::<&[u8]>()?)?,
    })
}

pub(super) fn document(c: &mut Columns<'_>) -> Result<DocumentRow> {
    Ok(DocumentRow {
        key: DocumentKey { kind: c.text()?, key: c.text()? },
        slice: c.value()?,
        version: c.value()?,
        status: c.text()?,
        account_id: c.text()?,
        body: c.text()?,
        updated_ms: c.value()?,
    })
}

pub(super) fn sequence(c: &mut Columns<'_>) -> Result<ParkedSequence> {
    Ok(ParkedSequence {
        slice: c.value()?,
        sequence: c.text()?,
        class: columns::class(c.value()?)?,
        code: c.text()?,
        reason: c.text()?,
        owner: c.optional_text()?,
        field: c.optional_text()?,
        awaits: c.optional_text()?,
        attempts: c.value()?,
        next_attempt_ms: c.value()?,
        since_ms: c.value()?,
        head_no: c.value()?,
        tail_no: c.value()?,
        depth: c.value()?,
    })
}

pub(super) fn parked(c: &mut Columns<'_>) -> Result<ParkedRecord> {
    Ok(ParkedRecord {
        slice: c.value()?,
        sequence: c.text()?,
        no: c.value()?,
        topic: c.text()?,
        partition: c.value()?,
        offset: c.value()?,
        timestamp_ms: c.value()?,
        key: c.blob()?,
        value: c.blob()?,
        headers: codec::decode_headers(c.value()?)?,
        uid: c.value::<Option<Uuid>>()?.map(uid),
        hash: PayloadHash(c.value()?),
        parked_ms: c.value()?,
        fate: columns::fate(FateRow {
            state: c.value()?,
            failure: c.value()?,
            attempts: c.value()?,
            refusals: c.value()?,
            receipts: c.value()?,
            unknown: c.value()?,
            changed_ms: c.value()?,
            version: c.value()?,
            fingerprint: c.value()?,
            edit: c.value()?,
        })?,
    })
}

pub(super) fn letter_count(c: &mut Columns<'_>) -> Result<LetterCount> {
    Ok(LetterCount {
        fingerprint: c.value()?,
        class: columns::class(c.value()?)?,
        code: c.text()?,
        rows: c.value::<i64>()?.unsigned_abs(),
        sequences: c.value::<i64>()?.unsigned_abs(),
        first_ms: c.value()?,
        last_ms: c.value()?,
    })
}

pub(super) fn intent(c: &mut Columns<'_>) -> Result<(i32, IntentRow)> {
    let slice = c.value()?;
    let row = IntentRow {
        effect_key: c.text()?,
        sequence: c.text()?,
        entity: c.text()?,
        state: c.text()?,
        attempts: c.value()?,
        code: c.optional_text()?,
        reason: c.optional_text()?,
        since_ms: c.value()?,
    };
    Ok((slice, row))
}

pub(super) fn timer(c: &mut Columns<'_>) -> Result<TimerRow> {
    Ok(TimerRow { id: c.text()?, due_ms: c.value()?, sequence: c.text()?, payload: c.text()? })
}

pub(super) fn audit(c: &mut Columns<'_>) -> Result<AuditRow> {
    Ok(AuditRow {
        seq: c.value()?,
        row: NewAudit {
            at_ms: c.value()?,
            actor: c.text()?,
            action: c.text()?,
            subject: c.text()?,
            reason: c.text()?,
            before: c.optional_text()?,
            after: c.optional_text()?,
        },
        hash: c.value()?,
    })
}
