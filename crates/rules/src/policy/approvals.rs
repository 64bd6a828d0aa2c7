//! `approvals.yaml`: deals that somebody has to approve first.

use crate::{expression::Expression, reader::Reader};
use serde_json::Value;

pub const FILE: &str = "approvals.yaml";

#[derive(Debug, Default)]
pub struct Approvals {
    pub rules: Vec<Rule>,
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
    pub(crate) fn read(reader: &mut Reader<'_>, text: &str, sample: &Value) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        for mut table in reader.tables(&mut root, "rules", true) {
            let rule = reader.unique(&mut table, "rule", all.rules.iter().map(|known| known.rule.as_str()));
            let when = reader.condition(&mut table, "when", sample);
            let owner = reader.text(&mut table, "owner");
            let reason = reader.text(&mut table, "reason");
            reader.end(table);
            if let Some(when) = when {
                all.rules.push(Rule { rule, when, owner, reason });
            }
        }
        reader.end(root);
        all
    }
}
