//! A service of its own: it reads what the others read, and keeps the contracts of each account that are in force.

use clap::Parser as _;
use consumer::{
    Decision, Documents, Handler, Input, NoEffect, Nobody,
    runtime::{self, Observer, RuntimeConfig, Service},
};
use events::{Event, EventSet as _};
use failure::Failure;
use ledger::DocumentKey;
use serde::{Deserialize, Serialize};
use service::{Args, Stop};
use std::{collections::BTreeMap, process::ExitCode};

pub const SERVICE: &str = "contract-count";
pub const KIND: &str = "contracts";

/// The contracts of an account, and whether each was cancelled: the same whatever the order in which topics are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contracts {
    pub account_id: String,
    pub cancelled: BTreeMap<String, bool>,
}

impl consumer::Document for Contracts {
    fn status(&self) -> &str {
        if self.cancelled.values().any(|cancelled| !cancelled) { "customer" } else { "none" }
    }

    fn account_id(&self) -> &str {
        &self.account_id
    }
}

#[derive(Debug)]
pub struct ContractCount;

impl Handler for ContractCount {
    type Event = Event;
    type Document = Contracts;
    type Effect = NoEffect;

    fn name(&self) -> &'static str {
        SERVICE
    }

    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(event) => vec![DocumentKey::new(KIND, event.account_id())],
            Input::Timer { .. } | Input::Outcome { .. } | Input::Refused { .. } => Vec::new(),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, Contracts>,
        input: &Input<'_, Self>,
        _context: &consumer::Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let Input::Event(event) = input else { return Ok(Decision::new()) };
        let account = event.account_id();
        let mut contracts = documents.get(KIND, account).cloned().unwrap_or_default();
        account.clone_into(&mut contracts.account_id);
        match event {
            Event::ContractActivated(event) => drop(contracts.cancelled.entry(event.contract_id.clone()).or_default()),
            Event::ContractCancelled(event) => drop(contracts.cancelled.insert(event.contract_id.clone(), true)),
            _ => return Ok(Decision::skip("only contracts are counted")),
        }
        Ok(Decision::new().put(KIND, account, contracts))
    }
}

async fn run(context: service::Context<RuntimeConfig>) -> Result<(), Stop> {
    let service::Context { config, health, metrics, shutdown, .. } = context;
    let observer = Observer::new(metrics, health, consumer::runtime::NOBODY);
    let service = Service { handler: ContractCount, target: Nobody, config, observer, shutdown };
    runtime::run(service).await.map_err(runtime::Error::into_stop)
}

fn main() -> ExitCode {
    service::run(SERVICE, &Args::parse(), run)
}
