//! What was published once stays as it was: `schemas/history.json` holds the fingerprint of every recorded version,
//! `schemas/golden/<event>/v*.avsc` its full text.

use crate::{
    compat::{Recorded, prove},
    output::Output,
    source::{Event, Library},
};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::Path};

const FILE: &str = "history.json";

/// Fingerprints of one version: of its file, and of the schema with the shared types inlined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    source_sha256: String,
    schema_sha256: String,
}

/// Event → version such as `1.0` → fingerprints.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(BTreeMap<String, BTreeMap<String, Entry>>);

/// Compares the schemas with the history, proves compatibility, and returns the history with the new versions in it.
pub fn review(library: &Library, schemas: &Path) -> Result<History> {
    let mut history: History = match fs::read_to_string(schemas.join(FILE)) {
        Ok(text) => serde_json::from_str(&text).context(FILE)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => History::default(),
        Err(error) => return Err(error).context(FILE),
    };
    for event in &library.events {
        let texts = recorded_texts(event, schemas)?;
        for (version, text) in event.versions.iter().zip(&texts) {
            let number = format!("{}.{}", event.major, version.minor);
            let entry = Entry { source_sha256: fingerprint(&version.source), schema_sha256: fingerprint(text) };
            let versions = history.0.entry(event.name.clone()).or_default();
            match versions.get(&number) {
                Some(recorded) if *recorded == entry => {}
                Some(recorded) => refuse_edit(event, &number, recorded.source_sha256 == entry.source_sha256)?,
                None => {
                    versions.insert(number, entry);
                }
            }
        }
        prove_event(event, &texts)?;
    }
    history.nothing_is_missing(library)?;
    Ok(history)
}

impl History {
    pub fn plan(&self, output: &mut Output) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        output.add(format!("schemas/{FILE}"), text);
        Ok(())
    }

    fn nothing_is_missing(&self, library: &Library) -> Result<()> {
        for (name, versions) in &self.0 {
            for number in versions.keys() {
                let known = library.events.iter().any(|event| {
                    event.name == *name
                        && event.versions.iter().any(|v| *number == format!("{}.{}", event.major, v.minor))
                });
                ensure!(
                    known,
                    "schemas/{name}/v{number}.avsc is recorded but gone; old records must decode for ever: restore it"
                );
            }
        }
        Ok(())
    }
}

fn refuse_edit(event: &Event, number: &str, only_shared_types: bool) -> Result<()> {
    let what = if only_shared_types { "a shared type that it uses" } else { "the file itself" };
    bail!(
        "schemas/{name}/v{number}.avsc is recorded and may not change, but {what} did; \
         put the change into v{major}.{next}.avsc",
        name = event.name,
        major = event.major,
        next = event.newest().minor + 1
    )
}

/// The inlined text of each version, oldest first: recorded for the older ones, made from the sources for the newest.
fn recorded_texts(event: &Event, schemas: &Path) -> Result<Vec<String>> {
    let text_of = |version: &crate::source::Version| match &version.inlined {
        Some(text) => Ok(text.clone()),
        None => {
            let path = schemas.join(golden_path(event, version.minor, "avsc"));
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok(text.trim_end().to_owned())
        }
    };
    event.versions.iter().map(text_of).collect()
}

fn prove_event(event: &Event, texts: &[String]) -> Result<()> {
    let labels: Vec<String> =
        event.versions.iter().map(|version| format!("{} v{}.{}", event.name, event.major, version.minor)).collect();
    let all: Vec<Recorded<'_>> =
        labels.iter().zip(texts).map(|(label, text)| Recorded { label: label.clone(), text }).collect();
    for (index, new) in all.iter().enumerate() {
        prove(event.kind, new, &all[..index])?;
    }
    Ok(())
}

/// Below `schemas/`.
pub fn golden_path(event: &Event, minor: u32, extension: &str) -> String {
    format!("golden/{}/v{}.{minor}.{extension}", event.name, event.major)
}

fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
