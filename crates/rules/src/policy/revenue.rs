//! `revenue.yaml`: how revenue of each line is recognised. The first rule that holds decides.

use crate::{expression::Expression, reader::Reader};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const FILE: &str = "revenue.yaml";

/// When revenue is earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    StraightLineDaily,
    StraightLineEven,
    PointInTime,
    Usage,
    PercentComplete,
}

const METHODS: [(&str, Method); 5] = [
    ("straight_line_daily", Method::StraightLineDaily),
    ("straight_line_even", Method::StraightLineEven),
    ("point_in_time", Method::PointInTime),
    ("usage", Method::Usage),
    ("percent_complete", Method::PercentComplete),
];

#[derive(Debug, Default)]
pub struct Revenue {
    pub rules: Vec<Rule>,
}

#[derive(Debug)]
pub struct Rule {
    pub rule: String,
    pub when: Expression,
    pub method: Method,
    pub deferred_account: Option<String>,
    pub recognised_account: Option<String>,
    /// Whether finance has approved the rule; what an unapproved one decides goes to finance.
    pub is_approved: bool,
}

impl Revenue {
    pub(crate) fn read(reader: &mut Reader<'_>, text: &str, sample: &Value) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        for mut table in reader.tables(&mut root, "rules", true) {
            let rule = reader.unique(&mut table, "rule", all.rules.iter().map(|known| known.rule.as_str()));
            let when = reader.condition(&mut table, "when", sample);
            let method = reader.word(&mut table, "method", &METHODS);
            let deferred_account = reader.optional(&mut table, "deferred_account");
            let recognised_account = reader.optional(&mut table, "recognised_account");
            let is_approved = reader.flag(&mut table, "approved", false);
            reader.end(table);
            if let (Some(when), Some(method)) = (when, method) {
                all.rules.push(Rule { rule, when, method, deferred_account, recognised_account, is_approved });
            }
        }
        reader.end(root);
        all
    }
}
