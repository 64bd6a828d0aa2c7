//! Where a ledger is, and how to reach it.

use crate::memory::MemoryLedger;
use crate::postgres::PgLedger;
use crate::sqlite::SqliteLedger;
use crate::{Error, Ledger, Result};
use secrecy::SecretString;
use std::path::PathBuf;
use std::sync::Arc;

/// A ledger's address and limits. Printing it shows no password: there is none in the URL, and the field hides itself.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `postgres://user@host:port/database`, `sqlite:///path/file.db` or `memory:` (gone with the process).
    pub url: String,
    /// PostgreSQL: the schema of this service; created if it is missing and the user may. Lower case, digits and `_`.
    pub schema: String,
    /// PostgreSQL: the password, where the server asks for one. It does not belong in the URL, which is printed.
    pub password: Option<SecretString>,
    /// PostgreSQL: connections at most, 1 to 64. One carries one transaction at a time.
    pub connections: usize,
    /// PostgreSQL: PEM file with the authorities that may vouch for the server. Set: TLS only, always verified. Not set: no TLS.
    pub tls_ca_file: Option<PathBuf>,
    /// Longest wait for a new connection, milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest statement, milliseconds. A call gives up a little later, so that a dead network is noticed too.
    pub statement_timeout_ms: u64,
    /// Longest wait for a lock (SQLite: for another process that writes), milliseconds.
    pub lock_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: String::new(),
            schema: "throughline".into(),
            password: None,
            connections: 4,
            tls_ca_file: None,
            connect_timeout_ms: 5_000,
            statement_timeout_ms: 30_000,
            lock_timeout_ms: 10_000,
        }
    }
}

impl Config {
    /// A configuration with defaults for everything but the address.
    pub fn new(url: impl Into<String>, schema: impl Into<String>) -> Self {
        Self { url: url.into(), schema: schema.into(), ..Self::default() }
    }
}

/// The PostgreSQL schema of a service: its name, with what a schema's name may not have replaced.
#[must_use]
pub fn schema_of(service: &str) -> String {
    service.replace(['-', '.'], "_")
}

/// Opens the ledger that the URL names, creating or migrating its tables.
pub async fn open(config: &Config) -> Result<Arc<dyn Ledger>> {
    match config.url.split_once(':') {
        Some(("memory", "")) => Ok(Arc::new(MemoryLedger::new())),
        Some(("sqlite", _)) => Ok(Arc::new(SqliteLedger::open(config).await?)),
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(PgLedger::open(config).await?)),
        _ => Err(Error::Config("the ledger's url must start with `postgres://`, `sqlite://` or be `memory:`".into())),
    }
}
