//! One PostgreSQL server in a folder of its own: an installed one if there is any, else one from Maven.
//!
//! It listens on loopback only and trusts whoever reaches it there: a development server. It refuses to run as root,
//! so root starts it as `nobody`. [`Postgres::kill`] is `kill -9` of the postmaster; [`Postgres::restart`] recovers.

mod programs;
mod user;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    cache,
    error::{Error, Result},
    ports,
    process::{self, Identity, Process, Spec},
};
pub use programs::{download, is_installed};
use user::RunAs;

const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(30);
/// After `kill -9` of the postmaster its children need a moment to notice; until then a new one refuses to start.
const ATTEMPTS: u32 = 20;
/// The longest path a socket may have on the systems we know.
const MOST_SOCKET_PATH: usize = 90;
/// The signal that stops PostgreSQL without waiting for its clients.
pub const STOP_SIGNAL: Signal = Signal::SIGINT;

/// A server, running or killed.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    run_as: RunAs,
    port: u16,
    process: Process,
}

impl Postgres {
    /// Starts a server on `folder` (made if absent; its data is continued if there is any).
    pub async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
        let folder = folder.canonicalize().map_err(Error::file("find", folder))?;
        let programs = programs::find(&data_of(&folder)).await?;
        let run_as = RunAs::for_folders(&folder, &programs)?;
        run_as.own(&folder)?;
        let [port] = ports::remembered(&folder, ["postgres"])?;
        if !data_of(&folder).exists() {
            initialise(&folder, &programs, &run_as).await?;
        }
        let process = launch(&folder, &programs, &run_as, port).await?;
        Ok(Self { folder, programs, run_as, port, process })
    }

    /// A connection URL of the `postgres` database, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.process.identity()
    }

    /// Where the server logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        log_of(&self.folder)
    }

    /// Ends all sessions, writes a checkpoint, stops; SIGKILL if that takes too long.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        Ok(self.process.stop_with(STOP_SIGNAL, STOP).await?)
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        Ok(self.process.kill().await?)
    }

    /// Starts again on the same port and data, after a stop, a kill or a crash.
    pub async fn restart(&mut self) -> Result<()> {
        if self.process.try_wait()?.is_none() {
            self.stop().await?;
        }
        self.process = launch(&self.folder, &self.programs, &self.run_as, self.port).await?;
        Ok(())
    }

    /// The server outlives this handle.
    pub fn leave_running(&mut self) {
        self.process.leave_running();
    }

    /// Waits until the server ends.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.process.wait().await?)
    }
}

fn data_of(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("postgres.log")
}

/// Makes the data folder beside its place and moves it there whole.
async fn initialise(folder: &Path, programs: &Path, run_as: &RunAs) -> Result<()> {
    let (data, beside) = (data_of(folder), folder.join("data.new"));
    if beside.exists() {
        std::fs::remove_dir_all(&beside).map_err(Error::file("remove the folder", &beside))?;
    }
    let (program, mut arguments) = run_as.command(&programs.join("initdb"));
    arguments.extend(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"].map(OsString::from));
    arguments.push(beside.clone().into());
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(folder);
    cache::run("initdb", &mut command).await?;
    std::fs::rename(&beside, &data).map_err(Error::file("move into place", &data))
}

async fn launch(folder: &Path, programs: &Path, run_as: &RunAs, port: u16) -> Result<Process> {
    let spec = spec(folder, programs, run_as, port);
    let mut attempt = 1;
    loop {
        let mut process = Process::start(&spec)?;
        let pid = process.pid();
        match process.until_ready(START, || std::future::ready(is_ready(folder, pid).then_some(()))).await {
            Ok(()) => return Ok(process),
            Err(process::Error::EndedEarly { tail, .. }) if attempt < ATTEMPTS && is_predecessor_there(&tail) => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_predecessor_there(tail: &str) -> bool {
    tail.contains("shared memory block") || tail.contains("lock file")
}

fn spec(folder: &Path, programs: &Path, run_as: &RunAs, port: u16) -> Spec {
    let (program, arguments) = run_as.command(&programs.join("postgres"));
    let mut spec = Spec::new("postgres", program, log_of(folder));
    spec.arguments = arguments;
    spec.folder = Some(folder.to_owned());
    let socket = folder.to_string_lossy();
    let is_short = socket.len() <= MOST_SOCKET_PATH && !socket.contains([',', '"']);
    spec = spec.arg("-D").arg(data_of(folder)).arg("-p").arg(port.to_string());
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={}", if is_short { &*socket } else { "" }),
        "shared_buffers=128MB".to_owned(),
        "max_wal_size=2GB".to_owned(),
        "logging_collector=off".to_owned(),
    ];
    settings.into_iter().fold(spec, |spec, setting| spec.arg("-c").arg(setting))
}

/// PostgreSQL says in its pid file when it takes connections; the pid tells this start from an earlier one.
fn is_ready(folder: &Path, pid: u32) -> bool {
    let text = std::fs::read_to_string(data_of(folder).join("postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.first().is_some_and(|first| *first == pid.to_string()) && lines.get(7) == Some(&"ready")
}
