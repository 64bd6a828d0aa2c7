//! Another time of day for one process: the system's libfaketime, loaded before it, takes it from a file that may change at any time. The
//! monotonic clock stays right, as it does where somebody sets the clock of a machine.

use crate::outcome::End;
use anyhow::{Result, ensure};
use e2e::member::Member;
use std::path::{Path, PathBuf};

const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// Where systems have it: Debian by architecture, others in one place.
const PLACES: [&str; 4] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

/// Whoever was started with its environment has its time of day.
#[derive(Debug)]
pub struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Drop for Clock {
    fn drop(&mut self) {
        std::fs::remove_file(&self.file).ok();
    }
}

impl Clock {
    /// A clock that is right at first.
    ///
    /// # Errors
    /// Not run, if this machine lacks the library.
    pub fn install(name: &str) -> Result<Self, End> {
        let library = PLACES.iter().map(|place| Path::new(place).join(LIBRARY)).find(|path| path.is_file());
        let library =
            library.ok_or_else(|| End::NotRun("libfaketime is not installed (`make setup` does it)".to_owned()))?;
        let file = std::env::temp_dir().join(format!("throughline-{name}-{}.clock", std::process::id()));
        let clock = Self { file, library };
        clock.set(0)?;
        Ok(clock)
    }

    /// So many seconds ahead of the right time; behind it, if negative.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set(&self, ahead: i64) -> Result<(), End> {
        // Whoever reads it meanwhile must not find half of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{ahead:+}\n"))?;
        Ok(std::fs::rename(&new, &self.file)?)
    }

    /// For the process whose clock it is.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        let settings = [
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.file)),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How far ahead of ours a process's clock is, in seconds, as it says itself. The date on its answers would not do: it only ever goes forward.
///
/// # Errors
/// If it does not answer, or without its time.
pub async fn ahead(member: &Member) -> Result<i64> {
    let theirs = member.metric(telemetry::names::TIME.name, "").await?;
    ensure!(theirs > 0.0, "it does not say what time it is");
    Ok(theirs as i64 - jiff::Timestamp::now().as_second())
}
