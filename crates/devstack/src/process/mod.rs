//! Child processes that are started, watched and stopped by process id, and only these.
//!
//! A pid alone may belong to a stranger after its owner died, so every pid is kept with the start time of its process
//! and signalled only if both agree. Each child leads a process group of its own: Ctrl-C in a terminal reaches the
//! supervisor only, which then decides.

mod identity;
mod leftover;
mod ready;

use std::{
    ffi::OsString,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::{process::Child, time::Instant};

pub use identity::Identity;
pub use leftover::leftovers;
pub use ready::{read_ready_file, write_atomically, write_ready_file};

/// Why a process could not be started or watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("start {name} ({program})")]
    Start { name: String, program: String, source: std::io::Error },
    #[error("open the log of {name} at {path}")]
    OpenLog { name: String, path: String, source: std::io::Error },
    #[error("{name} ended with {status} before it was ready; the end of its log ({log}):\n{tail}")]
    EndedEarly { name: String, status: ExitStatus, log: String, tail: String },
    #[error("{name} was not ready after {waited:?}; the end of its log ({log}):\n{tail}")]
    NotReady { name: String, waited: Duration, log: String, tail: String },
    #[error("wait for {name}")]
    Wait { name: String, source: std::io::Error },
    #[error("write {path}")]
    Write { path: String, source: std::io::Error },
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What people call it.
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(String, OsString)>,
    /// Working folder; `None` keeps the caller's.
    pub folder: Option<PathBuf>,
    /// Its output is appended here.
    pub log: PathBuf,
}

impl Spec {
    /// A program with its log, without arguments.
    #[must_use]
    pub fn new(name: &str, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        let (program, log) = (program.into(), log.into());
        Self { name: name.to_owned(), program, arguments: Vec::new(), environment: Vec::new(), folder: None, log }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}

/// A running child. Dropping it kills it unless [`Process::leave_running`] was called.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    identity: Identity,
    child: Child,
    is_killed_on_drop: bool,
}

impl Process {
    /// Starts a child in its own process group, with no input and its output in the log.
    pub fn start(spec: &Spec) -> Result<Self, Error> {
        let name = spec.name.clone();
        let log = OpenOptions::new().create(true).append(true).open(&spec.log);
        let open = |source| Error::OpenLog { name: name.clone(), path: spec.log.display().to_string(), source };
        let log = log.map_err(open)?;
        let mut command = tokio::process::Command::new(&spec.program);
        command.args(&spec.arguments).envs(spec.environment.iter().map(|(key, value)| (key, value)));
        command.env(leftover::MARK, &spec.log);
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(open)?).stderr(log).process_group(0);
        if let Some(folder) = &spec.folder {
            command.current_dir(folder);
        }
        let start = |source| Error::Start { name: name.clone(), program: spec.program.display().to_string(), source };
        let child = command.spawn().map_err(start)?;
        let pid = child.id().ok_or_else(|| start(std::io::Error::other("it ended at once")))?;
        // The child is not reaped yet, so its pid is still its own.
        let identity = Identity::of(pid).map_err(start)?;
        Ok(Self { name: name.clone(), log: spec.log.clone(), identity, child, is_killed_on_drop: true })
    }

    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.identity.pid
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The child outlives this handle.
    pub fn leave_running(&mut self) {
        self.is_killed_on_drop = false;
    }

    /// Has it ended?
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|source| Error::Wait { name: self.name.clone(), source })
    }

    /// Waits until it ends.
    pub async fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.child.wait().await.map_err(|source| Error::Wait { name: self.name.clone(), source })
    }

    /// Sends a signal, to this process only.
    pub fn signal(&self, signal: Signal) {
        self.identity.signal(signal);
    }

    /// SIGTERM, then SIGKILL when `grace` is over. Ends when the process is gone.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus, Error> {
        self.stop_with(Signal::SIGTERM, grace).await
    }

    /// `signal`, then SIGKILL when `grace` is over.
    pub async fn stop_with(&mut self, signal: Signal, grace: Duration) -> Result<ExitStatus, Error> {
        self.signal(signal);
        if let Ok(status) = tokio::time::timeout(grace, self.wait()).await {
            return status;
        }
        tracing::warn!(process = self.name, pid = self.pid(), ?grace, "did not stop in time, killing it");
        self.kill().await
    }

    /// `kill -9`. Ends when the process is gone.
    pub async fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.signal(Signal::SIGKILL);
        self.wait().await
    }

    /// Asks `is_ready` until it says so. Ends early, with the end of the log, if the process dies or time is up.
    pub async fn until_ready<T, F>(&mut self, within: Duration, mut is_ready: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Option<T>>,
    {
        let deadline = Instant::now() + within;
        loop {
            if let Some(answer) = is_ready().await {
                return Ok(answer);
            }
            let (name, log) = (self.name.clone(), self.log.display().to_string());
            if let Some(status) = self.try_wait()? {
                return Err(Error::EndedEarly { name, status, log, tail: tail(&self.log) });
            }
            if Instant::now() >= deadline {
                return Err(Error::NotReady { name, waited: within, log, tail: tail(&self.log) });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_killed_on_drop && matches!(self.child.try_wait(), Ok(None)) {
            self.identity.signal(Signal::SIGKILL);
        }
    }
}

/// The last lines of a log, for an error message.
#[must_use]
pub fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path, script: &str) -> Spec {
        Spec::new("sleeper", "/bin/sh", folder.join("log")).arg("-c").arg(script)
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_polite_signal_is_killed() {
        let folder = tempfile::tempdir().expect("temp dir");
        let ready = folder.path().join("ready");
        let script = format!("trap '' TERM; touch {}; while :; do sleep 0.05; done", ready.display());
        let mut process = Process::start(&sleeper(folder.path(), &script)).expect("starts");
        process
            .until_ready(Duration::from_secs(20), || std::future::ready(ready.exists().then_some(())))
            .await
            .expect("ready");
        let identity = process.identity().clone();
        process.stop(Duration::from_millis(50)).await.expect("stops");
        assert!(!identity.is_alive());
    }

    #[tokio::test]
    async fn a_process_that_dies_at_start_is_reported_with_the_end_of_its_log() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut process = Process::start(&sleeper(folder.path(), "echo no such luck; exit 3")).expect("starts");
        let error =
            process.until_ready(Duration::from_secs(20), || std::future::ready(None::<()>)).await.expect_err("it died");
        assert!(error.to_string().contains("no such luck"), "{error}");
    }

    #[tokio::test]
    async fn a_dropped_handle_leaves_nothing_behind_unless_told_to() {
        let folder = tempfile::tempdir().expect("temp dir");
        let process = Process::start(&sleeper(folder.path(), "sleep 600")).expect("starts");
        let identity = process.identity().clone();
        drop(process);
        identity.until_gone(Duration::from_secs(20)).await.expect("gone");

        let mut process = Process::start(&sleeper(folder.path(), "sleep 600")).expect("starts");
        let identity = process.identity().clone();
        process.leave_running();
        drop(process);
        assert!(identity.is_alive());
        identity.stop(Duration::from_secs(20)).await.expect("gone");
    }

    #[tokio::test]
    async fn a_pid_that_now_belongs_to_somebody_else_is_not_signalled() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut process = Process::start(&sleeper(folder.path(), "sleep 600")).expect("starts");
        let stranger = Identity { pid: process.pid(), started: "another time".to_owned() };
        assert!(!stranger.is_alive());
        stranger.signal(Signal::SIGKILL);
        assert!(process.try_wait().expect("waits").is_none());
        process.kill().await.expect("gone");
    }
}
