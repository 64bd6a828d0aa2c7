//! Deliberate bugs of the runtime, as texts to find and replace.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::path::Path;

/// One deliberate bug.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    pub name: String,
    /// What a sceptic would fear, in one line.
    pub breaks: String,
    /// Below the root of the repository.
    pub file: String,
    pub find: String,
    pub replace: String,
}

#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

/// The list in the repository.
///
/// # Errors
/// If it is not TOML of this shape.
pub fn all() -> Result<Vec<Mutant>> {
    Ok(toml::from_str::<List>(include_str!("../mutants.toml")).context("crates/proof/mutants.toml")?.mutant)
}

impl Mutant {
    /// The text of the file with the bug in it.
    ///
    /// # Errors
    /// If the file cannot be read or does not hold the text exactly once: then the list is behind the code.
    pub fn applied(&self, root: &Path) -> Result<String> {
        let path = root.join(&self.file);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let times = text.matches(&self.find).count();
        ensure!(times == 1, "mutant `{}`: {} holds its text {times} times, not once", self.name, self.file);
        Ok(text.replace(&self.find, &self.replace))
    }
}
