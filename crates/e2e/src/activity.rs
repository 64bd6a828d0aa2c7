//! What services do in their PostgreSQL at this moment: connections and open transactions, as the server itself tells.

use anyhow::Result;
use std::collections::BTreeMap;
use tokio_postgres::{Client, NoTls};

/// Of one service, all its replicas together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    pub connections: u64,
    /// Transactions that are open while nothing is asked.
    pub idle_in_transaction: u64,
    /// The longest that one of its transactions has been open, milliseconds.
    pub transaction_ms: u64,
}

/// A connection of its own to ask through.
pub struct Activities(Client);

impl Activities {
    /// # Errors
    /// If the server cannot be reached.
    pub async fn connect(postgres: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(postgres, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self(client))
    }

    /// By the name under which services connect, such as `throughline erp_sync`. Who has another name, like this one, is not counted.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn look(&self) -> Result<BTreeMap<String, Activity>> {
        let sql = "SELECT application_name, count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
                coalesce(max(extract(epoch FROM clock_timestamp() - xact_start) * 1000), 0)::bigint
            FROM pg_stat_activity WHERE application_name LIKE 'throughline %' GROUP BY application_name";
        let rows = self.0.query(sql, &[]).await?;
        let activity = |row: &tokio_postgres::Row| {
            let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
            Activity { connections: count(1), idle_in_transaction: count(2), transaction_ms: count(3) }
        };
        Ok(rows.iter().map(|row| (row.get(0), activity(row))).collect())
    }

    /// Ends the connections of all services, as an administrator would; answers how many.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn terminate(&self) -> Result<u64> {
        let sql =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'throughline %'";
        Ok(u64::try_from(self.0.query_one(sql, &[]).await?.get::<_, i64>(0)).unwrap_or(0))
    }

    /// Holds a lock on a table of a schema, under which nobody may read it, until `done` is.
    ///
    /// # Errors
    /// If the lock is not given.
    pub async fn lock(&mut self, table: &str, done: impl Future<Output = ()>) -> Result<()> {
        let transaction = self.0.transaction().await?;
        transaction.batch_execute(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await?;
        done.await;
        Ok(transaction.rollback().await?)
    }
}
