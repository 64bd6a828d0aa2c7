//! `throughline up` and `throughline down`: a stack in the background, found again by its folder.

use std::{ffi::OsString, path::Path, time::Duration};

use serde::Serialize;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use crate::{
    book::{self, Record},
    endpoints::Endpoints,
    error::{Error, Result},
    process::{Process, Spec, tail},
    stack::{Stack, StackConfig},
};

/// From nothing, with downloads, on a slow machine.
const UP: Duration = Duration::from_secs(600);
/// Services drain, Kafka and PostgreSQL write their last.
const DOWN: Duration = Duration::from_secs(150);

/// Runs a stack in this process until SIGTERM or Ctrl-C, then stops it. `started` is called once all is ready.
pub async fn run(config: StackConfig, started: impl FnOnce(&Endpoints)) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::file("listen for signals of", &config.data))?;
    let stack = tokio::select! {
        stack = Stack::start(config) => stack?,
        // Dropping the half-started stack kills what it started.
        _ = terminate.recv() => return Ok(()),
        _ = tokio::signal::ctrl_c() => return Ok(()),
    };
    started(&stack.endpoints());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stack.stop().await
}

/// Starts this program again in the background with `arguments`, which must make it call [`run`] on the same folder;
/// returns when all is ready. `progress` is called now and then with what is waited for.
pub async fn detach(data: &Path, arguments: &[OsString], mut progress: impl FnMut(&str)) -> Result<Endpoints> {
    std::fs::create_dir_all(data).map_err(Error::file("make the folder", data))?;
    let data = data.canonicalize().map_err(Error::file("find", data))?;
    if let Some(Record { supervisor: Some(supervisor), .. }) = Record::read(&data)?
        && supervisor.is_alive()
    {
        return Err(Error::Running(data.display().to_string()));
    }
    let program = std::env::current_exe().map_err(Error::file("find", Path::new("the running program")))?;
    let log = data.join("supervisor.log");
    // The end of this log may go into a message: it must be about this start.
    std::fs::write(&log, "").map_err(Error::file("empty", &log))?;
    let mut spec = Spec::new("the stack", program, &log);
    spec.arguments = arguments.to_vec();
    let mut supervisor = Process::start(&spec)?;
    let own = supervisor.identity().clone();
    let mut told = String::new();
    let mut ready = || {
        let record = Record::read(&data).ok().flatten()?;
        if record.supervisor.as_ref() != Some(&own) {
            return None;
        }
        let waiting = record.processes.keys().cloned().collect::<Vec<_>>().join(", ");
        if told != waiting {
            progress(&format!("up: {waiting}"));
            told = waiting;
        }
        record.is_ready.then(|| Endpoints::read(&data).ok()).flatten()
    };
    let endpoints = supervisor.until_ready(UP, || std::future::ready(ready())).await;
    if endpoints.is_ok() {
        supervisor.leave_running();
    } else {
        supervisor.stop(DOWN).await?;
    }
    Ok(endpoints?)
}

/// What `down` ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// Names of the processes that ran.
    pub processes: Vec<String>,
    /// The supervisor had died before; its processes were ended one by one.
    pub was_orphaned: bool,
}

/// Ends the stack of a folder, and nothing else. Fine to call again.
pub async fn down(data: &Path) -> Result<Ended> {
    let data = data.canonicalize().map_err(|_| Error::NoStack(data.display().to_string()))?;
    let record = Record::read(&data)?.ok_or_else(|| Error::NoStack(data.display().to_string()))?;
    let running: Vec<String> = record.processes.keys().cloned().collect();
    let supervisor = record.supervisor.filter(crate::process::Identity::is_alive);
    let Some(supervisor) = supervisor else {
        let left = Record::read(&data)?.ok_or_else(|| Error::NoStack(data.display().to_string()))?;
        let processes = book::end(&left, &data).await?;
        book::forget(&data, left)?;
        return Ok(Ended { was_orphaned: !processes.is_empty(), processes });
    };
    let stopped = supervisor.stop(DOWN).await;
    stopped.map_err(|source| Error::NotStopped { name: "the supervisor".to_owned(), source })?;
    // It may have been killed in the end, or started something that it had not written down.
    if let Some(left) = Record::read(&data)? {
        book::end(&left, &data).await?;
        book::forget(&data, left)?;
    }
    Ok(Ended { processes: running, was_orphaned: false })
}

/// The end of the supervisor's log, for messages.
#[must_use]
pub fn log_tail(data: &Path) -> String {
    tail(&data.join("supervisor.log"))
}

/// Waits until a stack that was started by somebody else is ready.
pub async fn until_ready(data: &Path, within: Duration) -> Result<Endpoints> {
    let deadline = Instant::now() + within;
    loop {
        match Endpoints::read(data) {
            Ok(endpoints) => return Ok(endpoints),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
