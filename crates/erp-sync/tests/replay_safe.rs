//! Any schedule of crashes, redeliveries, lost answers and late effects ends as the run without faults does.

mod common;

use common::mapping;
use erp_sync::{ErpSync, effect::ErpEffect, reply::Replies};
use events::{
    Envelope, Event, PaymentDisputed, PaymentReceived, PaymentRefunded,
    common::DisputeStatus,
    topics::{CUSTOMER_ONBOARDED, ORDER_REJECTED},
};
use failure::Failure;
use testkit::{
    business::{Faults, Item, Options, stream},
    simulation::{self, Case, SimEvent, World, assert_replay_safe},
};

fn events(faults: Faults) -> Vec<SimEvent<Event>> {
    let options = Options {
        seed: 11,
        accounts: 4,
        months: 4,
        start: jiff::civil::date(2026, 1, 1),
        max_events: Some(60),
        faults,
    };
    let events = stream(&options).expect("good options");
    let mut sim = Vec::new();
    for generated in events {
        let Item::Event { envelope, event } = generated.item else { continue };
        let after = match &event {
            Event::PaymentReceived(payment) => afterwards(&envelope, payment),
            _ => Vec::new(),
        };
        sim.push(SimEvent { topic: generated.topic, key: generated.key, envelope, event: Ok(event) });
        sim.extend(after);
    }
    sim
}

/// A bank asks about every payment and lets go of it; a unit of it goes back, and what was over-paid does.
fn afterwards(template: &Envelope, payment: &PaymentReceived) -> Vec<SimEvent<Event>> {
    let Some(allocation) = payment.allocations.first() else { return Vec::new() };
    let version = payment.entity_version;
    let dispute = |step: i64, status| PaymentDisputed {
        account_id: payment.account_id.clone(),
        entity_version: version + step,
        legal_entity_id: payment.legal_entity_id.clone(),
        payment_id: payment.payment_id.clone(),
        dispute_id: format!("D-{}", payment.payment_id),
        invoice_id: Some(allocation.invoice_id.clone()),
        status,
        amount_minor: 1,
        currency: payment.currency.clone(),
        disputed_on: payment.received_on,
        timezone: payment.timezone.clone(),
        ..PaymentDisputed::default()
    };
    let mut events: Vec<Event> = vec![dispute(1, DisputeStatus::Opened).into(), dispute(2, DisputeStatus::Won).into()];
    if payment.unapplied_minor > 0 {
        let refund = PaymentRefunded {
            account_id: payment.account_id.clone(),
            entity_version: version + 3,
            legal_entity_id: payment.legal_entity_id.clone(),
            payment_id: payment.payment_id.clone(),
            refund_id: format!("R-{}", payment.payment_id),
            amount_minor: payment.unapplied_minor,
            currency: payment.currency.clone(),
            refunded_on: payment.received_on,
            timezone: payment.timezone.clone(),
            ..PaymentRefunded::default()
        };
        events.push(refund.into());
    }
    let named = |(step, event): (usize, Event)| SimEvent {
        topic: event.topic(),
        key: payment.account_id.clone(),
        envelope: Envelope { id: format!("{}-{step}", template.id), ..template.clone() },
        event: Ok(event),
    };
    events.into_iter().enumerate().map(named).collect()
}

fn replying() -> ErpSync {
    ErpSync::replying(mapping(), Replies::new(Replies::TOPICS.into_iter().zip(1..).collect()))
}

#[test]
fn erp_sync_is_replay_safe() {
    assert_replay_safe(&Case::new(replying(), events(Faults::NONE)), 150);
}

/// One account's orders are refused by the ERP, and taken once somebody has mended the cause: every refusal is told once, in every
/// schedule, and what is taken in the end is the same.
#[test]
fn every_refusal_of_an_order_is_told_once_also_where_people_try_again() {
    fn on_hold(effect: &ErpEffect) -> Option<Failure> {
        match effect {
            ErpEffect::AcceptOrder { order, .. } if order.header.account_id.ends_with('1') => {
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
            ErpEffect::CreateCustomer { customer } if customer.account_id.ends_with('2') => {
                Some(Failure::business("REFUSED_BY_ERP", "finance", "no such customer, please"))
            }
            _ => None,
        }
    }
    let events = events(Faults { business_errors: 0.4, ..Faults::NONE });
    let case = Case { rule: refuses, ..Case::new(replying(), events) };
    for seed in (1..200).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}
