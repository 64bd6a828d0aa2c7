//! What services and people read.

use super::error::convert;
use super::pool::Conn;
use super::row::{self, Columns};
use super::text::to_column;
use super::write::uuid;
use crate::Result;
use crate::types::{
    AuditRow, DocumentFilter, DocumentRow, LoadRequest, Loaded, ParkedFilter, ParkedRecord, ParkedSequence, StoredEntry,
};
use events::{PayloadHash, Uid};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

const IDENTITIES: &str = "SELECT uid, hash FROM identity WHERE uid = ANY($1::uuid[])";
const IDENTITIES_UNTIMED: &str = "SELECT uid, hash FROM identity_untimed WHERE uid = ANY($1::uuid[])";
const DOCUMENTS: &str = "
    SELECT d.kind, d.key, d.slice, d.version, d.status, d.account_id, d.body, d.updated_ms
    FROM unnest($1::text[], $2::text[]) AS k(kind, key) JOIN document d ON d.kind = k.kind AND d.key = k.key";
pub(super) const FLOOR: &str = "SELECT floor_ms FROM horizon";
pub(super) const ENTRIES: &str =
    "SELECT slice, entry, epoch, at_ms, body FROM journal WHERE slice = $1 AND entry >= $2 ORDER BY entry LIMIT $3";
const PARKED_PAGE: &str = r#"
    SELECT slice, sequence, no, topic, partition, "offset", timestamp_ms, key, value, headers, uid, hash, parked_ms,
        state, failure, attempts, refusals, receipts, unknown, changed_ms
    FROM parked_record WHERE slice = $1 AND sequence = $2 AND no >= $3
        AND state IN ('waiting', 'letter_pending', 'dead_lettered') ORDER BY no LIMIT $4"#;
const AUDIT: &str =
    "SELECT seq, at_ms, actor, action, subject, reason, before, after, hash FROM audit ORDER BY seq DESC LIMIT $1";

type Param<'a> = &'a (dyn ToSql + Sync);

/// Rows of a prepared statement; none where there is nothing to ask for.
async fn rows(conn: &Conn, asked: bool, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
    if !asked {
        return Ok(Vec::new());
    }
    conn.client.query(conn.statement(sql), params).await.map_err(|e| convert(&e))
}

pub(super) async fn load(conn: &mut Conn, request: &LoadRequest) -> Result<Loaded> {
    conn.prepare([IDENTITIES, IDENTITIES_UNTIMED, DOCUMENTS, FLOOR]).await?;
    let (timed, untimed): (Vec<Uid>, Vec<Uid>) = request.uids.iter().copied().partition(|uid| uid.time_ms().is_some());
    let timed: Vec<Uuid> = timed.into_iter().map(uuid).collect();
    let untimed: Vec<Uuid> = untimed.into_iter().map(uuid).collect();
    let kinds: Vec<_> = request.documents.iter().map(|d| to_column(&d.kind)).collect();
    let keys: Vec<_> = request.documents.iter().map(|d| to_column(&d.key)).collect();
    let conn = &*conn;
    let (by_timed, by_untimed): ([Param<'_>; 1], [Param<'_>; 1]) = ([&timed], [&untimed]);
    let by_key: [Param<'_>; 2] = [&kinds, &keys];
    // The floor comes last: an identity that was dropped before it was looked up is below it.
    let (timed, untimed, documents, floor) = futures::try_join!(
        rows(conn, !timed.is_empty(), IDENTITIES, &by_timed),
        rows(conn, !untimed.is_empty(), IDENTITIES_UNTIMED, &by_untimed),
        rows(conn, !keys.is_empty(), DOCUMENTS, &by_key),
        rows(conn, true, FLOOR, &[]),
    )?;
    let mut loaded = Loaded { floor_ms: floor_of(&floor)?, ..Loaded::default() };
    for row in timed.iter().chain(&untimed) {
        let mut c = Columns::of(row);
        loaded.identities.insert(row::uid(c.value()?), PayloadHash(c.value()?));
    }
    loaded.documents = row::all(&documents, row::document)?.into_iter().map(|row| (row.key.clone(), row)).collect();
    Ok(loaded)
}

pub(super) fn floor_of(rows: &[Row]) -> Result<i64> {
    rows.first().map_or(Ok(0), |row| Columns::of(row).value())
}

pub(super) async fn floor(conn: &mut Conn) -> Result<i64> {
    conn.prepare([FLOOR]).await?;
    floor_of(&rows(conn, true, FLOOR, &[]).await?)
}

pub(super) async fn entries(conn: &mut Conn, slice: i32, from: i64, limit: usize) -> Result<Vec<StoredEntry>> {
    conn.prepare([ENTRIES]).await?;
    row::all(&rows(conn, true, ENTRIES, &[&slice, &from, &bound(limit)]).await?, row::entry)
}

pub(super) async fn parked_page(
    conn: &mut Conn,
    slice: i32,
    sequence: &str,
    from_no: i64,
    limit: usize,
) -> Result<Vec<ParkedRecord>> {
    conn.prepare([PARKED_PAGE]).await?;
    let sequence = to_column(sequence);
    row::all(&rows(conn, true, PARKED_PAGE, &[&slice, &sequence, &from_no, &bound(limit)]).await?, row::parked)
}

pub(super) async fn audit(conn: &mut Conn, limit: usize) -> Result<Vec<AuditRow>> {
    conn.prepare([AUDIT]).await?;
    let mut newest_first = row::all(&rows(conn, true, AUDIT, &[&bound(limit)]).await?, row::audit)?;
    newest_first.reverse();
    Ok(newest_first)
}

pub(super) async fn sequences(conn: &mut Conn, slice: Option<i32>) -> Result<Vec<ParkedSequence>> {
    let mut filter = Filter::default();
    filter.equal("slice", slice);
    let sql = "SELECT slice, sequence, class, code, reason, owner, field, awaits, attempts, next_attempt_ms, since_ms,
               head_no, tail_no, depth FROM parked_sequence";
    row::all(&filter.query(conn, sql, "ORDER BY slice, sequence").await?, row::sequence)
}

pub(super) async fn documents(conn: &mut Conn, wanted: &DocumentFilter) -> Result<Vec<DocumentRow>> {
    let mut filter = Filter::default();
    filter.equal("kind", wanted.kind.as_deref().map(to_column));
    filter.equal("key", wanted.key.as_deref().map(to_column));
    filter.equal("account_id", wanted.account_id.as_deref().map(to_column));
    let sql = "SELECT kind, key, slice, version, status, account_id, body, updated_ms FROM document";
    let order = format!("ORDER BY kind, key LIMIT {}", bound(wanted.limit));
    row::all(&filter.query(conn, sql, &order).await?, row::document)
}

pub(super) async fn parked_records(conn: &mut Conn, wanted: &ParkedFilter) -> Result<Vec<ParkedRecord>> {
    let mut filter = Filter::default();
    filter.equal("slice", wanted.slice);
    filter.equal("sequence", wanted.sequence.as_deref().map(to_column));
    filter.equal("state", wanted.state.map(crate::ParkedState::as_str));
    filter.equal("uid", wanted.uid.map(uuid));
    let sql = r#"SELECT slice, sequence, no, topic, partition, "offset", timestamp_ms, key, value, headers, uid, hash,
                 parked_ms, state, failure, attempts, refusals, receipts, unknown, changed_ms FROM parked_record"#;
    let order = format!("ORDER BY parked_ms, slice, sequence, no LIMIT {}", bound(wanted.limit));
    row::all(&filter.query(conn, sql, &order).await?, row::parked)
}

pub(super) fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Conditions that a person chose: a statement of its own for each combination, so that each finds its index.
#[derive(Default)]
struct Filter<'a> {
    conditions: Vec<String>,
    params: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
}

impl<'a> Filter<'a> {
    fn equal(&mut self, column: &str, value: Option<impl ToSql + Sync + Send + 'a>) {
        if let Some(value) = value {
            self.params.push(Box::new(value));
            self.conditions.push(format!("{column} = ${}", self.params.len()));
        }
    }

    async fn query(&self, conn: &Conn, select: &str, order: &str) -> Result<Vec<Row>> {
        let filter = if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" AND ") };
        let params: Vec<&(dyn ToSql + Sync)> = self.params.iter().map(|p| -> &(dyn ToSql + Sync) { &**p }).collect();
        let sql = format!("{select} WHERE {filter} {order}");
        conn.client.query(&sql, &params).await.map_err(|e| convert(&e))
    }
}
