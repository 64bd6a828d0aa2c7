//! The log of committed changes on disk: one JSON line each, written before the answer goes out, replayed at start.
//!
//! A line is handed to the operating system per commit, so it survives the death of this process at any moment; it is synced
//! to the disk when the sandbox stops. A torn last line (a crash while writing) was never answered and is cut off.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error,
    books::{
        seed::{Period, Seed},
        store::Change,
    },
    suitetalk::jobs::Job,
};

/// One committed change of anything the ERP's stand-in must remember.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A write over the API, at virtual time `at` (milliseconds).
    Change { at: i64, change: Change },
    /// An asynchronous job with its results.
    Job(Job),
    /// Set-up data, the standard one first.
    Seed { at: i64, seed: Box<Seed> },
    /// An administrator opened, closed or locked a period.
    Period { at: i64, start: jiff::civil::Date, period: Period },
    /// An administrator put a customer on credit hold, or lifted it.
    Hold { external_id: Box<str>, on: bool },
    /// The virtual clock was set.
    Clock { offset_ms: i64 },
}

/// The open log. The lock on its file is held as long as this lives.
#[derive(Debug)]
pub struct Wal {
    file: File,
    path: PathBuf,
    length: u64,
    line: Vec<u8>,
}

impl Wal {
    /// Opens or creates the log in `directory` and hands every entry in it to `replay`, oldest first.
    ///
    /// # Errors
    /// The folder cannot be used, another sandbox uses it, or a line before the last is not readable.
    pub fn open<E: DeserializeOwned>(
        directory: &Path,
        replay: &mut dyn FnMut(E) -> Result<(), Error>,
    ) -> Result<Wal, Error> {
        let path = directory.join("changes.ndjson");
        let failed = |operation| {
            let path = path.clone();
            move |source| Error::File { operation, path, source }
        };
        std::fs::create_dir_all(directory).map_err(failed("create the folder of"))?;
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(path)),
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let length = read(&file, &path, replay)?;
        file.set_len(length).map_err(failed("cut the torn last line of"))?;
        Ok(Wal { file, path, length, line: Vec::new() })
    }

    /// Appends an entry; when this returns, the entry survives the death of the process.
    ///
    /// # Errors
    /// The file cannot be written; nothing of the entry stays in it.
    pub fn append(&mut self, entry: &impl Serialize) -> Result<(), Error> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, entry).map_err(|error| Error::Append(error.into()))?;
        self.line.push(b'\n');
        if let Err(error) = self.file.write_all(&self.line) {
            self.file.set_len(self.length).map_err(Error::Append)?;
            return Err(Error::Append(error));
        }
        self.length += self.line.len() as u64;
        Ok(())
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// The file cannot be cut.
    pub fn clear(&mut self) -> Result<(), Error> {
        let path = self.path.clone();
        self.file.set_len(0).map_err(|source| Error::File { operation: "clear", path, source })?;
        self.length = 0;
        Ok(())
    }

    /// Forces everything written so far to the disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> Result<(), Error> {
        let path = self.path.clone();
        self.file.sync_data().map_err(|source| Error::File { operation: "sync", path, source })
    }
}

/// Replays all complete lines; returns the length they have together.
fn read<E: DeserializeOwned>(
    mut file: &File,
    path: &Path,
    replay: &mut dyn FnMut(E) -> Result<(), Error>,
) -> Result<u64, Error> {
    let failed = |source| Error::File { operation: "read", path: path.to_owned(), source };
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut text, mut length, mut line) = (String::new(), 0_u64, 0_u64);
    loop {
        text.clear();
        let read = match reader.read_line(&mut text) {
            Ok(read) => read,
            // Torn inside a character: a last line without its end.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(length),
            Err(error) => return Err(failed(error)),
        };
        if read == 0 || !text.ends_with('\n') {
            return Ok(length);
        }
        line += 1;
        let corrupt = |problem: String| Error::Log { path: path.to_owned(), line, problem };
        let entry = serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?;
        replay(entry).map_err(|error| corrupt(error.to_string()))?;
        length += read as u64;
    }
}
