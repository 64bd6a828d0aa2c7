//! The registry's memory on disk: one JSON line per change, on disk (fsync) before the change is answered.
//!
//! A last line that was cut off by a crash was never answered, so it is dropped at the next start. Damage anywhere
//! else is an error: the registry does not start with a hole in its history.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Error, Level, Mode, state::Reference};

/// One change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    Register {
        subject: String,
        version: u32,
        id: u32,
        schema: String,
        references: Vec<Reference>,
    },
    DeleteVersion {
        subject: String,
        version: u32,
        permanent: bool,
    },
    DeleteSubject {
        subject: String,
        permanent: bool,
    },
    /// `None` as the subject means the default for all; `None` as the level takes the setting away.
    Compatibility {
        subject: Option<String>,
        level: Option<Level>,
    },
    Mode {
        subject: Option<String>,
        mode: Option<Mode>,
    },
}

/// The open log. Dropping it releases the folder.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Log {
    /// Opens `folder/registry.ndjson` (made if absent) and gives back what it holds. The file stays locked.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Change>), Error> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("registry.ndjson");
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked(folder.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (changes, length) = parse(&bytes, &path)?;
        if length < bytes.len() as u64 {
            tracing::warn!(file = %path.display(), dropped_bytes = bytes.len() as u64 - length, "dropped a torn last line");
            file.set_len(length)?;
        }
        File::open(folder)?.sync_all()?;
        Ok((Self { file, path, length }, changes))
    }

    /// Puts a change on disk. After an error nothing of it is left in the file.
    pub fn append(&mut self, change: &Change) -> Result<(), Error> {
        let mut line = serde_json::to_vec(change).map_err(std::io::Error::other)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            tracing::error!(file = %self.path.display(), %error, "the registry could not write its log");
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::End(0))?;
            return Err(error.into());
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

/// The changes, and how many bytes of the file are good.
fn parse(bytes: &[u8], path: &Path) -> Result<(Vec<Change>, u64), Error> {
    let mut changes = Vec::new();
    let mut good = 0;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let is_last = good + line.len() == bytes.len();
        match serde_json::from_slice(line) {
            Ok(change) if line.ends_with(b"\n") => changes.push(change),
            Ok(_) => break,
            Err(_) if is_last => break,
            Err(error) => {
                let path = path.display().to_string();
                return Err(Error::DamagedLog { path, line: index + 1, reason: error.to_string() });
            }
        }
        good += line.len();
    }
    Ok((changes, good as u64))
}
