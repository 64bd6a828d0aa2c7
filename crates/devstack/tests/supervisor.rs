//! A stack in the background: `up`, `kill -9` of the supervisor, `up` again, `down`. The supervisor is this test's own
//! binary, started again with the one ignored test below.

use std::{ffi::OsString, path::Path, time::Duration};

use devstack::{Endpoints, Kind, StackConfig, process::leftovers, supervisor};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Every child is told where its log is, and that of the supervisor lies in the stack's folder.
const LOG: &str = "DEVSTACK_LOG";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "not a test: the supervisor that the test below starts"]
async fn the_supervisor_itself() {
    let log = std::env::var_os(LOG).expect("started by the test below");
    let data = Path::new(&log).parent().expect("a folder");
    supervisor::run(StackConfig::new(Kind::Real, data), |_| {}).await.expect("runs until it is told to stop");
}

async fn up(data: &Path) -> Endpoints {
    let arguments = ["--exact", "the_supervisor_itself", "--ignored", "--nocapture"].map(OsString::from);
    let mut seen = String::new();
    let endpoints = supervisor::detach(data, &arguments, |line| seen = line.to_owned()).await.expect("up");
    assert!(seen.contains("kafka"), "{seen}");
    endpoints
}

fn supervisor_pid(data: &Path) -> i32 {
    let record = std::fs::read(data.join("stack.json")).expect("stack.json");
    let record: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
    i32::try_from(record["supervisor"]["pid"].as_i64().expect("a pid")).expect("a pid")
}

async fn until_gone(pid: i32) {
    let gone = async {
        while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn down_ends_exactly_what_up_started_also_after_the_supervisor_was_killed() {
    let folder = tempfile::tempdir().expect("temp dir");
    let data = folder.path().canonicalize().expect("a folder");
    let first = up(&data).await;
    let again = supervisor::detach(&data, &[], |_| {}).await.expect_err("it runs already");
    assert!(again.to_string().contains("throughline down"), "{again}");

    let killed = supervisor_pid(&data);
    kill(Pid::from_raw(killed), Signal::SIGKILL).expect("killed");
    until_gone(killed).await;
    assert!(leftovers(&data).iter().any(|one| one.pid == first.parts["kafka"].pid), "Kafka outlives its supervisor");

    let second = up(&data).await;
    assert_eq!((&second.kafka, &second.postgres), (&first.kafka, &first.postgres));
    assert_ne!(second.parts["kafka"].pid, first.parts["kafka"].pid);

    let killed = supervisor_pid(&data);
    kill(Pid::from_raw(killed), Signal::SIGKILL).expect("killed");
    until_gone(killed).await;
    let ended = supervisor::down(&data).await.expect("down");
    assert!(ended.was_orphaned && ended.processes.iter().any(|name| name == "kafka"), "{ended:?}");
    assert!(leftovers(&data).is_empty());

    up(&data).await;
    let ended = supervisor::down(&data).await.expect("down");
    assert!(!ended.was_orphaned && ended.processes.iter().any(|name| name == "postgres"), "{ended:?}");
    assert!(leftovers(&data).is_empty());
    assert!(Endpoints::read(&data).is_err());
}
