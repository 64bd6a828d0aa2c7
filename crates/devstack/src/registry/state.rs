//! What the registry knows, rebuilt from its log. Pure: every change goes through [`State::apply`], live or replayed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Error, Level, Mode, log::Change, text};

/// A named type that lives under another subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    pub name: String,
    pub subject: String,
    pub version: i64,
}

/// A schema, shared by all subjects that registered it.
#[derive(Debug)]
pub struct Stored {
    pub id: u32,
    /// Derived from the text and the references, so every registry that holds this schema agrees on it.
    pub guid: Uuid,
    /// Canonical text.
    pub text: String,
    pub references: Vec<Reference>,
}

/// One version of a subject.
#[derive(Debug, Clone)]
pub struct Version {
    pub schema: Arc<Stored>,
    pub is_deleted: bool,
}

type Identity = [u8; 32];
pub type Versions = BTreeMap<u32, Version>;

#[derive(Debug, Default)]
pub struct State {
    pub subjects: BTreeMap<String, Versions>,
    by_id: BTreeMap<u32, Arc<Stored>>,
    by_identity: HashMap<Identity, u32>,
    last_id: u32,
    compatibility: HashMap<Option<String>, Level>,
    modes: HashMap<Option<String>, Mode>,
}

/// What makes two schemas the same: canonical text and references.
#[must_use]
pub fn identity(text: &str, references: &[Reference]) -> Identity {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    for reference in references {
        hash.update([0]);
        hash.update(format!("{}\0{}\0{}", reference.name, reference.subject, reference.version));
    }
    hash.finalize().into()
}

fn guid_of(identity: &Identity) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&identity[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl State {
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Register { subject, version, id, schema, references } => {
                let schema = self.keep(id, schema, references);
                self.subjects.entry(subject).or_default().insert(version, Version { schema, is_deleted: false });
            }
            Change::DeleteVersion { subject, version, permanent } => {
                self.delete(&subject, |one, _| one == version, permanent);
            }
            Change::DeleteSubject { subject, permanent } => {
                // Without `permanent` only what is live changes; with it all of the subject goes.
                self.delete(&subject, |_, _| true, permanent);
                self.compatibility.remove(&Some(subject.clone()));
                self.modes.remove(&Some(subject));
            }
            Change::Compatibility { subject, level } => set(&mut self.compatibility, subject, level),
            Change::Mode { subject, mode } => set(&mut self.modes, subject, mode),
        }
    }

    fn keep(&mut self, id: u32, text: String, references: Vec<Reference>) -> Arc<Stored> {
        self.last_id = self.last_id.max(id);
        let identity = identity(&text, &references);
        self.by_identity.entry(identity).or_insert(id);
        let stored = || Arc::new(Stored { id, guid: guid_of(&identity), text, references });
        Arc::clone(self.by_id.entry(id).or_insert_with(stored))
    }

    fn delete(&mut self, subject: &str, which: impl Fn(u32, &Version) -> bool, permanent: bool) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        if !permanent {
            versions.iter_mut().filter(|(number, one)| which(**number, one)).for_each(|(_, one)| one.is_deleted = true);
            return;
        }
        versions.retain(|number, one| !which(*number, one));
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        self.forget_unused();
    }

    /// A schema that no version uses any more is gone, as in Confluent's; its id is never given out again.
    fn forget_unused(&mut self) {
        let used: HashSet<u32> = self.subjects.values().flat_map(Versions::values).map(|one| one.schema.id).collect();
        self.by_id.retain(|id, _| used.contains(id));
        self.by_identity.retain(|_, id| used.contains(id));
    }

    /// The id a schema has or would get.
    #[must_use]
    pub fn id_for(&self, identity: &Identity) -> u32 {
        self.by_identity.get(identity).copied().unwrap_or(self.last_id + 1)
    }

    /// The highest id ever given out.
    #[must_use]
    pub fn last_id(&self) -> u32 {
        self.last_id
    }

    #[must_use]
    pub fn schema(&self, id: u32) -> Option<&Arc<Stored>> {
        self.by_id.get(&id)
    }

    #[must_use]
    pub fn by_guid(&self, guid: Uuid) -> Option<&Arc<Stored>> {
        self.by_id.values().find(|stored| stored.guid == guid)
    }

    /// Versions of a subject; with `deleted` also the soft-deleted ones. Empty if there are none.
    pub fn versions(&self, subject: &str, deleted: bool) -> impl DoubleEndedIterator<Item = (u32, &Version)> {
        let all = self.subjects.get(subject).into_iter().flatten();
        all.filter(move |(_, one)| deleted || !one.is_deleted).map(|(number, one)| (*number, one))
    }

    /// Every (subject, version) that uses a schema id.
    pub fn uses(&self, id: u32, deleted: bool) -> impl Iterator<Item = (&str, u32)> {
        self.subjects.iter().flat_map(move |(subject, versions)| {
            let used = versions.iter().filter(move |(_, one)| one.schema.id == id && (deleted || !one.is_deleted));
            used.map(move |(number, _)| (subject.as_str(), *number))
        })
    }

    /// Ids of the live schemas that refer to a version of a subject.
    #[must_use]
    pub fn referenced_by(&self, subject: &str, version: u32) -> Vec<u32> {
        let live = self.subjects.values().flat_map(Versions::values).filter(|one| !one.is_deleted);
        let names_it = |one: &&Version| {
            one.schema.references.iter().any(|to| to.subject == subject && to.version == i64::from(version))
        };
        let mut ids: Vec<u32> = live.filter(names_it).map(|one| one.schema.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    #[must_use]
    pub fn own_level(&self, subject: Option<&str>) -> Option<Level> {
        self.compatibility.get(&subject.map(str::to_owned)).copied()
    }

    /// The level that counts for a subject.
    #[must_use]
    pub fn level(&self, subject: Option<&str>) -> Level {
        self.own_level(subject).or_else(|| self.own_level(None)).unwrap_or(Level::Backward)
    }

    #[must_use]
    pub fn own_mode(&self, subject: Option<&str>) -> Option<Mode> {
        self.modes.get(&subject.map(str::to_owned)).copied()
    }

    /// The mode that counts for a subject.
    #[must_use]
    pub fn mode(&self, subject: Option<&str>) -> Mode {
        match self.own_mode(None) {
            Some(Mode::ReadOnlyOverride) => Mode::ReadOnlyOverride,
            global => self.own_mode(subject).or(global).unwrap_or(Mode::ReadWrite),
        }
    }

    /// The named types that `references` bring in, theirs included.
    pub fn definitions(&self, references: &[Reference]) -> Result<text::Definitions, Error> {
        let mut into = text::Definitions::new();
        let mut seen = HashSet::new();
        let mut left: Vec<Reference> = references.to_vec();
        while let Some(reference) = left.pop() {
            if !seen.insert((reference.subject.clone(), reference.version)) {
                continue;
            }
            let found = self.referenced(&reference)?;
            let schema = serde_json::from_str(&found.text)
                .map_err(|error| Error::InvalidSchema(format!("reference {}: {error}", reference.subject)))?;
            text::collect(&schema, "", &mut into);
            left.extend(found.references.iter().cloned());
        }
        Ok(into)
    }

    fn referenced(&self, reference: &Reference) -> Result<&Stored, Error> {
        let found = match reference.version {
            -1 => self.versions(&reference.subject, false).next_back(),
            number => self.versions(&reference.subject, true).find(|(one, _)| i64::from(*one) == number),
        };
        found.map(|(_, one)| one.schema.as_ref()).ok_or_else(|| {
            Error::InvalidSchema(format!(
                "reference {} points to version {} of subject '{}', which does not exist; register it first",
                reference.name, reference.version, reference.subject
            ))
        })
    }
}

fn set<T>(map: &mut HashMap<Option<String>, T>, subject: Option<String>, value: Option<T>) {
    match value {
        Some(value) => map.insert(subject, value),
        None => map.remove(&subject),
    };
}
