//! Somebody else's publisher: a program in Python, with its own client, in an environment of its own.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};
use testkit::scratch::workspace;
use tokio::process::Command;

/// The publisher and the interpreter that has its requirements.
#[derive(Debug)]
pub struct Publisher {
    python: PathBuf,
    program: PathBuf,
}

impl Publisher {
    /// Makes the environment, or finds the one that was made from the same requirements.
    pub async fn ready() -> Result<Self> {
        let foreign = workspace().join("tests/foreign");
        let requirements = foreign.join("requirements.txt");
        let mut hash = DefaultHasher::new();
        std::fs::read(&requirements)?.hash(&mut hash);
        let folder = cache()?.join(format!("venv-{:016x}", hash.finish()));
        // Written last: without it the folder is what an interrupted installation left.
        let complete = folder.join("complete");
        if !complete.is_file() {
            let path = |path: &Path| path.display().to_string();
            output(Command::new("python3").args(["-m", "venv", "--clear", &path(&folder)])).await?;
            let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
            output(Command::new(folder.join("bin/python")).args(install).arg(&requirements)).await?;
            std::fs::write(&complete, "")?;
        }
        Ok(Self { python: folder.join("bin/python"), program: foreign.join("publish.py") })
    }

    /// Does with a topic what an administrator can do from outside: see `tests/foreign/topics.py`.
    pub async fn administer(&self, brokers: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.python);
        output(command.arg(self.program.with_file_name("topics.py")).args(["--brokers", brokers]).args(arguments)).await
    }

    /// Publishes `count` events; the same call gives the same events. Its report.
    pub async fn publish(&self, brokers: &str, registry: &str, count: u32) -> Result<Value> {
        let mut command = Command::new(&self.python);
        command.arg(&self.program).args(["--brokers", brokers, "--registry", registry, "--count", &count.to_string()]);
        Ok(serde_json::from_str(&output(&mut command).await?)?)
    }
}

fn cache() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("THROUGHLINE_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("throughline")))
        .or_else(|| Some(variable("HOME")?.join(".cache/throughline")))
        .context("set HOME or THROUGHLINE_CACHE: the Python environment is kept there")
}

/// What a program prints. Its complaints go into the error.
pub async fn output(command: &mut Command) -> Result<String> {
    let name = command.as_std().get_program().display().to_string();
    let ended = command.kill_on_drop(true).output().await.with_context(|| format!("{name} does not start"))?;
    let complaints = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{name} ended with {}: {complaints}", ended.status);
    Ok(String::from_utf8(ended.stdout)?)
}
