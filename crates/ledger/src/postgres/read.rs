//! What services and people read.

use super::error::convert;
use super::pool::Conn;
use super::row::{self, Columns};
use super::text::to_column;
use super::write::uuid;
use crate::Result;
use crate::jobs::{LetterCount, RowKey};
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
        state, failure, attempts, refusals, receipts, unknown, changed_ms, version, fingerprint, edit
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

const PARKED: &str = r#"SELECT slice, sequence, no, topic, partition, "offset", timestamp_ms, key, value, headers, uid, hash,
    parked_ms, state, failure, attempts, refusals, receipts, unknown, changed_ms, version, fingerprint, edit
    FROM parked_record"#;

pub(super) async fn parked_records(conn: &mut Conn, wanted: &ParkedFilter) -> Result<Vec<ParkedRecord>> {
    let order = format!("ORDER BY parked_ms, slice, sequence, no LIMIT {}", bound(wanted.limit));
    row::all(&parked_filter(wanted).query(conn, PARKED, &order).await?, row::parked)
}

fn parked_filter(wanted: &ParkedFilter) -> Filter<'_> {
    let mut filter = Filter::default();
    filter.equal("slice", wanted.slice);
    filter.equal("sequence", wanted.sequence.as_deref().map(to_column));
    let states: Vec<&str> = wanted.states.iter().map(|state| state.as_str()).collect();
    filter.compare("state", "= ANY", (!states.is_empty()).then_some(states));
    filter.equal("uid", wanted.uid.map(uuid));
    filter.equal("class", wanted.class.map(|class| class.as_str()));
    filter.equal("code", wanted.code.as_deref().map(to_column));
    filter.equal("fingerprint", wanted.fingerprint.as_deref());
    filter.equal("topic", wanted.topic.as_deref().map(to_column));
    filter.equal("key", wanted.key.as_deref());
    filter.compare("parked_ms", ">=", wanted.since_ms);
    filter.compare("parked_ms", "<", wanted.until_ms);
    filter.compare("attempts", ">=", wanted.min_attempts);
    if wanted.failed {
        filter.conditions.push("failure IS NOT NULL".into());
    }
    if let Some(after) = &wanted.after {
        let places = [
            filter.place(after.parked_ms),
            filter.place(after.slice),
            filter.place(to_column(&after.sequence)),
            filter.place(after.no),
        ];
        filter.conditions.push(format!("(parked_ms, slice, sequence, no) > ({})", places.join(", ")));
    }
    filter
}

pub(super) async fn parked_record(conn: &mut Conn, key: &RowKey) -> Result<Option<ParkedRecord>> {
    let mut filter = Filter::default();
    filter.equal("slice", Some(key.slice));
    filter.equal("sequence", Some(to_column(&key.sequence)));
    filter.equal("no", Some(key.no));
    Ok(row::all(&filter.query(conn, PARKED, "").await?, row::parked)?.pop())
}

pub(super) async fn letter_counts(conn: &mut Conn, wanted: &ParkedFilter) -> Result<Vec<LetterCount>> {
    let wanted = ParkedFilter { failed: true, after: None, ..wanted.clone() };
    let sql =
        "SELECT fingerprint, class, code, count(*), count(DISTINCT (slice, sequence)), min(parked_ms), max(changed_ms)
               FROM parked_record";
    let order = format!(
        "GROUP BY fingerprint, class, code ORDER BY count(*) DESC, code, fingerprint NULLS FIRST LIMIT {}",
        bound(wanted.limit)
    );
    row::all(&parked_filter(&wanted).query(conn, sql, &order).await?, row::letter_count)
}

pub(super) async fn audit_page(conn: &mut Conn, from_seq: i64, limit: usize) -> Result<Vec<AuditRow>> {
    let mut filter = Filter::default();
    filter.compare("seq", ">=", Some(from_seq));
    let sql = "SELECT seq, at_ms, actor, action, subject, reason, before, after, hash FROM audit";
    row::all(&filter.query(conn, sql, &format!("ORDER BY seq LIMIT {}", bound(limit))).await?, row::audit)
}

pub(super) fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Conditions that a person chose: a statement of its own for each combination, so that each finds its index.
#[derive(Default)]
pub(super) struct Filter<'a> {
    pub(super) conditions: Vec<String>,
    params: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
}

impl<'a> Filter<'a> {
    pub(super) fn equal(&mut self, column: &str, value: Option<impl ToSql + Sync + Send + 'a>) {
        self.compare(column, "=", value);
    }

    pub(super) fn compare(&mut self, column: &str, how: &str, value: Option<impl ToSql + Sync + Send + 'a>) {
        if let Some(value) = value {
            let place = self.place(value);
            self.conditions.push(format!("{column} {how} ({place})"));
        }
    }

    pub(super) fn place(&mut self, value: impl ToSql + Sync + Send + 'a) -> String {
        self.params.push(Box::new(value));
        format!("${}", self.params.len())
    }

    pub(super) async fn query(&self, conn: &Conn, select: &str, order: &str) -> Result<Vec<Row>> {
        let filter = if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" AND ") };
        let params: Vec<&(dyn ToSql + Sync)> = self.params.iter().map(|p| -> &(dyn ToSql + Sync) { &**p }).collect();
        let sql = format!("{select} WHERE {filter} {order}");
        conn.client.query(&sql, &params).await.map_err(|e| convert(&e))
    }
}
