//! `checks.yaml`: what a deal must bring, besides what the other policies ask. Every check that holds is a finding.

use super::is_code;
use crate::{expression::Expression, reader::Reader};
use serde_json::Value;

pub const FILE: &str = "checks.yaml";

#[derive(Debug, Default)]
pub struct Checks {
    pub checks: Vec<Check>,
}

#[derive(Debug)]
pub struct Check {
    pub code: String,
    /// Holds where something is wrong.
    pub when: Expression,
    pub path: String,
    pub message: String,
    pub hint: String,
}

impl Checks {
    pub(crate) fn read(reader: &mut Reader<'_>, text: &str, sample: &Value) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        for mut table in reader.tables(&mut root, "checks", true) {
            let code = reader.text(&mut table, "code");
            if !code.is_empty() && !is_code(&code) {
                reader.problem(table.at("code"), format!("`{code}` is no code"), "such as MISSING_FIELD");
            }
            let when = reader.condition(&mut table, "when", sample);
            let path = reader.text(&mut table, "path");
            let message = reader.text(&mut table, "message");
            let hint = reader.text(&mut table, "hint");
            reader.end(table);
            if let Some(when) = when {
                all.checks.push(Check { code, when, path, message, hint });
            }
        }
        reader.end(root);
        all
    }
}
