//! Misbehaviour on command: rules that match requests and say what goes wrong with them.
//!
//! Rules are looked at in the order they were added. Every rule that matches a request counts it; the first whose schedule
//! says "now" decides what happens. Chance is a function of the seed and the count, so a run can be repeated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::books::refusal::Code;

/// A rule as `POST /__admin/faults` takes it. See the crate's README for each field.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Name for counting and deleting; `fault-<n>` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// HTTP method; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Prefix of the decoded path, or a pattern for the whole path when it holds a `*`; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only requests whose body contains this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// Only the n-th match, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Every n-th match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// At most this many hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Chance of a hit per match, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Seed of that chance.
    pub seed: u64,
    #[serde(flatten)]
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// Answer with this status instead of doing what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Body of that answer: text as it is, anything else as JSON. Absent: the vendor's error body for `error` or the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Vendor error code of the answer; its usual status applies unless `status` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Text of that error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Do what was asked first, then answer with `status`.
    pub after_commit: bool,
    /// Hold the answer back; a write has been committed when the wait begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Cut the connection before anything happens.
    pub drop_before: bool,
    /// Commit, then cut the connection without an answer.
    pub drop_after_commit: bool,
    /// Cut the connection (after `delay_ms`); commit this much virtual time after the request came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_commit_ms: Option<u64>,
    /// Commit, but hide the record from reads for this much virtual time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility_ms: Option<u64>,
    /// Commit, then answer 200 with a body that is not JSON.
    pub broken_json: bool,
    /// The whole system is away: 503 when `status` says so, else every connection is cut.
    pub down: bool,
}

impl Fault {
    /// The code an error answer of this fault carries.
    pub fn code(&self) -> Code {
        let named = self.error.as_deref().and_then(Code::parse);
        named.unwrap_or(match self.status {
            Some(401) => Code::InvalidLogin,
            Some(403) => Code::InsufficientPermission,
            Some(404) => Code::NonexistentId,
            Some(413) => Code::RequestTooLarge,
            Some(429) => Code::ConcurrencyLimitExceeded,
            Some(503) => Code::ServiceUnavailable,
            Some(status) if status < 500 => Code::UserError,
            _ => Code::UnexpectedError,
        })
    }

    /// The status of the answer, when this fault answers at all.
    pub fn answers(&self) -> Option<u16> {
        self.status.or_else(|| self.error.as_deref().and_then(Code::parse).map(Code::status))
    }
}

/// A rule with its counts, as `GET /__admin/faults` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Counted {
    #[serde(flatten)]
    rule: Rule,
    /// Requests that matched method, path and body.
    matched: u64,
    /// Requests it did something to.
    hits: u64,
}

/// All rules in force.
#[derive(Debug)]
pub struct Faults {
    rules: Vec<Counted>,
    made: u64,
    /// Whether the vendor has an error of this code.
    knows: fn(&str) -> bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self::for_codes(|code| Code::parse(code).is_some())
    }
}

impl Faults {
    /// No rules yet; `knows` tells which error codes rules may name.
    pub fn for_codes(knows: fn(&str) -> bool) -> Self {
        Self { rules: Vec::new(), made: 0, knows }
    }

    /// Adds a rule, replacing one with the same id; returns its id.
    ///
    /// # Errors
    /// What is wrong with the rule.
    pub fn add(&mut self, mut rule: Rule) -> Result<String, String> {
        check(&rule, self.knows)?;
        self.made += 1;
        let id = rule.id.get_or_insert_with(|| format!("fault-{}", self.made)).clone();
        self.remove(&id);
        self.rules.push(Counted { rule, matched: 0, hits: 0 });
        Ok(id)
    }

    /// Removes a rule; `false` when there is none with this id.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.rules.len();
        self.rules.retain(|counted| counted.rule.id.as_deref() != Some(id));
        self.rules.len() < before
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// All rules with their counts, oldest first.
    pub fn list(&self) -> &[Counted] {
        &self.rules
    }

    /// What goes wrong with this request, and the rule that says so.
    pub fn decide(&mut self, method: &str, path: &str, body: &[u8]) -> Option<(String, Fault)> {
        let mut decided = None;
        for counted in self.rules.iter_mut().filter(|counted| matches(&counted.rule, method, path, body)) {
            counted.matched += 1;
            if decided.is_none() && due(&counted.rule, counted.matched, counted.hits) {
                counted.hits += 1;
                decided = Some((counted.rule.id.clone().unwrap_or_default(), counted.rule.fault.clone()));
            }
        }
        decided
    }
}

fn check(rule: &Rule, knows: fn(&str) -> bool) -> Result<(), String> {
    if rule.nth == Some(0) || rule.every == Some(0) {
        return Err("nth and every count from 1".to_owned());
    }
    if rule.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
        return Err("probability must be from 0 to 1".to_owned());
    }
    if rule.fault == Fault::default() {
        return Err(
            "the rule does nothing: give status, error, delay_ms, drop_before, drop_after_commit, late_commit_ms, \
                    visibility_ms, broken_json or down"
                .to_owned(),
        );
    }
    if let Some(error) = rule.fault.error.as_deref().filter(|error| !knows(error)) {
        return Err(format!("unknown error code {error}"));
    }
    if rule.fault.status.is_some_and(|status| !(200..600).contains(&status)) {
        return Err("status must be from 200 to 599".to_owned());
    }
    Ok(())
}

fn matches(rule: &Rule, method: &str, path: &str, body: &[u8]) -> bool {
    let contains = |needle: &str| body.windows(needle.len().max(1)).any(|window| window == needle.as_bytes());
    rule.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        && rule.path.as_deref().is_none_or(|pattern| path_matches(pattern, path))
        && rule.body_contains.as_deref().is_none_or(contains)
}

/// A prefix, or with `*` (any run of characters) a pattern for the whole path.
fn path_matches(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn due(rule: &Rule, matched: u64, hits: u64) -> bool {
    rule.nth.is_none_or(|nth| matched == nth)
        && rule.every.is_none_or(|every| matched.is_multiple_of(every))
        && rule.times.is_none_or(|times| hits < times)
        && rule.probability.is_none_or(|probability| chance(rule.seed, matched) < probability)
}

/// A number in [0, 1) that depends on nothing but its arguments (SplitMix64).
fn chance(seed: u64, count: u64) -> f64 {
    let mut mixed = seed.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: Value) -> Rule {
        serde_json::from_value(json).unwrap()
    }

    fn hits(json: Value, requests: u64) -> Vec<u64> {
        let mut faults = Faults::default();
        faults.add(rule(json)).unwrap();
        (1..=requests).filter(|_| faults.decide("PUT", "/a/b", b"").is_some()).collect()
    }

    #[test]
    fn schedules_pick_the_matches_they_name() {
        assert_eq!(hits(serde_json::json!({ "status": 503, "nth": 3 }), 6), [3]);
        assert_eq!(hits(serde_json::json!({ "status": 503, "every": 2 }), 6), [2, 4, 6]);
        assert_eq!(hits(serde_json::json!({ "status": 503, "times": 2 }), 6), [1, 2]);
        assert_eq!(hits(serde_json::json!({ "status": 503, "method": "GET" }), 6), [0_u64; 0]);
    }

    #[test]
    fn chance_is_repeatable_and_about_as_likely_as_asked() {
        let ask = || hits(serde_json::json!({ "drop_before": true, "probability": 0.25, "seed": 7 }), 4_000);
        assert_eq!(ask(), ask());
        assert!((900..1_100).contains(&ask().len()), "{}", ask().len());
    }

    #[test]
    fn paths_match_by_prefix_or_pattern() {
        assert!(path_matches("/record/v1/inv", "/record/v1/invoice/1"));
        assert!(path_matches("/record/*/eid:*", "/record/v1/invoice/eid:INV-1"));
        assert!(path_matches("*/token", "/auth/token"));
        assert!(!path_matches("/record/*/items", "/record/v1/invoice"));
    }

    #[test]
    fn rules_that_cannot_work_are_refused_with_the_reason() {
        let mut faults = Faults::default();
        assert!(faults.add(Rule::default()).unwrap_err().contains("does nothing"));
        assert!(faults.add(rule(serde_json::json!({ "down": true, "nth": 0 }))).is_err());
        assert!(faults.add(rule(serde_json::json!({ "error": "NO_SUCH_CODE" }))).is_err());
    }
}
