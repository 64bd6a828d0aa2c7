//! Jobs and groups of letters.

use super::error::convert;
use super::read::{Filter, bound};
use super::row::{Columns, all, change, first};
use super::slices::{append_audit, begin};
use crate::audit::of_stop;
use crate::batch::Rows;
use crate::codec;
use crate::columns::{self, from_json, to_json};
use crate::jobs::{
    self, Course, Creation, GroupState, ItemFilter, ItemResult, ItemState, Job, JobAction, JobCounts, JobFilter,
    JobItem, JobState, LetterGroup, NAMED, NewItem, NewJob, RowKey, Verb,
};
use crate::types::{Millis, NewAudit};
use crate::{Error, Result};
use rusqlite::{Connection, params, params_from_iter};

const JOB: &str = "SELECT id, spec, course, stopped, created_ms, updated_ms FROM job";
/// The first field of a job's spec.
pub(super) const IS_PREDICTION: &str = r#"(spec LIKE '{"verb":"predict",%')"#;
const PENDING: &str = "EXISTS (SELECT 1 FROM job_item i WHERE i.job = job.id AND i.state = 'pending'";

pub(super) fn list(connection: &mut Connection, wanted: &JobFilter) -> Result<Vec<Job>> {
    let transaction = connection.transaction().map_err(convert)?;
    let mut filter = Filter::default();
    if wanted.live {
        filter.conditions.push(format!("course IN ('live', 'paused') AND {PENDING})"));
    }
    if wanted.no_predictions {
        filter.conditions.push(format!("NOT {IS_PREDICTION}"));
    }
    if let Some(slice) = wanted.pending_in {
        let place = filter.place(i64::from(slice).into());
        filter.conditions.push(format!("{PENDING} AND i.slice = {place})"));
    }
    let sql = format!("{JOB} {} ORDER BY created_ms DESC, id DESC LIMIT {}", filter.condition(), bound(wanted.limit));
    let stored = all(&transaction, &sql, params_from_iter(filter.values), stored)?;
    let jobs = stored.into_iter().map(|(job, course)| counted(&transaction, job, course));
    let mut jobs = jobs.collect::<Result<Vec<Job>>>()?;
    if let Some(slice) = wanted.pending_in {
        let sql = "SELECT count(*) FROM job_item WHERE job = ?1 AND state = 'pending' AND slice = ?2";
        for job in &mut jobs {
            let here: Option<i64> = first(&transaction, sql, params![job.id, slice], |c| c.value())?;
            job.pending_here = here.unwrap_or(0).unsigned_abs();
        }
    }
    Ok(jobs)
}

pub(super) fn job(connection: &Connection, id: &str) -> Result<Option<Job>> {
    let found = first(connection, &format!("{JOB} WHERE id = ?1"), [id], stored)?;
    found.map(|(job, course)| counted(connection, job, course)).transpose()
}

fn stored(c: &mut Columns<'_, '_>) -> Result<(Job, Course)> {
    let (id, spec): (String, String) = (c.value()?, c.value()?);
    let course = Course::parse(&c.value::<String>()?).map_err(Error::Corrupt)?;
    let job = Job {
        id,
        spec: from_json(&spec)?,
        state: JobState::Queued,
        stopped: c.value()?,
        counts: JobCounts::default(),
        pending_here: 0,
        created_ms: c.value()?,
        updated_ms: c.value()?,
    };
    Ok((job, course))
}

fn counted(connection: &Connection, job: Job, course: Course) -> Result<Job> {
    let sql = "SELECT state, count(*) FROM job_item WHERE job = ?1 GROUP BY state";
    let mut counts = JobCounts::default();
    for (state, count) in all(connection, sql, [&job.id], |c| Ok((c.value::<String>()?, c.value::<i64>()?)))? {
        counts.add(state.parse().map_err(Error::Corrupt)?, count.unsigned_abs());
    }
    Ok(Job { state: course.state(&counts), counts, ..job })
}

pub(super) fn items(connection: &Connection, id: &str, wanted: &ItemFilter) -> Result<Vec<JobItem>> {
    let mut filter = Filter::default();
    filter.equal("job", Some(id.to_owned()));
    filter.equal("slice", wanted.slice.map(i64::from));
    filter.equal("state", wanted.state.map(|state| state.as_str().to_owned()));
    if let Some(after) = &wanted.after {
        filter.behind(
            "(slice, sequence, no)",
            [i64::from(after.slice).into(), after.sequence.clone().into(), after.no.into()],
        );
    }
    let sql = format!(
        "SELECT job, slice, sequence, no, version, edit, state, ended, prediction, code, fingerprint, note, changed_ms
         FROM job_item {} ORDER BY slice, sequence, no LIMIT {}",
        filter.condition(),
        bound(wanted.limit)
    );
    all(connection, &sql, params_from_iter(filter.values), item)
}

fn item(c: &mut Columns<'_, '_>) -> Result<JobItem> {
    Ok(JobItem {
        job: c.value()?,
        row: RowKey { slice: c.value()?, sequence: c.value()?, no: c.value()? },
        version: c.value()?,
        edit: c.value::<Option<Vec<u8>>>()?.map(|bytes| codec::decode_edit(&bytes)).transpose()?,
        result: result(c)?,
    })
}

fn result(c: &mut Columns<'_, '_>) -> Result<ItemResult> {
    let state: String = c.value()?;
    let (ended, prediction): (Option<String>, Option<String>) = (c.value()?, c.value()?);
    let texts = [c.value()?, c.value()?, c.value()?];
    columns::result(&state, ended.as_deref(), prediction.as_deref(), texts, c.value()?)
}

pub(super) fn create(connection: &mut Connection, new: &NewJob, audit: &NewAudit) -> Result<Creation> {
    let transaction = begin(connection)?;
    if let Some(found) = job(&transaction, &new.id)? {
        return jobs::again(found, new);
    }
    let mut held = Vec::new();
    let mut changed = Vec::new();
    for item in &new.items {
        if !fits(&transaction, new.spec.verb, item)? {
            changed.push(item.row.clone());
        } else if new.spec.verb.holds()
            && let Some(holder) = holder(&transaction, &item.row)?
        {
            held.push((item.row.clone(), holder));
        }
    }
    if !held.is_empty() || !changed.is_empty() {
        held.truncate(NAMED);
        changed.truncate(NAMED);
        return Ok(Creation::Refused { held, changed });
    }
    let sql = "INSERT INTO job (id, spec, course, created_ms, updated_ms) VALUES (?1, ?2, 'live', ?3, ?3)";
    change(&transaction, sql, params![new.id, to_json(&new.spec), new.at_ms])?;
    for item in &new.items {
        insert(&transaction, new, item)?;
    }
    append_audit(&transaction, audit)?;
    let created = job(&transaction, &new.id)?.ok_or_else(|| jobs::unknown(&new.id))?;
    transaction.commit().map_err(convert)?;
    Ok(Creation::Created(created))
}

fn fits(c: &Connection, verb: Verb, item: &NewItem) -> Result<bool> {
    let sql = "SELECT state, version FROM parked_record WHERE slice = ?1 AND sequence = ?2 AND no = ?3";
    let values = params![item.row.slice, item.row.sequence, item.row.no];
    let found = first(c, sql, values, |c| Ok((c.value::<String>()?, c.value::<i32>()?)))?;
    let found = found.map(|(state, version)| Ok((state.parse()?, version))).transpose().map_err(Error::Corrupt)?;
    Ok(jobs::fits(verb, item.version, found))
}

fn holder(c: &Connection, row: &RowKey) -> Result<Option<String>> {
    let sql = "SELECT job FROM job_item WHERE slice = ?1 AND sequence = ?2 AND no = ?3 AND holds = 1";
    first(c, sql, params![row.slice, row.sequence, row.no], |c| c.value())
}

fn insert(c: &Connection, job: &NewJob, item: &NewItem) -> Result<()> {
    let sql = "INSERT INTO job_item (job, slice, sequence, no, version, edit, holds, state, changed_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8)";
    let RowKey { slice, sequence, no } = &item.row;
    let edit = item.edit.as_ref().map(codec::encode_edit);
    change(c, sql, params![job.id, slice, sequence, no, item.version, edit, job.spec.verb.holds(), job.at_ms]).map(drop)
}

pub(super) fn set(connection: &mut Connection, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job> {
    let transaction = begin(connection)?;
    let found = job(&transaction, id)?.ok_or_else(|| jobs::unknown(id))?;
    let course = jobs::act(id, found.state, action)?;
    let sql = "UPDATE job SET course = ?2, updated_ms = ?3 WHERE id = ?1";
    change(&transaction, sql, params![id, course.as_str(), audit.at_ms])?;
    if course == Course::Cancelled {
        release(&transaction, id, audit.at_ms)?;
    }
    append_audit(&transaction, audit)?;
    let after = job(&transaction, id)?.ok_or_else(|| jobs::unknown(id))?;
    transaction.commit().map_err(convert)?;
    Ok(after)
}

fn release(c: &Connection, id: &str, at_ms: Millis) -> Result<()> {
    let sql = "UPDATE job_item SET state = ?2, holds = 0, changed_ms = ?3 WHERE job = ?1 AND state = 'pending'";
    change(c, sql, params![id, ItemState::Released.as_str(), at_ms]).map(drop)
}

/// The part of a commit that is about jobs.
pub(super) fn write(c: &Connection, rows: &Rows<'_>) -> Result<()> {
    let sql = "UPDATE job_item SET state = ?5, ended = ?6, code = ?7, fingerprint = ?8, prediction = ?9, note = ?10,
            changed_ms = ?11, holds = 0
        WHERE job = ?1 AND slice = ?2 AND sequence = ?3 AND no = ?4 AND state IN ('pending', 'released')";
    for (slice, item) in &rows.items {
        let result = &item.result;
        let values = params![
            item.job,
            slice,
            item.sequence,
            item.no,
            result.state.as_str(),
            result.ended.map(|state| state.as_str()),
            result.code,
            result.fingerprint,
            result.prediction.map(|kind| kind.as_str()),
            result.note,
            result.changed_ms
        ];
        change(c, sql, values)?;
    }
    let stop = "UPDATE job SET course = 'stopped', stopped = ?2, updated_ms = ?3
                WHERE id = ?1 AND course IN ('live', 'paused')";
    for (at_ms, job) in &rows.job_stops {
        if change(c, stop, params![job.job, job.reason, at_ms])? > 0 {
            release(c, &job.job, *at_ms)?;
            append_audit(c, &of_stop(*at_ms, job))?;
        }
    }
    Ok(())
}

pub(super) fn groups(connection: &Connection) -> Result<Vec<LetterGroup>> {
    let sql = "SELECT fingerprint, state, until_ms, who, note, updated_ms FROM letter_group ORDER BY fingerprint";
    all(connection, sql, [], |c| {
        Ok(LetterGroup {
            fingerprint: c.value()?,
            state: c.value::<String>()?.parse::<GroupState>().map_err(Error::Corrupt)?,
            until_ms: c.value()?,
            who: c.value()?,
            note: c.value()?,
            updated_ms: c.value()?,
        })
    })
}

pub(super) fn put_group(connection: &mut Connection, group: &LetterGroup, audit: &NewAudit) -> Result<()> {
    let transaction = begin(connection)?;
    let sql = "INSERT OR REPLACE INTO letter_group (fingerprint, state, until_ms, who, note, updated_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let LetterGroup { fingerprint, state, until_ms, who, note, updated_ms } = group;
    change(&transaction, sql, params![fingerprint, state.as_str(), until_ms, who, note, updated_ms])?;
    append_audit(&transaction, audit)?;
    transaction.commit().map_err(convert)
}
