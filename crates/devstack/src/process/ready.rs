//! How a process says that it answers: it writes its URL into a file, whole. Every binary of ours does it this way.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use super::Error;

/// Writes a ready file: where this process answers HTTP, e.g. `http://127.0.0.1:40123`.
pub fn write_ready_file(path: &Path, url: &str) -> Result<(), Error> {
    write_atomically(path, format!("{url}\n").as_bytes())
}

/// The URL of a ready file, once it is there and whole.
#[must_use]
pub fn read_ready_file(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim()).filter(|url| !url.is_empty()).map(str::to_owned)
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
