//! Any schedule of crashes, redeliveries, lost answers and late effects ends as the run without faults does.

mod common;

use common::mapping;
use erp_sync::{ErpSync, effect::ErpEffect, event::ErpEvent, reply::Replies};
use events::{
    Envelope, Event, OrderCancelRequested, OrderRequested, Request,
    common::Reason,
    topics::{self, CUSTOMER_ONBOARDED, Family, ORDER_REJECTED},
};
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

/// Orders that are asked for before their contracts: one in two becomes a contract, the others are taken back. Only schedules that keep
/// the order between topics can be compared: in the others a contract makes its order itself.
#[test]
fn orders_before_their_contracts_are_made_and_taken_back_once() {
    let mut story = Vec::new();
    for (n, sim) in events(Faults::NONE).into_iter().enumerate() {
        let Ok(ErpEvent::Business(Event::ContractActivated(contract))) = &sim.event else { continue };
        let order_id = contract.contract_id.clone();
        let requested = OrderRequested {
            account_id: contract.account_id.clone(),
            entity_version: 1,
            effective_at: contract.effective_at,
            recorded_at: contract.recorded_at,
            legal_entity_id: contract.legal_entity_id.clone(),
            contract_id: order_id.clone(),
            order_id: order_id.clone(),
            opportunity_id: "O-1".into(),
            customer: contract.customer.clone(),
            currency: contract.currency.clone(),
            term: contract.term.clone(),
            total_net_minor: contract.lines.iter().map(|line| line.amount_minor).sum(),
            lines: contract.lines.clone(),
            policy_version: "0".into(),
            ..OrderRequested::default()
        };
        let cancelled = OrderCancelRequested {
            account_id: contract.account_id.clone(),
            entity_version: 2,
            effective_at: contract.effective_at,
            recorded_at: contract.recorded_at,
            legal_entity_id: contract.legal_entity_id.clone(),
            contract_id: order_id.clone(),
            order_id,
            opportunity_id: "O-1".into(),
            reason: Reason { code: "reopened".into(), text: None },
        };
        let asks = |minutes: i64, topic, request: Request| {
            let id = format!("{topic}-{n}");
            let envelope = Envelope { id, time_ms: sim.envelope.time_ms - minutes * 60_000, ..sim.envelope.clone() };
            SimEvent { topic, key: sim.key.clone(), envelope, event: Ok(request.into()) }
        };
        story.push(asks(2, topics::ORDER_REQUESTED, requested.into()));
        if n % 2 == 0 {
            story.push(asks(1, topics::ORDER_CANCEL_REQUESTED, cancelled.into()));
        } else {
            story.push(sim);
        }
    }
    let case = Case::new(replying(), story);
    let (twin, _) = World::new(&case, simulation::Options::calm(), 0).run().expect("a run without faults");
    let told =
        |topic: &str| twin.published.iter().filter(|((name, _), _)| name == topic).map(|(_, e)| e.len()).sum::<usize>();
    assert!(told(topics::ORDER_ACCEPTED) >= 2, "each order is answered once");
    for seed in (1..40).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}
