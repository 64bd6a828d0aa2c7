//! Where PostgreSQL's server programs are: named by the user, installed, or downloaded.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::{
    cache::{self, Download, Goal},
    error::{Error, Result},
    tools::{Tool, is_program, on_path},
};

const PLATFORM: &str = if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
    "darwin-arm64v8"
} else if cfg!(target_os = "macos") {
    "darwin-amd64"
} else if cfg!(target_arch = "aarch64") {
    "linux-arm64v8"
} else {
    "linux-amd64"
};
const BINARIES: Download = Download {
    name: "postgres",
    pom: include_str!("../../../../deploy/devstack/postgres/pom.xml"),
    goal: Goal::Unpack,
    property: Some(("platform", PLATFORM)),
};
/// The value of `THROUGHLINE_PG_BIN` that passes over installed servers.
const DOWNLOAD: &str = "download";

/// Is a server here already, installed or downloaded?
#[must_use]
pub fn is_installed() -> bool {
    !installed().is_empty() || BINARIES.folder().is_ok_and(|folder| folder.is_dir())
}

/// Gets the server programs from Maven if they are not here; returns their folder.
pub async fn download() -> Result<PathBuf> {
    let folder = BINARIES.get(unpack).await?;
    Ok(folder.join("bin"))
}

async fn unpack(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(Error::file("read the folder", folder))?;
    let archive =
        entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|ext| ext == "txz"));
    let archive = archive.ok_or_else(|| Error::Damaged {
        path: folder.display().to_string(),
        reason: "the download holds no .txz archive".to_owned(),
    })?;
    Tool::Xz.find()?;
    let mut command = Command::new(Tool::Tar.find()?);
    command.arg("-xJf").arg(&archive).arg("-C").arg(folder);
    cache::run("unpacking PostgreSQL", &mut command).await?;
    std::fs::remove_file(&archive).map_err(Error::file("remove", &archive))
}

/// The programs to use for a data folder: the first that fit the data, if there is data.
pub(super) async fn find(data: &Path) -> Result<PathBuf> {
    let wanted = std::fs::read_to_string(data.join("PG_VERSION")).ok().map(|version| version.trim().to_owned());
    let mut looked = Vec::new();
    for programs in installed() {
        let version = major(&programs).await;
        if wanted.is_none() || version == wanted {
            return Ok(programs);
        }
        looked.push(programs.display().to_string());
    }
    let programs = download().await?;
    match wanted {
        Some(wanted) if major(&programs).await.as_ref() != Some(&wanted) => {
            looked.push(programs.display().to_string());
            Err(Error::OtherPostgres { found: data.display().to_string(), wanted, looked: looked.join(", ") })
        }
        Some(_) | None => Ok(programs),
    }
}

/// Folders with a server's programs, best first.
fn installed() -> Vec<PathBuf> {
    match std::env::var_os("THROUGHLINE_PG_BIN") {
        Some(named) if named == DOWNLOAD => return Vec::new(),
        Some(named) if !named.is_empty() => return vec![PathBuf::from(named)],
        Some(_) | None => {}
    }
    // A link on the PATH leads to the real folder, where initdb is too.
    let of_path = on_path("postgres").and_then(|file| Some(file.canonicalize().ok()?.parent()?.to_owned()));
    let mut of_packages: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    of_packages.sort_by_key(|folder| std::cmp::Reverse(packaged_major(folder)));
    let mut found: Vec<PathBuf> = of_path.into_iter().chain(of_packages).filter(|folder| is_complete(folder)).collect();
    found.dedup();
    found
}

fn packaged_major(programs: &Path) -> u32 {
    let name = programs.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

fn is_complete(programs: &Path) -> bool {
    is_program(&programs.join("postgres")) && is_program(&programs.join("initdb"))
}

/// The major version, as PostgreSQL writes it into its data folders.
async fn major(programs: &Path) -> Option<String> {
    let output = Command::new(programs.join("postgres")).arg("--version").output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    Some(number.split(|c: char| !c.is_ascii_digit()).next()?.to_owned())
}
