//! The CRM's sandbox as its operator sees it: faults in, records and effects out.

use anyhow::{Context, Result};
use devstack::Stack;
use serde_json::Value;

/// The admin interface of a stack's CRM.
#[derive(Debug, Clone)]
pub struct Crm {
    admin: String,
    http: reqwest::Client,
}

impl Crm {
    /// # Errors
    /// A stack without a CRM.
    pub fn of(stack: &Stack) -> Result<Self> {
        let endpoints = stack.endpoints();
        let url = endpoints.crm().context("the stack has no CRM")?;
        Ok(Self { admin: format!("{url}/__admin"), http: reqwest::Client::new() })
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(format!("{}/{path}", self.admin)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Adds a fault rule, in the form of the sandbox's README.
    pub async fn add_fault(&self, rule: &Value) -> Result<()> {
        let answer = self.http.post(format!("{}/faults", self.admin)).json(rule).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// Committed writes so far.
    pub async fn effect_count(&self) -> Result<u64> {
        self.get("state").await?["effects"].as_u64().context("a count")
    }

    /// All records of an object, amounts as exact text.
    pub async fn records(&self, object: &str) -> Result<Vec<Value>> {
        let state = self.get("state?records=true").await?;
        state["records"][object].as_array().cloned().with_context(|| format!("no object `{object}`"))
    }

    /// Requests whose route begins so, by whatever answer.
    pub async fn requests(&self, route: &str) -> Result<u64> {
        let journal = self.get("requests?limit=0").await?;
        let counts = journal["counts"].as_object().into_iter().flatten();
        let of = counts.filter(|(name, _)| name.starts_with(route)).filter_map(|(_, by)| by.as_object());
        Ok(of.flat_map(|by| by.values()).filter_map(Value::as_u64).sum())
    }
}
