//! Partitions by time: made ahead, dropped whole.
//!
//! A row whose partition is missing goes to the default one and is never lost; it only costs a DELETE later.

use super::error::{convert, is};
use super::pool::Conn;
use crate::horizon::{DAY_MS, IDENTITY_DAYS, day_start, identity_start};
use crate::{Millis, Result};
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// Days made ahead of the newest commit, so that midnight finds its partition there.
const DAYS_AHEAD: i64 = 2;

/// Which days this process has seen to.
#[derive(Debug, Default)]
pub(super) struct Ranges(Mutex<HashSet<Millis>>);

impl Ranges {
    /// Sees to the partitions for commits at these times. Costs nothing but a look for a day that is known.
    pub(super) async fn ensure(&self, conn: &mut Conn, times: impl Iterator<Item = Millis>) -> Result<()> {
        let missing: HashSet<Millis> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            times.map(day_start).filter(|day| !known.contains(day)).collect()
        };
        for day in missing {
            make(conn, day).await?;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(day);
        }
        Ok(())
    }
}

async fn make(conn: &mut Conn, day: Millis) -> Result<()> {
    for ahead in 0..=DAYS_AHEAD {
        let start = day.saturating_add(ahead * DAY_MS);
        let end = start.saturating_add(DAY_MS);
        if let Some(name) = name("journal", start) {
            make_one(conn, &format!("{name} PARTITION OF journal FOR VALUES FROM ({start}) TO ({end})")).await?;
        }
    }
    for ahead in 0..=1 {
        let start = identity_start(day).saturating_add(ahead * IDENTITY_DAYS * DAY_MS);
        let end = start.saturating_add(IDENTITY_DAYS * DAY_MS);
        if let Some(name) = name("identity", start) {
            let (from, to) = (first_uid(start), first_uid(end));
            make_one(conn, &format!("{name} PARTITION OF identity FOR VALUES FROM ('{from}') TO ('{to}')")).await?;
        }
    }
    Ok(())
}

async fn make_one(conn: &mut Conn, definition: &str) -> Result<()> {
    let Err(error) = change_tables(conn, &format!("CREATE TABLE IF NOT EXISTS {definition}")).await else {
        return Ok(());
    };
    // Made by another process at this moment.
    let made = [SqlState::DUPLICATE_TABLE, SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_OBJECT];
    // Somebody reads for long, the default partition holds rows of this range already, or the user may not create tables:
    // what has no partition goes to the default one.
    let refused = [SqlState::LOCK_NOT_AVAILABLE, SqlState::CHECK_VIOLATION, SqlState::INSUFFICIENT_PRIVILEGE];
    if refused.iter().any(|code| is(&error, code)) {
        tracing::warn!(definition, %error, "a partition cannot be made now; its rows may go to the default partition");
        return Ok(());
    }
    if made.iter().any(|code| is(&error, code)) { Ok(()) } else { Err(convert(&error)) }
}

/// One change of the tables, with a short wait for its locks: everybody behind us waits as long.
async fn change_tables(conn: &mut Conn, sql: &str) -> std::result::Result<(), tokio_postgres::Error> {
    let changed = conn.client.batch_execute(&format!("BEGIN; SET LOCAL lock_timeout = '1s'; {sql}; COMMIT")).await;
    if changed.is_err() {
        conn.client.batch_execute("ROLLBACK").await?;
    }
    changed
}

/// Drops what lies wholly before the floor. A partition that is in use is left for the next time.
pub(super) async fn drop_before(conn: &mut Conn, floor_ms: Millis) -> Result<()> {
    let identity_floor = identity_start(floor_ms);
    for (table, floor) in [("journal", floor_ms), ("identity", identity_floor)] {
        let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                   WHERE i.inhparent = to_regclass($1::text) ORDER BY 1";
        let rows = conn.client.query(sql, &[&table]).await.map_err(|e| convert(&e))?;
        let last = floor
            .checked_sub(1)
            .and_then(|ms| name(table, if table == "journal" { day_start(ms) } else { identity_start(ms) }));
        for partition in rows.iter().map(|row| row.get::<_, String>(0)) {
            // Names sort by date; the default one has letters there and sorts behind.
            if last.as_ref().is_some_and(|last| partition <= *last) {
                drop_one(conn, &partition).await?;
            }
        }
    }
    let journal = "DELETE FROM journal_default WHERE at_ms < $1";
    conn.client.execute(journal, &[&floor_ms]).await.map_err(|e| convert(&e))?;
    let identity = "DELETE FROM identity_default WHERE uid < $1";
    conn.client.execute(identity, &[&first_uid(identity_floor)]).await.map_err(|e| convert(&e))?;
    Ok(())
}

async fn drop_one(conn: &mut Conn, partition: &str) -> Result<()> {
    match change_tables(conn, &format!("DROP TABLE IF EXISTS {partition}")).await {
        Err(error) if is(&error, &SqlState::LOCK_NOT_AVAILABLE) => {
            tracing::warn!(partition, "in use, it is dropped another time");
            Ok(())
        }
        Err(error) => Err(convert(&error)),
        Ok(()) => Ok(()),
    }
}

/// `journal_20261123`; `None` for times that no clock shows, whose rows go to the default partition.
fn name(table: &str, start: Millis) -> Option<String> {
    let date = Timestamp::from_millisecond(start).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date();
    (2000..=2999)
        .contains(&date.year())
        .then(|| format!("{table}_{:04}{:02}{:02}", date.year(), date.month(), date.day()))
}

/// The lowest uid with this time in front.
fn first_uid(ms: Millis) -> Uuid {
    let time = u64::try_from(ms.clamp(0, (1 << 48) - 1)).unwrap_or(0);
    Uuid::from_u128(u128::from(time) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_date_and_before_the_default() {
        assert_eq!(name("journal", 1_795_392_000_000).as_deref(), Some("journal_20261123"));
        assert!("journal_29991231" < "journal_default");
        assert_eq!(name("journal", 0), None);
        assert_eq!(name("journal", i64::MAX), None);
    }

    #[test]
    fn a_range_starts_with_the_lowest_uid_of_its_time() {
        assert_eq!(first_uid(0x0199_d0e5_6c00).to_string(), "0199d0e5-6c00-0000-0000-000000000000");
    }
}
