//! `approvals.yaml`: deals, and amendments of contracts, that somebody has to approve first.

use crate::{
    expression::Expression,
    reader::{Reader, Table},
};
use serde_json::Value;

pub const FILE: &str = "approvals.yaml";

#[derive(Debug, Default)]
pub struct Approvals {
    /// Over `deal`.
    pub rules: Vec<Rule>,
    /// Over `amendment`.
    pub amendments: Vec<Rule>,
}

/// Every rule that holds asks for its own approval.
#[derive(Debug)]
pub struct Rule {
    /// What an approval names as its policy.
    pub rule: String,
    pub when: Expression,
    pub owner: String,
    pub reason: String,
}

impl Approvals {
    pub(crate) fn read(reader: &mut Reader<'_>, text: &str, deal: &Value, amendment: &Value) -> Self {
        let Some(mut root) = reader.root(text) else { return Self::default() };
        let all = Self {
            rules: rules(reader, &mut root, ("rules", true), deal),
            amendments: rules(reader, &mut root, ("amendments", false), amendment),
        };
        reader.end(root);
        all
    }
}

fn rules(reader: &mut Reader<'_>, root: &mut Table, (key, is_required): (&str, bool), sample: &Value) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for mut table in reader.tables(root, key, is_required) {
        let rule = reader.unique(&mut table, "rule", rules.iter().map(|known| known.rule.as_str()));
        let when = reader.condition(&mut table, "when", sample);
        let owner = reader.text(&mut table, "owner");
        let reason = reader.text(&mut table, "reason");
        reader.end(table);
        if let Some(when) = when {
            rules.push(Rule { rule, when, owner, reason });
        }
    }
    rules
}
