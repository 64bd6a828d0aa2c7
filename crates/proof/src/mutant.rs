//! Deliberate bugs of the runtime, as texts to find and replace.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

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
    /// With `$ON`, which is true where the bug is switched on.
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

/// What `$ON` reads: in the ledger, because it is below everything that has mutants. The environment is read once.
const SWITCH: &str = r#"
/// Whether the deliberate bug of this number is switched on.
pub fn is_mutant(number: usize) -> bool {
    static ON: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let on = || std::env::var("THROUGHLINE_MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0);
    *ON.get_or_init(on) == number
}
"#;
/// Where the switch goes.
const LEDGER: &str = "crates/ledger/src/lib.rs";

/// The changed files of a tree that has every mutant in it, none of them switched on. Mutants count from 1.
///
/// # Errors
/// If a file cannot be read or does not hold a text exactly once: then the list is behind the code.
pub fn all_applied(mutants: &[Mutant], root: &Path) -> Result<BTreeMap<String, String>> {
    let read = |file: &str| std::fs::read_to_string(root.join(file)).with_context(|| file.to_owned());
    let mut texts = BTreeMap::from([(LEDGER.to_owned(), read(LEDGER)? + SWITCH)]);
    for (number, mutant) in (1..).zip(mutants) {
        if !texts.contains_key(&mutant.file) {
            texts.insert(mutant.file.clone(), read(&mutant.file)?);
        }
        let Some(text) = texts.get_mut(&mutant.file) else { continue };
        let times = text.matches(&mutant.find).count();
        ensure!(times == 1, "mutant `{}`: {} holds its text {times} times, not once", mutant.name, mutant.file);
        ensure!(mutant.replace.contains("$ON"), "mutant `{}` cannot be switched off", mutant.name);
        let path = if mutant.file.starts_with("crates/ledger/") { "crate" } else { "ledger" };
        let on = format!("{path}::is_mutant({number})");
        *text = text.replace(&mutant.find, &mutant.replace.replace("$ON", &on));
    }
    Ok(texts)
}
