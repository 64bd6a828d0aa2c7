//! Taking slices over, showing them, and what operators do to them.

use super::error::convert;
use super::pool::Conn;
use super::read::{self, bound, floor_of};
use super::row::{self, Columns};
use super::schema::lock_number;
use super::text::to_column;
use crate::Result;
use crate::audit::chain;
use crate::batch;
use crate::types::{NewAudit, Position, SliceStatus, StoredEntry, Takeover};
use std::collections::HashMap;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Transaction};

const TAKE: &str = "
    INSERT INTO slice (slice, epoch, owner, taken_ms, next_entry, closed_entry)
    VALUES ($1, 1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 1, 0)
    ON CONFLICT (slice) DO UPDATE SET epoch = slice.epoch + 1, owner = excluded.owner, taken_ms = excluded.taken_ms
    RETURNING epoch, next_entry, closed_entry, stopped";
const POSITIONS: &str = "SELECT slice, topic, topic_id, next_offset FROM position WHERE slice = $1 ORDER BY topic";
const PUBLISHED: &str =
    r#"SELECT slice, topic, partition, number, "offset" FROM published WHERE slice = $1 ORDER BY topic, partition"#;
const SEQUENCES: &str = "
    SELECT slice, sequence, class, code, reason, owner, field, awaits, attempts, next_attempt_ms, since_ms, head_no,
        tail_no, depth FROM parked_sequence WHERE slice = $1 ORDER BY sequence";
const TIMERS: &str = "SELECT id, due_ms, sequence, payload FROM timer WHERE slice = $1 ORDER BY due_ms, id";

/// Entries of one page: a page is at most what a commit may be, times this.
const PAGE: usize = 256;

/// The row of the slice is locked by its own raising, so what is read behind it is what the owner before left, whole.
pub(super) async fn take_over(conn: &mut Conn, slice: i32, owner: &str) -> Result<Takeover> {
    conn.prepare([TAKE, POSITIONS, PUBLISHED, SEQUENCES, TIMERS, read::FLOOR]).await?;
    let owner = to_column(owner);
    let (client, reader) = (&conn.client, &*conn);
    let of_slice: [&(dyn ToSql + Sync); 1] = [&slice];
    let by_owner: [&(dyn ToSql + Sync); 2] = [&slice, &owner];
    let query =
        async |sql: &'static str, params: &[&(dyn ToSql + Sync)]| client.query(reader.statement(sql), params).await;
    let (_, taken, positions, published, sequences, timers, floor, _) = futures::try_join!(
        client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
        query(TAKE, &by_owner),
        query(POSITIONS, &of_slice),
        query(PUBLISHED, &of_slice),
        query(SEQUENCES, &of_slice),
        query(TIMERS, &of_slice),
        query(read::FLOOR, &[]),
        client.batch_execute("COMMIT"),
    )
    .map_err(|e| convert(&e))?;
    let mut takeover = Takeover {
        positions: row::all(&positions, row::position)?.into_iter().map(|(_, row)| row).collect(),
        published: row::all(&published, row::published)?.into_iter().map(|(_, row)| row).collect(),
        sequences: row::all(&sequences, row::sequence)?,
        timers: row::all(&timers, row::timer)?,
        floor_ms: floor_of(&floor)?,
        ..Takeover::default()
    };
    if let Some(row) = taken.first() {
        let mut c = Columns::of(row);
        takeover.epoch = c.value()?;
        takeover.next_entry = c.value()?;
        takeover.closed_entry = c.value()?;
        takeover.stopped = c.optional_text()?;
    }
    takeover.open_entries = open_entries(conn, slice, takeover.closed_entry).await?;
    Ok(takeover)
}

/// Read after the take-over: from then on nobody but the new owner adds any.
async fn open_entries(conn: &mut Conn, slice: i32, closed_entry: i64) -> Result<Vec<StoredEntry>> {
    let mut entries: Vec<StoredEntry> = Vec::new();
    loop {
        let from = entries.last().map_or(closed_entry, |entry| entry.entry) + 1;
        let page = read::entries(conn, slice, from, PAGE).await?;
        let is_last = page.len() < PAGE;
        entries.extend(page);
        if is_last {
            return Ok(entries);
        }
    }
}

pub(super) async fn statuses(conn: &mut Conn) -> Result<Vec<SliceStatus>> {
    let transaction = conn.client.build_transaction();
    let transaction =
        transaction.isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).read_only(true).start().await;
    let transaction = transaction.map_err(|e| convert(&e))?;
    let query = async |sql: &str| transaction.query(sql, &[]).await.map_err(|e| convert(&e));
    let slices =
        query("SELECT slice, epoch, owner, taken_ms, next_entry, closed_entry, stopped FROM slice ORDER BY slice")
            .await?;
    let positions = query("SELECT slice, topic, topic_id, next_offset FROM position ORDER BY slice, topic").await?;
    let marks =
        query(r#"SELECT slice, topic, partition, number, "offset" FROM published ORDER BY slice, topic, partition"#)
            .await?;
    let intents = query(
        "SELECT slice, effect_key, sequence, entity, state, attempts, code, reason, since_ms FROM intent
         ORDER BY slice, effect_key",
    )
    .await?;
    let timers = query("SELECT slice, count(*) FROM timer GROUP BY slice").await?;
    transaction.commit().await.map_err(|e| convert(&e))?;
    let mut statuses = row::all(&slices, status)?;
    let mut places: HashMap<i32, &mut SliceStatus> = statuses.iter_mut().map(|status| (status.slice, status)).collect();
    each(&positions, row::position, &mut places, |status, row| status.positions.push(row))?;
    each(&marks, row::published, &mut places, |status, row| status.published.push(row))?;
    each(&intents, row::intent, &mut places, |status, row| status.intents.push(row))?;
    each(&timers, |c| Ok((c.value()?, c.value()?)), &mut places, |status, count| status.timers = count)?;
    Ok(statuses)
}

fn each<T>(
    rows: &[Row],
    read: fn(&mut Columns<'_>) -> Result<(i32, T)>,
    places: &mut HashMap<i32, &mut SliceStatus>,
    put: impl Fn(&mut SliceStatus, T),
) -> Result<()> {
    for (slice, value) in row::all(rows, read)? {
        if let Some(status) = places.get_mut(&slice) {
            put(status, value);
        }
    }
    Ok(())
}

fn status(c: &mut Columns<'_>) -> Result<SliceStatus> {
    Ok(SliceStatus {
        slice: c.value()?,
        epoch: c.value()?,
        owner: c.text()?,
        taken_ms: c.value()?,
        next_entry: c.value()?,
        closed_entry: c.value()?,
        stopped: c.optional_text()?,
        positions: Vec::new(),
        published: Vec::new(),
        intents: Vec::new(),
        timers: 0,
    })
}

pub(super) async fn accept_position(
    conn: &mut Conn,
    schema: &str,
    slice: i32,
    position: &Position,
    audit: &NewAudit,
) -> Result<()> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    change(&transaction, slice, "UPDATE slice SET epoch = epoch + 1 WHERE slice = $1", &[&slice]).await?;
    let sql = "INSERT INTO position (slice, topic, topic_id, next_offset) VALUES ($1, $2, $3, $4)
               ON CONFLICT (slice, topic) DO UPDATE SET topic_id = excluded.topic_id, next_offset = excluded.next_offset";
    let (topic, topic_id) = (to_column(&position.topic), position.topic_id.as_deref().map(to_column));
    transaction.execute(sql, &[&slice, &topic, &topic_id, &position.next_offset]).await.map_err(|e| convert(&e))?;
    append_audit(&transaction, schema, audit).await?;
    transaction.commit().await.map_err(|e| convert(&e))
}

pub(super) async fn set_stopped(
    conn: &mut Conn,
    schema: &str,
    slice: i32,
    reason: Option<&str>,
    audit: &NewAudit,
) -> Result<()> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    let sql = "UPDATE slice SET stopped = $2 WHERE slice = $1";
    change(&transaction, slice, sql, &[&slice, &reason.map(to_column)]).await?;
    append_audit(&transaction, schema, audit).await?;
    transaction.commit().await.map_err(|e| convert(&e))
}

async fn change(transaction: &Transaction<'_>, slice: i32, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<()> {
    match transaction.execute(sql, params).await.map_err(|e| convert(&e))? {
        0 => Err(batch::unknown_slice(slice)),
        _ => Ok(()),
    }
}

/// One writer at a time: the chain has one end.
pub(super) async fn append_audit(transaction: &Transaction<'_>, schema: &str, audit: &NewAudit) -> Result<()> {
    let lock = "SELECT pg_advisory_xact_lock($1)";
    transaction.execute(lock, &[&lock_number(schema, "audit")]).await.map_err(|e| convert(&e))?;
    let last = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT $1";
    let last = transaction.query_opt(last, &[&bound(1)]).await.map_err(|e| convert(&e))?;
    let last: Option<(i64, String)> = last.map(|row| (row.get(0), row.get(1)));
    let row = chain(last.as_ref().map(|(seq, hash)| (*seq, hash.as_str())), audit);
    let texts = [&audit.actor, &audit.action, &audit.subject, &audit.reason].map(|text| to_column(text));
    let (before, after) = (audit.before.as_deref().map(to_column), audit.after.as_deref().map(to_column));
    let sql = "INSERT INTO audit (seq, at_ms, actor, action, subject, reason, before, after, hash)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let [actor, action, subject, reason] = &texts;
    transaction
        .execute(sql, &[&row.seq, &audit.at_ms, actor, action, subject, reason, &before, &after, &row.hash])
        .await
        .map_err(|e| convert(&e))?;
    Ok(())
}

pub(super) async fn add_audit(conn: &mut Conn, schema: &str, audit: &NewAudit) -> Result<()> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    append_audit(&transaction, schema, audit).await?;
    transaction.commit().await.map_err(|e| convert(&e))
}
