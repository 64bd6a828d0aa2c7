//! Walks one table of the file, takes each setting from its place (default < file < environment) and notes every problem,
//! instead of stopping at the first.

use super::{Config, Origin, Problem, Setting, value::Value};
use secrecy::SecretString;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// What reading found so far, shared by all sections.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) env: BTreeMap<String, String>,
    pub(super) env_used: BTreeSet<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) settings: Vec<Setting>,
    /// Paths whose value could not be read: rules about them are not judged.
    pub(super) unread: BTreeSet<String>,
}

impl Findings {
    fn problem(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.unread.insert(path.to_owned());
        self.problems.push(Problem { path: path.to_owned(), message: message.into(), hint: hint.into() });
    }
}

/// One table of the configuration.
#[derive(Debug)]
pub struct Section<'a> {
    findings: &'a mut Findings,
    /// With a dot at its end, unless it is the root.
    prefix: String,
    table: toml::Table,
    asked: BTreeSet<String>,
}

impl<'a> Section<'a> {
    pub(super) fn root(findings: &'a mut Findings, table: toml::Table) -> Self {
        Self { findings, prefix: String::new(), table, asked: BTreeSet::new() }
    }

    /// A setting that must be given.
    pub fn required<T: Value>(&mut self, key: &str, help: &'static str) -> T {
        self.optional(key, help).unwrap_or_else(|| {
            let path = self.path(key);
            if !self.findings.unread.contains(&path) {
                let hint = format!("{help}: set it in the file, or {} in the environment", env_name(&path));
                self.findings.problem(&path, format!("is missing, wanted {}", T::EXPECTED), hint);
            }
            T::placeholder()
        })
    }

    /// A setting with a default.
    pub fn or<T: Value>(&mut self, key: &str, default: T, help: &'static str) -> T {
        let known = self.findings.settings.len();
        if let Some(value) = self.optional(key, help) {
            return value;
        }
        self.findings.settings.truncate(known);
        self.show(key, default.show(), Origin::Default, help);
        default
    }

    /// A setting that may be absent.
    pub fn optional<T: Value>(&mut self, key: &str, help: &'static str) -> Option<T> {
        let path = self.path(key);
        let (read, raw, origin) = if let Some(text) = self.env(&path) {
            (T::from_text(&text), format!("{text:?}"), Origin::Env(env_name(&path)))
        } else if let Some(value) = self.take(key) {
            (T::from_toml(&value), value.to_string(), Origin::File)
        } else {
            self.show(key, String::new(), Origin::Default, help);
            return None;
        };
        match read {
            Ok(value) => {
                self.show(key, value.show(), origin, help);
                Some(value)
            }
            Err(reason) => {
                let place = if let Origin::Env(name) = &origin { format!(" (from {name})") } else { String::new() };
                self.findings.problem(&path, format!("= {raw}{place}: {reason}"), format!("{help}: {}", T::EXPECTED));
                None
            }
        }
    }

    /// A setting with a closed set of words.
    pub fn choice<T: Copy>(&mut self, key: &str, default: &str, words: &[(&str, T)], help: &'static str) -> T {
        let word = self.or(key, default.to_owned(), help);
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == word) {
            return *value;
        }
        let path = self.path(key);
        if !self.findings.unread.contains(&path) {
            let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
            self.findings.problem(
                &path,
                format!("= {word:?}: unknown word"),
                format!("use one of {}", names.join(", ")),
            );
        }
        words[0].1
    }

    /// A secret: from the file that `<key>_file` names, or from the environment; never written in the configuration itself.
    pub fn secret(&mut self, key: &str, help: &'static str) -> Option<SecretString> {
        let path = self.path(key);
        if self.take(key).is_some() {
            let hint = format!("put it in a file that only the service can read, and name that in `{key}_file`");
            self.findings.problem(&path, "a secret must not be in the configuration file", hint);
        }
        let (secret, origin) = if let Some(text) = self.env(&path) {
            (text, Origin::Env(env_name(&path)))
        } else {
            let file: std::path::PathBuf = self.optional(&format!("{key}_file"), help)?;
            (self.read_secret(&format!("{path}_file"), &file)?, Origin::File)
        };
        let secret = secret.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            self.findings.problem(&path, "the secret is empty", help);
            return None;
        }
        self.show(key, "***".to_owned(), origin, help);
        Some(SecretString::from(secret))
    }

    fn read_secret(&mut self, path: &str, file: &Path) -> Option<String> {
        match std::fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(error) => {
                let message = format!("= \"{}\": cannot be read: {error}", file.display());
                self.findings.problem(path, message, "check the path and the rights on it");
                None
            }
        }
    }

    /// A table with settings of its own. An absent one is read as empty, so that its defaults hold.
    pub fn section<C: Config>(&mut self, key: &str) -> C {
        let path = self.path(key);
        let table = match self.take(key) {
            None => toml::Table::new(),
            Some(toml::Value::Table(table)) => table,
            Some(other) => {
                let hint = format!("write it as a table: [{path}]");
                self.findings.problem(&path, format!("is a {}, wanted a table", other.type_str()), hint);
                toml::Table::new()
            }
        };
        let prefix = format!("{path}.");
        let mut section = Section { findings: self.findings, prefix, table, asked: BTreeSet::new() };
        let config = C::read(&mut section);
        section.finish();
        config
    }

    /// A table of free keys with values of one type.
    pub fn map<T: Value>(&mut self, key: &str, help: &'static str) -> BTreeMap<String, T> {
        let path = self.path(key);
        let table = match self.take(key) {
            None => return BTreeMap::new(),
            Some(toml::Value::Table(table)) => table,
            Some(other) => {
                let hint = format!("{help}: write it as a table: [{path}]");
                self.findings.problem(&path, format!("is a {}, wanted a table", other.type_str()), hint);
                return BTreeMap::new();
            }
        };
        let keys: Vec<String> = table.keys().cloned().collect();
        let prefix = format!("{path}.");
        let mut section = Section { findings: self.findings, prefix, table, asked: BTreeSet::new() };
        keys.into_iter().filter_map(|key| section.optional(&key, help).map(|value| (key, value))).collect()
    }

    /// A rule over settings of this section (paths relative to it). Not judged while one of them could not be read.
    pub fn rule(&mut self, keys: &[&str], holds: bool, message: &str, hint: &str) {
        let paths: Vec<_> = keys.iter().map(|key| self.path(key)).collect();
        if holds || paths.iter().any(|path| self.findings.unread.contains(path)) {
            return;
        }
        let path = paths.join(", ");
        self.findings.problems.push(Problem { path, message: message.to_owned(), hint: hint.to_owned() });
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let known = self.asked.iter().map(|known| (distance(known, key), known)).min();
            let hint = match known {
                Some((distance, known)) if distance <= 2.max(key.len() / 3) => format!("did you mean `{known}`?"),
                _ => format!("known here: {}", self.asked.iter().cloned().collect::<Vec<_>>().join(", ")),
            };
            let path = format!("{}{key}", self.prefix);
            self.findings.problems.push(Problem { path, message: "unknown key".to_owned(), hint });
        }
    }

    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn take(&mut self, key: &str) -> Option<toml::Value> {
        self.asked.insert(key.to_owned());
        self.table.remove(key)
    }

    /// A value from the environment hides the one in the file, which still counts as known.
    fn env(&mut self, path: &str) -> Option<String> {
        let name = env_name(path);
        let text = self.findings.env.get(&name)?.clone();
        self.findings.env_used.insert(name);
        let key = path[self.prefix.len()..].to_owned();
        self.take(&key);
        Some(text)
    }

    fn show(&mut self, key: &str, value: String, origin: Origin, help: &'static str) {
        let path = self.path(key);
        self.findings.settings.push(Setting { path, value, origin, help });
    }
}

/// `kafka.brokers` is `THROUGHLINE_KAFKA_BROKERS` in the environment.
#[must_use]
pub fn env_name(path: &str) -> String {
    let upper = path.to_ascii_uppercase().replace(['.', '-'], "_");
    format!("THROUGHLINE_{upper}")
}

/// Edits from one word to the other (Levenshtein), for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[row.len() - 1]
}
