//! A thread with a connection of its own: SQLite blocks, and whoever awaits a ledger must not.

use super::error::convert;
use crate::{Error, Result};
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The most prepared statements a connection keeps; there are fewer.
const STATEMENTS: usize = 128;

/// Ends with its handle, after the jobs that were given to it.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    pub(super) fn start(name: &str, connection: Connection) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let mut connection = connection;
        let run = move || waiting.iter().for_each(|job| job(&mut connection));
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|e| Error::Unavailable(format!("no thread for the ledger: {e}")))?;
        Ok(Self { jobs })
    }

    /// Runs a job behind those that wait. It runs to its end even if nobody awaits it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody may be waiting any more; the job is done all the same.
            let _ = answer.send(job(connection));
        });
        let gone = || Error::Unavailable("the ledger's thread has ended".into());
        self.jobs.send(job).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

/// Opens the file with the settings that durability and several processes need.
pub(super) fn connect(path: &Path, lock_timeout: Duration) -> Result<Connection> {
    let connection = Connection::open(path)
        .map_err(|e| Error::Config(format!("the ledger's file {}: {e}; its folder must exist", path.display())))?;
    connection.busy_timeout(lock_timeout).map_err(convert)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    use_wal(&connection, lock_timeout)?;
    // FULL: a commit that was answered survives a power cut. The sizes bound memory and the log file.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -8000; PRAGMA journal_size_limit = 67108864;")
        .map_err(convert)?;
    Ok(connection)
}

/// The switch to WAL does not wait for other processes by itself.
fn use_wal(connection: &Connection, lock_timeout: Duration) -> Result<()> {
    let deadline = Instant::now() + lock_timeout;
    loop {
        let switched = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match switched.map_err(convert) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(Error::Config(format!("the ledger's file cannot be shared: journal mode `{mode}`")));
            }
            Err(Error::Unavailable(_)) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(error),
        }
    }
}
