//! Any schedule of crashes, redeliveries, lost answers and late effects ends as the run without faults does.

mod common;

use common::mapping;
use erp_sync::{ErpSync, effect::ErpEffect, event::ErpEvent, reply::Replies};
use events::topics::{self, CUSTOMER_ONBOARDED, Family, ORDER_REJECTED};
use failure::Failure;
use std::collections::BTreeSet;
use testkit::{
    business::{Faults, Item, Options, covering},
    simulation::{self, Case, SimEvent, World, assert_replay_safe},
};

/// Lives of a few accounts that together have every kind of event.
fn events(faults: Faults) -> Vec<SimEvent<ErpEvent>> {
    let start = jiff::civil::date(2026, 1, 1);
    let options = Options { seed: 11, accounts: 200, months: 4, start, max_events: None, faults };
    let sim = covering(&options).expect("good options").into_iter().filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => {
            Some(SimEvent { topic: generated.topic, key: generated.key, envelope, event: Ok(event.into()) })
        }
        Item::Raw { .. } => None,
    });
    sim.collect()
}

fn replying() -> ErpSync {
    ErpSync::replying(mapping(), Replies::new(Replies::TOPICS.into_iter().zip(1..).collect()))
}

#[test]
fn erp_sync_is_replay_safe() {
    let events = events(Faults::NONE);
    let topics: BTreeSet<_> = events.iter().map(|event| event.topic).collect();
    assert_eq!(topics.len(), topics::of_family(Family::Commercial).count(), "every kind of event: {topics:?}");
    assert_replay_safe(&Case::new(replying(), events), 60);
}

/// One account's orders are refused by the ERP, and taken once somebody has mended the cause: every refusal is told once, in every
/// schedule, and what is taken in the end is the same.
#[test]
fn every_refusal_of_an_order_is_told_once_also_where_people_try_again() {
    fn on_hold(effect: &ErpEffect) -> Option<Failure> {
        match effect {
            ErpEffect::AcceptOrder { order, .. } if order.header.account_id.ends_with(['1', '4', '7']) => {
                Some(Failure::business("CREDIT_HOLD", "credit-control", "the customer is on hold"))
            }
            _ => None,
        }
    }
    let case = Case { rule: on_hold, is_looked_after: true, ..Case::new(replying(), events(Faults::NONE)) };
    let (twin, _) = World::new(&case, simulation::Options::calm(), 0).run().expect("a run without faults");
    let told =
        |topic: &str| twin.published.iter().filter(|((name, _), _)| name == topic).map(|(_, e)| e.len()).sum::<usize>();
    let accounts = told(CUSTOMER_ONBOARDED);
    assert!(told(ORDER_REJECTED) >= 2, "{} rejections of {accounts} accounts", told(ORDER_REJECTED));
    for seed in (1..150).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}

/// Documents that nobody maps and customers whom the ERP refuses: their accounts wait, the others go on. Only schedules that keep
/// the order between topics can be compared: in the others it is another event that waits behind the refused one.
#[test]
fn erp_sync_is_replay_safe_where_people_have_to_decide() {
    fn refuses(effect: &ErpEffect) -> Option<Failure> {
        match effect {
            ErpEffect::CreateCustomer { customer } if customer.account_id.ends_with(['2', '5', '8']) => {
                Some(Failure::business("REFUSED_BY_ERP", "finance", "no such customer, please"))
            }
            _ => None,
        }
    }
    let events = events(Faults { business_errors: 0.4, ..Faults::NONE });
    let case = Case { rule: refuses, ..Case::new(replying(), events) };
    for seed in (1..80).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}
