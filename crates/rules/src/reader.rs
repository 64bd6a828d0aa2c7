//! Reading a policy file: everything is looked at before anything is refused.

use crate::{expression::Expression, problem::Problem};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

/// The version of the files' form that this program reads.
pub(crate) const VERSION: u64 = 1;

pub(crate) struct Reader<'a> {
    file: &'static str,
    problems: &'a mut Vec<Problem>,
}

/// A table of the file, from which keys are taken; what is left over is unknown.
pub(crate) struct Table {
    path: String,
    rest: Map<String, Value>,
}

impl Table {
    /// The place of a key in the file.
    pub(crate) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(file: &'static str, problems: &'a mut Vec<Problem>) -> Self {
        Self { file, problems }
    }

    pub(crate) fn problem(&mut self, path: impl Into<String>, message: impl Into<String>, hint: &str) {
        let (path, message) = (path.into(), message.into());
        self.problems.push(Problem { file: self.file.to_owned(), path, message, hint: hint.to_owned() });
    }

    /// The file as a table, its `version` checked.
    pub(crate) fn root(&mut self, text: &str) -> Option<Table> {
        let value = match serde_saphyr::from_str::<Value>(text) {
            Ok(value) => value,
            Err(error) => {
                self.problem("", error.to_string().replace('\n', " "), "the file must be YAML");
                return None;
            }
        };
        let mut root = self.table("", value)?;
        match root.rest.remove("version").map(|version| version.as_u64()) {
            Some(Some(VERSION)) => {}
            _ => self.problem("version", format!("must be {VERSION}"), "the form of the file that this program reads"),
        }
        Some(root)
    }

    pub(crate) fn table(&mut self, path: &str, value: Value) -> Option<Table> {
        let Value::Object(rest) = value else {
            self.problem(path, "must be a table of names", "such as `name: value` on lines of their own");
            return None;
        };
        Some(Table { path: path.to_owned(), rest })
    }

    pub(crate) fn text(&mut self, table: &mut Table, key: &str) -> String {
        let path = table.at(key);
        match table.rest.remove(key) {
            Some(value) => self.is_text(&path, value),
            None => {
                self.problem(path, "is missing", "a text");
                String::new()
            }
        }
    }

    /// The name of a rule, which no other of its file may have.
    pub(crate) fn unique<'n>(
        &mut self,
        table: &mut Table,
        key: &str,
        mut others: impl Iterator<Item = &'n str>,
    ) -> String {
        let name = self.text(table, key);
        if others.any(|other| other == name) {
            self.problem(table.at(key), format!("`{name}` is there twice"), "give it another name");
        }
        name
    }

    pub(crate) fn optional(&mut self, table: &mut Table, key: &str) -> Option<String> {
        let path = table.at(key);
        table.rest.remove(key).map(|value| self.is_text(&path, value))
    }

    fn is_text(&mut self, path: &str, value: Value) -> String {
        match value {
            Value::String(text) if !text.trim().is_empty() => text,
            _ => {
                self.problem(path, "must be a text that is not empty", "put it in quotes");
                String::new()
            }
        }
    }

    pub(crate) fn flag(&mut self, table: &mut Table, key: &str, otherwise: bool) -> bool {
        let path = table.at(key);
        match table.rest.remove(key) {
            None => otherwise,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.problem(path, "must be true or false", "");
                otherwise
            }
        }
    }

    /// A number that is not negative.
    pub(crate) fn number(&mut self, table: &mut Table, key: &str) -> Option<Decimal> {
        let path = table.at(key);
        let value = table.rest.remove(key)?;
        let parsed = match &value {
            Value::Number(number) => number.to_string().parse().ok(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = parsed.filter(|number: &Decimal| !number.is_sign_negative() || number.is_zero());
        if number.is_none() {
            self.problem(path, "must be a number of at least 0", "such as 12.5");
        }
        number
    }

    pub(crate) fn texts(&mut self, table: &mut Table, key: &str) -> Vec<String> {
        let items = self.list(table, key, false);
        items.into_iter().map(|(path, value)| self.is_text(&path, value)).collect()
    }

    /// Items of a list, each with its place.
    pub(crate) fn list(&mut self, table: &mut Table, key: &str, is_required: bool) -> Vec<(String, Value)> {
        let path = table.at(key);
        match table.rest.remove(key) {
            Some(Value::Array(items)) => {
                items.into_iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect()
            }
            Some(_) => {
                self.problem(path, "must be a list", "lines that begin with `- `");
                Vec::new()
            }
            None if is_required => {
                self.problem(path, "is missing", "a list; `[]` if there is nothing");
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    pub(crate) fn tables(&mut self, table: &mut Table, key: &str, is_required: bool) -> Vec<Table> {
        let items = self.list(table, key, is_required);
        items.into_iter().filter_map(|(path, value)| self.table(&path, value)).collect()
    }

    /// Tables by name.
    pub(crate) fn named(&mut self, table: &mut Table, key: &str, is_required: bool) -> Vec<(String, Table)> {
        let path = table.at(key);
        let Some(value) = table.rest.remove(key) else {
            if is_required {
                self.problem(path, "is missing", "a table of names");
            }
            return Vec::new();
        };
        let Some(Table { rest, .. }) = self.table(&path, value) else { return Vec::new() };
        rest.into_iter()
            .filter_map(|(name, value)| {
                let table = self.table(&format!("{path}.{name}"), value)?;
                Some((name, table))
            })
            .collect()
    }

    /// One of a closed set of words.
    pub(crate) fn word<T: Copy>(&mut self, table: &mut Table, key: &str, words: &[(&str, T)]) -> Option<T> {
        let path = table.at(key);
        let text = self.text(table, key);
        if text.is_empty() {
            return None;
        }
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.problem(path, format!("`{text}` is no word for this"), &format!("one of {}", known.join(", ")));
        }
        found
    }

    /// A condition that works on the sample.
    pub(crate) fn condition(&mut self, table: &mut Table, key: &str, sample: &Value) -> Option<Expression> {
        let path = table.at(key);
        let text = self.text(table, key);
        if text.is_empty() {
            return None;
        }
        let names: Vec<_> = sample.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        match Expression::parse(&text, sample) {
            Ok(expression) => Some(expression),
            Err(reason) => {
                self.problem(
                    path,
                    reason,
                    &format!("CEL over {}, such as deal.total_minor > 5000000", names.join(" and ")),
                );
                None
            }
        }
    }

    pub(crate) fn currency(&mut self, path: &str, code: &str) {
        if !code.is_empty() && !events::currency::is_active(code) {
            self.problem(path, format!("`{code}` is not an active ISO 4217 code"), "such as EUR");
        }
    }

    pub(crate) fn end(&mut self, table: Table) {
        for key in table.rest.keys() {
            self.problem(table.at(key), "unknown key", "remove it, or mend its spelling");
        }
    }
}
