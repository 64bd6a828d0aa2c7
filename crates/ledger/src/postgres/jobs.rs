//! Jobs and groups of letters.

use super::error::{convert, is};
use super::pool::Conn;
use super::read::{Filter, bound};
use super::row::{self, Columns};
use super::slices::append_audit;
use super::text::to_column;
use crate::codec;
use crate::columns::{self, from_json, to_json};
use crate::jobs::{
    self, Course, Creation, GroupState, ItemFilter, ItemResult, Job, JobAction, JobCounts, JobFilter, JobItem,
    JobState, LetterGroup, NAMED, NewItem, NewJob, RowKey,
};
use crate::types::{Millis, NewAudit};
use crate::{Error, Result};
use std::borrow::Cow;
use std::collections::HashMap;
use tokio_postgres::error::SqlState;
use tokio_postgres::{GenericClient, Transaction};

const JOB: &str = "SELECT id, spec, course, stopped, created_ms, updated_ms FROM job";
/// The first field of a job's spec.
pub(super) const IS_PREDICTION: &str = r#"(spec LIKE '{"verb":"predict",%')"#;
const PENDING: &str = "EXISTS (SELECT 1 FROM job_item i WHERE i.job = job.id AND i.state = 'pending'";
/// Items of one statement.
const PAGE: usize = 5_000;

pub(super) async fn list(conn: &mut Conn, wanted: &JobFilter) -> Result<Vec<Job>> {
    let mut filter = Filter::default();
    if wanted.live {
        filter.conditions.push(format!("course IN ('live', 'paused') AND {PENDING})"));
    }
    if wanted.no_predictions {
        filter.conditions.push(format!("NOT {IS_PREDICTION}"));
    }
    if let Some(slice) = wanted.pending_in {
        let place = filter.place(slice);
        filter.conditions.push(format!("{PENDING} AND i.slice = {place})"));
    }
    let order = format!("ORDER BY created_ms DESC, id DESC LIMIT {}", bound(wanted.limit));
    let stored = row::all(&filter.query(conn, JOB, &order).await?, stored)?;
    let mut jobs = counted(&conn.client, stored).await?;
    if let Some(slice) = wanted.pending_in {
        let sql = "SELECT count(*) FROM job_item WHERE job = $1 AND state = 'pending' AND slice = $2";
        for job in &mut jobs {
            let here = conn.client.query_one(sql, &[&to_column(&job.id), &slice]).await.map_err(|e| convert(&e))?;
            job.pending_here = here.get::<_, i64>(0).unsigned_abs();
        }
    }
    Ok(jobs)
}

pub(super) async fn job(client: &impl GenericClient, id: &str) -> Result<Option<Job>> {
    let rows = client.query(&format!("{JOB} WHERE id = $1"), &[&to_column(id)]).await.map_err(|e| convert(&e))?;
    Ok(counted(client, row::all(&rows, stored)?).await?.pop())
}

fn stored(c: &mut Columns<'_>) -> Result<(Job, Course)> {
    let (id, spec) = (c.text()?, c.value()?);
    let spec = from_json(spec)?;
    let course = Course::parse(c.value()?).map_err(Error::Corrupt)?;
    let job = Job {
        id,
        spec,
        state: JobState::Queued,
        stopped: c.optional_text()?,
        counts: JobCounts::default(),
        pending_here: 0,
        created_ms: c.value()?,
        updated_ms: c.value()?,
    };
    Ok((job, course))
}

async fn counted(client: &impl GenericClient, stored: Vec<(Job, Course)>) -> Result<Vec<Job>> {
    if stored.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Cow<'_, str>> = stored.iter().map(|(job, _)| to_column(&job.id)).collect();
    let sql = "SELECT job, state, count(*) FROM job_item WHERE job = ANY($1) GROUP BY job, state";
    let rows = client.query(sql, &[&ids]).await.map_err(|e| convert(&e))?;
    let mut counts: HashMap<String, JobCounts> = HashMap::new();
    for row in &rows {
        let mut c = Columns::of(row);
        let of = counts.entry(c.text()?).or_default();
        let state = c.value::<&str>()?.parse().map_err(Error::Corrupt)?;
        of.add(state, c.value::<i64>()?.unsigned_abs());
    }
    let count = |(job, course): (Job, Course)| {
        let counts = counts.get(&job.id).copied().unwrap_or_default();
        Job { state: course.state(&counts), counts, ..job }
    };
    Ok(stored.into_iter().map(count).collect())
}

pub(super) async fn items(conn: &mut Conn, id: &str, wanted: &ItemFilter) -> Result<Vec<JobItem>> {
    let mut filter = Filter::default();
    filter.equal("job", Some(to_column(id)));
    filter.equal("slice", wanted.slice);
    filter.equal("state", wanted.state.map(|state| state.as_str()));
    if let Some(after) = &wanted.after {
        let places = [filter.place(after.slice), filter.place(to_column(&after.sequence)), filter.place(after.no)];
        filter.conditions.push(format!("(slice, sequence, no) > ({})", places.join(", ")));
    }
    let sql =
        "SELECT job, slice, sequence, no, version, edit, state, ended, prediction, code, fingerprint, note, changed_ms
               FROM job_item";
    let order = format!("ORDER BY slice, sequence, no LIMIT {}", bound(wanted.limit));
    row::all(&filter.query(conn, sql, &order).await?, item)
}

fn item(c: &mut Columns<'_>) -> Result<JobItem> {
    Ok(JobItem {
        job: c.text()?,
        row: RowKey { slice: c.value()?, sequence: c.text()?, no: c.value()? },
        version: c.value()?,
        edit: c.value::<Option<&[u8]>>()?.map(codec::decode_edit).transpose()?,
        result: result(c)?,
    })
}

fn result(c: &mut Columns<'_>) -> Result<ItemResult> {
    let (state, ended, prediction) = (c.value()?, c.value()?, c.value()?);
    let texts = [c.optional_text()?, c.optional_text()?, c.optional_text()?];
    columns::result(state, ended, prediction, texts, c.value()?)
}

/// Tries so often against jobs that are created at the same time.
const ROUNDS: usize = 4;

pub(super) async fn create(conn: &mut Conn, schema: &str, new: &NewJob, audit: &NewAudit) -> Result<Creation> {
    for _ in 0..ROUNDS {
        if let Some(creation) = try_create(conn, schema, new, audit).await? {
            return Ok(creation);
        }
    }
    Err(Error::Unavailable("jobs for the same rows are created faster than one can be refused".into()))
}

/// `None`: another job took a row, or this id, at the same moment; looking again tells which.
async fn try_create(conn: &mut Conn, schema: &str, new: &NewJob, audit: &NewAudit) -> Result<Option<Creation>> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    if let Some(found) = job(&transaction, &new.id).await? {
        return jobs::again(found, new).map(Some);
    }
    let mut held = Vec::new();
    let mut changed = Vec::new();
    for page in new.items.chunks(PAGE) {
        check(&transaction, new, page, &mut held, &mut changed).await?;
    }
    if !held.is_empty() || !changed.is_empty() {
        held.truncate(NAMED);
        changed.truncate(NAMED);
        return Ok(Some(Creation::Refused { held, changed }));
    }
    match insert(&transaction, new).await {
        Err(error) if is(&error, &SqlState::UNIQUE_VIOLATION) => return Ok(None),
        inserted => inserted.map_err(|e| convert(&e))?,
    }
    append_audit(&transaction, schema, audit).await?;
    let created = job(&transaction, &new.id).await?.ok_or_else(|| jobs::unknown(&new.id))?;
    transaction.commit().await.map_err(|e| convert(&e))?;
    Ok(Some(Creation::Created(created)))
}

type Keys<'a> = (Vec<i32>, Vec<Cow<'a, str>>, Vec<i64>);

fn keys(items: &[NewItem]) -> Keys<'_> {
    let rows = || items.iter().map(|item| &item.row);
    (
        rows().map(|row| row.slice).collect(),
        rows().map(|row| to_column(&row.sequence)).collect(),
        rows().map(|row| row.no).collect(),
    )
}

async fn check(
    transaction: &Transaction<'_>,
    new: &NewJob,
    page: &[NewItem],
    held: &mut Vec<(RowKey, String)>,
    changed: &mut Vec<RowKey>,
) -> Result<()> {
    let sql = "SELECT p.state, p.version, h.job
        FROM unnest($1::int[], $2::text[], $3::bigint[]) WITH ORDINALITY AS k(slice, sequence, no, place)
        LEFT JOIN parked_record p ON p.slice = k.slice AND p.sequence = k.sequence AND p.no = k.no
        LEFT JOIN job_item h ON h.slice = k.slice AND h.sequence = k.sequence AND h.no = k.no AND h.holds
        ORDER BY k.place";
    let (slices, sequences, numbers) = keys(page);
    let rows = transaction.query(sql, &[&slices, &sequences, &numbers]).await.map_err(|e| convert(&e))?;
    for (item, row) in page.iter().zip(&rows) {
        let mut c = Columns::of(row);
        let (state, version): (Option<&str>, Option<i32>) = (c.value()?, c.value()?);
        let state = state.map(str::parse).transpose().map_err(Error::Corrupt)?;
        if !jobs::fits(new.spec.verb, item.version, state.zip(version)) {
            changed.push(item.row.clone());
        } else if let Some(holder) = c.optional_text()?.filter(|_| new.spec.verb.holds()) {
            held.push((item.row.clone(), holder));
        }
    }
    Ok(())
}

async fn insert(transaction: &Transaction<'_>, new: &NewJob) -> std::result::Result<(), tokio_postgres::Error> {
    let id = to_column(&new.id);
    let sql = "INSERT INTO job (id, spec, course, created_ms, updated_ms) VALUES ($1, $2, 'live', $3, $3)";
    transaction.execute(sql, &[&id, &to_json(&new.spec), &new.at_ms]).await?;
    let sql = "INSERT INTO job_item (job, slice, sequence, no, version, edit, holds, state, changed_ms)
        SELECT $1, k.slice, k.sequence, k.no, k.version, k.edit, $2, 'pending', $3
        FROM unnest($4::int[], $5::text[], $6::bigint[], $7::int[], $8::bytea[]) AS k(slice, sequence, no, version, edit)";
    for page in new.items.chunks(PAGE) {
        let (slices, sequences, numbers) = keys(page);
        let versions: Vec<i32> = page.iter().map(|item| item.version).collect();
        let edits: Vec<Option<Vec<u8>>> = page.iter().map(|item| item.edit.as_ref().map(codec::encode_edit)).collect();
        let holds = new.spec.verb.holds();
        transaction.execute(sql, &[&id, &holds, &new.at_ms, &slices, &sequences, &numbers, &versions, &edits]).await?;
    }
    Ok(())
}

pub(super) async fn set(conn: &mut Conn, schema: &str, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    let lock = "SELECT 1 FROM job WHERE id = $1 FOR UPDATE";
    transaction.query_opt(lock, &[&to_column(id)]).await.map_err(|e| convert(&e))?;
    let found = job(&transaction, id).await?.ok_or_else(|| jobs::unknown(id))?;
    let course = jobs::act(id, found.state, action)?;
    let sql = "UPDATE job SET course = $2, updated_ms = $3 WHERE id = $1";
    transaction.execute(sql, &[&to_column(id), &course.as_str(), &audit.at_ms]).await.map_err(|e| convert(&e))?;
    if course == Course::Cancelled {
        release(&transaction, id, audit.at_ms).await?;
    }
    append_audit(&transaction, schema, audit).await?;
    let after = job(&transaction, id).await?.ok_or_else(|| jobs::unknown(id))?;
    transaction.commit().await.map_err(|e| convert(&e))?;
    Ok(after)
}

async fn release(transaction: &Transaction<'_>, id: &str, at_ms: Millis) -> Result<()> {
    let sql =
        "UPDATE job_item SET state = 'released', holds = false, changed_ms = $2 WHERE job = $1 AND state = 'pending'";
    transaction.execute(sql, &[&to_column(id), &at_ms]).await.map_err(|e| convert(&e))?;
    Ok(())
}

pub(super) async fn groups(conn: &mut Conn) -> Result<Vec<LetterGroup>> {
    let sql = "SELECT fingerprint, state, until_ms, who, note, updated_ms FROM letter_group ORDER BY fingerprint";
    let rows = conn.client.query(sql, &[]).await.map_err(|e| convert(&e))?;
    row::all(&rows, |c| {
        Ok(LetterGroup {
            fingerprint: c.text()?,
            state: c.value::<&str>()?.parse::<GroupState>().map_err(Error::Corrupt)?,
            until_ms: c.value()?,
            who: c.text()?,
            note: c.optional_text()?,
            updated_ms: c.value()?,
        })
    })
}

pub(super) async fn put_group(conn: &mut Conn, schema: &str, group: &LetterGroup, audit: &NewAudit) -> Result<()> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    let sql = "INSERT INTO letter_group (fingerprint, state, until_ms, who, note, updated_ms) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (fingerprint) DO UPDATE SET state = excluded.state, until_ms = excluded.until_ms, who = excluded.who,
            note = excluded.note, updated_ms = excluded.updated_ms";
    let (fingerprint, who) = (to_column(&group.fingerprint), to_column(&group.who));
    let note = group.note.as_deref().map(to_column);
    transaction
        .execute(sql, &[&fingerprint, &group.state.as_str(), &group.until_ms, &who, &note, &group.updated_ms])
        .await
        .map_err(|e| convert(&e))?;
    append_audit(&transaction, schema, audit).await?;
    transaction.commit().await.map_err(|e| convert(&e))
}
