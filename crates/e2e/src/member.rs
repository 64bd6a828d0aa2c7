//! A service's own word on how it is: probes and metrics over HTTP.

use anyhow::{Context, Result};
use devstack::Stack;
use serde_json::Value;

/// The HTTP interface of one member.
#[derive(Debug, Clone)]
pub struct Member {
    url: String,
    http: reqwest::Client,
}

/// What `/readyz` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    pub ready: bool,
    /// Code and detail.
    pub reasons: Vec<(String, String)>,
}

impl Readiness {
    /// The detail of a reason, if it is given.
    #[must_use]
    pub fn reason(&self, code: &str) -> Option<&str> {
        self.reasons.iter().find(|(known, _)| known == code).map(|(_, detail)| detail.as_str())
    }
}

impl Member {
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self { url: url.trim().trim_end_matches('/').to_owned(), http: reqwest::Client::new() }
    }

    /// A service of the stack by its name.
    pub fn of(stack: &Stack, name: &str) -> Result<Self> {
        let endpoints = stack.endpoints();
        let running = endpoints.services.get(name).with_context(|| format!("`{name}` does not run"))?;
        Ok(Self::at(running.http.as_deref().with_context(|| format!("`{name}` has no HTTP interface"))?))
    }

    /// Status and text of a path.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    pub async fn readiness(&self) -> Result<Readiness> {
        let value: Value = serde_json::from_str(&self.get("/readyz").await?.1)?;
        let text = |reason: &Value, field: &str| reason[field].as_str().unwrap_or_default().to_owned();
        let reasons = value["reasons"].as_array().into_iter().flatten();
        let reasons = reasons.map(|reason| (text(reason, "code"), text(reason, "detail"))).collect();
        Ok(Readiness { ready: value["ready"].as_bool().unwrap_or_default(), reasons })
    }

    /// Sum of a metric's samples whose labels hold `label` (all with an empty one).
    pub async fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let (_, text) = self.get("/metrics").await?;
        let samples = text.lines().filter_map(|line| line.split_once([' ', '{']).map(|(found, _)| (found, line)));
        let values = samples.filter(|(found, line)| *found == name && line.contains(label));
        values.map(|(_, line)| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?)).sum()
    }
}
