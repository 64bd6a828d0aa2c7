//! What two versions of the policies decide differently, over the cases of both.

use crate::{cases::decided, load::Policies};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// A case that is decided differently.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub case: String,
    /// Parts of the verdict that differ: `findings`, `approvals`, `lines`.
    pub parts: Vec<String>,
    pub before: Value,
    pub after: Value,
}

/// Decides the cases of both versions by both; a case that both have is taken as the newer has it.
#[must_use]
pub fn diff(before: &Policies, after: &Policies) -> (usize, Vec<Change>) {
    let newer: BTreeSet<&str> = after.cases.iter().map(|case| case.name.as_str()).collect();
    let older = before.cases.iter().filter(|case| !newer.contains(case.name.as_str()));
    let cases: Vec<_> = after.cases.iter().chain(older).collect();
    let changes = cases.iter().filter_map(|case| {
        let (was, is) = (decided(&case.subject.judge(before)), decided(&case.subject.judge(after)));
        let parts: Vec<String> = ["findings", "approvals", "lines"]
            .into_iter()
            .filter(|part| was[part] != is[part])
            .map(str::to_owned)
            .collect();
        if parts.is_empty() {
            return None;
        }
        let only = |verdict: &Value| parts.iter().map(|part| (part.clone(), verdict[part].clone())).collect();
        let (before, after) = (only(&was), only(&is));
        Some(Change { case: case.name.clone(), parts, before, after })
    });
    let changes = changes.collect();
    (cases.len(), changes)
}
