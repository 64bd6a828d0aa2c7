//! `GET /__admin/state`: what the books add up to.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    app::App,
    books::{kind::Kind, render, store::Record},
    clock::timestamp,
    state::State,
};

type ByCurrency = BTreeMap<String, i64>;

/// One record type's records: how many, what they amount to, what of it is open (minor units by currency).
#[derive(Debug, Default, Serialize)]
struct Total {
    count: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    amount_minor: ByCurrency,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    open_minor: ByCurrency,
}

impl Total {
    fn add(&mut self, kind: Kind, record: &Record) {
        self.count += 1;
        if let Some(document) = &record.head.document {
            *self.amount_minor.entry(document.currency.to_string()).or_default() += document.total;
            if kind.is_posting() {
                *self.open_minor.entry(document.currency.to_string()).or_default() += record.open(kind);
            }
        }
    }
}

/// What a snapshot shows beside the totals.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// The same totals for each account.
    pub accounts: bool,
    /// Every customer and transaction in full.
    pub records: bool,
}

/// The sandbox's state: `{now, in_progress, effects, jobs, totals: {type: …}, accounts: {account id: {type: …}},
/// records: {type: […]}}`.
pub fn snapshot(app: &App, state: &State, parts: Parts) -> Value {
    let mut totals: BTreeMap<&str, Total> = BTreeMap::new();
    let mut accounts: BTreeMap<&str, BTreeMap<&str, Total>> = BTreeMap::new();
    for kind in Kind::ALL {
        let total = totals.entry(kind.name()).or_default();
        for record in state.store.table(kind).rows.values() {
            total.add(kind, record);
            if let Some(account) = record.head.account_id.as_deref().filter(|_| parts.accounts) {
                accounts.entry(account).or_default().entry(kind.name()).or_default().add(kind, record);
            }
        }
    }
    let mut snapshot = json!({
        "now": timestamp(app.clock.now_ms()),
        "in_progress": app.in_progress(),
        "effects": state.store.effects.count(),
        "jobs": state.jobs.count(),
        "totals": totals,
    });
    if parts.accounts {
        snapshot["accounts"] = json!(accounts);
    }
    if parts.records {
        snapshot["records"] = records(app, state);
    }
    snapshot
}

fn records(app: &App, state: &State) -> Value {
    let base = app.record_base();
    let list = |kind: Kind| -> Value {
        let rows = state.store.table(kind).rows.iter();
        rows.map(|(id, record)| Value::Object(render::record(&state.store, kind, *id, record, &base, true))).collect()
    };
    Kind::ALL.into_iter().filter(|kind| kind.is_writable()).map(|kind| (kind.name().to_owned(), list(kind))).collect()
}
