//! Customers by what they are searched by before one is made: a query for each new customer must not read all that are there.

use super::{kind::Kind, store::Record, write::stored_fields};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// The columns, as SuiteQL names them.
const COLUMNS: [&str; 3] = ["companyname", "custentity_tl_match_name", "vatregnumber"];

/// Internal ids by column and text.
#[derive(Debug, Default)]
pub struct Searched(HashMap<(&'static str, Box<str>), BTreeSet<u64>>);

impl Searched {
    pub fn add(&mut self, kind: Kind, id: u64, record: &Record) {
        for key in keys(kind, record) {
            self.0.entry(key).or_default().insert(id);
        }
    }

    pub fn remove(&mut self, kind: Kind, id: u64, record: &Record) {
        for key in keys(kind, record) {
            if let Some(ids) = self.0.get_mut(&key) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// The rows with one of these texts, by internal id; `None` where the column has no index.
    pub fn find(&self, column: &str, texts: &[String]) -> Option<BTreeSet<u64>> {
        let column = COLUMNS.into_iter().find(|known| *known == column)?;
        let found = texts.iter().filter_map(|text| self.0.get(&(column, Box::from(text.as_str()))));
        Some(found.flatten().copied().collect())
    }
}

fn keys(kind: Kind, record: &Record) -> Vec<(&'static str, Box<str>)> {
    if kind != Kind::Customer {
        return Vec::new();
    }
    let fields = stored_fields(record);
    let column = |name: &str| COLUMNS.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    let texts = fields.iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((column(name)?, Box::from(text.as_str()))),
        _ => None,
    });
    texts.collect()
}
