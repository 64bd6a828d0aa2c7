//! What a caller may ask of the registry, without HTTP: rules first, then the log, then memory.

use std::{collections::HashSet, path::Path, sync::Arc};

use serde_json::Value;

use super::{
    Error, Level, Mode,
    compat::{self, Older},
    log::{Change, Log},
    state::{Reference, State, Stored, Version, identity},
    text,
};

/// The registry's rules over its state. With a log every change is on disk before it is seen.
#[derive(Debug)]
pub struct Catalog {
    state: State,
    log: Option<Log>,
}

/// A schema as a caller sent it, parsed.
pub struct Candidate {
    pub text: String,
    pub references: Vec<Reference>,
    parsed: apache_avro::Schema,
}

/// Which version a caller means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Latest,
    Number(u32),
}

impl Wanted {
    /// Reads a version number, `latest` or `-1`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text == "latest" || text == "-1" {
            return Ok(Self::Latest);
        }
        let number = text.parse().ok().filter(|number| (1..=i32::MAX as u32).contains(number));
        number.map(Self::Number).ok_or_else(|| Error::InvalidVersion(text.to_owned()))
    }
}

impl Catalog {
    /// In memory without a folder.
    pub fn open(folder: Option<&Path>) -> Result<Self, Error> {
        let mut state = State::default();
        let Some(folder) = folder else { return Ok(Self { state, log: None }) };
        let (log, changes) = Log::open(folder)?;
        changes.into_iter().for_each(|change| state.apply(change));
        Ok(Self { state, log: Some(log) })
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    fn record(&mut self, change: Change) -> Result<(), Error> {
        if let Some(log) = &mut self.log {
            log.append(&change)?;
        }
        self.state.apply(change);
        Ok(())
    }

    /// Parses a schema with its references.
    pub fn candidate(&self, schema: &str, references: Vec<Reference>) -> Result<Candidate, Error> {
        let value: Value = serde_json::from_str(schema).map_err(|error| Error::InvalidSchema(error.to_string()))?;
        let parsed = self.parse(&value, &references)?;
        Ok(Candidate { text: text::canonical(&value), references, parsed })
    }

    fn parse(&self, value: &Value, references: &[Reference]) -> Result<apache_avro::Schema, Error> {
        let definitions = self.state.definitions(references)?;
        let whole = text::inline(value, "", &definitions, &mut HashSet::new());
        apache_avro::Schema::parse(&whole).map_err(|error| Error::InvalidSchema(error.to_string()))
    }

    fn parse_stored(&self, stored: &Stored) -> Result<apache_avro::Schema, Error> {
        let value = serde_json::from_str(&stored.text).map_err(|error| Error::InvalidSchema(error.to_string()))?;
        self.parse(&value, &stored.references)
    }

    /// Registers a schema under a subject; the same schema again is the same version. `id` is for mode IMPORT.
    pub fn register(
        &mut self,
        subject: &str,
        candidate: Candidate,
        wanted: (Option<u32>, Option<u32>),
    ) -> Result<(u32, Version), Error> {
        check_subject(subject)?;
        if let Some((number, version)) = self.look_up(subject, &candidate, false) {
            return Ok((number, version.clone()));
        }
        let mode = self.state.mode(Some(subject));
        if mode.is_read_only() {
            return Err(Error::NotPermitted(format!("Subject {subject} is in read-only mode")));
        }
        let (id, version) = self.number(subject, &candidate, wanted, mode)?;
        if mode != Mode::Import {
            let details = self.problems(subject, &candidate)?;
            if !details.is_empty() {
                return Err(Error::Incompatible { subject: subject.to_owned(), details });
            }
        }
        let Candidate { text: schema, references, parsed: _ } = candidate;
        self.record(Change::Register { subject: subject.to_owned(), version, id, schema, references })?;
        let version_now = self.state.subjects[subject][&version].clone();
        Ok((version, version_now))
    }

    fn number(
        &self,
        subject: &str,
        candidate: &Candidate,
        wanted: (Option<u32>, Option<u32>),
        mode: Mode,
    ) -> Result<(u32, u32), Error> {
        let own = self.state.id_for(&identity(&candidate.text, &candidate.references));
        let next = self.state.versions(subject, true).next_back().map_or(1, |(last, _)| last + 1);
        let (id, version) = (wanted.0.unwrap_or(own), wanted.1.unwrap_or(next));
        if mode != Mode::Import && wanted.0.is_some() {
            return Err(Error::NotPermitted(format!("Subject {subject} is not in import mode")));
        }
        let is_taken =
            |stored: &Arc<Stored>| stored.text != candidate.text || stored.references != candidate.references;
        if mode == Mode::Import && self.state.schema(id).is_some_and(is_taken) {
            return Err(Error::NotPermitted(format!("Overwrite new schema with id {id} is not permitted.")));
        }
        if mode != Mode::Import && version != next || self.state.versions(subject, true).any(|(n, _)| n == version) {
            return Err(Error::InvalidVersion(version.to_string()));
        }
        Ok((id, version))
    }

    /// The version of a subject that holds exactly this schema.
    #[must_use]
    pub fn look_up(&self, subject: &str, candidate: &Candidate, deleted: bool) -> Option<(u32, &Version)> {
        let is_same =
            |one: &Version| one.schema.text == candidate.text && one.schema.references == candidate.references;
        self.state.versions(subject, deleted).rev().find(|(_, one)| is_same(one))
    }

    /// Against the versions that the subject's level names.
    pub fn problems(&self, subject: &str, candidate: &Candidate) -> Result<Vec<String>, Error> {
        let level = self.state.level(Some(subject));
        let how_many = if level.is_transitive() { usize::MAX } else { 1 };
        let mut found = Vec::new();
        for (number, version) in self.state.versions(subject, false).rev().take(how_many) {
            found.extend(self.compare(candidate, number, version, level)?);
        }
        Ok(found)
    }

    /// Against one version.
    pub fn problems_with(&self, subject: &str, wanted: Wanted, candidate: &Candidate) -> Result<Vec<String>, Error> {
        if wanted == Wanted::Latest && self.state.versions(subject, false).next().is_none() {
            return Ok(Vec::new());
        }
        let (number, version) = self.version(subject, wanted, false)?;
        self.compare(candidate, number, version, self.state.level(Some(subject)))
    }

    fn compare(&self, new: &Candidate, number: u32, old: &Version, level: Level) -> Result<Vec<String>, Error> {
        let schema = self.parse_stored(&old.schema)?;
        Ok(compat::problems(&new.parsed, &Older { version: number, text: &old.schema.text, schema: &schema }, level))
    }

    /// One version of a subject.
    pub fn version(&self, subject: &str, wanted: Wanted, deleted: bool) -> Result<(u32, &Version), Error> {
        if self.state.versions(subject, deleted).next().is_none() {
            return Err(Error::SubjectNotFound(subject.to_owned()));
        }
        let found = match wanted {
            Wanted::Latest => self.state.versions(subject, deleted).next_back(),
            Wanted::Number(number) => self.state.versions(subject, deleted).find(|(one, _)| *one == number),
        };
        let number = if let Wanted::Number(number) = wanted { i64::from(number) } else { -1 };
        found.ok_or(Error::VersionNotFound(number))
    }

    /// Deletes a version, softly first, then for good.
    pub fn delete_version(&mut self, subject: &str, wanted: Wanted, permanent: bool) -> Result<u32, Error> {
        self.check_writable(subject)?;
        // The latest is the latest that is live; a number may name one that is already soft-deleted.
        let (version, found) = self.version(subject, wanted, wanted != Wanted::Latest)?;
        let subject = subject.to_owned();
        match (found.is_deleted, permanent) {
            (true, false) => return Err(Error::VersionSoftDeleted { subject, version }),
            (false, true) => return Err(Error::VersionNotSoftDeleted { subject, version }),
            (false, false) | (true, true) => {}
        }
        self.check_unreferenced(&subject, version)?;
        self.record(Change::DeleteVersion { subject, version, permanent })?;
        Ok(version)
    }

    /// Deletes all versions of a subject; answers the numbers that went.
    pub fn delete_subject(&mut self, subject: &str, permanent: bool) -> Result<Vec<u32>, Error> {
        self.check_writable(subject)?;
        let live: Vec<u32> = self.state.versions(subject, false).map(|(number, _)| number).collect();
        let all: Vec<u32> = self.state.versions(subject, true).map(|(number, _)| number).collect();
        let subject = subject.to_owned();
        match (all.is_empty(), live.is_empty(), permanent) {
            (true, _, _) => return Err(Error::SubjectNotFound(subject)),
            (false, true, false) => return Err(Error::SubjectSoftDeleted(subject)),
            (false, false, true) => return Err(Error::SubjectNotSoftDeleted(subject)),
            (false, true, true) | (false, false, false) => {}
        }
        for version in &all {
            self.check_unreferenced(&subject, *version)?;
        }
        self.record(Change::DeleteSubject { subject, permanent })?;
        Ok(if permanent { all } else { live })
    }

    fn check_writable(&self, subject: &str) -> Result<(), Error> {
        if self.state.mode(Some(subject)).is_read_only() {
            return Err(Error::NotPermitted(format!("Subject {subject} is in read-only mode")));
        }
        Ok(())
    }

    fn check_unreferenced(&self, subject: &str, version: u32) -> Result<(), Error> {
        if self.state.referenced_by(subject, version).is_empty() {
            return Ok(());
        }
        Err(Error::ReferenceExists { subject: subject.to_owned(), version })
    }

    /// Sets or takes away a compatibility level.
    pub fn set_level(&mut self, subject: Option<&str>, level: Option<Level>) -> Result<(), Error> {
        subject.map_or(Ok(()), check_subject)?;
        self.record(Change::Compatibility { subject: subject.map(str::to_owned), level })
    }

    /// Sets or takes away a mode. IMPORT only where nothing is registered yet, unless forced.
    pub fn set_mode(&mut self, subject: Option<&str>, mode: Option<Mode>, force: bool) -> Result<(), Error> {
        subject.map_or(Ok(()), check_subject)?;
        let is_used = match subject {
            Some(subject) => self.state.versions(subject, false).next().is_some(),
            None => !self.state.subjects.is_empty(),
        };
        if mode == Some(Mode::Import) && is_used && !force {
            return Err(Error::NotPermitted("Cannot import since found existing subjects".to_owned()));
        }
        self.record(Change::Mode { subject: subject.map(str::to_owned), mode })
    }
}

fn check_subject(subject: &str) -> Result<(), Error> {
    if subject.is_empty() || subject.chars().any(char::is_control) {
        return Err(Error::InvalidSubject(subject.escape_debug().to_string()));
    }
    Ok(())
}
