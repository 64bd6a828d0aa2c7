//! Raising the floor and dropping what lies below it.

use super::error::convert;
use super::pool::Conn;
use super::ranges;
use super::row::{self, Columns};
use crate::columns::read_publishes;
use crate::horizon::{Marks, day_start};
use crate::{Millis, Result};
use std::collections::HashMap;

/// Rows looked at or removed by one statement.
const PAGE: i64 = 5_000;

const ALIVE: &str = "state IN ('waiting', 'letter_pending', 'dead_lettered')";

/// The floor is committed before anything is dropped: whoever misses an identity finds a floor above it.
pub(super) async fn prune(conn: &mut Conn, before_ms: Millis) -> Result<Millis> {
    let limit = oldest_needed(conn, before_ms).await?;
    let sql = "UPDATE horizon SET floor_ms = greatest(floor_ms, $1) RETURNING floor_ms";
    let row = conn.client.query_one(sql, &[&day_start(limit)]).await.map_err(|e| convert(&e))?;
    let floor: Millis = Columns::of(&row).value()?;
    ranges::drop_before(conn, floor).await?;
    drop_ended(conn, floor).await?;
    Ok(floor)
}

/// The oldest time that something open, parked or unpublished needs, or `before_ms` if that is older.
async fn oldest_needed(conn: &Conn, before_ms: Millis) -> Result<Millis> {
    let open = format!(
        "SELECT least(
            (SELECT min(j.at_ms) FROM slice s JOIN journal j ON j.slice = s.slice AND j.entry > s.closed_entry),
            (SELECT min(needed_ms) FROM parked_record WHERE {ALIVE}))"
    );
    let row = conn.client.query_one(&open, &[]).await.map_err(|e| convert(&e))?;
    let mut limit = Columns::of(&row).value::<Option<Millis>>()?.map_or(before_ms, |open| open.min(before_ms));
    let sql = r#"SELECT slice, topic, partition, number, "offset" FROM published"#;
    let rows = conn.client.query(sql, &[]).await.map_err(|e| convert(&e))?;
    let mut marks: HashMap<i32, Marks> = HashMap::new();
    for (slice, mark) in row::all(&rows, row::published)? {
        marks.entry(slice).or_default().add(&mark);
    }
    let slices = conn.client.query("SELECT slice FROM slice", &[]).await.map_err(|e| convert(&e))?;
    for row in &slices {
        let slice: i32 = Columns::of(row).value()?;
        limit = oldest_unpublished(conn, slice, marks.entry(slice).or_default(), limit).await?;
    }
    Ok(limit)
}

async fn oldest_unpublished(conn: &Conn, slice: i32, marks: &Marks, mut limit: Millis) -> Result<Millis> {
    let sql = "SELECT entry, at_ms, publishes FROM journal
               WHERE slice = $1 AND entry > $2 AND at_ms < $3 AND publishes IS NOT NULL ORDER BY entry LIMIT $4";
    let mut last = 0i64;
    loop {
        let rows = conn.client.query(sql, &[&slice, &last, &limit, &PAGE]).await.map_err(|e| convert(&e))?;
        for row in &rows {
            let mut c = Columns::of(row);
            last = c.value()?;
            let at_ms: Millis = c.value()?;
            let publishes = read_publishes(c.value()?)?;
            if publishes.iter().any(|(topic, partition, number)| !marks.cover(topic, *partition, *number)) {
                limit = limit.min(at_ms);
            }
        }
        if rows.len() < PAGE as usize {
            return Ok(limit);
        }
    }
}

/// In pages: a service that writes beside us waits for a page at most.
async fn drop_ended(conn: &Conn, floor: Millis) -> Result<()> {
    let sql = format!(
        "DELETE FROM parked_record WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM parked_record WHERE NOT {ALIVE} AND parked_ms < $1 AND changed_ms < $1 LIMIT $2))"
    );
    while conn.client.execute(&sql, &[&floor, &PAGE]).await.map_err(|e| convert(&e))? > 0 {}
    Ok(())
}
