//! Standing rules, outlooks, and how long decisions about letters are kept.

use super::error::convert;
use super::jobs::IS_PREDICTION;
use super::pool::Conn;
use super::row::{self, Columns};
use super::slices::append_audit;
use super::text::to_column;
use crate::Result;
use crate::columns::{from_json, to_json};
use crate::rules::{self, DecisionHorizon, LetterRule, Outlook};
use crate::types::NewAudit;

pub(super) async fn list(conn: &mut Conn) -> Result<Vec<LetterRule>> {
    let rows = conn.client.query("SELECT spec FROM letter_rule ORDER BY id", &[]).await.map_err(|e| convert(&e))?;
    row::all(&rows, |c| from_json(c.value()?))
}

pub(super) async fn add(conn: &mut Conn, schema: &str, rule: &LetterRule, audit: &NewAudit) -> Result<()> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    let sql = "INSERT INTO letter_rule (id, spec, ends_ms) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
    let id = to_column(&rule.id);
    let added = transaction.execute(sql, &[&id, &to_json(rule), &rule.ends_ms]).await.map_err(|e| convert(&e))?;
    if added == 0 {
        let sql = "SELECT spec FROM letter_rule WHERE id = $1";
        let found = transaction.query_one(sql, &[&id]).await.map_err(|e| convert(&e))?;
        return rules::again(&from_json(Columns::of(&found).value()?)?, rule);
    }
    append_audit(&transaction, schema, audit).await?;
    transaction.commit().await.map_err(|e| convert(&e))
}

pub(super) async fn remove(conn: &mut Conn, schema: &str, id: &str, audit: &NewAudit) -> Result<()> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    let sql = "DELETE FROM letter_rule WHERE id = $1";
    if transaction.execute(sql, &[&to_column(id)]).await.map_err(|e| convert(&e))? == 0 {
        return Err(rules::unknown(id));
    }
    append_audit(&transaction, schema, audit).await?;
    transaction.commit().await.map_err(|e| convert(&e))
}

pub(super) async fn outlooks(conn: &mut Conn) -> Result<Vec<Outlook>> {
    let sql = "SELECT spec FROM letter_outlook ORDER BY slice, fingerprint";
    let rows = conn.client.query(sql, &[]).await.map_err(|e| convert(&e))?;
    row::all(&rows, |c| from_json(c.value()?))
}

pub(super) async fn put_outlooks(conn: &mut Conn, slice: i32, outlooks: &[Outlook]) -> Result<()> {
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    transaction.execute("DELETE FROM letter_outlook WHERE slice = $1", &[&slice]).await.map_err(|e| convert(&e))?;
    for outlook in outlooks {
        let sql = "INSERT INTO letter_outlook (slice, fingerprint, spec) VALUES ($1, $2, $3)
            ON CONFLICT (slice, fingerprint) DO UPDATE SET spec = excluded.spec";
        let fingerprint = to_column(&outlook.fingerprint);
        transaction.execute(sql, &[&slice, &fingerprint, &to_json(outlook)]).await.map_err(|e| convert(&e))?;
    }
    transaction.commit().await.map_err(|e| convert(&e))
}

/// Jobs removed by one transaction.
const PAGE: i64 = 50;

pub(super) async fn prune(conn: &mut Conn, horizon: DecisionHorizon) -> Result<u64> {
    let sql = format!(
        "WITH over AS (
            SELECT id FROM job WHERE
                updated_ms < CASE WHEN {IS_PREDICTION} THEN $1::bigint ELSE $2::bigint END
                AND NOT EXISTS (SELECT 1 FROM job_item i WHERE i.job = job.id AND (i.state = 'pending'
                    OR i.changed_ms >= CASE WHEN {IS_PREDICTION} THEN $1::bigint ELSE $2::bigint END))
                AND ({IS_PREDICTION} OR NOT EXISTS (SELECT 1 FROM job_item i JOIN parked_record p
                    ON p.slice = i.slice AND p.sequence = i.sequence AND p.no = i.no
                    WHERE i.job = job.id AND p.state IN ('waiting', 'letter_pending', 'dead_lettered')))
            LIMIT $3),
        items AS (DELETE FROM job_item WHERE job IN (SELECT id FROM over))
        DELETE FROM job WHERE id IN (SELECT id FROM over)"
    );
    let (predictions, decisions) = (horizon.predictions_ms, horizon.decisions_ms);
    let mut dropped = 0;
    loop {
        let page = conn.client.execute(&sql, &[&predictions, &decisions, &PAGE]).await.map_err(|e| convert(&e))?;
        dropped += page;
        if page < PAGE.unsigned_abs() {
            break;
        }
    }
    let rules = "DELETE FROM letter_rule WHERE ends_ms < $1";
    let groups = "DELETE FROM letter_group WHERE updated_ms < $1 AND coalesce(until_ms, 0) < $1
        AND NOT EXISTS (SELECT 1 FROM parked_record p WHERE p.fingerprint = letter_group.fingerprint)";
    for sql in [rules, groups] {
        conn.client.execute(sql, &[&decisions]).await.map_err(|e| convert(&e))?;
    }
    Ok(dropped)
}
