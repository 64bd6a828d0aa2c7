//! The business of the generic cases: orders and invoices of accounts, as plain values.

use super::super::SimEvent;
use consumer::{Document, Effect, Publish};
use events::{Envelope, EventSet, Headers, WriterSchema};
use failure::Failure;
use serde::{Deserialize, Serialize};

pub const ORDERS: &str = "order.v1";
pub const INVOICES: &str = "invoice.v1";

#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    pub topic: &'static str,
    pub account: String,
    pub subject: String,
    pub version: i64,
    pub amount: i64,
}

impl EventSet for Fact {
    fn topics() -> Vec<&'static str> {
        vec![ORDERS, INVOICES]
    }
    fn decode_avro(_: &str, _: &WriterSchema, _: &[u8]) -> Result<Self, Failure> {
        Err(Failure::bug("INVARIANT_BROKEN", "simulated events are not decoded"))
    }
    fn decode_json(_: &str, _: &serde_json::Value) -> Result<Self, Failure> {
        Err(Failure::bug("INVARIANT_BROKEN", "simulated events are not decoded"))
    }
    fn account_id(&self) -> &str {
        &self.account
    }
    fn subject(&self) -> &str {
        &self.subject
    }
    fn entity_version(&self) -> Option<i64> {
        Some(self.version)
    }
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Account {
    pub account: String,
    pub ordered: bool,
    pub orders: u32,
    pub invoiced: i64,
    pub versions: i64,
    pub receipts: usize,
    pub reminded: bool,
}

impl Document for Account {
    fn status(&self) -> &str {
        if self.ordered { "ordered" } else { "new" }
    }
    fn account_id(&self) -> &str {
        &self.account
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Post {
    pub key: String,
    pub entity: String,
    pub amount: i64,
    pub coalesces: bool,
}

impl Effect for Post {
    fn key(&self) -> String {
        self.key.clone()
    }
    fn entity(&self) -> String {
        self.entity.clone()
    }
    fn coalesces(&self) -> bool {
        self.coalesces
    }
    fn reports(&self) -> bool {
        !self.coalesces
    }
}

pub fn notice(topic: &str, key: &str, id: &str) -> Publish {
    let mut headers = Headers::default();
    headers.push("ce_id", id.to_owned());
    Publish { topic: topic.into(), key: key.into(), value: Some(id.as_bytes().to_vec()), headers }
}

pub fn event(topic: &'static str, account: usize, subject: String, id: String, amount: i64) -> SimEvent<Fact> {
    let account = format!("a{account}");
    let fact = Fact { topic, account: account.clone(), subject: subject.clone(), version: 1, amount };
    let envelope = Envelope {
        id,
        source: "urn:test".into(),
        event_type: format!("com.example.throughline.{topic}"),
        time_ms: 0,
        subject: Some(subject),
        correlation_id: None,
        causation_id: None,
        sequence: None,
        dataschema: None,
        change_origin: None,
        traceparent: None,
    };
    SimEvent { topic, key: account, envelope, event: Ok(fact) }
}
