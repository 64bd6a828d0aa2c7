//! A process, told apart from a later one that was given the same pid.

use std::{io, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A pid and when its process started, in the words of this system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    pub started: String,
}

impl Identity {
    /// The process that has this pid now.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, started: start_time(pid)?.0 })
    }

    /// Is it still this process, and not a zombie that only waits to be reaped?
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(start_time(self.pid), Ok((started, is_zombie)) if started == self.started && !is_zombie)
    }

    /// Signals this process; does nothing if it is gone.
    pub fn signal(&self, signal: Signal) {
        if !self.is_alive() {
            return;
        }
        let Ok(pid) = i32::try_from(self.pid) else { return };
        if let Err(error) = kill(Pid::from_raw(pid), signal) {
            tracing::warn!(pid, %signal, %error, "could not signal a process");
        }
    }

    /// Waits until it is gone.
    pub async fn until_gone(&self, within: Duration) -> io::Result<()> {
        let deadline = Instant::now() + within;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("process {} is still there", self.pid)));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// SIGTERM, then SIGKILL when `grace` is over: for processes that are not our children any more.
    pub async fn stop(&self, grace: Duration) -> io::Result<()> {
        self.signal(Signal::SIGTERM);
        if self.until_gone(grace).await.is_ok() {
            return Ok(());
        }
        self.signal(Signal::SIGKILL);
        self.until_gone(Duration::from_secs(10)).await
    }
}

/// Start time in clock ticks since boot, and whether the process is a zombie.
#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> io::Result<(String, bool)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold anything, brackets and spaces included: count from its end.
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    match (fields.first(), fields.get(19)) {
        (Some(state), Some(started)) => Ok(((*started).to_owned(), matches!(*state, "Z" | "X"))),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("unreadable /proc/{pid}/stat"))),
    }
}

/// Start time as `ps` prints it, and whether the process is a zombie.
#[cfg(not(target_os = "linux"))]
fn start_time(pid: u32) -> io::Result<(String, bool)> {
    let output = std::process::Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match text.split_once(char::is_whitespace) {
        Some((state, started)) => Ok((started.trim().to_owned(), state.starts_with('Z'))),
        None => Err(io::Error::new(io::ErrorKind::NotFound, format!("no process {pid}"))),
    }
}
