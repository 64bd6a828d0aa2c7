//! Raising the floor and dropping what lies below it, in pages: commits wait for a page at most.

use super::error::convert;
use super::row::{self, all, change, first};
use crate::columns::read_publishes;
use crate::horizon::{Marks, day_start, identity_start};
use crate::{Error, Millis, Result};
use rusqlite::{Connection, TransactionBehavior, params};
use std::collections::HashMap;

/// Rows removed by one statement.
const PAGE: usize = 5_000;

const ALIVE: &str = "state IN ('waiting', 'letter_pending', 'dead_lettered')";

/// Raises the floor as far as nothing open, parked or unpublished needs what is below; answers the floor.
pub(super) fn raise_floor(connection: &mut Connection, before_ms: Millis) -> Result<Millis> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(convert)?;
    let floor = day_start(oldest_needed(&transaction, before_ms)?);
    let sql = "UPDATE horizon SET floor_ms = max(floor_ms, ?1) RETURNING floor_ms";
    let floor = first(&transaction, sql, [floor], |c| c.value())?;
    transaction.commit().map_err(convert)?;
    floor.ok_or_else(|| Error::Corrupt("table horizon has no row".into()))
}

fn oldest_needed(c: &Connection, before_ms: Millis) -> Result<Millis> {
    let open = "SELECT min(j.at_ms) FROM slice s JOIN journal j ON j.slice = s.slice AND j.entry > s.closed_entry";
    let alive = format!("SELECT min(needed_ms) FROM parked_record WHERE {ALIVE}");
    let mut limit = before_ms;
    for sql in [open, &alive] {
        let oldest: Option<Millis> = first(c, sql, [], |c| c.value())?.flatten();
        limit = oldest.unwrap_or(limit).min(limit);
    }
    let mut marks: HashMap<i32, Marks> = HashMap::new();
    let published = r#"SELECT slice, topic, partition, number, "offset" FROM published"#;
    for (slice, mark) in all(c, published, [], row::published)? {
        marks.entry(slice).or_default().add(&mark);
    }
    let sql = "SELECT slice, at_ms, publishes FROM journal WHERE at_ms < ?1 AND publishes IS NOT NULL";
    let mut statement = c.prepare_cached(sql).map_err(convert)?;
    let mut rows = statement.query([limit]).map_err(convert)?;
    while let Some(row) = rows.next().map_err(convert)? {
        let mut c = row::Columns::of(row);
        let marks = marks.entry(c.value()?).or_default();
        let at_ms: Millis = c.value()?;
        let publishes = read_publishes(&c.value::<String>()?)?;
        if publishes.iter().any(|(topic, partition, number)| !marks.cover(topic, *partition, *number)) {
            limit = limit.min(at_ms);
        }
    }
    Ok(limit)
}

/// Removes a page of what lies below the floor; answers whether more may be left.
pub(super) fn drop_page(connection: &mut Connection, floor: Millis) -> Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(convert)?;
    let page = i64::try_from(PAGE).unwrap_or(i64::MAX);
    let journal = "DELETE FROM journal WHERE rowid IN (SELECT rowid FROM journal WHERE at_ms < ?1 LIMIT ?2)";
    let identity = "DELETE FROM identity WHERE uid IN (SELECT uid FROM identity WHERE uid < ?1 LIMIT ?2)";
    let ended = format!(
        "DELETE FROM parked_record WHERE rowid IN (SELECT rowid FROM parked_record
            WHERE NOT {ALIVE} AND parked_ms < ?1 AND changed_ms < ?1 LIMIT ?2)"
    );
    let mut most = change(&transaction, journal, params![floor, page])?;
    most = most.max(change(&transaction, identity, params![first_uid(identity_start(floor)), page])?);
    most = most.max(change(&transaction, &ended, params![floor, page])?);
    transaction.commit().map_err(convert)?;
    Ok(most == PAGE)
}

/// The lowest uid with this time in front.
fn first_uid(ms: Millis) -> [u8; 16] {
    let mut uid = [0; 16];
    uid[..6].copy_from_slice(&ms.clamp(0, (1 << 48) - 1).to_be_bytes()[2..]);
    uid
}
