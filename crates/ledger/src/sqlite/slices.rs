//! Taking slices over, showing them, and what operators do to them.

use super::error::convert;
use super::read::{self, bound};
use super::row::{self, Columns, all, change, first};
use super::write::PUT_POSITION;
use crate::audit::chain;
use crate::batch;
use crate::types::{IntentRow, NewAudit, Position, PublishedMark, SliceStatus, Takeover};
use crate::{Error, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

pub(super) fn begin(connection: &mut Connection) -> Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(convert)
}

fn second<T>(pair: (i32, T)) -> T {
    pair.1
}

pub(super) fn take_over(connection: &mut Connection, slice: i32, owner: &str, now_ms: i64) -> Result<Takeover> {
    let transaction = begin(connection)?;
    let take =
        "INSERT INTO slice (slice, epoch, owner, taken_ms, next_entry, closed_entry) VALUES (?1, 1, ?2, ?3, 1, 0)
        ON CONFLICT (slice) DO UPDATE SET epoch = slice.epoch + 1, owner = excluded.owner, taken_ms = excluded.taken_ms
        RETURNING epoch, next_entry, closed_entry, stopped";
    let taken = first(&transaction, take, params![slice, owner, now_ms], |c| {
        Ok(Takeover {
            epoch: c.value()?,
            next_entry: c.value()?,
            closed_entry: c.value()?,
            stopped: c.value()?,
            ..Takeover::default()
        })
    })?;
    let mut takeover = taken.ok_or_else(|| Error::Corrupt("a take-over returned no row".into()))?;
    takeover.positions = positions(&transaction, slice)?;
    takeover.published = published(&transaction, slice)?;
    takeover.sequences = read::sequences(&transaction, Some(slice))?;
    let timers = "SELECT id, due_ms, sequence, payload FROM timer WHERE slice = ?1 ORDER BY due_ms, id";
    takeover.timers = all(&transaction, timers, [slice], row::timer)?;
    takeover.floor_ms = read::floor(&transaction)?;
    takeover.open_entries = read::entries(&transaction, slice, takeover.closed_entry + 1, usize::MAX)?;
    transaction.commit().map_err(convert)?;
    Ok(takeover)
}

fn positions(connection: &Connection, slice: i32) -> Result<Vec<Position>> {
    let sql = "SELECT slice, topic, topic_id, next_offset FROM position WHERE slice = ?1 ORDER BY topic";
    Ok(all(connection, sql, [slice], row::position)?.into_iter().map(second).collect())
}

fn published(connection: &Connection, slice: i32) -> Result<Vec<PublishedMark>> {
    let sql =
        r#"SELECT slice, topic, partition, number, "offset" FROM published WHERE slice = ?1 ORDER BY topic, partition"#;
    Ok(all(connection, sql, [slice], row::published)?.into_iter().map(second).collect())
}

fn intents(connection: &Connection, slice: i32) -> Result<Vec<IntentRow>> {
    let sql = "SELECT slice, effect_key, sequence, entity, state, attempts, code, reason, since_ms FROM intent
               WHERE slice = ?1 ORDER BY effect_key";
    Ok(all(connection, sql, [slice], row::intent)?.into_iter().map(second).collect())
}

pub(super) fn statuses(connection: &mut Connection) -> Result<Vec<SliceStatus>> {
    let transaction = connection.transaction().map_err(convert)?;
    let sql = "SELECT slice, epoch, owner, taken_ms, next_entry, closed_entry, stopped FROM slice ORDER BY slice";
    let mut statuses = all(&transaction, sql, [], status)?;
    for status in &mut statuses {
        status.positions = positions(&transaction, status.slice)?;
        status.published = published(&transaction, status.slice)?;
        status.intents = intents(&transaction, status.slice)?;
        let timers = "SELECT count(*) FROM timer WHERE slice = ?1";
        status.timers = first(&transaction, timers, [status.slice], |c| c.value())?.unwrap_or(0);
    }
    Ok(statuses)
}

fn status(c: &mut Columns<'_, '_>) -> Result<SliceStatus> {
    Ok(SliceStatus {
        slice: c.value()?,
        epoch: c.value()?,
        owner: c.value()?,
        taken_ms: c.value()?,
        next_entry: c.value()?,
        closed_entry: c.value()?,
        stopped: c.value()?,
        positions: Vec::new(),
        published: Vec::new(),
        intents: Vec::new(),
        timers: 0,
    })
}

pub(super) fn accept_position(
    connection: &mut Connection,
    slice: i32,
    position: &Position,
    audit: &NewAudit,
) -> Result<()> {
    let transaction = begin(connection)?;
    if change(&transaction, "UPDATE slice SET epoch = epoch + 1 WHERE slice = ?1", [slice])? == 0 {
        return Err(batch::unknown_slice(slice));
    }
    let values = params![slice, position.topic, position.topic_id, position.next_offset];
    change(&transaction, PUT_POSITION, values)?;
    append_audit(&transaction, audit)?;
    transaction.commit().map_err(convert)
}

pub(super) fn set_stopped(
    connection: &mut Connection,
    slice: i32,
    reason: Option<&str>,
    audit: &NewAudit,
) -> Result<()> {
    let transaction = begin(connection)?;
    if change(&transaction, "UPDATE slice SET stopped = ?2 WHERE slice = ?1", params![slice, reason])? == 0 {
        return Err(batch::unknown_slice(slice));
    }
    append_audit(&transaction, audit)?;
    transaction.commit().map_err(convert)
}

pub(super) fn append_audit(connection: &Connection, audit: &NewAudit) -> Result<()> {
    let last = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT ?1";
    let last: Option<(i64, String)> = first(connection, last, [bound(1)], |c| Ok((c.value()?, c.value()?)))?;
    let row = chain(last.as_ref().map(|(seq, hash)| (*seq, hash.as_str())), audit);
    let sql = "INSERT INTO audit (seq, at_ms, actor, action, subject, reason, before, after, hash)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let values = params![
        row.seq,
        audit.at_ms,
        audit.actor,
        audit.action,
        audit.subject,
        audit.reason,
        audit.before,
        audit.after,
        row.hash
    ];
    change(connection, sql, values).map(drop)
}

pub(super) fn add_audit(connection: &mut Connection, audit: &NewAudit) -> Result<()> {
    let transaction = begin(connection)?;
    append_audit(&transaction, audit)?;
    transaction.commit().map_err(convert)
}
