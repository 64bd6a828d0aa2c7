//! The sandbox of a platform, of the tax engine or of the billing system, as its operator sees it.

use anyhow::{Context, Result};
use devstack::Stack;
use serde_json::Value;
use std::collections::BTreeMap;

/// The admin interface of one of them.
#[derive(Debug, Clone)]
pub struct Platform {
    admin: String,
    http: reqwest::Client,
}

impl Platform {
    /// By its name in the stack: `product`, `identity`, `stripe` or `tax`.
    ///
    /// # Errors
    /// A stack without it.
    pub fn of(stack: &Stack, name: &str) -> Result<Self> {
        let endpoints = stack.endpoints();
        let url = endpoints.sandboxes.get(name).with_context(|| format!("the stack has no {name} platform"))?;
        Ok(Self { admin: format!("{url}/__admin"), http: reqwest::Client::new() })
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response> {
        Ok(self.http.get(format!("{}/{path}", self.admin)).send().await?.error_for_status()?)
    }

    /// Adds a fault rule, in the form of the sandbox's README.
    pub async fn add_fault(&self, rule: &Value) -> Result<()> {
        let answer = self.http.post(format!("{}/faults", self.admin)).json(rule).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// How often its fault rules have decided a request.
    pub async fn hits(&self) -> Result<u64> {
        let rules: Vec<Value> = self.get("faults").await?.json().await?;
        Ok(rules.iter().filter_map(|rule| rule["hits"].as_u64()).sum())
    }

    /// Takes all fault rules away.
    pub async fn clear_faults(&self) -> Result<()> {
        self.http.delete(format!("{}/faults", self.admin)).send().await?.error_for_status()?;
        Ok(())
    }

    /// Changes settings of the sandbox; the others stay.
    pub async fn set(&self, settings: &Value) -> Result<()> {
        let answer = self.http.post(format!("{}/settings", self.admin)).json(settings).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// All committed effects, oldest first, as the log has them.
    pub async fn effects(&self) -> Result<Vec<Value>> {
        let text = self.get("effects").await?.text().await?;
        text.lines().filter(|line| !line.is_empty()).map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// How often each thing was made: (object, external id) → times.
    pub async fn created(&self) -> Result<BTreeMap<(String, String), u64>> {
        let mut created = BTreeMap::new();
        let text = |effect: &Value, field: &str| effect[field].as_str().unwrap_or_default().to_owned();
        for effect in self.effects().await?.iter().filter(|effect| effect["operation"] == "create") {
            *created.entry((text(effect, "object"), text(effect, "external_id"))).or_default() += 1;
        }
        Ok(created)
    }

    /// All resources of a kind.
    pub async fn records(&self, object: &str) -> Result<Vec<Value>> {
        let state: Value = self.get("state?records=true").await?.json().await?;
        state["records"][object].as_array().cloned().with_context(|| format!("no object `{object}`"))
    }
}
