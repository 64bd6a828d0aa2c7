//! Creating and migrating the tables: forward only, once, under SQLite's own write lock.

use super::error::convert;
use crate::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};

/// Each migration in order; its version is its place, from 1. Never change one that was released: add another.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_v1.sql"),
    include_str!("schema_v2.sql"),
    include_str!("schema_v3.sql"),
    include_str!("schema_v4.sql"),
];

pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    if version(connection)? == MIGRATIONS.len() as i64 {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(convert)?;
    let done = version(&transaction)?;
    for (version, sql) in (1i64..).zip(MIGRATIONS).filter(|(version, _)| *version > done) {
        transaction.execute_batch(sql).map_err(convert)?;
        transaction.pragma_update(None, "user_version", version).map_err(convert)?;
    }
    transaction.commit().map_err(convert)
}

fn version(connection: &Connection) -> Result<i64> {
    let known = MIGRATIONS.len() as i64;
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(convert)?;
    if found > known { Err(Error::NewerSchema { found, known }) } else { Ok(found) }
}
