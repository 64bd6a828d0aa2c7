//! `cases.yaml`: deals, amendments and renewals, and what the policies must say of them; the tests of the policies, kept beside them.

use crate::{
    change::{Amendment, Renewal},
    facts::Deal,
    load::Policies,
    reader::Reader,
    verdict::Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub name: String,
    pub subject: Subject,
    pub expect: Expected,
}

/// What is judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    Deal(Box<Deal>),
    Amendment(Box<Amendment>),
    Renewal(Box<Renewal>),
}

impl Subject {
    #[must_use]
    pub fn judge(&self, policies: &Policies) -> Verdict {
        match self {
            Self::Deal(deal) => policies.judge(deal),
            Self::Amendment(amendment) => policies.judge_amendment(amendment),
            Self::Renewal(renewal) => policies.judge_renewal(renewal),
        }
    }
}

/// What must come out: exactly these findings and approvals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expected {
    /// `CODE` or `CODE at path` or `CODE at path for queue`, in any order.
    pub findings: Vec<String>,
    /// Names of rules.
    pub approvals: Vec<String>,
    /// Revenue rule by line id; lines that are not named may have any.
    pub revenue: BTreeMap<String, String>,
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    pub name: String,
    pub ok: bool,
    /// What differs; empty if all is as expected.
    pub differences: Vec<String>,
}

impl Case {
    pub(crate) fn read(reader: &mut Reader<'_>, text: &str) -> Vec<Self> {
        let mut cases: Vec<Self> = Vec::new();
        let Some(mut root) = reader.root(text) else { return cases };
        for (path, value) in reader.list(&mut root, "cases", true) {
            match serde_json::from_value::<Written>(value) {
                Ok(Written { name, .. }) if cases.iter().any(|case| case.name == name) => {
                    reader.problem(format!("{path}.name"), format!("`{name}` is there twice"), "give it another name");
                }
                Ok(Written { name, deal, amendment, renewal, expect }) => match (deal, amendment, renewal) {
                    (Some(deal), None, None) => cases.push(Self { name, subject: Subject::Deal(deal), expect }),
                    (None, Some(amendment), None) => {
                        cases.push(Self { name, subject: Subject::Amendment(amendment), expect });
                    }
                    (None, None, Some(renewal)) => {
                        cases.push(Self { name, subject: Subject::Renewal(renewal), expect });
                    }
                    _ => {
                        reader.problem(path, "is about nothing, or about several", "a deal, an amendment or a renewal")
                    }
                },
                Err(error) => reader.problem(
                    path,
                    error.to_string(),
                    "name, expect, and a deal, an amendment or a renewal; see docs/operate/rules.md",
                ),
            }
        }
        reader.end(root);
        cases
    }

    /// Judges by `policies` and compares.
    #[must_use]
    pub fn run(&self, policies: &Policies) -> CaseResult {
        let differences = self.expect.differences(&self.subject.judge(policies));
        CaseResult { name: self.name.clone(), ok: differences.is_empty(), differences }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    deal: Option<Box<Deal>>,
    amendment: Option<Box<Amendment>>,
    renewal: Option<Box<Renewal>>,
    #[serde(default)]
    expect: Expected,
}

impl Expected {
    fn differences(&self, verdict: &Verdict) -> Vec<String> {
        let mut differences = Vec::new();
        let found: Vec<[String; 3]> = verdict
            .findings
            .iter()
            .map(|finding| {
                let at = format!("{} at {}", finding.code, finding.path);
                [finding.code.clone(), at.clone(), format!("{at} for {}", finding.owner)]
            })
            .collect();
        for wanted in self.findings.iter().filter(|wanted| !found.iter().any(|forms| forms.contains(wanted))) {
            differences.push(format!("missing: {wanted}"));
        }
        for forms in found.iter().filter(|forms| !forms.iter().any(|form| self.findings.contains(form))) {
            differences.push(format!("not expected: {}", forms[2]));
        }
        let asked: Vec<&String> = verdict.approvals.iter().map(|approval| &approval.rule).collect();
        for wanted in self.approvals.iter().filter(|wanted| !asked.contains(wanted)) {
            differences.push(format!("missing: approval {wanted}"));
        }
        for rule in asked.iter().filter(|rule| !self.approvals.contains(rule)) {
            differences.push(format!("not expected: approval {rule}"));
        }
        for (line, wanted) in &self.revenue {
            let got = verdict.lines.get(line).map_or("none", |treatment| &treatment.rule);
            if got != wanted {
                differences.push(format!("revenue of {line}: {got}, expected {wanted}"));
            }
        }
        differences
    }
}

/// For comparing versions: a verdict without its version.
pub(crate) fn decided(verdict: &Verdict) -> Value {
    let mut value = serde_json::to_value(verdict).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("version");
    }
    value
}
