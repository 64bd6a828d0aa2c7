//! The cases of the services: lives of a few accounts that together have every kind of event.

use analytics_feed::{AnalyticsFeed, Pseudonyms, Writer};
use erp_sync::{ErpSync, Mapping, effect::ErpEffect, reply::Replies};
use events::Event;
use failure::Failure;
use testkit::{
    business::{Faults, Item, Options, covering},
    simulation::{Case, Scenario, SimEvent},
};

fn lives(seed: u64) -> Vec<SimEvent<Event>> {
    let options = Options::new(seed, 200).over_months(4).with_faults(Faults::NONE);
    let generated = covering(&options).unwrap_or_else(|error| unreachable!("options of our own: {error}"));
    let sim = generated.into_iter().filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => {
            Some(SimEvent { topic: generated.topic, key: generated.key, envelope, event: Ok(event) })
        }
        Item::Raw { .. } => None,
    });
    sim.collect()
}

/// erp-sync as it runs, with the mapping in the repository.
pub fn erp_sync() -> ErpSync {
    let mapping = Mapping::parse(include_str!("../../../deploy/policies/erp-mapping.yaml"));
    let mapping = mapping.unwrap_or_else(|error| unreachable!("the mapping in the repository: {error}"));
    ErpSync::replying(mapping, Replies::new(Replies::TOPICS.into_iter().zip(1..).collect()))
}

/// analytics-feed with a key of its own.
pub fn feed() -> AnalyticsFeed {
    let masks = Pseudonyms::try_new(&"0123456789abcdef0123456789abcdef".to_owned().into(), 1);
    AnalyticsFeed::new(masks.unwrap_or_else(|error| unreachable!("a good key: {error}")), Writer::numbered())
}

/// Some accounts' orders are refused at first.
fn on_hold(effect: &ErpEffect) -> Option<Failure> {
    match effect {
        ErpEffect::AcceptOrder { order, .. } if order.header.account_id.ends_with(['1', '4', '7']) => {
            Some(Failure::business("CREDIT_HOLD", "credit-control", "the customer is on hold"))
        }
        _ => None,
    }
}

#[must_use]
pub fn all() -> Vec<Scenario> {
    let refused = Case { rule: on_hold, is_looked_after: true, ..Case::new(erp_sync(), lives(11)) };
    vec![
        Scenario::new("erp-sync", Case::new(erp_sync(), lives(11))),
        Scenario::new("erp-sync-refused", refused),
        Scenario::new("analytics-feed", Case::new(feed(), lives(11))),
    ]
}
