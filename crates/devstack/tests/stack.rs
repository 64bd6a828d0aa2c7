//! A stack as a whole: both kinds start, publish where they are, stop, and leave nothing behind.

use std::{path::Path, time::Duration};

use devstack::{Endpoints, Kind, Stack, StackConfig, process::leftovers, supervisor};
use events::topics::SUBJECTS;
use kafka::{Admin, ClientConfig};

const PATIENCE: Duration = Duration::from_secs(60);

async fn topics(endpoints: &Endpoints) -> usize {
    let embedded = endpoints.kind == Kind::Embedded;
    let admin = Admin::connect(&ClientConfig { embedded, ..ClientConfig::new(&endpoints.kafka) }).expect("a client");
    admin.list().await.expect("topics").len()
}

async fn get(url: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::get(url).await.expect("an answer");
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.text().await.expect("a body")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_stack_starts_twice_on_the_same_folder_and_keeps_the_old_state_aside() {
    let folder = tempfile::tempdir().expect("temp dir");
    for start in 0..2 {
        let stack = Stack::start(StackConfig::new(Kind::Embedded, folder.path())).await.expect("starts");
        let endpoints = Endpoints::read(folder.path()).expect("endpoints.json");
        assert_eq!(endpoints, stack.endpoints());
        assert!(topics(&endpoints).await >= SUBJECTS.len());
        assert!(get(&format!("{}/subjects", endpoints.registry)).await.contains(SUBJECTS[0].subject));
        for name in ["erp", "crm", "product", "identity", "stripe", "tax"] {
            let sandbox = endpoints.sandboxes.get(name).expect("a sandbox of this name");
            get(&format!("{sandbox}/__admin/state")).await;
        }
        for name in ["stripe", "tax"] {
            let credentials = folder.path().join(format!("sandbox/{name}/{name}-credentials.json"));
            assert!(credentials.is_file(), "{}", credentials.display());
        }
        let asides = std::fs::read_dir(folder.path()).expect("a folder").flatten();
        let asides = asides.filter(|entry| entry.file_name().to_string_lossy().starts_with("before-")).count();
        assert_eq!(asides, start);
        stack.stop().await.expect("stops");
        assert!(Endpoints::read(folder.path()).is_err(), "nothing runs, so nothing is published");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_stack_of_one_kind() {
    let folder = tempfile::tempdir().expect("temp dir");
    let first = Stack::start(StackConfig::new(Kind::Embedded, folder.path())).await.expect("starts");
    let second = Stack::start(StackConfig::new(Kind::Embedded, folder.path())).await.expect_err("taken");
    assert!(second.to_string().contains("throughline down"), "{second}");
    first.stop().await.expect("stops");
    let other = Stack::start(StackConfig::new(Kind::Real, folder.path())).await.expect_err("the other kind");
    assert!(other.to_string().contains("embedded"), "{other}");
    assert!(supervisor::down(Path::new("/nowhere")).await.is_err());
}

fn real(folder: &Path) -> StackConfig {
    StackConfig::new(Kind::Real, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_stack_brings_killed_parts_back_and_continues_after_a_stop() {
    let folder = tempfile::tempdir().expect("temp dir");
    let stack = Stack::start(real(folder.path())).await.expect("starts");
    let before = stack.endpoints();
    assert_eq!(topics(&before).await, topics(&before).await);
    assert!(before.parts.contains_key("kafka") && before.parts.contains_key("postgres"), "{before:?}");

    for name in ["registry", "postgres"] {
        stack.kill(name).await.expect("killed");
        until_back(folder.path(), name, before.parts[name].pid).await;
    }
    assert!(get(&format!("{}/subjects", before.registry)).await.contains(SUBJECTS[0].subject));
    stack.stop().await.expect("stops");
    let data = folder.path().canonicalize().expect("a folder");
    assert!(leftovers(&data).is_empty());

    let stack = Stack::start(real(folder.path())).await.expect("starts again");
    let after = stack.endpoints();
    assert_eq!((&after.kafka, &after.registry, &after.postgres), (&before.kafka, &before.registry, &before.postgres));
    stack.stop().await.expect("stops");
}

/// Waits until `endpoints.json` names another process.
async fn until_back(data: &Path, name: &str, old: u32) {
    let back = async {
        loop {
            let now = Endpoints::read(data).expect("endpoints.json");
            if now.parts.get(name).is_some_and(|part| part.pid != old) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.expect("it comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn down_ends_a_stack_whose_supervisor_died_without_a_word() {
    let folder = tempfile::tempdir().expect("temp dir");
    let data = folder.path().canonicalize().expect("a folder");
    // What a killed supervisor leaves: a process that nobody watches, and a record that may or may not name it.
    let spec = devstack::process::Spec::new("orphan", "/bin/sleep", data.join("orphan.log")).arg("600");
    let mut orphan = devstack::process::Process::start(&spec).expect("starts");
    orphan.leave_running();
    let record = serde_json::json!({
        "kind": "real", "is_ready": true, "processes": {},
        "supervisor": {"pid": orphan.pid(), "started": "long ago"}});
    std::fs::write(data.join("stack.json"), record.to_string()).expect("a record");
    // Right after the start of a program the system shows no environment of it yet, by which it is known.
    let is_seen = async {
        while leftovers(&data).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_seen).await.expect("the process is seen");
    // Somebody has to reap it, as init would.
    let reaped = tokio::spawn(async move { orphan.wait().await.expect("ends") });
    supervisor::down(&data).await.expect("down");
    tokio::time::timeout(PATIENCE, reaped).await.expect("in time").expect("reaped");
    assert!(leftovers(&data).is_empty());
    supervisor::down(&data).await.expect("down again is fine");
}
