//! A stand-in whose vendor takes one key, and what tests ask of it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use connectors::{Access, Bounds, Cause};
use failure::{Class, Failure};
use sandbox::{Rule, entitlement::Sandbox};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

pub struct StandIn {
    pub sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl StandIn {
    pub fn new(sandbox: Sandbox) -> Self {
        // Fails only where one is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { sandbox, folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn key_file(&self) -> PathBuf {
        self.sandbox.credentials().save(self.folder.path(), "vendor").expect("credentials")
    }

    pub fn access(&self) -> Access {
        Access {
            base_url: self.sandbox.url(),
            key_file: self.key_file(),
            concurrency: 4,
            bounds: Bounds { request_timeout: Duration::from_secs(5), ..Bounds::default() },
            allow_plain_http: false,
        }
    }

    pub fn fault(&self, rule: Value) {
        let rule: Rule = serde_json::from_value(rule).expect("a rule");
        self.sandbox.add_fault(rule).expect("a good rule");
    }

    pub async fn admin(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).expect("JSON")
    }

    async fn text(&self, path: &str) -> String {
        let answer = reqwest::get(format!("{}/__admin/{path}", self.sandbox.url())).await.expect("an answer");
        answer.text().await.expect("text")
    }

    pub async fn post_admin(&self, path: &str, body: Value) {
        let url = format!("{}/__admin/{path}", self.sandbox.url());
        let answer = reqwest::Client::new().post(url).json(&body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    pub async fn advance(&self, wait: Duration) {
        self.post_admin("clock", json!({ "advance_ms": u64::try_from(wait.as_millis()).expect("not that long") }))
            .await;
    }

    /// Effects on objects of a kind: operation, our id, event.
    pub async fn effects(&self, object: &str) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lines = self.text("effects").await;
        let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        all.filter(|effect| effect["object"] == object)
            .map(|effect| (text(&effect["operation"]), text(&effect["external_id"]), text(&effect["event_id"])))
            .collect()
    }

    pub async fn records(&self, object: &str) -> Vec<Value> {
        self.admin("state?records=true").await["records"][object].as_array().cloned().unwrap_or_default()
    }

    /// Requests of a route, whatever came of them.
    pub async fn requests(&self, route: &str) -> u64 {
        let all = self.admin("requests?limit=0").await;
        let counts = all["counts"].get(route).and_then(Value::as_object).into_iter().flatten();
        counts.filter_map(|(_, count)| count.as_u64()).sum()
    }
}

pub fn cause(event_id: &str) -> Cause {
    Cause {
        event_id: event_id.into(),
        correlation_id: Some("flow-1".into()),
        account_id: "A-1".into(),
        traceparent: None,
    }
}

/// Class and code of what a call ended in.
pub fn failed<T: std::fmt::Debug>(ended: Result<T, connectors::Error>) -> (Class, String) {
    let failure = Failure::from(ended.expect_err("a failure"));
    (failure.class, failure.code.to_string())
}
