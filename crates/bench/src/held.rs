//! What a service holds while it works, looked at again and again: memory, files, connections to its ledger, open transactions. Only
//! the highest of each is kept.

use anyhow::Result;
use e2e::activity::Activities;
use serde::Serialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(500);

/// The most of each that any look saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Held {
    /// How often was looked.
    pub looks: u64,
    /// The process in memory, bytes.
    pub resident_bytes: u64,
    /// Open files and sockets.
    pub files: u64,
    /// Connections of the service to its ledger.
    pub connections: u64,
    /// The longest that one of its transactions was open, milliseconds.
    pub transaction_ms: u64,
    /// Transactions that were open and did nothing at the time, at once.
    pub idle_in_transaction: u64,
}

impl Held {
    fn most(self, other: Self) -> Self {
        Self {
            looks: self.looks + other.looks,
            resident_bytes: self.resident_bytes.max(other.resident_bytes),
            files: self.files.max(other.files),
            connections: self.connections.max(other.connections),
            transaction_ms: self.transaction_ms.max(other.transaction_ms),
            idle_in_transaction: self.idle_in_transaction.max(other.idle_in_transaction),
        }
    }

    /// What is above the bounds that a service promises, in words.
    pub fn over(&self, limits: &Limits) -> Vec<String> {
        let megabytes = self.resident_bytes / 1_000_000;
        let bounds = [
            ("resident MB", megabytes, limits.resident_mb),
            ("open files", self.files, limits.files),
            ("connections", self.connections, limits.connections),
            ("milliseconds of a transaction", self.transaction_ms, limits.transaction_ms),
        ];
        let over = bounds.into_iter().filter(|(_, held, limit)| held > limit);
        over.map(|(what, held, limit)| format!("{held} {what}, at most {limit} are allowed")).collect()
    }
}

/// What a service may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub resident_mb: u64,
    pub files: u64,
    pub connections: u64,
    pub transaction_ms: u64,
}

/// Looks until it is dropped.
pub struct Watch {
    held: Arc<Mutex<Held>>,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Of the process `pid`, whose ledger is the schema of this name.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn start(pid: u32, postgres: &str, schema: &str) -> Result<Self> {
        let activities = Activities::connect(postgres).await?;
        let held = Arc::new(Mutex::new(Held::default()));
        let (into, application) = (held.clone(), format!("throughline {schema}"));
        let task = tokio::spawn(async move {
            loop {
                if let Some(now) = look(pid, &activities, &application).await {
                    let mut held = into.lock().unwrap_or_else(PoisonError::into_inner);
                    *held = held.most(now);
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Ok(Self { held, task })
    }

    pub fn held(&self) -> Held {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(pid: u32, activities: &Activities, application: &str) -> Option<Held> {
    let activity = activities.look().await.ok()?.remove(application).unwrap_or_default();
    Some(Held {
        looks: 1,
        resident_bytes: resident(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)?,
        files: std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64,
        connections: activity.connections,
        idle_in_transaction: activity.idle_in_transaction,
        transaction_ms: activity.transaction_ms,
    })
}

/// From `/proc/<pid>/status`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_of_each_is_kept_and_what_is_over_its_bound_is_named() {
        let held = Held { looks: 1, resident_bytes: 151_000_000, files: 10, ..Held::default() };
        let held = held.most(Held { looks: 1, files: 300, connections: 5, transaction_ms: 40, ..Held::default() });
        assert_eq!((held.looks, held.resident_bytes, held.files, held.connections), (2, 151_000_000, 300, 5));
        let limits = Limits { resident_mb: 150, files: 512, connections: 8, transaction_ms: 5_000 };
        let over = held.over(&limits);
        assert!(over.len() == 1 && over[0].contains("151 resident MB"), "{over:?}");
        assert!(held.over(&Limits { resident_mb: 151, ..limits }).is_empty());
    }

    #[test]
    fn resident_memory_is_read_from_the_status_file() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(resident("Name:\tx\n"), None);
    }
}
