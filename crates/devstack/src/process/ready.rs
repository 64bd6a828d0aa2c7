//! How a process says that it is ready: it writes a file, whole, when it answers requests.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Error;

/// What a ready file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    pub pid: u32,
    /// Where it answers HTTP, e.g. `http://127.0.0.1:40123`.
    pub http: String,
}

/// Writes this process's ready file.
pub fn write_ready_file(path: &Path, http: &str) -> Result<(), Error> {
    let ready = Ready { pid: std::process::id(), http: http.to_owned() };
    write_atomically(path, &serde_json::to_vec(&ready).expect("two plain fields become JSON"))
}

/// The ready file, once it is there and whole.
#[must_use]
pub fn read_ready_file(path: &Path) -> Option<Ready> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes a file so that readers see the old or the new content, never half of it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside = beside(path);
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|source| Error::Write { path: path.display().to_string(), source })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}
