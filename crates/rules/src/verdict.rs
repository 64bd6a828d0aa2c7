//! What the policies say of a deal.

use crate::policy::revenue::Method;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The decision, with the version of the policies it was made by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Hash of the policy files.
    pub version: String,
    /// Everything that keeps the deal from becoming an order: all of it at once.
    pub findings: Vec<Finding>,
    /// Approvals that are missing.
    pub approvals: Vec<Approval>,
    /// How each line is accounted for, by line id.
    pub lines: BTreeMap<String, Treatment>,
}

/// One thing that is wrong with a deal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: String,
    /// Field of the deal, such as `lines[1].product`.
    pub path: String,
    pub message: String,
    pub hint: String,
    /// Work queue that has to mend it.
    pub owner: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Name of the rule, which an approval names as its policy.
    pub rule: String,
    pub reason: String,
    pub owner: String,
}

/// Accounting of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treatment {
    /// Rule of `revenue.yaml`.
    pub rule: String,
    pub method: Method,
    pub deferred_account: Option<String>,
    pub recognised_account: Option<String>,
    /// What the product platform grants for the line.
    pub features: Vec<String>,
}
