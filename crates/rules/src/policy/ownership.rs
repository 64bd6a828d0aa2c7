//! `ownership.yaml`: which system owns each field of each object, and what happens to the rest when it changes.

use crate::reader::Reader;
use serde::Serialize;
use std::collections::BTreeMap;

pub const FILE: &str = "ownership.yaml";

/// What a change of the owner means for the other systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Carried over as it is.
    Propagate,
    /// A process decides.
    Orchestrate,
    /// Nobody else is told.
    Ignore,
}

const SPREADS: [(&str, Spread); 3] =
    [("propagate", Spread::Propagate), ("orchestrate", Spread::Orchestrate), ("ignore", Spread::Ignore)];

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// System of record.
    pub system: String,
    /// Work queue of those who may allow an exception.
    pub queue: String,
    pub spread: Spread,
    /// Why, in a sentence.
    pub why: String,
}

/// By `object.field`, or `object.*`.
#[derive(Debug, Default)]
pub struct Ownership(BTreeMap<String, Owner>);

impl Ownership {
    /// The system of record of a field: its own rule, or that of the whole object.
    #[must_use]
    pub fn system_of_record(&self, object: &str, field: &str) -> Option<&Owner> {
        self.rule_of(object, field).map(|(_, owner)| owner)
    }

    /// The same with the rule that says so.
    #[must_use]
    pub fn rule_of(&self, object: &str, field: &str) -> Option<(&str, &Owner)> {
        let named = |name: String| self.0.get_key_value(&name).map(|(rule, owner)| (rule.as_str(), owner));
        named(format!("{object}.{field}")).or_else(|| named(format!("{object}.*")))
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &Owner)> {
        self.0.iter().map(|(rule, owner)| (rule.as_str(), owner))
    }

    pub(crate) fn read(reader: &mut Reader<'_>, text: &str) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        for (field, mut table) in reader.named(&mut root, "fields", true) {
            if field.split('.').filter(|part| !part.is_empty()).count() != 2 {
                reader.problem(
                    format!("fields.{field}"),
                    "must be object.field",
                    "such as customer.legal_name, or customer.*",
                );
            }
            let system = reader.text(&mut table, "system");
            let queue = reader.text(&mut table, "queue");
            let spread = reader.word(&mut table, "spread", &SPREADS);
            let why = reader.text(&mut table, "why");
            reader.end(table);
            if let Some(spread) = spread {
                all.0.insert(field, Owner { system, queue, spread, why });
            }
        }
        reader.end(root);
        all
    }
}
