//! The plan of putting records of a topic to one service again.

use crate::{
    error::Result,
    plan::{opened, sealed, sha256},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// As it is kept in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanePlan {
    pub v: u32,
    /// `replay`, so that it is not taken for a plan about letters.
    pub action: String,
    pub service: String,
    /// Where the records lie.
    pub topic: String,
    /// Dead letters, whose headers say where they came from; else the records are the topic's own.
    pub letters: bool,
    pub selection: BTreeMap<String, Value>,
    pub cut_off: String,
    pub made_by: String,
    /// Records that were looked at.
    pub read: u64,
    /// How many of each predicted disposition.
    pub predicted: BTreeMap<String, u64>,
    /// Partition and offset of each record that will be put on the service's replay topic.
    pub items: Vec<(i32, i64)>,
    /// Some of those that cannot be put, and why.
    pub refused: Vec<Refused>,
    /// Where the replay topic ended when the plan was made.
    pub lane_ends: Vec<i64>,
}

/// A record that is not put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub at: String,
    pub why: String,
}

impl LanePlan {
    #[must_use]
    pub fn hash(&self) -> String {
        sha256(self)
    }

    /// The content of a plan file.
    #[must_use]
    pub fn sealed(&self) -> Value {
        sealed(self)
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// `PLAN_INVALID` if it is none; `PLAN_CHANGED` if its hash is that of another one.
    pub fn open(file: &Value) -> Result<(Self, String)> {
        opened(file, "throughline replay plan … --save plan.json", |plan: &Self| {
            if plan.v == 1 && plan.action == "replay" {
                return Ok(());
            }
            Err(format!("a plan to {} of version {} is not known here", plan.action, plan.v))
        })
    }
}
