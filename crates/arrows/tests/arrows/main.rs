//! Arrows between crates point down only, and pure code stays pure. Proved from the manifests, the lock file and the
//! sources, so that it holds on any machine; `deny.toml` says the same to cargo-deny.

mod layers;
mod sources;

use std::collections::BTreeSet;

use arrows::workspace::{Dependency, Member, locked, members, reached, root};
use layers::{Layer, layer, wrong_arrows};
use sources::{CLOCKS, OUTSIDE, naming};

/// Crates with few users, and who these are.
const OWNED: &[(&str, &[&str])] = &[
    ("rdkafka", &["kafka"]),
    ("rdkafka-sys", &["rdkafka"]),
    ("tokio-postgres", &["ledger", "e2e", "tokio-postgres-rustls"]),
    ("tokio-postgres-rustls", &["ledger"]),
    ("rusqlite", &["ledger"]),
];
/// What pure crates must not bring along, however deep.
const IMPURE: &[&str] = &["tokio", "rdkafka", "rdkafka-sys", "mio", "reqwest", "axum", "rusqlite", "tokio-postgres"];
/// Code that decides and must not know the time but by its arguments, nor reach the outside.
const PURE_CODE: &[&str] = &[
    "crates/failure/src",
    "crates/events/src",
    "crates/consumer/src/handler.rs",
    "crates/consumer/src/machine",
    "crates/erp-sync/src/handler.rs",
    "crates/erp-sync/src/plan",
];
/// The one crate that may hold unsafe code: two calls that rdkafka does not wrap.
const UNSAFE: &[&str] = &["kafka"];

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn every_crate_uses_only_what_lies_below_it() {
    none(&wrong_arrows(&members()));
}

#[test]
fn librdkafka_and_sql_have_one_owner_each() {
    let (graph, members) = (locked(), members());
    // Our own tests may look with whatever they like: what counts is what is built.
    let builds = |name: &str, owned: &str| {
        members.iter().find(|member| member.name == name).is_none_or(|member| member.uses().any(|used| used == owned))
    };
    for (owned, users) in OWNED {
        let names = graph.iter().filter(|(_, uses)| uses.contains(*owned)).map(|(name, _)| name.as_str());
        let found: BTreeSet<&str> = names.filter(|name| builds(name, owned)).collect();
        let allowed: BTreeSet<&str> = users.iter().copied().collect();
        assert!(graph.contains_key(*owned), "{owned} is not in Cargo.lock: mend the rule");
        assert!(found.is_subset(&allowed), "{owned} is for {allowed:?} only, but {found:?} use it");
    }
}

#[test]
fn pure_crates_bring_no_runtime_no_broker_and_no_database_along() {
    let graph = locked();
    let mut wrong = Vec::new();
    for member in members().iter().filter(|member| layer(&member.name) == Some(Layer::Pure)) {
        // A member of the workspace is entered with what it is built from, not with what its tests use.
        let others: Vec<&str> = member.uses().filter(|used| layer(used).is_none()).collect();
        let all = reached(&graph, &others);
        wrong.extend(IMPURE.iter().filter(|bad| all.contains(**bad)).map(|bad| format!("{}: {bad}", member.name)));
    }
    none(&wrong);
}

#[test]
fn pure_code_asks_no_clock_and_reaches_no_outside() {
    for place in PURE_CODE {
        let path = root().join(place);
        assert!(path.exists(), "{place} is not there: mend the rule");
        none(&naming(&path, CLOCKS));
        none(&naming(&path, OUTSIDE));
    }
}

#[test]
fn every_crate_keeps_the_lints_of_the_workspace() {
    for member in members().iter().filter(|member| !UNSAFE.contains(&member.name.as_str())) {
        let text = std::fs::read_to_string(&member.manifest_path).expect("a readable manifest");
        let manifest: toml::Table = toml::from_str(&text).expect("a manifest");
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(inherits, Some(true), "{} must say `[lints] workspace = true`", member.name);
        assert!(member.folder().starts_with(root().canonicalize().expect("the workspace")), "{}", member.name);
    }
}

#[test]
fn a_service_that_uses_another_or_a_test_helper_is_reported() {
    let dependency = |name: &str, kind: Option<&str>| Dependency { name: name.into(), kind: kind.map(str::to_owned) };
    let service = |dependencies| {
        vec![Member { name: "erp-sync".into(), manifest_path: "erp-sync/Cargo.toml".into(), dependencies }]
    };
    assert_eq!(
        wrong_arrows(&service(vec![dependency("testkit", None)])),
        ["erp-sync (Service) uses testkit (Development)"]
    );
    assert_eq!(wrong_arrows(&service(vec![dependency("erp-sync", Some("dev"))])).len(), 1);
    assert!(wrong_arrows(&service(vec![dependency("testkit", Some("dev")), dependency("consumer", None)])).is_empty());
    let stranger = [Member { name: "stranger".into(), manifest_path: "x/Cargo.toml".into(), dependencies: Vec::new() }];
    assert_eq!(wrong_arrows(&stranger).len(), 1);
}

#[test]
fn a_clock_in_pure_code_is_reported_but_not_in_its_tests_or_comments() {
    let folder = std::env::temp_dir().join(format!("arrows-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let code = "// Instant::now is for others\nlet a = Instant::now();\n#[cfg(test)]\nlet b = Instant::now();\n";
    std::fs::write(folder.join("a.rs"), code).expect("written");
    let found = naming(&folder, CLOCKS);
    std::fs::remove_dir_all(&folder).expect("removed");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("a.rs:2 names Instant::now"), "{found:?}");
}
