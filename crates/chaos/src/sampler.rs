//! Looks at every service of a stack a few times a second while it is broken: the reasons it gives for not being well, and what it holds.
//! These are the probes that name the mechanism, and the numbers of I7 and I13.

use consumer::machine::Settings;
use devstack::{Endpoints, Running};
use e2e::{activity::Activities, member::Member};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
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
    pub connections: u64,
    pub transaction_ms: u64,
    /// Records that each process held when it was looked at last.
    pub in_flight: BTreeMap<String, u64>,
    /// How often what a process held was compared with what it may hold.
    pub looks: u64,
    /// The most that one held, and what that one might have held.
    pub held: u64,
    pub held_limit: u64,
    /// The first that held more, in words.
    pub over: Option<String>,
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

/// Bounds of the machine of one slice, by the settings of the case; as the runtime has them.
fn settings(batch_records: Option<usize>) -> Settings {
    let usual = Settings::default();
    let batch = batch_records.unwrap_or(usual.batch_records);
    Settings { batch_records: batch, inbox_records: batch * 2, waiting_records: batch * 2, ..usual }
}

/// Records that the machine of a slice holds at most: its own bound, and of each topic what was delivered when its inbox was nearly full and
/// what was on its way when that was said.
const fn limit(settings: &Settings, topics: usize) -> usize {
    settings.in_flight(topics) + 2 * topics * settings.batch_records
}

/// Input topics of a process, that of its replays with them. Its metrics name each only once something of it was read.
fn topics(name: &str) -> usize {
    let replica = name.rsplit_once('-').filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    verify::inputs_of(replica.map_or(name, |(service, _)| service)).len() + 1
}

impl Sampler {
    /// Of the stack in this folder, whose services have so many records in an entry.
    #[must_use]
    pub fn start(data: PathBuf, batch_records: Option<usize>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let settings = settings(batch_records);
        let into = seen.clone();
        let task = tokio::spawn(async move {
            let mut activities = None;
            loop {
                if let Ok(endpoints) = Endpoints::read(&data) {
                    let looks = endpoints.services.iter().map(|(name, running)| look(name, running, &settings, &into));
                    futures::future::join_all(looks).await;
                    look_at_postgres(&endpoints, &mut activities, &into).await;
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
const TELLING: [(&str, &str); 5] = [
    ("throughline_fenced_writes_total", "fenced write refused"),
    ("throughline_breaker_state", "breaker open"),
    ("throughline_ambiguous_effects", "effect of unknown outcome"),
    ("throughline_parked_keys", "sequences set aside"),
    ("throughline_dlq_total", "dead letters made"),
];

async fn look(name: &str, running: &Running, settings: &Settings, into: &Mutex<Seen>) {
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
            let count = |metric| value(&text, metric) as u64;
            let limit = count("throughline_slices_owned") * limit(settings, topics(name)) as u64;
            // What was read of a slice is not gone from the count in the moment in which it is given away.
            held = (limit > 0).then(|| (count("throughline_inflight_records"), limit));
        }
    }
    let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
    codes.into_iter().for_each(|code| *seen.probes.entry(code).or_default() += 1);
    seen.resident = seen.resident.max(resident);
    seen.files = seen.files.max(files);
    if let Some((held, limit)) = held {
        seen.compare(name, held, limit);
    }
}

impl Seen {
    fn compare(&mut self, name: &str, held: u64, limit: u64) {
        self.in_flight.insert(name.to_owned(), held);
        self.looks += 1;
        if held >= self.held {
            (self.held, self.held_limit) = (held, limit);
        }
        if held > limit && self.over.is_none() {
            self.over = Some(format!("{name} held {held} records undecided, its settings allow {limit}"));
        }
    }
}

/// The server may be away, or not take anybody: then nothing is seen of it.
async fn look_at_postgres(endpoints: &Endpoints, activities: &mut Option<Activities>, into: &Mutex<Seen>) {
    let Some(url) = &endpoints.postgres else { return };
    if activities.is_none() {
        *activities = tokio::time::timeout(PATIENCE, Activities::connect(url)).await.ok().and_then(Result::ok);
    }
    let Some(connected) = activities else { return };
    let Ok(Ok(found)) = tokio::time::timeout(PATIENCE, connected.look()).await else {
        *activities = None;
        return;
    };
    let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
    for (application, activity) in found {
        let service = application.trim_start_matches("throughline ").replace('_', "-");
        let replicas = endpoints.services.keys().filter(|name| is_replica(name, &service)).count().max(1) as u64;
        seen.connections = seen.connections.max(activity.connections.div_ceil(replicas));
        seen.transaction_ms = seen.transaction_ms.max(activity.transaction_ms);
    }
}

fn is_replica(name: &str, service: &str) -> bool {
    let number = name.strip_prefix(service).map(|rest| rest.trim_start_matches('-'));
    number.is_some_and(|number| number.is_empty() || number.parse::<u16>().is_ok())
}

/// Sum of a metric's samples.
fn value(text: &str, metric: &str) -> f64 {
    let samples = text.lines().filter(|line| line.split([' ', '{']).next() == Some(metric));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Resident bytes and open files; nothing of a process that has gone.
fn of_process(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
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
    fn each_replica_reads_what_its_service_reads_and_the_replays() {
        assert_eq!(topics("crm-sync-2"), topics("crm-sync"));
        assert_eq!(topics("erp-sync"), verify::inputs_of("erp-sync").len() + 1);
    }

    #[test]
    fn this_process_takes_memory_and_has_files_open() {
        let (resident, files) = of_process(std::process::id());
        assert!(resident > 1 << 20 && files > 2, "{resident} {files}");
    }

    #[test]
    fn who_holds_more_than_its_settings_allow_is_named_once() {
        let mut seen = Seen::default();
        for held in [3, 11, 12] {
            seen.compare("erp-sync", held, 10);
        }
        assert_eq!((seen.looks, seen.held, seen.held_limit), (3, 12, 10));
        assert!(seen.over.is_some_and(|over| over.contains("held 11")));
    }

    #[test]
    fn replicas_are_told_from_other_services() {
        assert!(is_replica("erp-sync", "erp-sync") && is_replica("erp-sync-2", "erp-sync"));
        assert!(!is_replica("erp", "erp-sync") && !is_replica("erp-sync-extra", "erp-sync"));
    }
}
