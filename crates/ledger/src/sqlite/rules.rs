//! Standing rules, outlooks, and how long decisions about letters are kept.

use super::error::convert;
use super::jobs::IS_PREDICTION;
use super::row::{all, change, first};
use super::slices::{append_audit, begin};
use crate::columns::{from_json, to_json};
use crate::rules::{self, DecisionHorizon, LetterRule, Outlook};
use crate::types::NewAudit;
use crate::{Error, Result};
use rusqlite::{Connection, TransactionBehavior, params};

pub(super) fn list(connection: &Connection) -> Result<Vec<LetterRule>> {
    let specs = all(connection, "SELECT spec FROM letter_rule ORDER BY id", [], |c| c.value::<String>())?;
    specs.iter().map(|spec| from_json(spec)).collect()
}

fn find(connection: &Connection, id: &str) -> Result<Option<LetterRule>> {
    let spec = first(connection, "SELECT spec FROM letter_rule WHERE id = ?1", [id], |c| c.value::<String>())?;
    spec.map(|spec| from_json(&spec)).transpose()
}

pub(super) fn add(connection: &mut Connection, rule: &LetterRule, audit: &NewAudit) -> Result<()> {
    let transaction = begin(connection)?;
    if let Some(found) = find(&transaction, &rule.id)? {
        return rules::again(&found, rule);
    }
    let sql = "INSERT INTO letter_rule (id, spec, ends_ms) VALUES (?1, ?2, ?3)";
    change(&transaction, sql, params![rule.id, to_json(rule), rule.ends_ms])?;
    append_audit(&transaction, audit)?;
    transaction.commit().map_err(convert)
}

pub(super) fn remove(connection: &mut Connection, id: &str, audit: &NewAudit) -> Result<()> {
    let transaction = begin(connection)?;
    if change(&transaction, "DELETE FROM letter_rule WHERE id = ?1", [id])? == 0 {
        return Err(rules::unknown(id));
    }
    append_audit(&transaction, audit)?;
    transaction.commit().map_err(convert)
}

pub(super) fn outlooks(connection: &Connection) -> Result<Vec<Outlook>> {
    let sql = "SELECT spec FROM letter_outlook ORDER BY slice, fingerprint";
    let specs = all(connection, sql, [], |c| c.value::<String>())?;
    specs.iter().map(|spec| from_json(spec)).collect()
}

pub(super) fn put_outlooks(connection: &mut Connection, slice: i32, outlooks: &[Outlook]) -> Result<()> {
    let transaction = begin(connection)?;
    change(&transaction, "DELETE FROM letter_outlook WHERE slice = ?1", [slice])?;
    for outlook in outlooks {
        let sql = "INSERT INTO letter_outlook (slice, fingerprint, spec) VALUES (?1, ?2, ?3)";
        change(&transaction, sql, params![slice, outlook.fingerprint, to_json(outlook)])?;
    }
    transaction.commit().map_err(convert)
}

/// Jobs removed by one transaction: commits wait for one at most.
const PAGE: usize = 50;

/// Removes a page of jobs that are over; answers how many.
pub(super) fn drop_jobs(connection: &mut Connection, horizon: DecisionHorizon) -> Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(convert)?;
    let sql = format!(
        "SELECT id FROM job WHERE
            updated_ms < CASE WHEN {IS_PREDICTION} THEN ?1 ELSE ?2 END
            AND NOT EXISTS (SELECT 1 FROM job_item i WHERE i.job = job.id AND (i.state = 'pending'
                OR i.changed_ms >= CASE WHEN {IS_PREDICTION} THEN ?1 ELSE ?2 END))
            AND ({IS_PREDICTION} OR NOT EXISTS (SELECT 1 FROM job_item i JOIN parked_record p
                ON p.slice = i.slice AND p.sequence = i.sequence AND p.no = i.no
                WHERE i.job = job.id AND p.state IN ('waiting', 'letter_pending', 'dead_lettered')))
         LIMIT ?3"
    );
    let page = i64::try_from(PAGE).map_err(|_| Error::Misuse("a page of jobs".into()))?;
    let values = params![horizon.predictions_ms, horizon.decisions_ms, page];
    let ids = all(&transaction, &sql, values, |c| c.value::<String>())?;
    for id in &ids {
        change(&transaction, "DELETE FROM job_item WHERE job = ?1", [id])?;
        change(&transaction, "DELETE FROM job WHERE id = ?1", [id])?;
    }
    transaction.commit().map_err(convert)?;
    Ok(ids.len() as u64)
}

/// Removes rules that expired long ago, and what was said of causes that have no letter any more.
pub(super) fn drop_said(connection: &mut Connection, horizon: DecisionHorizon) -> Result<()> {
    let transaction = begin(connection)?;
    change(&transaction, "DELETE FROM letter_rule WHERE ends_ms < ?1", [horizon.decisions_ms])?;
    let sql = "DELETE FROM letter_group WHERE updated_ms < ?1 AND coalesce(until_ms, 0) < ?1
        AND NOT EXISTS (SELECT 1 FROM parked_record p WHERE p.fingerprint = letter_group.fingerprint)";
    change(&transaction, sql, [horizon.decisions_ms])?;
    transaction.commit().map_err(convert)
}
