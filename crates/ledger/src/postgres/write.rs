//! The statements of a commit: one for each table that changes, whatever the number of rows and slices.

use super::schema::lock_number;
use super::text::to_column;
use crate::audit::{of_stop, own_bytes};
use crate::batch::Rows;
use crate::codec;
use crate::columns::{FateColumns, publishes_column};
use crate::horizon::needed_since;
use crate::types::{ParkedFate, ParkedRecord, SliceCommit};
use events::Uid;
use std::borrow::Cow;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

pub(super) type Param<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// One statement and its columns.
pub(super) struct Write<'a> {
    pub sql: &'static str,
    pub params: Vec<Param<'a>>,
}

/// Raises the entry number of all slices or, by dividing by zero, breaks the transaction: so the statements behind it can
/// be sent without waiting for its answer.
pub(super) const FENCE: &str = "
    WITH mine AS (
        UPDATE slice SET next_entry = b.entry + 1, closed_entry = greatest(slice.closed_entry, b.closed),
            stopped = coalesce(b.stopped, slice.stopped)
        FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) AS b(slice, epoch, entry, closed, stopped)
        WHERE slice.slice = b.slice AND slice.epoch = b.epoch AND slice.next_entry = b.entry
        RETURNING 1)
    SELECT 1 / (count(*) = $6::bigint)::int FROM mine";

const JOURNAL: &str = "
    INSERT INTO journal (slice, entry, epoch, at_ms, publishes, body)
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[])";

const POSITIONS: &str = "
    INSERT INTO position (slice, topic, topic_id, next_offset)
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[])
    ON CONFLICT (slice, topic) DO UPDATE SET topic_id = excluded.topic_id, next_offset = excluded.next_offset";

const PUBLISHED: &str = r#"
    INSERT INTO published (slice, topic, partition, number, "offset")
    SELECT * FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[], $5::bigint[])
    ON CONFLICT (slice, topic, partition) DO UPDATE SET number = excluded.number, "offset" = excluded."offset""#;

const IDENTITIES: &str = "
    INSERT INTO identity (uid, hash, slice, seen_ms)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::bigint[]) ON CONFLICT DO NOTHING";

const IDENTITIES_UNTIMED: &str = "
    INSERT INTO identity_untimed (uid, hash, slice, seen_ms)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::bigint[]) ON CONFLICT DO NOTHING";

const DOCUMENT_PUTS: &str = "
    INSERT INTO document (kind, key, slice, version, status, account_id, body, updated_ms)
    SELECT d.kind, d.key, d.slice, 1, d.status, d.account_id, d.body, d.at_ms
    FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bigint[])
        AS d(kind, key, slice, status, account_id, body, at_ms)
    ON CONFLICT (kind, key) DO UPDATE SET slice = excluded.slice, version = document.version + 1, status = excluded.status,
        account_id = excluded.account_id, body = excluded.body, updated_ms = excluded.updated_ms";

const DOCUMENT_REMOVALS: &str = "
    DELETE FROM document USING unnest($1::text[], $2::text[]) AS d(kind, key)
    WHERE document.kind = d.kind AND document.key = d.key";

const SEQUENCE_PUTS: &str = "
    INSERT INTO parked_sequence (slice, sequence, class, code, reason, owner, field, awaits, attempts, next_attempt_ms,
        since_ms, head_no, tail_no, depth)
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::int[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[])
    ON CONFLICT (slice, sequence) DO UPDATE SET class = excluded.class, code = excluded.code, reason = excluded.reason,
        owner = excluded.owner, field = excluded.field, awaits = excluded.awaits, attempts = excluded.attempts,
        next_attempt_ms = excluded.next_attempt_ms, since_ms = excluded.since_ms, head_no = excluded.head_no,
        tail_no = excluded.tail_no, depth = excluded.depth";

const SEQUENCE_REMOVALS: &str = "
    DELETE FROM parked_sequence p USING unnest($1::int[], $2::text[]) AS d(slice, sequence)
    WHERE p.slice = d.slice AND p.sequence = d.sequence";

const PARKED_INSERTS: &str = r#"
    INSERT INTO parked_record (slice, sequence, no, topic, partition, "offset", timestamp_ms, key, value, headers, uid, hash,
        parked_ms, needed_ms, state, failure, attempts, refusals, receipts, unknown, changed_ms, version, fingerprint, class,
        code, edit)
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::int[], $6::bigint[], $7::bigint[], $8::bytea[],
        $9::bytea[], $10::bytea[], $11::uuid[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::text[],
        $17::int[], $18::int[], $19::text[], $20::text[], $21::bigint[], $22::int[], $23::text[], $24::text[], $25::text[],
        $26::bytea[])"#;

/// Breaks the transaction like the fence does if a record is not there.
pub(super) const PARKED_UPDATES: &str = "
    WITH changed AS (
        UPDATE parked_record p SET state = d.state, failure = d.failure, attempts = d.attempts, refusals = d.refusals,
            receipts = d.receipts, unknown = d.unknown, changed_ms = d.changed_ms, version = d.version,
            fingerprint = d.fingerprint, class = d.class, code = d.code, edit = d.edit,
            value = CASE WHEN d.state = 'erased' THEN NULL ELSE p.value END
        FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::int[], $7::int[], $8::text[],
            $9::text[], $10::bigint[], $11::int[], $12::text[], $13::text[], $14::text[], $15::bytea[])
            AS d(slice, sequence, no, state, failure, attempts, refusals, receipts, unknown, changed_ms, version, fingerprint,
                class, code, edit)
        WHERE p.slice = d.slice AND p.sequence = d.sequence AND p.no = d.no
        RETURNING 1)
    SELECT 1 / (count(*) = $16::bigint)::int FROM changed";

const INTENT_PUTS: &str = "
    INSERT INTO intent (slice, effect_key, sequence, entity, state, attempts, code, reason, since_ms)
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[], $9::bigint[])
    ON CONFLICT (slice, effect_key) DO UPDATE SET sequence = excluded.sequence, entity = excluded.entity,
        state = excluded.state, attempts = excluded.attempts, code = excluded.code, reason = excluded.reason,
        since_ms = excluded.since_ms";

const INTENT_REMOVALS: &str = "
    DELETE FROM intent i USING unnest($1::int[], $2::text[]) AS d(slice, effect_key)
    WHERE i.slice = d.slice AND i.effect_key = d.effect_key";

const TIMER_SETS: &str = "
    INSERT INTO timer (slice, id, due_ms, sequence, payload)
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::text[])
    ON CONFLICT (slice, id) DO UPDATE SET due_ms = excluded.due_ms, sequence = excluded.sequence, payload = excluded.payload";

const TIMER_CLEARS: &str = "
    DELETE FROM timer t USING unnest($1::int[], $2::text[]) AS d(slice, id) WHERE t.slice = d.slice AND t.id = d.id";

const ITEMS: &str = "
    UPDATE job_item i SET state = d.state, ended = d.ended, code = d.code, fingerprint = d.fingerprint,
        prediction = d.prediction, note = d.note, changed_ms = d.changed_ms, holds = false
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::text[], $11::bigint[])
        AS d(job, slice, sequence, no, state, ended, code, fingerprint, prediction, note, changed_ms)
    WHERE i.job = d.job AND i.slice = d.slice AND i.sequence = d.sequence AND i.no = d.no
        AND i.state IN ('pending', 'released')";

const JOB_STOPS: &str = "
    WITH stopped AS (
        UPDATE job SET course = 'stopped', stopped = d.reason, updated_ms = d.at_ms
        FROM unnest($1::text[], $2::text[], $3::bigint[]) AS d(id, reason, at_ms)
        WHERE job.id = d.id AND job.course IN ('live', 'paused')
        RETURNING job.id, d.at_ms)
    UPDATE job_item i SET state = 'released', holds = false, changed_ms = s.at_ms
    FROM stopped s WHERE i.job = s.id AND i.state = 'pending'";

/// One writer at a time: the chain of the audit has one end. Its own statement, so that the next one sees what the last writer wrote.
const AUDIT_LOCK: &str = "SELECT pg_advisory_xact_lock($1)";

/// The row of a job that a rule has stopped, chained like [`crate::audit::chain`] does it: here nobody waits for an answer in the
/// middle of the transaction. A job is stopped once; another slice that says so, too, adds nothing.
const STOP_AUDIT: &str = "
    WITH last AS (SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1),
        place AS (SELECT coalesce(max(seq), 0) + 1 AS seq, coalesce(max(hash), '') AS previous FROM last)
    INSERT INTO audit (seq, at_ms, actor, action, subject, reason, hash)
    SELECT seq, $1::bigint, $2::text, $3::text, $4::text, $5::text, encode(sha256(
        int8send(octet_length(previous)::bigint + 1) || convert_to(previous, 'UTF8') ||
        int8send(octet_length(seq::text)::bigint + 1) || convert_to(seq::text, 'UTF8') || $6::bytea), 'hex')
    FROM place
    WHERE EXISTS (SELECT FROM job WHERE id = $4 AND course = 'stopped' AND stopped = $5)
        AND NOT EXISTS (SELECT FROM audit WHERE action = $3 AND subject = $4)";

/// All that a commit writes, the fence first.
pub(super) fn statements<'a>(schema: &str, batches: &[&'a SliceCommit], rows: &'a Rows<'a>) -> Vec<Write<'a>> {
    let mut writes = vec![fence(batches), journal(batches)];
    writes.extend(progress(rows));
    writes.extend(things(rows));
    writes.extend(parking(rows));
    writes.extend(waiting(rows));
    writes.extend(jobs(rows));
    writes.extend(audits(schema, rows));
    writes
}

/// One column of some rows.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Param<'a>
where
    T: 'a,
    Vec<T>: ToSql + Sync + Send,
{
    Box::new(rows.iter().map(value).collect::<Vec<T>>())
}

fn optional(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(|text| to_column(text))
}

fn count<T>(rows: &[T]) -> Param<'static> {
    Box::new(i64::try_from(rows.len()).unwrap_or(i64::MAX))
}

/// A statement, where there are rows for it.
fn some<'a, R>(sql: &'static str, rows: &[R], params: impl FnOnce() -> Vec<Param<'a>>) -> Option<Write<'a>> {
    (!rows.is_empty()).then(|| Write { sql, params: params() })
}

fn fence<'a>(batches: &[&'a SliceCommit]) -> Write<'a> {
    let of = |value: fn(&SliceCommit) -> i64| -> Param<'a> {
        Box::new(batches.iter().map(|b| value(b)).collect::<Vec<_>>())
    };
    let stopped: Vec<_> = batches.iter().map(|b| optional(b.stopped.as_ref())).collect();
    let params = vec![
        slices(batches),
        of(|b| b.epoch),
        of(|b| b.entry),
        of(|b| b.closed_entry.unwrap_or(0)),
        Box::new(stopped) as Param<'a>,
        count(batches),
    ];
    Write { sql: FENCE, params }
}

fn slices<'a>(batches: &[&'a SliceCommit]) -> Param<'a> {
    Box::new(batches.iter().map(|b| b.slice).collect::<Vec<_>>())
}

fn journal<'a>(batches: &[&'a SliceCommit]) -> Write<'a> {
    let of = |value: fn(&SliceCommit) -> i64| -> Param<'a> {
        Box::new(batches.iter().map(|b| value(b)).collect::<Vec<_>>())
    };
    // JSON writes U+0000 as an escape of its own.
    let publishes: Vec<_> = batches.iter().map(|b| publishes_column(&b.body)).collect();
    let bodies: Vec<_> = batches.iter().map(|b| codec::encode(&b.body)).collect();
    let params =
        vec![slices(batches), of(|b| b.entry), of(|b| b.epoch), of(|b| b.at_ms), Box::new(publishes), Box::new(bodies)];
    Write { sql: JOURNAL, params }
}

fn progress<'a>(rows: &'a Rows<'a>) -> impl Iterator<Item = Write<'a>> {
    let positions = some(POSITIONS, &rows.positions, || {
        vec![
            column(&rows.positions, |(slice, _)| *slice),
            column(&rows.positions, |(_, p)| to_column(&p.topic)),
            column(&rows.positions, |(_, p)| optional(p.topic_id.as_ref())),
            column(&rows.positions, |(_, p)| p.next_offset),
        ]
    });
    let published = some(PUBLISHED, &rows.published, || {
        vec![
            column(&rows.published, |(slice, _)| *slice),
            column(&rows.published, |(_, m)| to_column(&m.topic)),
            column(&rows.published, |(_, m)| m.partition),
            column(&rows.published, |(_, m)| m.number),
            column(&rows.published, |(_, m)| m.offset),
        ]
    });
    positions.into_iter().chain(published)
}

fn things<'a>(rows: &'a Rows<'a>) -> impl Iterator<Item = Write<'a>> {
    let identities = [(true, IDENTITIES), (false, IDENTITIES_UNTIMED)].into_iter().filter_map(|(timed, sql)| {
        let rows: Vec<_> = rows.identities.iter().filter(|(_, _, row)| row.uid.time_ms().is_some() == timed).collect();
        some(sql, &rows, || {
            vec![
                Box::new(rows.iter().map(|(_, _, row)| uuid(row.uid)).collect::<Vec<_>>()) as Param<'a>,
                Box::new(rows.iter().map(|(_, _, row)| row.hash.0).collect::<Vec<_>>()),
                Box::new(rows.iter().map(|(slice, _, _)| *slice).collect::<Vec<_>>()),
                Box::new(rows.iter().map(|(_, at_ms, _)| *at_ms).collect::<Vec<_>>()),
            ]
        })
    });
    let puts = some(DOCUMENT_PUTS, &rows.document_puts, || {
        let all = &rows.document_puts;
        vec![
            column(all, |put| to_column(&put.change.key.kind)),
            column(all, |put| to_column(&put.change.key.key)),
            column(all, |put| put.slice),
            column(all, |put| to_column(&put.change.status)),
            column(all, |put| to_column(&put.change.account_id)),
            column(all, |put| to_column(put.body)),
            column(all, |put| put.at_ms),
        ]
    });
    let removals = some(DOCUMENT_REMOVALS, &rows.document_removals, || {
        let all = &rows.document_removals;
        vec![column(all, |key| to_column(&key.kind)), column(all, |key| to_column(&key.key))]
    });
    identities.chain(puts).chain(removals)
}

fn parking<'a>(rows: &'a Rows<'a>) -> impl Iterator<Item = Write<'a>> {
    let puts = some(SEQUENCE_PUTS, &rows.sequence_puts, || {
        let all = &rows.sequence_puts;
        vec![
            column(all, |s| s.slice),
            column(all, |s| to_column(&s.sequence)),
            column(all, |s| s.class.as_str()),
            column(all, |s| to_column(&s.code)),
            column(all, |s| to_column(&s.reason)),
            column(all, |s| optional(s.owner.as_ref())),
            column(all, |s| optional(s.field.as_ref())),
            column(all, |s| optional(s.awaits.as_ref())),
            column(all, |s| s.attempts),
            column(all, |s| s.next_attempt_ms),
            column(all, |s| s.since_ms),
            column(all, |s| s.head_no),
            column(all, |s| s.tail_no),
            column(all, |s| s.depth),
        ]
    });
    let removals = some(SEQUENCE_REMOVALS, &rows.sequence_removals, || removal(&rows.sequence_removals));
    let inserts = some(PARKED_INSERTS, &rows.parked_inserts, || parked_inserts(&rows.parked_inserts));
    let updates = some(PARKED_UPDATES, &rows.parked_updates, || parked_updates(rows));
    puts.into_iter().chain(removals).chain(inserts).chain(updates)
}

fn removal<'a>(keys: &'a [(i32, &'a str)]) -> Vec<Param<'a>> {
    vec![column(keys, |(slice, _)| *slice), column(keys, |(_, key)| to_column(key))]
}

fn parked_inserts<'a>(all: &'a [Cow<'a, ParkedRecord>]) -> Vec<Param<'a>> {
    let fates: Vec<FateColumns> = all.iter().map(|r| FateColumns::of(&r.fate)).collect();
    let mut params = vec![
        column(all, |r| r.slice),
        column(all, |r| to_column(&r.sequence)),
        column(all, |r| r.no),
        column(all, |r| to_column(&r.topic)),
        column(all, |r| r.partition),
        column(all, |r| r.offset),
        column(all, |r| r.timestamp_ms),
        column(all, |r| r.key.as_deref()),
        column(all, |r| r.value.as_deref()),
        column(all, |r| codec::encode_headers(&r.headers)),
        column(all, |r| r.uid.map(uuid)),
        column(all, |r| r.hash.0),
        column(all, |r| r.parked_ms),
        column(all, |r| needed_since(r)),
    ];
    params.extend(fate_columns(fates, all.iter().map(|r| &r.fate)));
    params
}

fn parked_updates<'a>(rows: &'a Rows<'a>) -> Vec<Param<'a>> {
    let all = &rows.parked_updates;
    let fates: Vec<FateColumns> = all.iter().map(|(_, _, _, fate)| FateColumns::of(fate)).collect();
    let mut params = vec![
        column(all, |(slice, _, _, _)| *slice),
        column(all, |(_, sequence, _, _)| to_column(sequence)),
        column(all, |(_, _, no, _)| *no),
    ];
    params.extend(fate_columns(fates, all.iter().map(|(_, _, _, fate)| *fate)));
    params.push(count(all));
    params
}

/// state, failure, attempts, refusals, receipts, unknown, changed_ms, version, fingerprint, class, code, edit
fn fate_columns<'a>(columns: Vec<FateColumns>, fates: impl Iterator<Item = &'a ParkedFate>) -> [Param<'a>; 12] {
    let (mut attempts, mut refusals, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut versions, mut fingerprints) = (Vec::new(), Vec::new());
    for fate in fates {
        attempts.push(fate.attempts);
        refusals.push(fate.refusals);
        changed.push(fate.changed_ms);
        versions.push(fate.version);
        fingerprints.push(optional(fate.fingerprint.as_ref()));
    }
    let states: Vec<&'static str> = columns.iter().map(|f| f.state).collect();
    let classes: Vec<Option<&'static str>> = columns.iter().map(|f| f.class).collect();
    let (mut failures, mut receipts, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    let (mut codes, mut edits) = (Vec::new(), Vec::new());
    for fate in columns {
        failures.push(fate.failure);
        receipts.push(fate.receipts);
        unknown.push(fate.unknown);
        codes.push(fate.code.map(|code| to_column(&code).into_owned()));
        edits.push(fate.edit);
    }
    [
        Box::new(states),
        Box::new(failures),
        Box::new(attempts),
        Box::new(refusals),
        Box::new(receipts),
        Box::new(unknown),
        Box::new(changed),
        Box::new(versions),
        Box::new(fingerprints),
        Box::new(classes),
        Box::new(codes),
        Box::new(edits),
    ]
}

fn waiting<'a>(rows: &'a Rows<'a>) -> impl Iterator<Item = Write<'a>> {
    let intent_puts = some(INTENT_PUTS, &rows.intent_puts, || {
        let all = &rows.intent_puts;
        vec![
            column(all, |(slice, _)| *slice),
            column(all, |(_, i)| to_column(&i.effect_key)),
            column(all, |(_, i)| to_column(&i.sequence)),
            column(all, |(_, i)| to_column(&i.entity)),
            column(all, |(_, i)| to_column(&i.state)),
            column(all, |(_, i)| i.attempts),
            column(all, |(_, i)| optional(i.code.as_ref())),
            column(all, |(_, i)| optional(i.reason.as_ref())),
            column(all, |(_, i)| i.since_ms),
        ]
    });
    let intent_removals = some(INTENT_REMOVALS, &rows.intent_removals, || removal(&rows.intent_removals));
    let timer_sets = some(TIMER_SETS, &rows.timer_sets, || {
        let all = &rows.timer_sets;
        vec![
            column(all, |(slice, _)| *slice),
            column(all, |(_, t)| to_column(&t.id)),
            column(all, |(_, t)| t.due_ms),
            column(all, |(_, t)| to_column(&t.sequence)),
            column(all, |(_, t)| to_column(&t.payload)),
        ]
    });
    let timer_clears = some(TIMER_CLEARS, &rows.timer_clears, || removal(&rows.timer_clears));
    intent_puts.into_iter().chain(intent_removals).chain(timer_sets).chain(timer_clears)
}

fn jobs<'a>(rows: &'a Rows<'a>) -> impl Iterator<Item = Write<'a>> {
    let items = some(ITEMS, &rows.items, || {
        let all = &rows.items;
        vec![
            column(all, |(_, i)| to_column(&i.job)),
            column(all, |(slice, _)| *slice),
            column(all, |(_, i)| to_column(&i.sequence)),
            column(all, |(_, i)| i.no),
            column(all, |(_, i)| i.result.state.as_str()),
            column(all, |(_, i)| i.result.ended.map(|state| state.as_str())),
            column(all, |(_, i)| optional(i.result.code.as_ref())),
            column(all, |(_, i)| optional(i.result.fingerprint.as_ref())),
            column(all, |(_, i)| i.result.prediction.map(|kind| kind.as_str())),
            column(all, |(_, i)| optional(i.result.note.as_ref())),
            column(all, |(_, i)| i.result.changed_ms),
        ]
    });
    let stops = some(JOB_STOPS, &rows.job_stops, || {
        let all = &rows.job_stops;
        vec![
            column(all, |(_, s)| to_column(&s.job)),
            column(all, |(_, s)| to_column(&s.reason)),
            column(all, |(at_ms, _)| *at_ms),
        ]
    });
    items.into_iter().chain(stops)
}

/// At the end, so that the chain is locked as shortly as can be.
fn audits<'a>(schema: &str, rows: &Rows<'a>) -> Vec<Write<'a>> {
    let lock: Param<'a> = Box::new(lock_number(schema, "audit"));
    let lock = (!rows.job_stops.is_empty()).then(|| Write { sql: AUDIT_LOCK, params: vec![lock] });
    let stopped = rows.job_stops.iter().map(|(at_ms, stop)| {
        let row = of_stop(*at_ms, stop);
        let bytes = own_bytes(&row);
        let texts = [row.actor, row.action, row.subject, row.reason].map(|text| to_column(&text).into_owned());
        let texts = texts.into_iter().map(|text| -> Param<'a> { Box::new(text) });
        let params = std::iter::once::<Param<'a>>(Box::new(*at_ms)).chain(texts);
        Write { sql: STOP_AUDIT, params: params.chain([Box::new(bytes) as Param<'a>]).collect() }
    });
    lock.into_iter().chain(stopped).collect()
}

pub(super) fn uuid(uid: Uid) -> Uuid {
    Uuid::from_bytes(uid.0)
}
