//! What runs in a data folder, kept on disk so that others can find it and stop it: `endpoints.json` for those who
//! use the stack, `stack.json` for those who must end it, also after the supervisor itself was killed.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::{
    endpoints::{self, Endpoints, Kind, Running},
    error::{Error, Result},
    parts::is_store,
    process::{Identity, leftovers, write_atomically},
    watch::{News, describe},
};

/// How long a process without its supervisor may take to end politely.
const GRACE: Duration = Duration::from_secs(35);

/// `stack.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub kind: Kind,
    /// The process that watches the others; `None` once it has ended properly.
    pub supervisor: Option<Identity>,
    pub is_ready: bool,
    pub processes: BTreeMap<String, Child>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Child {
    #[serde(flatten)]
    pub identity: Identity,
    /// PostgreSQL waits for its clients unless it is asked with another signal than the others.
    pub is_interrupted: bool,
}

impl Record {
    pub fn read(data: &Path) -> Result<Option<Self>> {
        let path = path_in(data);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::Damaged { path: path.display().to_string(), reason: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }

    fn write(&self, data: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("strings and numbers become JSON");
        Ok(write_atomically(&path_in(data), &text)?)
    }
}

fn path_in(data: &Path) -> PathBuf {
    data.join("stack.json")
}

/// The folder of a stack, held by one supervisor at a time.
#[derive(Debug)]
pub(crate) struct Book {
    pub data: PathBuf,
    pages: Mutex<Pages>,
    /// Released by the system when this process ends, however it ends.
    _lock: File,
}

#[derive(Debug)]
struct Pages {
    record: Record,
    running: BTreeMap<String, Running>,
    endpoints: Option<Endpoints>,
}

impl Book {
    /// Takes the folder (absolute), ends what an earlier supervisor left running there.
    pub async fn open(data: &Path, kind: Kind) -> Result<Self> {
        let path = data.join("stack.lock");
        let lock = File::create(&path).map_err(Error::file("make", &path))?;
        lock.try_lock().map_err(|_| Error::Running(data.display().to_string()))?;
        if let Some(old) = Record::read(data)? {
            if old.kind != kind {
                let found = if old.kind == Kind::Real { "real parts" } else { "embedded" };
                return Err(Error::OtherKind { data: data.display().to_string(), found });
            }
            end(&old, data).await?;
        }
        remove_endpoints(data)?;
        let supervisor = Identity::of(std::process::id()).map_err(Error::file("read", Path::new("/proc/self/stat")))?;
        let record = Record { kind, supervisor: Some(supervisor), is_ready: false, processes: BTreeMap::new() };
        record.write(data)?;
        let pages = Mutex::new(Pages { record, running: BTreeMap::new(), endpoints: None });
        Ok(Self { data: data.to_owned(), pages, _lock: lock })
    }

    fn change(&self, change: impl FnOnce(&mut Pages)) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut pages);
        let endpoints = pages.endpoints.as_ref().map_or(Ok(()), |endpoints| endpoints.write(&self.data));
        if let Err(error) = pages.record.write(&self.data).and(endpoints) {
            tracing::error!(data = %self.data.display(), error = describe(&error), "could not write down what runs");
        }
    }

    /// Notes the start or end of a process.
    pub fn note(&self, name: &str, is_service: bool, news: News) {
        self.change(|pages| {
            match news {
                News::Up { identity, http } => {
                    pages.running.insert(name.to_owned(), Running { pid: identity.pid, http });
                    let child = Child { identity, is_interrupted: name == "postgres" };
                    pages.record.processes.insert(name.to_owned(), child);
                }
                News::Down => {
                    pages.running.remove(name);
                    pages.record.processes.remove(name);
                }
            }
            let now = pages.running.get(name).cloned();
            let Some(endpoints) = &mut pages.endpoints else { return };
            let list = if is_service { &mut endpoints.services } else { &mut endpoints.parts };
            match now {
                Some(running) => list.insert(name.to_owned(), running),
                None => list.remove(name),
            };
        });
    }

    /// Everything is up: writes `endpoints.json` from now on.
    pub fn publish(&self, endpoints: Endpoints) {
        self.change(|pages| {
            pages.record.is_ready = true;
            pages.endpoints = Some(endpoints);
        });
    }

    /// The endpoints as they are now.
    pub fn endpoints(&self) -> Option<Endpoints> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).endpoints.clone()
    }

    /// What runs now: those named in `services`, and the others.
    pub fn running(&self, services: &[&str]) -> (BTreeMap<String, Running>, BTreeMap<String, Running>) {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.running.clone().into_iter().partition(|(name, _)| services.contains(&name.as_str()))
    }

    /// Everything has ended properly.
    pub fn close(self) -> Result<()> {
        let pages = self.pages.into_inner().unwrap_or_else(PoisonError::into_inner);
        forget(&self.data, pages.record)
    }
}

/// Says in the folder that nothing runs there any more.
pub(crate) fn forget(data: &Path, record: Record) -> Result<()> {
    remove_endpoints(data)?;
    Record { supervisor: None, is_ready: false, processes: BTreeMap::new(), ..record }.write(data)
}

fn remove_endpoints(data: &Path) -> Result<()> {
    let path = data.join(endpoints::FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", &path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Ends the processes of a record, and others of that folder that no record names. The names of those that ran.
pub(crate) async fn end(record: &Record, data: &Path) -> Result<Vec<String>> {
    let mut ended = Vec::new();
    // Those that use the stores go first, so that they can still finish.
    for stores in [false, true] {
        let these =
            record.processes.iter().filter(|(name, child)| is_store(name) == stores && child.identity.is_alive());
        let these: Vec<_> = these.collect();
        for (_, child) in &these {
            child.identity.signal(if child.is_interrupted { Signal::SIGINT } else { Signal::SIGTERM });
        }
        for (name, child) in these {
            stop(name, &child.identity).await?;
            ended.push(name.clone());
        }
    }
    for identity in leftovers(data) {
        identity.signal(Signal::SIGTERM);
        tracing::warn!(pid = identity.pid, "ending a process that no record names");
        stop("a leftover process", &identity).await?;
    }
    Ok(ended)
}

async fn stop(name: &str, identity: &Identity) -> Result<()> {
    if identity.until_gone(GRACE).await.is_ok() {
        return Ok(());
    }
    let stopped = identity.stop(Duration::from_secs(1)).await;
    stopped.map_err(|source| Error::NotStopped { name: name.to_owned(), source })
}
