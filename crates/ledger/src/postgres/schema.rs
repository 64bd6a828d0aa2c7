//! Creating and migrating the tables: forward only, once, under a lock.

use super::error::convert;
use super::pool::Conn;
use crate::{Error, Result};
use sha2::{Digest, Sha256};

/// Each migration in order; its version is its place, from 1. Never change one that was released: add another.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_v1.sql"),
    include_str!("schema_v2.sql"),
    include_str!("schema_v3.sql"),
    include_str!("schema_v4.sql"),
    #[cfg(feature = "further-migration")]
    include_str!("schema_further.sql"),
];

pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// A schema's name goes into statements as it is, so only plain names are taken.
pub(super) fn check_name(schema: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if schema.is_empty()
        || schema.len() > 63
        || !schema.chars().all(plain)
        || schema.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(Error::Config(format!(
            "schema `{schema}`: use up to 63 lower-case letters, digits and `_`, no digit in front"
        )));
    }
    Ok(())
}

/// A number for PostgreSQL's advisory locks: one per schema and purpose.
pub(super) fn lock_number(schema: &str, purpose: &str) -> i64 {
    let digest = Sha256::digest(format!("throughline/{schema}/{purpose}"));
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// Brings the schema up to this binary's version. A user without rights to create tables may open one that is up to date.
pub(super) async fn migrate(conn: &mut Conn, schema: &str) -> Result<()> {
    if version(conn, schema).await? == Some(KNOWN) {
        return Ok(());
    }
    let transaction = conn.client.transaction().await.map_err(|e| convert(&e))?;
    // Whoever waits here waits for another process that migrates, which may take its time.
    let start = format!(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({});
         CREATE SCHEMA IF NOT EXISTS {schema};
         CREATE TABLE IF NOT EXISTS migration (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
        lock_number(schema, "migrate")
    );
    transaction.batch_execute(&start).await.map_err(|e| convert(&e))?;
    let row =
        transaction.query_one("SELECT coalesce(max(version), 0) FROM migration", &[]).await.map_err(|e| convert(&e))?;
    let done = refuse_newer(row.get(0))?;
    for (version, sql) in (1i64..).zip(MIGRATIONS).filter(|(version, _)| *version > done) {
        transaction.batch_execute(sql).await.map_err(|e| convert(&e))?;
        transaction
            .execute("INSERT INTO migration (version) VALUES ($1)", &[&version])
            .await
            .map_err(|e| convert(&e))?;
    }
    transaction.commit().await.map_err(|e| convert(&e))
}

/// The version of the tables, if there are any.
async fn version(conn: &mut Conn, schema: &str) -> Result<Option<i64>> {
    let table = format!("{schema}.migration");
    let row =
        conn.client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&table]).await.map_err(|e| convert(&e))?;
    if !row.get::<_, bool>(0) {
        return Ok(None);
    }
    let row =
        conn.client.query_one("SELECT coalesce(max(version), 0) FROM migration", &[]).await.map_err(|e| convert(&e))?;
    refuse_newer(row.get(0)).map(Some)
}

fn refuse_newer(found: i64) -> Result<i64> {
    if found > KNOWN { Err(Error::NewerSchema { found, known: KNOWN }) } else { Ok(found) }
}
