//! What is published while something is broken, and what the outside system must hold in the end.

use crate::outcome::End;
use anyhow::Result;
use e2e::{Bench, books::Books};
use events::{Headers, topics};
use kafka::{Drain, Outgoing};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use testkit::{
    business::{self, Faults, Generated, Item, Options},
    deals::deal,
};

/// The usual: copies, and keys that lie behind their time.
pub const USUAL: Faults = Faults { duplicates: 0.02, disorder: 0.05, ..Faults::NONE };
/// Events that the work on one deal comes to, about.
const EVENTS_OF_A_DEAL: u64 = 20;
const READ: Duration = Duration::from_secs(120);

pub struct Load {
    pub records: Vec<Outgoing>,
    pub expected: Books,
    /// Between two pauses.
    pub at_once: usize,
}

/// A business of so many events.
pub fn business(bench: &Bench, seed: u64, events: u64, faults: Option<Faults>) -> Load {
    let options = Options::of_events(seed, events).with_faults(faults.unwrap_or(USUAL));
    let mut stream = business::stream(&options).expect("good options");
    let records = stream.by_ref().map(|generated| outgoing(bench, generated)).collect();
    Load { records, expected: Books::expected(stream.expectations()), at_once: 25 }
}

fn outgoing(bench: &Bench, generated: Generated) -> Outgoing {
    match generated.item {
        Item::Event { envelope, event } => bench.record(&envelope, &event),
        Item::Raw { value, headers } => raw(generated.topic, generated.key, value, headers),
    }
}

fn raw(topic: &'static str, key: String, value: Option<Vec<u8>>, headers: Headers) -> Outgoing {
    let value = value.map(Into::into);
    Outgoing { topic: topic.into(), partition: None, key: Some(key.into()), value, headers, timestamp_ms: None }
}

/// Sound deals, each of an account of its own: a customer, an order and the revenue of its contract come of each.
pub fn deals(bench: &Bench, events: u64) -> Load {
    let count = events / EVENTS_OF_A_DEAL;
    let records = (0..count).map(|number| bench.deal(deal(&format!("A-{number}"), &format!("O-{number}")))).collect();
    let expected = Books { customers: count, orders: count, revenue_plans: count, ..Books::default() };
    Load { records, expected, at_once: 1 }
}

/// Every deal has its contract, which was told once; answers how many.
///
/// # Errors
/// Broken, with the contract that was told twice or of no deal.
pub async fn contracts(bench: &Bench) -> Result<u64, End> {
    let drain = Drain::new(bench.kafka().clone(), READ);
    let ids = async |topic: &str| -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for record in drain.collect(topic).await? {
            let text = |name| record.headers.text(name).unwrap_or_default().to_owned();
            ids.entry(text("ce_subject")).or_default().insert(text("ce_id"));
        }
        Ok(ids)
    };
    let (deals, contracts) = (ids(topics::OPPORTUNITY_CLOSED_WON).await?, ids(topics::CONTRACT_ACTIVATED).await?);
    if let Some((contract, told)) = contracts.iter().find(|(_, told)| told.len() != 1) {
        return Err(End::Broken(format!("I8: contract {contract} was told {} times", told.len())));
    }
    if deals.len() != contracts.len() {
        return Err(End::Broken(format!("I11: {} deals came to {} contracts", deals.len(), contracts.len())));
    }
    Ok(contracts.len() as u64)
}
