//! Label sets. Values come from small closed sets: no ids, no keys, nothing a publisher can choose freely.

use prometheus_client::encoding::EncodeLabelSet;
use std::{borrow::Cow, sync::Arc};

/// A label value that is usually a constant.
pub type Value = Cow<'static, str>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Event {
    pub topic: Arc<str>,
    /// A disposition's word, such as `applied`.
    pub disposition: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Effect {
    /// What is done, such as `create_customer`.
    pub step: Value,
    /// `done`, `refused`, `unknown`, `found` (by look-up), `not_found`, `superseded` or `retried`.
    pub result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Step {
    pub step: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Partition {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// A failure: its class and code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Failure {
    pub class: &'static str,
    pub code: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Code {
    pub code: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Dependency {
    /// `erp`, `ledger`, `registry`, `broker`, …
    pub dependency: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    pub dependency: Value,
    /// `ok`, `refused`, `unavailable`, `rate_limited`, `unknown`.
    pub outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Build {
    pub version: String,
}
