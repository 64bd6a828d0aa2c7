//! The policies in force: changed files take effect without a restart, bad ones are refused and the old ones stay.

use crate::{
    load::{CASES, FILES, Policies},
    problem::Problems,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

type Stamp = Vec<Option<(SystemTime, u64)>>;

/// Holds one version at a time; a decision takes the version it began with to its end.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    current: RwLock<Arc<Policies>>,
    seen: Mutex<Stamp>,
}

/// What a look at the files brought.
#[derive(Debug)]
pub enum Refresh {
    Unchanged,
    /// The new version is in force.
    Swapped {
        from: String,
        to: String,
    },
    /// The files are bad; the version before stays in force. Told once per change of the files.
    Refused(Problems),
}

impl Store {
    /// Reads the folder.
    ///
    /// # Errors
    /// Everything that is wrong with its files.
    pub fn open(folder: &Path) -> Result<Self, Problems> {
        let seen = stamp(folder);
        let current = RwLock::new(Arc::new(Policies::load(folder)?));
        Ok(Self { folder: folder.to_owned(), current, seen: Mutex::new(seen) })
    }

    /// The version in force.
    #[must_use]
    pub fn current(&self) -> Arc<Policies> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks whether a file was changed, and takes the new version if all of it is good. Reads files: not for async code.
    pub fn refresh(&self) -> Refresh {
        let now = stamp(&self.folder);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Refresh::Unchanged;
            }
            *seen = now;
        }
        match Policies::load(&self.folder) {
            Err(problems) => Refresh::Refused(problems),
            Ok(policies) => {
                let policies = Arc::new(policies);
                let to = policies.version.clone();
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                let from = std::mem::replace(&mut *current, policies).version.clone();
                if from == to { Refresh::Unchanged } else { Refresh::Swapped { from, to } }
            }
        }
    }
}

/// Time and size of each file; `None` for one that is not there.
fn stamp(folder: &Path) -> Stamp {
    let files = FILES.iter().chain(std::iter::once(&CASES));
    files
        .map(|file| {
            let data = std::fs::metadata(folder.join(file)).ok()?;
            Some((data.modified().ok()?, data.len()))
        })
        .collect()
}
