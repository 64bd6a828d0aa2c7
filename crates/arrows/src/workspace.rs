//! The workspace as Cargo sees it: what each crate declares, and what the lock file says external crates bring along.
//! Needs no network and resolves nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

/// One crate of ours.
#[derive(Debug, Clone, Deserialize)]
pub struct Member {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

/// What a manifest declares.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub kind: Option<String>,
}

impl Dependency {
    /// Whether only tests, examples and benchmarks use it.
    #[must_use]
    pub fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

impl Member {
    /// What is built into whoever uses this crate.
    pub fn uses(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter(|dependency| !dependency.is_dev()).map(|dependency| dependency.name.as_str())
    }

    /// Where its manifest lies.
    ///
    /// # Panics
    /// Never: a manifest lies in a folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.manifest_path.parent().expect("a manifest lies in a folder")
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Member>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The top of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every crate of the workspace, with what its manifest declares.
///
/// # Panics
/// If Cargo cannot read the workspace: then nothing here can be built either.
#[must_use]
pub fn members() -> Vec<Member> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(root());
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).expect("cargo's own format").packages
}

/// Crate → what it brings along, by name. For crates of ours that includes what only their tests use.
///
/// # Panics
/// If the lock file is not there or not Cargo's.
#[must_use]
pub fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).expect("the lock file is committed");
    let lock: Lock = toml::from_str(&text).expect("cargo's own format");
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock.package {
        // An entry is `name`, or `name version` where there are several.
        let names = package.dependencies.iter().filter_map(|entry| entry.split(' ').next()).map(str::to_owned);
        graph.entry(package.name).or_default().extend(names);
    }
    graph
}

/// Everything that `start` brings along, itself included.
#[must_use]
pub fn reached(graph: &BTreeMap<String, BTreeSet<String>>, start: &[&str]) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = start.to_vec();
    while let Some(name) = open.pop() {
        if reached.insert(name.to_owned()) {
            open.extend(graph.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}
