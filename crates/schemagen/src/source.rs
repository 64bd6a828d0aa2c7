//! Reads `schemas/`: the shared types, and every version of every event.

use crate::{
    model::{Definition, Enumeration, Record, text},
    text::inline,
};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Everything in `schemas/`.
pub struct Library {
    /// By full name.
    pub common: BTreeMap<String, Definition>,
    /// By name and major version.
    pub events: Vec<Event>,
}

/// One major version of an event: one topic.
pub struct Event {
    /// Such as `invoice.posted`.
    pub name: String,
    pub major: u32,
    /// All minors of the major, oldest first; at least one.
    pub versions: Vec<Version>,
    pub record: Record,
    pub full_name: String,
    pub doc: String,
    pub kind: Kind,
    pub family: Family,
    /// The team that publishes it.
    pub owner: String,
    /// The field that names the thing the event is about.
    pub subject_field: String,
    /// Whether it is about the work of the services and not about a customer: then it need name neither account nor entity.
    pub is_about_work: bool,
    /// Every shared type it uses, directly or not.
    pub uses: BTreeSet<String>,
    /// Of an analytics topic.
    pub guide: Option<Guide>,
}

/// What data teams are told of a topic besides its fields: `guide.json` beside its schemas.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guide {
    /// What it is for.
    pub purpose: String,
    /// What one record is.
    pub grain: String,
    /// What is worth knowing before adding things up.
    pub notes: Vec<String>,
    /// A record in its JSON form.
    pub example: Value,
    /// Three that it answers.
    pub questions: [Question; 3],
}

/// A question, and the query that answers it on a table with one row a record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub ask: String,
    pub sql: Vec<String>,
}

/// One minor version.
pub struct Version {
    pub minor: u32,
    /// The text of the file as it is.
    pub source: String,
    /// The schema with all shared types inlined, as it is registered; of the newest minor only, older ones are recorded.
    pub inlined: Option<String>,
}

/// Facts are appended for ever; a state topic is compacted. They promise different compatibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Fact,
    State,
}

impl Kind {
    pub const fn compatibility(self) -> &'static str {
        match self {
            Self::Fact => "BACKWARD_TRANSITIVE",
            Self::State => "FULL_TRANSITIVE",
        }
    }
}

/// Who publishes it for whom: each family has an enum of its own in the `events` crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// What happened to the business; the services read it.
    Commercial,
    /// What a service says of what it did outside.
    Reply,
    /// What data teams read.
    Analytics,
    /// What happens to deals, and what is asked of the contracts that came of them.
    Deal,
    /// What a process asks another service for.
    Request,
    /// Cases that people have to decide.
    Case,
    /// What happens to processes.
    Saga,
    /// What is coming up, and what customers are to be told of it.
    Notice,
}

impl Family {
    pub const ALL: [Self; 8] = [
        Self::Commercial,
        Self::Reply,
        Self::Analytics,
        Self::Deal,
        Self::Request,
        Self::Case,
        Self::Saga,
        Self::Notice,
    ];

    fn parse(json: &Value) -> Result<Self> {
        match json.get("family").and_then(Value::as_str) {
            None => Ok(Self::Commercial),
            Some("reply") => Ok(Self::Reply),
            Some("analytics") => Ok(Self::Analytics),
            Some("deal") => Ok(Self::Deal),
            Some("request") => Ok(Self::Request),
            Some("case") => Ok(Self::Case),
            Some("saga") => Ok(Self::Saga),
            Some("notice") => Ok(Self::Notice),
            Some(other) => {
                bail!("`family` is reply, analytics, deal, request, case, saga, notice or absent, not {other}")
            }
        }
    }

    /// The field that says when it holds for the business.
    pub const fn time_field(self) -> &'static str {
        match self {
            Self::Commercial | Self::Reply | Self::Deal | Self::Request | Self::Case | Self::Saga | Self::Notice => {
                "effective_at"
            }
            Self::Analytics => "occurred_at",
        }
    }
}

impl Event {
    /// The field that is the record key: states are compacted by the thing they describe.
    pub fn key_field(&self) -> &str {
        match (self.family, self.kind) {
            (Family::Analytics, Kind::State) => &self.subject_field,
            _ if !self.has("account_id") => &self.subject_field,
            _ => "account_id",
        }
    }

    pub fn has(&self, field: &str) -> bool {
        self.record.fields.iter().any(|known| known.name == field)
    }

    pub fn topic(&self) -> String {
        format!("{}.v{}", self.name, self.major)
    }

    pub fn newest(&self) -> &Version {
        self.versions.last().expect("an event has at least one version")
    }

    pub fn newest_text(&self) -> &str {
        self.newest().inlined.as_deref().expect("the newest version is inlined when it is read")
    }

    /// Name of its Rust module and of its page.
    pub fn module(&self) -> String {
        let base = self.name.replace('.', "_");
        if self.major == 1 { base } else { format!("{base}_v{}", self.major) }
    }
}

pub fn read(schemas: &Path) -> Result<Library> {
    let raw = read_common(&schemas.join("common"))?;
    let mut common = BTreeMap::new();
    for (name, json) in &raw {
        let definition = match json.get("type").and_then(Value::as_str) {
            Some("record") => Definition::Record(Record::parse(json)?),
            Some("enum") => Definition::Enumeration(Enumeration::parse(json).with_context(|| name.clone())?),
            _ => bail!("{name} is neither a record nor an enum"),
        };
        common.insert(name.clone(), definition);
    }
    let mut events = Vec::new();
    for folder in sorted(schemas)? {
        let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if folder.is_dir() && name.contains('.') {
            read_event(&folder, &name, &raw, &common, &mut events).with_context(|| format!("schemas/{name}"))?;
        }
    }
    Ok(Library { common, events })
}

fn read_common(folder: &Path) -> Result<BTreeMap<String, Value>> {
    let mut raw = BTreeMap::new();
    for path in sorted(folder)? {
        let json = parse(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        let name = format!("{}.{}", text(&json, "namespace")?, text(&json, "name")?);
        ensure!(name.starts_with("throughline.common."), "{}: the namespace is throughline.common", path.display());
        ensure!(raw.insert(name.clone(), json).is_none(), "{name} is defined twice");
    }
    Ok(raw)
}

fn read_event(
    folder: &Path,
    name: &str,
    raw: &BTreeMap<String, Value>,
    common: &BTreeMap<String, Definition>,
    events: &mut Vec<Event>,
) -> Result<()> {
    let mut guide = None;
    let mut majors: BTreeMap<u32, BTreeMap<u32, String>> = BTreeMap::new();
    for path in sorted(folder)? {
        if path.file_name().is_some_and(|file| file == "guide.json") {
            let read = serde_json::from_str(&fs::read_to_string(&path)?);
            guide = Some(read.with_context(|| path.display().to_string())?);
            continue;
        }
        let stem = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".avsc")).unwrap_or_default();
        let version = stem.strip_prefix('v').and_then(|v| v.split_once('.'));
        let numbers = version.and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
        let (major, minor) =
            numbers.with_context(|| format!("{}: a file is named v<major>.<minor>.avsc", path.display()))?;
        majors.entry(major).or_default().insert(minor, fs::read_to_string(&path)?);
    }
    for (major, minors) in majors {
        ensure!(
            minors.keys().copied().eq(0..minors.len() as u32),
            "the minors of v{major} must be 0, 1, 2, … without gaps"
        );
        let mut event = build(name, major, minors, raw).with_context(|| format!("v{major}"))?;
        if event.family == Family::Analytics {
            event.record.is_for_analysts(common)?;
            ensure!(guide.is_some(), "guide.json is missing: what data teams are told of the topic");
        }
        event.guide.clone_from(&guide);
        events.push(event);
    }
    Ok(())
}

fn build(name: &str, major: u32, minors: BTreeMap<u32, String>, common: &BTreeMap<String, Value>) -> Result<Event> {
    let mut versions: Vec<Version> =
        minors.into_iter().map(|(minor, source)| Version { minor, source, inlined: None }).collect();
    let newest = versions.last_mut().context("there is no version")?;
    let json = parse(&newest.source)?;
    let (inlined, uses) = inline(&json, common)?;
    newest.inlined = Some(inlined);
    let namespace = text(&json, "namespace")?;
    ensure!(namespace == format!("throughline.v{major}"), "the namespace is throughline.v{major}");
    let record = Record::parse(&json)?;
    let subject_field = text(&json, "subject_field")?;
    let family = Family::parse(&json)?;
    let is_about_work = is_about_work(&json, family)?;
    let of_a_customer = ["account_id", "legal_entity_id"].into_iter().filter(|_| !is_about_work);
    let required = ["entity_version", family.time_field(), "recorded_at", subject_field.as_str()];
    for required in required.into_iter().chain(of_a_customer) {
        ensure!(record.fields.iter().any(|field| field.name == required), "the field `{required}` is missing");
    }
    let kind = match text(&json, "kind")?.as_str() {
        "fact" => Kind::Fact,
        "state" => Kind::State,
        other => bail!("`kind` is fact or state, not {other}"),
    };
    Ok(Event {
        name: name.to_owned(),
        major,
        full_name: format!("{namespace}.{}", record.name),
        doc: record.doc.clone(),
        kind,
        family,
        owner: text(&json, "owner")?,
        subject_field,
        is_about_work,
        uses,
        versions,
        record,
        guide: None,
    })
}

fn is_about_work(json: &Value, family: Family) -> Result<bool> {
    match (json.get("about").and_then(Value::as_str), family) {
        (None, _) => Ok(false),
        (Some("work"), Family::Analytics) => Ok(true),
        (Some(other), _) => bail!("`about` is work or absent, and only of analytics topics, not {other}"),
    }
}

fn parse(source: &str) -> Result<Value> {
    Ok(serde_json::from_str(source)?)
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
