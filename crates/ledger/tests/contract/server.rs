//! A PostgreSQL server in a temporary folder, started once for this test binary.
//!
//! A shell watches over it: when this process ends, however it ends, the shell's input ends too, and it stops the server
//! and removes the folder. The server listens on a socket in that folder, so no port can be taken.

use ledger::Config;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub struct Server {
    folder: PathBuf,
}

impl Server {
    /// The one of this binary.
    pub fn get() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.folder.display().to_string().replace('/', "%2F"))
    }

    /// The socket that a proxy connects to.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    fn start() -> Self {
        let programs = programs().unwrap_or_else(|| {
            panic!(
                "no PostgreSQL server found: install it with `apt-get install postgresql`, or set THROUGHLINE_PG_BIN"
            )
        });
        let folder = tempfile::Builder::new().prefix("ledger-pg-").tempdir().unwrap().keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        if is_root {
            let status = Command::new("chown").args(["nobody:nogroup"]).args([&folder, &data]).status().unwrap();
            assert!(status.success(), "chown to nobody");
        }
        let init = run_as(is_root, &programs.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8", "--encoding=UTF8"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(init.status.success(), "initdb: {}", String::from_utf8_lossy(&init.stderr));
        watch_over(is_root, &programs, &folder, &data);
        let server = Self { folder };
        server.wait();
        server
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let log = self.folder.join("log");
        while !fs::read_to_string(&log).is_ok_and(|log| log.contains("ready to accept connections")) {
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {:?}", fs::read_to_string(&log));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Tests may lose speed to fsync, and nothing here is about power cuts: it is off.
fn watch_over(is_root: bool, programs: &Path, folder: &Path, data: &Path) {
    let script = r#"
        folder=$1; shift
        "$@" >"$folder/log" 2>&1 &
        server=$!
        cat >/dev/null
        kill -INT $server; wait $server; rm -rf "$folder""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(folder);
    if is_root {
        shell.args(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    shell.arg(programs.join("postgres")).arg("-D").arg(data).arg("-k").arg(folder);
    for setting in
        ["listen_addresses=", "fsync=off", "max_connections=300", "shared_buffers=64MB", "deadlock_timeout=200ms"]
    {
        shell.args(["-c", setting]);
    }
    let child =
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder).spawn().unwrap();
    // Its input stays open as long as this process.
    std::mem::forget(child);
}

fn run_as(is_root: bool, program: &Path) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command
}

/// The folder with `initdb` and `postgres`.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("THROUGHLINE_PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort();
    let all = named.into_iter().chain(std::env::split_paths(&path)).chain(installed.into_iter().rev());
    all.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// A configuration for a schema that nobody has.
pub fn fresh_schema() -> Config {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Config { connections: 3, ..Config::new(Server::get().url(), format!("test_{number}")) }
}
