//! A plan: a frozen set of letters with what will happen to each, to be reviewed and then applied as it is.
//!
//! Its hash covers all of it, and is kept in the audit with who made it: a plan that nobody made here, or that was changed, is not
//! applied.

use crate::{
    error::{Error, Kind, Result},
    letters::{Money, Selection},
};
use ledger::{JobSpec, StopRule, Verb};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A plan, as it is kept in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub v: u32,
    pub action: Verb,
    pub service: String,
    pub selection: Selection,
    /// Failures after this are not in it.
    pub cut_off: String,
    pub made_by: String,
    pub items: Vec<Item>,
    /// Records that wait behind and will move by themselves.
    pub followers: i64,
    pub at_risk: Money,
    pub by_code: BTreeMap<String, u64>,
    /// How many of each predicted effect; `unpredicted` where no service was there to tell.
    pub predicted: BTreeMap<String, u64>,
    pub pace: Pace,
    /// `None` where nothing says how fast it goes: without a rate, and before a job showed what the outside system takes.
    pub estimate_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_by: Option<EstimatedBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
    /// Letters that match and were tried too often (`max_replays`).
    #[serde(default, skip_serializing_if = "is_none_left_out")]
    pub left_out: u64,
    /// Where copies of the letters go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_none_left_out(count: &u64) -> bool {
    *count == 0
}

/// What an estimate was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EstimatedBy {
    /// The rate that was asked for.
    Rate,
    /// The newest finished retry of the service without a rate: so fast its outside system and live traffic let it be.
    LastJob,
}

/// Where copies of letters go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// A topic, or `original`: the topic that each letter came from.
    pub to: String,
    /// Where each partition ended when the plan was made: copies of this plan lie behind.
    pub ends: BTreeMap<String, Vec<i64>>,
    /// Whether the broker tells who reads a topic.
    pub groups_are_known: bool,
    /// Consumer groups that would see the copies, by topic.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// One letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub id: String,
    pub version: i32,
    pub code: Option<String>,
    pub predicted: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How fast, and when to stop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    pub rate: Option<u32>,
    pub ramp: Vec<u32>,
    pub max: Option<u32>,
    pub stop: StopRule,
}

/// What an edit puts in place of the value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The new value as it will be processed, framed.
    pub value_base64: String,
    /// Field by field, personal data masked.
    pub diff: Vec<Difference>,
}

/// One field that an edit changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub field: String,
    pub before: Value,
    pub after: Value,
}

/// Predictions where no service told any.
pub const UNPREDICTED: &str = "unpredicted";

struct Hashing(Sha256);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// SHA-256 over the text of something, in hex. Fields have their order and maps are sorted, so that the text is always the same; it
/// is never in memory as a whole.
pub(crate) fn sha256(of: &impl Serialize) -> String {
    let mut hasher = Hashing(Sha256::new());
    // Writing into a hasher does not fail, and no plan has keys that are no text.
    let _ = serde_json::to_writer(&mut hasher, of);
    hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The content of a plan file: the plan with its hash beside it.
pub(crate) fn sealed(plan: &impl Serialize) -> Value {
    json!({ "plan": plan, "sha256": sha256(plan) })
}

/// Reads a plan file of a kind that `is_known` takes; `how` makes one.
///
/// # Errors
/// `PLAN_INVALID` if it is none; `PLAN_CHANGED` if its hash is that of another one.
pub(crate) fn opened<P: Serialize + serde::de::DeserializeOwned>(
    file: &Value,
    how: &str,
    is_known: impl FnOnce(&P) -> std::result::Result<(), String>,
) -> Result<(P, String)> {
    let invalid = |what: String| Error::new(Kind::Invalid, "PLAN_INVALID", what).hint(format!("make one: {how}"));
    let plan = P::deserialize(&file["plan"]).map_err(|error| invalid(format!("this is no plan: {error}")))?;
    is_known(&plan).map_err(invalid)?;
    let hash = sha256(&plan);
    if file["sha256"] != hash {
        return Err(Error::new(Kind::Stale, "PLAN_CHANGED", "the plan was changed after it was made")
            .hint("plan again; a plan is applied as it was reviewed"));
    }
    Ok((plan, hash))
}

impl Plan {
    /// SHA-256 over all of it, in hex.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256(self)
    }

    /// The plan with its hash beside it: the content of a plan file.
    #[must_use]
    pub fn sealed(&self) -> Value {
        sealed(self)
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// `PLAN_INVALID` if it is none; `PLAN_CHANGED` if its hash is that of another one.
    pub fn open(file: &Value) -> Result<(Self, String)> {
        opened(file, "throughline dlq plan retry … --save plan.json", |plan: &Self| match plan.v {
            1 => Ok(()),
            other => Err(format!("plan version {other} is not known here")),
        })
    }

    /// The id of its job: applying a plan twice is one job.
    #[must_use]
    pub fn job_id(hash: &str) -> String {
        format!("j-{}", hash.get(..12).unwrap_or(hash))
    }

    /// What is asked of the service.
    #[must_use]
    pub fn spec(&self, hash: &str, who: &str, reason: &str, ticket: Option<String>) -> JobSpec {
        let Pace { rate, ramp, max, stop } = self.pace.clone();
        let approver = (who != self.made_by).then(|| who.to_owned());
        let (who, reason) = (self.made_by.clone(), reason.to_owned());
        JobSpec {
            verb: self.action,
            rate,
            ramp,
            max,
            stop,
            plan_hash: Some(hash.to_owned()),
            who,
            reason,
            ticket,
            approver,
            to: None,
        }
    }
}

/// What differs between two bodies, field by field.
#[must_use]
pub fn difference(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    let under = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                compare(&under(name), &before[name.as_str()], &after[name.as_str()], found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{i}]"), x, y, found);
            }
        }
        _ if before == after => {}
        _ => found.push(Difference { field: path.to_owned(), before: before.clone(), after: after.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            v: 1,
            action: Verb::Retry,
            service: "erp-sync".to_owned(),
            selection: Selection { code: Some("PERIOD_CLOSED".to_owned()), ..Selection::default() },
            cut_off: "2026-01-01T00:00:00Z".to_owned(),
            made_by: "ada".to_owned(),
            items: vec![Item {
                id: "erp-sync/0/a/1".to_owned(),
                version: 1,
                code: None,
                predicted: UNPREDICTED.to_owned(),
                note: None,
            }],
            followers: 0,
            at_risk: Money::default(),
            by_code: BTreeMap::new(),
            predicted: BTreeMap::new(),
            pace: Pace::default(),
            estimate_seconds: None,
            estimated_by: None,
            edit: None,
            left_out: 0,
            target: None,
        }
    }

    #[test]
    fn a_plan_reads_back_from_its_file_and_a_changed_one_is_refused() {
        let file = plan().sealed();
        assert_eq!(Plan::open(&file).unwrap().0, plan());
        let mut changed = file.clone();
        changed["plan"]["items"][0]["version"] = json!(2);
        assert_eq!(Plan::open(&changed).unwrap_err().code, "PLAN_CHANGED");
        let mut rehashed = file.clone();
        rehashed["sha256"] = json!("0");
        assert_eq!(Plan::open(&rehashed).unwrap_err().code, "PLAN_CHANGED");
        for bad in [json!(null), json!({}), json!({ "plan": 7 }), json!({ "plan": { "v": 1 }, "sha256": "" })] {
            assert_eq!(Plan::open(&bad).unwrap_err().code, "PLAN_INVALID", "{bad}");
        }
    }

    #[test]
    fn a_difference_names_each_field_that_changed() {
        let before = json!({ "a": 1, "b": { "c": [1, 2] }, "d": "x" });
        let after = json!({ "a": 1, "b": { "c": [1, 3] }, "e": true });
        let fields: Vec<_> = difference(&before, &after).into_iter().map(|one| one.field).collect();
        assert_eq!(fields, ["b.c[1]", "d", "e"]);
    }
}
