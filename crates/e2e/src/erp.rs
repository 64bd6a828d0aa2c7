//! The sandbox as its operator sees it: faults in, requests and effects out.

use crate::books::Books;
use anyhow::{Context, Result};
use devstack::Stack;
use serde_json::Value;
use std::collections::BTreeMap;

/// The admin interface of a stack's ERP.
#[derive(Debug, Clone)]
pub struct Erp {
    admin: String,
    http: reqwest::Client,
}

/// One committed effect, as far as tests compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub operation: String,
    /// `customer`, `salesOrder`, `invoice`, …
    pub object: String,
    pub external_id: String,
    pub account_id: String,
    /// Of the event that the write named; empty where it named none.
    pub event_id: String,
}

impl Erp {
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self { admin: format!("{}/__admin", stack.endpoints().erp), http: reqwest::Client::new() }
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

    /// Takes all fault rules back.
    pub async fn heal(&self) -> Result<()> {
        self.http.delete(format!("{}/faults", self.admin)).send().await?.error_for_status()?;
        Ok(())
    }

    /// How often the rule of this id did something.
    pub async fn hits(&self, id: &str) -> Result<u64> {
        let rules = self.get("faults").await?;
        let rule = rules.as_array().into_iter().flatten().find(|rule| rule["id"] == id);
        rule.and_then(|rule| rule["hits"].as_u64()).with_context(|| format!("no fault rule `{id}`"))
    }

    /// Answers by status (`cut`: none) of the requests of one route, such as `POST /services/rest/record/v1/invoice`.
    pub async fn answers(&self, route: &str) -> Result<BTreeMap<String, u64>> {
        let journal = self.get("requests?limit=0").await?;
        let counts = journal["counts"].get(route).and_then(Value::as_object).into_iter().flatten();
        Ok(counts.map(|(answer, count)| (answer.clone(), count.as_u64().unwrap_or_default())).collect())
    }

    pub async fn books(&self) -> Result<Books> {
        Books::of_state(&self.get("state?accounts=false").await?)
    }

    /// Records that were made.
    pub async fn effect_count(&self) -> Result<u64> {
        Ok(self.books().await?.count())
    }

    /// All committed effects, oldest first.
    pub async fn effects(&self) -> Result<Vec<Effect>> {
        let answer = self.http.get(format!("{}/effects", self.admin)).send().await?;
        let text = answer.error_for_status()?.text().await?;
        text.lines().filter(|line| !line.is_empty()).map(effect).collect()
    }

    /// How often each record was made: (object, external id) → times.
    pub async fn created(&self) -> Result<BTreeMap<(String, String), u64>> {
        let mut created = BTreeMap::new();
        for effect in self.effects().await?.into_iter().filter(|effect| effect.operation == "create") {
            *created.entry((effect.object, effect.external_id)).or_default() += 1;
        }
        Ok(created)
    }
}

fn effect(line: &str) -> Result<Effect> {
    let value: Value = serde_json::from_str(line)?;
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    Ok(Effect {
        operation: text("operation"),
        object: text("object"),
        external_id: text("external_id"),
        account_id: text("account_id"),
        event_id: text("event_id"),
    })
}
