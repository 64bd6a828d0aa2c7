//! The files that follow from the schemas, by path: written, or compared with what is there.

use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

#[derive(Default)]
pub struct Output {
    /// Path below the root → content.
    files: BTreeMap<String, Vec<u8>>,
}

impl Output {
    pub fn add(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }

    /// Runs rustfmt over the Rust files with the rules of the repository.
    pub fn format_rust(&mut self, root: &Path) -> Result<()> {
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        for (path, content) in &mut self.files {
            if path.ends_with(".rs") {
                *content = format(content, root).with_context(|| path.clone())?;
            }
        }
        Ok(())
    }

    /// Writes what differs; returns how many files that were.
    pub fn write(&self, root: &Path) -> Result<usize> {
        let stale = self.stale(root)?;
        for path in &stale {
            let target = root.join(path);
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&target, &self.files[path]).with_context(|| path.clone())?;
        }
        Ok(stale.len())
    }

    /// Paths whose content is not what it should be.
    pub fn stale(&self, root: &Path) -> Result<Vec<String>> {
        let mut stale = Vec::new();
        for (path, content) in &self.files {
            match fs::read(root.join(path)) {
                Ok(found) if found == *content => {}
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context(path.clone()),
                Ok(_) | Err(_) => stale.push(path.clone()),
            }
        }
        Ok(stale)
    }
}

fn format(source: &[u8], root: &Path) -> Result<Vec<u8>> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting rustfmt; `rustup component add rustfmt` installs it")?;
    child.stdin.take().context("rustfmt has no standard input")?.write_all(source)?;
    let done = child.wait_with_output()?;
    ensure!(done.status.success(), "rustfmt refused the generated code");
    Ok(done.stdout)
}
