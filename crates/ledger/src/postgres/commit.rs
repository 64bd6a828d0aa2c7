//! A micro-batch as one transaction in one round trip.
//!
//! Everything from BEGIN to COMMIT is sent without waiting. The fence is the first statement; if a slice is lost it breaks
//! the transaction, so nothing behind it can take hold, and only then we ask who is fenced and send the others again.

use super::error::{convert, is};
use super::pool::Conn;
use super::write::{self, FENCE, PARKED_UPDATES, Write};
use crate::batch::{self, Rows, Verdict};
use crate::types::SliceCommit;
use crate::{CommitOutcome, Error, Result};
use futures::future::{BoxFuture, join_all};
use std::collections::HashMap;
use telemetry::failpoint;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

/// A slice can be lost between asking and sending again, but not for ever.
const ROUNDS: usize = 8;

pub(super) async fn commit(conn: &mut Conn, schema: &str, batches: &[SliceCommit]) -> Result<Vec<CommitOutcome>> {
    let mut outcomes: HashMap<i32, CommitOutcome> = HashMap::new();
    let mut open: Vec<&SliceCommit> = batches.iter().collect();
    open.sort_unstable_by_key(|batch| batch.slice);
    for _ in 0..ROUNDS {
        if open.is_empty() || try_commit(conn, schema, &open).await? {
            outcomes.extend(open.iter().map(|batch| (batch.slice, CommitOutcome::Committed)));
            return Ok(batches.iter().filter_map(|batch| outcomes.get(&batch.slice).copied()).collect());
        }
        let rows = slice_rows(conn, &open).await?;
        let mut writable = Vec::new();
        for batch in open {
            match batch::judge(rows.get(&batch.slice).copied(), batch)? {
                Verdict::Write => writable.push(batch),
                Verdict::Already => drop(outcomes.insert(batch.slice, CommitOutcome::Committed)),
                Verdict::Fenced => drop(outcomes.insert(batch.slice, CommitOutcome::Fenced)),
            }
        }
        open = writable;
    }
    Err(Error::Unavailable("slices change hands faster than a commit can be sent".into()))
}

/// Sends the whole transaction; `false` if the fence broke it.
async fn try_commit(conn: &mut Conn, schema: &str, batches: &[&SliceCommit]) -> Result<bool> {
    let rows = Rows::of(batches);
    let writes = write::statements(schema, batches, &rows);
    conn.prepare(writes.iter().map(|write| write.sql)).await?;
    let has_outcomes = batches.iter().any(|batch| !batch.body.outcomes.is_empty());
    let results = pipeline(conn, &writes, if has_outcomes { "c7" } else { "c3" }).await;
    for (sql, result) in results {
        let Err(error) = result else { continue };
        // The first error is the reason; those behind it say only that the transaction is broken.
        return match sql {
            FENCE if is(&error, &SqlState::DIVISION_BY_ZERO) => Ok(false),
            PARKED_UPDATES if is(&error, &SqlState::DIVISION_BY_ZERO) => Err(missing(&rows)),
            _ if is(&error, &SqlState::UNIQUE_VIOLATION) && names(&error, "parked_record_pkey") => Err(rows
                .parked_inserts
                .first()
                .map_or_else(|| convert(&error), |r| batch::taken(r.slice, &r.sequence, r.no))),
            _ => Err(convert(&error)),
        };
    }
    failpoint::hit("c8");
    Ok(true)
}

fn missing(rows: &Rows<'_>) -> Error {
    rows.parked_updates.first().map_or_else(
        || Error::Corrupt("an update of nothing failed".into()),
        |(slice, sequence, no, _)| batch::absent(*slice, sequence, *no),
    )
}

fn names(error: &tokio_postgres::Error, constraint: &str) -> bool {
    error.as_db_error().and_then(|e| e.constraint()) == Some(constraint)
}

type Answer = (&'static str, std::result::Result<(), tokio_postgres::Error>);

/// A future of the client sends its message when it is first polled, and `join_all` polls up to thirty in order: so the
/// statements reach the server one behind the other, and there are never more than twenty. Where failpoints are compiled in, COMMIT waits
/// for the answers to what is before it, so that a process can die with the transaction open.
async fn pipeline(conn: &Conn, writes: &[Write<'_>], open: &str) -> Vec<Answer> {
    let client = &conn.client;
    let plain = |sql: &'static str| -> BoxFuture<'_, Answer> {
        Box::pin(async move { (sql, client.batch_execute(sql).await) })
    };
    let mut messages = vec![plain("BEGIN ISOLATION LEVEL READ COMMITTED")];
    messages.extend(writes.iter().map(|write| -> BoxFuture<'_, Answer> {
        let statement = conn.statement(write.sql);
        Box::pin(async move {
            let params = write.params.iter().map(|param| -> &(dyn ToSql + Sync) { &**param });
            (write.sql, client.execute_raw(statement, params).await.map(drop))
        })
    }));
    let mut answers = Vec::new();
    if failpoint::COMPILED_IN {
        answers = join_all(std::mem::take(&mut messages)).await;
        failpoint::hit(open);
    }
    messages.push(plain("COMMIT"));
    answers.extend(join_all(messages).await);
    answers
}

/// Epoch and next entry of each slice.
async fn slice_rows(conn: &Conn, batches: &[&SliceCommit]) -> Result<HashMap<i32, (i64, i64)>> {
    let slices: Vec<i32> = batches.iter().map(|batch| batch.slice).collect();
    let sql = "SELECT slice, epoch, next_entry FROM slice WHERE slice = ANY($1)";
    let rows = conn.client.query(sql, &[&slices]).await.map_err(|e| convert(&e))?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}
