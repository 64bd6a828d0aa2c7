//! A few connections, each with its prepared statements.
//!
//! A connection carries one call at a time, because a transaction is pipelined on it. It comes back only after a call that
//! ended well; any other is thrown away with whatever was going on on it, and the server rolls that back.

use super::error::convert;
use crate::{Config, Error, Result};
use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) struct Pool {
    server: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    connect_timeout: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<Conn>>,
}

pub(super) struct Conn {
    pub(super) client: Client,
    statements: HashMap<&'static str, Statement>,
    driver: tokio::task::AbortHandle,
}

/// A connection lent for one call.
pub(super) struct Lease<'p> {
    conn: Conn,
    pool: &'p Pool,
    _permit: SemaphorePermit<'p>,
}

impl Drop for Conn {
    fn drop(&mut self) {
        // Otherwise the driver would first wait for what is under way.
        self.driver.abort();
    }
}

impl Conn {
    /// Prepares what is not prepared yet, in one round trip.
    pub(super) async fn prepare(&mut self, wanted: impl IntoIterator<Item = &'static str>) -> Result<()> {
        let missing = wanted.into_iter().filter(|sql| !self.statements.contains_key(sql));
        let client = &self.client;
        let prepared = missing.map(async |sql| client.prepare(sql).await.map(|statement| (sql, statement)));
        let prepared = futures::future::try_join_all(prepared).await.map_err(|e| convert(&e))?;
        self.statements.extend(prepared);
        Ok(())
    }

    /// A statement that [`prepare`](Self::prepare) was asked for before.
    pub(super) fn statement(&self, sql: &'static str) -> &Statement {
        self.statements.get(sql).expect("a statement is prepared before it is used")
    }
}

impl Pool {
    pub(super) fn new(config: &Config) -> Result<Self> {
        if !(1..=64).contains(&config.connections) {
            return Err(Error::Config(format!("connections is {}, it must be from 1 to 64", config.connections)));
        }
        Ok(Self {
            server: server(config)?,
            tls: config.tls_ca_file.as_deref().map(super::tls::connector).transpose()?,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            permits: Semaphore::new(config.connections),
            idle: Mutex::new(Vec::new()),
        })
    }

    pub(super) async fn lease(&self) -> Result<Lease<'_>> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let conn = match self.take_idle() {
            Some(conn) => conn,
            None => self.connect().await?,
        };
        Ok(Lease { conn, pool: self, _permit: permit })
    }

    fn take_idle(&self) -> Option<Conn> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(conn) = idle.pop() {
            if !conn.client.is_closed() {
                return Some(conn);
            }
        }
        None
    }

    async fn connect(&self) -> Result<Conn> {
        let connecting = async {
            match &self.tls {
                Some(tls) => self.server.connect(tls.clone()).await.map(|(client, driver)| (client, drive(driver))),
                None => self.server.connect(NoTls).await.map(|(client, driver)| (client, drive(driver))),
            }
        };
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let (client, driver) = connected
            .map_err(|_| Error::Unavailable(format!("no connection within {:?}", self.connect_timeout)))?
            .map_err(|e| convert(&e))?;
        Ok(Conn { client, statements: HashMap::new(), driver })
    }
}

fn drive<S, T>(driver: tokio_postgres::Connection<S, T>) -> tokio::task::AbortHandle
where
    tokio_postgres::Connection<S, T>: Future<Output = std::result::Result<(), tokio_postgres::Error>> + Send + 'static,
{
    // Its error is also the error of the call under way.
    tokio::spawn(async move {
        let _ = driver.await;
    })
    .abort_handle()
}

impl Lease<'_> {
    pub(super) const fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Ends the loan: the connection goes back after a call that ended well.
    pub(super) fn settle<T>(self, outcome: std::result::Result<Result<T>, tokio::time::error::Elapsed>) -> Result<T> {
        let result = outcome.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".into())));
        if result.is_ok() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.conn);
        }
        result
    }
}

/// What the client library needs to know, from our configuration.
fn server(config: &Config) -> Result<tokio_postgres::Config> {
    let mut server: tokio_postgres::Config =
        config.url.parse().map_err(|e| Error::Config(format!("the ledger's url: {}", root_cause(&e))))?;
    if server.get_password().is_some() {
        return Err(Error::Config(
            "the ledger's url holds a password: put it into `password` instead, urls are printed".into(),
        ));
    }
    if server.get_hosts().is_empty() || server.get_dbname().is_none() {
        return Err(Error::Config(
            "the ledger's url needs a host and a database: `postgres://user@host:port/database`".into(),
        ));
    }
    if config.tls_ca_file.is_none() && server.get_ssl_mode() == SslMode::Require {
        return Err(Error::Config(
            "the ledger's url requires TLS: set `tls_ca_file` to the server's authorities".into(),
        ));
    }
    server.ssl_mode(if config.tls_ca_file.is_some() { SslMode::Require } else { SslMode::Disable });
    if let Some(password) = &config.password {
        server.password(password.expose_secret());
    }
    let given = server.get_options().unwrap_or_default();
    // Generic plans: our statements are the same for a row and for thousands, and planning costs more than they do. A plan that is
    // made while a table is empty lives on when it is not: each must look up by index from the start, never read a whole table.
    // Compiling a plan to machine code takes longer than any of them runs.
    let options = format!(
        "{given} -c search_path={} -c statement_timeout={} -c lock_timeout={} \
         -c idle_in_transaction_session_timeout={} -c plan_cache_mode=force_generic_plan \
         -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off",
        config.schema, config.statement_timeout_ms, config.lock_timeout_ms, config.statement_timeout_ms
    );
    server.options(options);
    if server.get_application_name().is_none() {
        server.application_name(format!("throughline {}", config.schema));
    }
    server.connect_timeout(Duration::from_millis(config.connect_timeout_ms));
    server.tcp_user_timeout(Duration::from_millis(config.statement_timeout_ms));
    Ok(server)
}

fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).last().map_or_else(String::new, ToString::to_string)
}
