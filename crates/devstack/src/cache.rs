//! Downloads that are kept: resolved once with Maven into a folder of the user's, used by every stack after that.
//!
//! A download is made beside its place and moved there whole, under a lock, so stacks that start at once share it.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::{
    error::{Error, Result},
    tools::Tool,
};

/// What to download: a pom, how Maven is to treat its dependencies, and a property of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Download {
    pub name: &'static str,
    pub pom: &'static str,
    pub goal: Goal,
    pub property: Option<(&'static str, &'static str)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Put the jars into the folder.
    Copy,
    /// Put what is in the jars into the folder.
    Unpack,
}

/// The cache folder: `THROUGHLINE_CACHE`, else `throughline` in the user's cache folder.
pub(crate) fn root() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("THROUGHLINE_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("throughline")))
        .or_else(|| Some(variable("HOME")?.join(".cache/throughline")))
        .ok_or(Error::NoCache)
}

impl Download {
    /// Where it is or will be. The name changes with the pom, so a new version is a new download.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        let mut hash = Sha256::new();
        hash.update(self.pom);
        hash.update(format!("{:?}{:?}", self.goal, self.property));
        let hash = hash.finalize();
        Ok(root()?.join(format!("{}-{:02x}{:02x}{:02x}{:02x}", self.name, hash[0], hash[1], hash[2], hash[3])))
    }

    /// Downloads it unless it is there; `finish` may change what came before it counts as there.
    pub(crate) async fn get(&self, finish: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.folder()?;
        if folder.is_dir() {
            return Ok(folder);
        }
        let root = root()?;
        std::fs::create_dir_all(&root).map_err(Error::file("make the folder", &root))?;
        let _lock = lock(root.join(".lock")).await?;
        if folder.is_dir() {
            return Ok(folder);
        }
        let beside = folder.with_extension("new");
        if beside.exists() {
            std::fs::remove_dir_all(&beside).map_err(Error::file("remove the folder", &beside))?;
        }
        std::fs::create_dir_all(&beside).map_err(Error::file("make the folder", &beside))?;
        tracing::info!(what = self.name, folder = %folder.display(), "downloading, once");
        self.resolve(&beside).await?;
        finish(&beside).await?;
        std::fs::rename(&beside, &folder).map_err(Error::file("move into place", &folder))?;
        Ok(folder)
    }

    async fn resolve(&self, into: &Path) -> Result<()> {
        let pom = into.join("pom.xml");
        std::fs::write(&pom, self.pom).map_err(Error::file("write", &pom))?;
        let goal = match self.goal {
            Goal::Copy => "dependency:copy-dependencies",
            Goal::Unpack => "dependency:unpack-dependencies",
        };
        let mut command = Command::new(Tool::Maven.find()?);
        command.args(["-q", "-B", "-f"]).arg(&pom).arg(goal);
        command.arg(format!("-DoutputDirectory={}", into.display()));
        if let Some((key, value)) = self.property {
            command.arg(format!("-D{key}={value}"));
        }
        run(&format!("downloading {} with mvn", self.name), &mut command).await
    }
}

/// Waits for the lock without holding up other tasks. Released when the file is dropped.
async fn lock(path: PathBuf) -> Result<File> {
    let take = move || {
        let file = File::create(&path).and_then(|file| file.lock().map(|()| file));
        file.map_err(Error::file("lock", &path))
    };
    tokio::task::spawn_blocking(take).await.expect("taking a file lock does not panic")
}

/// Runs a tool to its end; a failure carries what it printed.
pub(crate) async fn run(what: &str, command: &mut Command) -> Result<()> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|source| Error::File { action: "run", path: program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).join("\n");
    Err(Error::Tool { what: what.to_owned(), status: output.status, output: text.trim().to_owned() })
}
