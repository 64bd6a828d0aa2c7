//! Configuration: one typed struct a service, from defaults < file (TOML) < environment (`THROUGHLINE_…`).
//! Every problem is reported at once, with its path and a hint; unknown keys are problems.

mod section;
mod units;
mod value;

pub use section::{Section, env_name};
pub use units::{Bytes, parse_bytes, parse_duration, show_duration};
pub use value::Value;

use section::Findings;
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// A struct that is read from a table. It asks for every key it knows and reports broken rules to the section; it must not
/// stop at a problem, because all are shown together.
pub trait Config: Sized {
    fn read(section: &mut Section<'_>) -> Self;
}

/// Nothing to read: for programs with the common settings only.
impl Config for () {
    fn read(_: &mut Section<'_>) -> Self {}
}

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    pub file: Option<PathBuf>,
    /// Only names that begin with `THROUGHLINE_`.
    pub env: BTreeMap<String, String>,
}

impl Source {
    /// The given file, and the environment of this process.
    #[must_use]
    pub fn with_env(file: Option<PathBuf>) -> Self {
        let env =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { file, env: env.filter(|(name, _)| name.starts_with("THROUGHLINE_")).collect() }
    }
}

/// A configuration that was read whole.
#[derive(Debug, Clone)]
pub struct Loaded<C> {
    pub config: C,
    /// Every setting in force, in the order it was read; secrets show as `***`.
    pub settings: Vec<Setting>,
    /// Names in the environment that look like settings and are none. Not errors: platforms add variables of their own.
    pub unused_env: Vec<String>,
}

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    pub path: String,
    /// Empty where an optional setting is absent.
    pub value: String,
    pub origin: Origin,
    pub help: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Default,
    File,
    /// The variable's name.
    Env(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("file"),
            Self::Env(name) => write!(f, "env {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// `kafka.poll_timeout`; several, with commas, for a rule between settings.
    pub path: String,
    pub message: String,
    pub hint: String,
}

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problems {
    pub file: Option<PathBuf>,
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: ", file.display())?,
            None => f.write_str("configuration: ")?,
        }
        let count = self.problems.len();
        write!(f, "{count} {}", if count == 1 { "problem" } else { "problems" })?;
        for Problem { path, message, hint } in &self.problems {
            let path = if path.is_empty() { "file" } else { path };
            let gap = if message.starts_with('=') { " " } else { ": " };
            write!(f, "\n  {path}{gap}{message}")?;
            if !hint.is_empty() {
                write!(f, "\n    hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Reads a configuration, or says all that is wrong with it.
pub fn load<C: Config>(source: &Source) -> Result<Loaded<C>, Problems> {
    let table = read_file(source)?;
    let mut findings = Findings { env: source.env.clone(), ..Findings::default() };
    let mut root = Section::root(&mut findings, table);
    let config = C::read(&mut root);
    root.finish();
    if findings.problems.is_empty() {
        let unused = findings.env.keys().filter(|name| !findings.env_used.contains(*name));
        let unused_env = unused.cloned().collect();
        Ok(Loaded { config, settings: findings.settings, unused_env })
    } else {
        Err(Problems { file: source.file.clone(), problems: findings.problems })
    }
}

fn read_file(source: &Source) -> Result<toml::Table, Problems> {
    let Some(file) = &source.file else { return Ok(toml::Table::new()) };
    let whole = |message: String, hint: &str| Problems {
        file: Some(file.clone()),
        problems: vec![Problem { path: String::new(), message, hint: hint.to_owned() }],
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| whole(format!("cannot be read: {error}"), "check the path and the rights on it"))?;
    text.parse()
        .map_err(|error: toml::de::Error| whole(error.to_string().trim_end().to_owned(), "mend the TOML syntax"))
}

#[cfg(test)]
mod tests;
