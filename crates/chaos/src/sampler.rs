//! Looks at every service of a stack a few times a second while it is broken: the reasons it gives for not being well, and what it holds.
//! These are the probes that name the mechanism, and the numbers of I13.

use devstack::{Endpoints, Running};
use e2e::member::Member;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(250);
/// A stopped process answers nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Reason codes of `/readyz`, and what metrics tell, by how many looks saw them.
    pub probes: BTreeMap<String, u64>,
    pub resident: u64,
    pub files: u64,
    /// Records that each process held when it was looked at last.
    pub in_flight: BTreeMap<String, u64>,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sampler {
    /// Of the stack in this folder.
    #[must_use]
    pub fn start(data: PathBuf) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let into = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                if let Ok(endpoints) = Endpoints::read(&data) {
                    let looks = endpoints.services.iter().map(|(name, running)| look(name, running, &into));
                    futures::future::join_all(looks).await;
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { seen, task }
    }

    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Metrics that say of a mechanism that it worked, as probes.
const TELLING: [(&str, &str); 3] = [
    ("throughline_fenced_writes_total", "fenced write refused"),
    ("throughline_breaker_state", "breaker open"),
    ("throughline_ambiguous_effects", "effect of unknown outcome"),
];

async fn look(name: &str, running: &Running, into: &Mutex<Seen>) {
    let (resident, files) = of_process(running.pid);
    let mut codes = Vec::new();
    let mut held = None;
    if let Some(http) = &running.http {
        let member = Member::at(http);
        if let Ok(Ok(readiness)) = tokio::time::timeout(PATIENCE, member.readiness()).await {
            codes.extend(readiness.reasons.into_iter().map(|(code, _)| code));
        }
        if let Ok(Ok((_, text))) = tokio::time::timeout(PATIENCE, member.get("/metrics")).await {
            let telling = TELLING.iter().filter(|(metric, _)| value(&text, metric) > 0.0);
            codes.extend(telling.map(|(_, probe)| (*probe).to_owned()));
            held = Some(value(&text, "throughline_inflight_records") as u64);
        }
    }
    let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
    codes.into_iter().for_each(|code| *seen.probes.entry(code).or_default() += 1);
    seen.resident = seen.resident.max(resident);
    seen.files = seen.files.max(files);
    seen.in_flight.extend(held.map(|held| (name.to_owned(), held)));
}

/// Sum of a metric's samples.
fn value(text: &str, metric: &str) -> f64 {
    let samples = text.lines().filter(|line| line.split([' ', '{']).next() == Some(metric));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Resident bytes and open files; nothing of a process that has gone.
fn of_process(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0);
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64);
    (kilobytes * 1024, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_mixed_up_with_a_longer_name() {
        let text = "# HELP a x\na{b=\"1\"} 2\na{b=\"2\"} 3\na_total 7\n";
        assert!((value(text, "a") - 5.0).abs() < f64::EPSILON);
    }

    #[test]
    fn this_process_takes_memory_and_has_files_open() {
        let (resident, files) = of_process(std::process::id());
        assert!(resident > 1 << 20 && files > 2, "{resident} {files}");
    }
}
