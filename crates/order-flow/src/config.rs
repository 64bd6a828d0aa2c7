//! Settings of order-flow besides those that every service has.

use service::config::{Config, Section};
use std::{path::PathBuf, time::Duration};

#[derive(Debug)]
pub struct FlowConfig {
    /// Folder of the policy files.
    pub policies: PathBuf,
    /// How often the files are looked at.
    pub look_every: Duration,
}

impl Config for FlowConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let policies = s.or("policies", "deploy/policies".into(), "folder of the policy files");
        let look_every = s.or("look_every", Duration::from_secs(2), "how soon a changed policy file is noticed");
        s.rule(&["look_every"], !look_every.is_zero(), "must be above zero", "such as \"2s\"");
        Self { policies, look_every }
    }
}
