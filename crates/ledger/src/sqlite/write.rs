//! A commit as one transaction of cached statements, row by row: in one process that is the fastest way there is.

use super::error::convert;
use super::row::{change, first};
use crate::batch::{self, Rows, Verdict};
use crate::codec;
use crate::columns::{FateColumns, publishes_column};
use crate::horizon::needed_since;
use crate::journal::Entry;
use crate::types::{ParkedFate, ParkedRecord, ParkedSequence, SliceCommit};
use crate::{CommitOutcome, Result};
use rusqlite::{Connection, TransactionBehavior, params};

/// A commit with its journal body encoded, so that the writer's thread only writes.
pub(super) struct Encoded {
    batch: SliceCommit,
    body: Vec<u8>,
    publishes: Option<String>,
}

impl Encoded {
    pub(super) fn of(batch: &SliceCommit) -> Self {
        let rest = SliceCommit {
            slice: batch.slice,
            epoch: batch.epoch,
            entry: batch.entry,
            at_ms: batch.at_ms,
            body: Entry::default(),
            positions: batch.positions.clone(),
            identities: batch.identities.clone(),
            documents: batch.documents.clone(),
            sequences: batch.sequences.clone(),
            parked: batch.parked.clone(),
            intents: batch.intents.clone(),
            timers: batch.timers.clone(),
            closed_entry: batch.closed_entry,
            published: batch.published.clone(),
            stopped: batch.stopped.clone(),
            items: batch.items.clone(),
            job_stops: batch.job_stops.clone(),
        };
        Self { batch: rest, body: codec::encode(&batch.body), publishes: publishes_column(&batch.body) }
    }
}

pub(super) fn commit(connection: &mut Connection, batches: &[Encoded]) -> Result<Vec<CommitOutcome>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(convert)?;
    let mut outcomes = Vec::with_capacity(batches.len());
    let mut written = Vec::with_capacity(batches.len());
    for encoded in batches {
        let sql = "SELECT epoch, next_entry FROM slice WHERE slice = ?1";
        let row = first(&transaction, sql, [encoded.batch.slice], |c| Ok((c.value()?, c.value()?)))?;
        outcomes.push(match batch::judge(row, &encoded.batch)? {
            Verdict::Write => {
                append(&transaction, encoded)?;
                written.push(&encoded.batch);
                CommitOutcome::Committed
            }
            Verdict::Already => CommitOutcome::Committed,
            Verdict::Fenced => CommitOutcome::Fenced,
        });
    }
    let rows = Rows::of(&written);
    write_progress(&transaction, &rows)?;
    write_identities(&transaction, &rows)?;
    write_documents(&transaction, &rows)?;
    write_sequences(&transaction, &rows)?;
    write_parked(&transaction, &rows)?;
    write_intents(&transaction, &rows)?;
    write_timers(&transaction, &rows)?;
    super::jobs::write(&transaction, &rows)?;
    transaction.commit().map_err(convert)?;
    Ok(outcomes)
}

fn append(c: &Connection, encoded: &Encoded) -> Result<()> {
    let batch = &encoded.batch;
    change(
        c,
        "UPDATE slice SET next_entry = ?2 + 1, closed_entry = max(closed_entry, ?3), stopped = coalesce(?4, stopped)
         WHERE slice = ?1",
        params![batch.slice, batch.entry, batch.closed_entry.unwrap_or(0), batch.stopped],
    )?;
    change(
        c,
        "INSERT INTO journal (slice, entry, epoch, at_ms, publishes, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![batch.slice, batch.entry, batch.epoch, batch.at_ms, encoded.publishes, encoded.body],
    )?;
    Ok(())
}

pub(super) const PUT_POSITION: &str = "
    INSERT INTO position (slice, topic, topic_id, next_offset) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (slice, topic) DO UPDATE SET topic_id = excluded.topic_id, next_offset = excluded.next_offset";

fn write_progress(c: &Connection, rows: &Rows<'_>) -> Result<()> {
    for (slice, position) in &rows.positions {
        change(c, PUT_POSITION, params![slice, position.topic, position.topic_id, position.next_offset])?;
    }
    let sql = r#"INSERT INTO published (slice, topic, partition, number, "offset") VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (slice, topic, partition) DO UPDATE SET number = excluded.number, "offset" = excluded."offset""#;
    for (slice, mark) in &rows.published {
        change(c, sql, params![slice, mark.topic, mark.partition, mark.number, mark.offset])?;
    }
    Ok(())
}

fn write_identities(c: &Connection, rows: &Rows<'_>) -> Result<()> {
    let timed = "INSERT INTO identity (uid, hash, slice, seen_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let untimed =
        "INSERT INTO identity_untimed (uid, hash, slice, seen_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    for (slice, at_ms, row) in &rows.identities {
        let sql = if row.uid.time_ms().is_some() { timed } else { untimed };
        change(c, sql, params![row.uid.0, row.hash.0, slice, at_ms])?;
    }
    Ok(())
}

fn write_documents(c: &Connection, rows: &Rows<'_>) -> Result<()> {
    let put = "INSERT INTO document (kind, key, slice, version, status, account_id, body, updated_ms)
        VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7)
        ON CONFLICT (kind, key) DO UPDATE SET slice = excluded.slice, version = document.version + 1,
            status = excluded.status, account_id = excluded.account_id, body = excluded.body,
            updated_ms = excluded.updated_ms";
    for row in &rows.document_puts {
        let change_of = row.change;
        let key = &change_of.key;
        let values = params![key.kind, key.key, row.slice, change_of.status, change_of.account_id, row.body, row.at_ms];
        change(c, put, values)?;
    }
    for key in &rows.document_removals {
        change(c, "DELETE FROM document WHERE kind = ?1 AND key = ?2", params![key.kind, key.key])?;
    }
    Ok(())
}

fn write_sequences(c: &Connection, rows: &Rows<'_>) -> Result<()> {
    for row in &rows.sequence_puts {
        put_sequence(c, row)?;
    }
    for (slice, sequence) in &rows.sequence_removals {
        change(c, "DELETE FROM parked_sequence WHERE slice = ?1 AND sequence = ?2", params![slice, sequence])?;
    }
    Ok(())
}

fn put_sequence(c: &Connection, row: &ParkedSequence) -> Result<()> {
    let sql =
        "INSERT OR REPLACE INTO parked_sequence (slice, sequence, class, code, reason, owner, field, awaits, attempts,
            next_attempt_ms, since_ms, head_no, tail_no, depth)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let values = params![
        row.slice,
        row.sequence,
        row.class.as_str(),
        row.code,
        row.reason,
        row.owner,
        row.field,
        row.awaits,
        row.attempts,
        row.next_attempt_ms,
        row.since_ms,
        row.head_no,
        row.tail_no,
        row.depth
    ];
    change(c, sql, values).map(drop)
}

fn write_parked(c: &Connection, rows: &Rows<'_>) -> Result<()> {
    for record in &rows.parked_inserts {
        insert_parked(c, record)?;
    }
    for (slice, sequence, no, fate) in &rows.parked_updates {
        if update_parked(c, *slice, sequence, *no, fate)? == 0 {
            return Err(batch::absent(*slice, sequence, *no));
        }
    }
    Ok(())
}

fn insert_parked(c: &Connection, record: &ParkedRecord) -> Result<()> {
    let sql = r#"INSERT INTO parked_record (slice, sequence, no, topic, partition, "offset", timestamp_ms, key, value,
            headers, uid, hash, parked_ms, needed_ms, state, failure, attempts, refusals, receipts, unknown,
            changed_ms, version, fingerprint, class, code, edit)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
            ?24, ?25, ?26)
        ON CONFLICT DO NOTHING"#;
    let fate = FateColumns::of(&record.fate);
    let values = params![
        record.slice,
        record.sequence,
        record.no,
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        record.key.as_deref(),
        record.value.as_deref(),
        codec::encode_headers(&record.headers),
        record.uid.map(|uid| uid.0),
        record.hash.0,
        record.parked_ms,
        needed_since(record),
        fate.state,
        fate.failure,
        record.fate.attempts,
        record.fate.refusals,
        fate.receipts,
        fate.unknown,
        record.fate.changed_ms,
        record.fate.version,
        record.fate.fingerprint,
        fate.class,
        fate.code,
        fate.edit
    ];
    match change(c, sql, values)? {
        0 => Err(batch::taken(record.slice, &record.sequence, record.no)),
        _ => Ok(()),
    }
}

fn update_parked(c: &Connection, slice: i32, sequence: &str, no: i64, fate: &ParkedFate) -> Result<usize> {
    let sql = "UPDATE parked_record SET state = ?4, failure = ?5, attempts = ?6, refusals = ?7, receipts = ?8,
        unknown = ?9, changed_ms = ?10, version = ?11, fingerprint = ?12, class = ?13, code = ?14, edit = ?15,
        value = CASE WHEN ?4 = 'erased' THEN NULL ELSE value END WHERE slice = ?1 AND sequence = ?2 AND no = ?3";
    let columns = FateColumns::of(fate);
    let values = params![
        slice,
        sequence,
        no,
        columns.state,
        columns.failure,
        fate.attempts,
        fate.refusals,
        columns.receipts,
        columns.unknown,
        fate.changed_ms,
        fate.version,
        fate.fingerprint,
        columns.class,
        columns.code,
        columns.edit
    ];
    change(c, sql, values)
}

fn write_intents(c: &Connection, rows: &Rows<'_>) -> Result<()> {
    let put =
        "INSERT OR REPLACE INTO intent (slice, effect_key, sequence, entity, state, attempts, code, reason, since_ms)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    for (slice, i) in &rows.intent_puts {
        let values =
            params![slice, i.effect_key, i.sequence, i.entity, i.state, i.attempts, i.code, i.reason, i.since_ms];
        change(c, put, values)?;
    }
    for (slice, effect_key) in &rows.intent_removals {
        change(c, "DELETE FROM intent WHERE slice = ?1 AND effect_key = ?2", params![slice, effect_key])?;
    }
    Ok(())
}

fn write_timers(c: &Connection, rows: &Rows<'_>) -> Result<()> {
    let set = "INSERT OR REPLACE INTO timer (slice, id, due_ms, sequence, payload) VALUES (?1, ?2, ?3, ?4, ?5)";
    for (slice, timer) in &rows.timer_sets {
        change(c, set, params![slice, timer.id, timer.due_ms, timer.sequence, timer.payload])?;
    }
    for (slice, id) in &rows.timer_clears {
        change(c, "DELETE FROM timer WHERE slice = ?1 AND id = ?2", params![slice, id])?;
    }
    Ok(())
}
