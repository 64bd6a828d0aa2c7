//! A contract event that carries what the ERP owns: what it ends as, and what people see of it.

mod common;

use common::mapping;
use erp_sync::{ErpSync, reply::Replies};
use events::{ContractActivated, Envelope, Event, EventSet as _, topics};
use failure::Class;
use testkit::{
    business::{Faults, Item, Options, stream},
    simulation::{self, Case, Observed, SimEvent, World},
};

/// The first contract of a business, and what comes after it for the same account.
fn after_the_first(change: fn(&mut ContractActivated)) -> (ContractActivated, Observed) {
    let options = Options {
        seed: 5,
        accounts: 1,
        months: 1,
        start: jiff::civil::date(2026, 1, 1),
        max_events: Some(20),
        faults: Faults::NONE,
    };
    let is_first = |item: Item| match item {
        Item::Event { envelope, event: Event::ContractActivated(event) } => Some((envelope, *event)),
        _ => None,
    };
    let mut events = stream(&options).expect("good options");
    let (envelope, first) = events.find_map(|generated| is_first(generated.item)).expect("a contract");
    let mut second = first.clone();
    second.contract_id = format!("{}-2", first.contract_id);
    change(&mut second);
    let sent = |envelope: Envelope, event: ContractActivated| SimEvent {
        topic: topics::CONTRACT_ACTIVATED,
        key: event.account_id.clone(),
        envelope,
        event: Ok(Event::from(event).into()),
    };
    let other = Envelope { id: format!("{}-2", envelope.id), ..envelope.clone() };
    let handler = ErpSync::replying(mapping(), Replies::new(Replies::TOPICS.into_iter().zip(1..).collect()));
    let case = Case::new(handler, vec![sent(envelope, first.clone()), sent(other, second)]);
    let (observed, _) = World::new(&case, simulation::Options::calm(), 0).run().expect("a run without faults");
    (first, observed)
}

fn published(observed: &Observed, topic: &str) -> usize {
    observed.published.iter().filter(|((name, _), _)| name == topic).map(|(_, events)| events.len()).sum()
}

#[test]
fn a_refused_edit_is_a_case_with_both_sides_for_the_owner_of_the_field_and_changes_nothing() {
    let (first, observed) = after_the_first(|event| event.customer.currency = "CHF".into());
    assert_eq!(Event::from(first.clone()).check(), Ok(()));
    let [case] = observed.cases.as_slice() else { panic!("{:?}", observed.cases) };
    assert_eq!((case.class, &*case.code), (Class::Business, "FIELD_PROTECTED"));
    assert_eq!((case.owner.as_deref(), case.field.as_deref()), (Some("master-data"), Some("customer.currency")));
    let both = format!("{} there, CHF in the event", first.customer.currency);
    assert!(case.reason.contains(&both) && case.reason.contains(&first.account_id), "{}", case.reason);
    assert!(observed.effects.iter().all(|effect| !effect.entity.ends_with("-2")), "nothing of it reached the ERP");
    assert_eq!(published(&observed, topics::ORDER_REJECTED), 1, "whoever asked for the order hears of it");
    assert_eq!(published(&observed, "dlq.erp-sync"), 0, "it is a case, not a letter");
}

#[test]
fn a_name_is_personal_data_and_shown_as_a_fingerprint() {
    let (first, observed) = after_the_first(|event| event.customer.legal_name = "Zebra & Daughters".into());
    let [case] = observed.cases.as_slice() else { panic!("{:?}", observed.cases) };
    assert_eq!(case.field.as_deref(), Some("customer.legal_name"));
    assert!(
        !case.reason.contains("Zebra") && !case.reason.contains(first.customer.legal_name.reveal()),
        "{}",
        case.reason
    );
}

#[test]
fn the_same_customer_in_a_further_contract_is_no_edit() {
    let (_, observed) = after_the_first(|_| {});
    assert!(observed.cases.is_empty(), "{:?}", observed.cases);
}
