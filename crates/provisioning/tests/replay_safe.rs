//! Any schedule of crashes, redeliveries, lost answers and late effects ends as the run without faults does. Half of the business lies in
//! the future of the simulated clock, so that what is due by date is decided by timers.

use events::{
    ContractActivated, ContractCancelled, Envelope, Event, EventSet as _,
    common::{ContractLine, Customer, Reason, Term},
    topics::{self, Family},
};
use failure::Failure;
use provisioning::{Policy, Provisioning, effect::AccessEffect, reply::Replies};
use std::collections::BTreeSet;
use testkit::{
    business::{Faults, Item, Options, covering},
    simulation::{Case, Options as Weather, SimEvent, World, assert_replay_safe},
};

/// Lives of a few accounts that together have every kind of event.
fn events(start: jiff::civil::Date) -> Vec<SimEvent<Event>> {
    let options = Options { seed: 11, accounts: 200, months: 4, start, max_events: None, faults: Faults::NONE };
    let sim = covering(&options).expect("good options").into_iter().filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => {
            Some(SimEvent { topic: generated.topic, key: generated.key, envelope, event: Ok(event) })
        }
        Item::Raw { .. } => None,
    });
    sim.collect()
}

fn service() -> Provisioning {
    let policy = Policy::parse(include_str!("../../../deploy/policies/provisioning.yaml")).expect("a good policy");
    Provisioning::new(policy, Replies::new(Replies::TOPICS.into_iter().zip(1..).collect()), true)
}

#[test]
fn provisioning_is_replay_safe_when_everything_lies_ahead() {
    let events = events(jiff::civil::date(2026, 1, 1));
    let topics: BTreeSet<_> = events.iter().map(|event| event.topic).collect();
    assert_eq!(topics.len(), topics::of_family(Family::Commercial).count(), "every kind of event: {topics:?}");
    assert_replay_safe(&Case::new(service(), events), 60);
}

/// What lies behind is carried out as it is read. Only schedules that keep the order between topics can be compared step by step: in the
/// others a payment may be read before the failures that it settles, and access that one run suspends and resumes is never suspended.
#[test]
fn provisioning_is_replay_safe_when_everything_lies_behind() {
    let case = Case::new(service(), events(jiff::civil::date(2024, 1, 1)));
    for seed in (1..60).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}

/// Features that the platform refuses: their accounts wait, the others go on. Only schedules that keep the order between topics can be
/// compared: in the others it is another event that waits behind the refused one.
#[test]
fn provisioning_is_replay_safe_where_people_have_to_decide() {
    fn refuses(effect: &AccessEffect) -> Option<Failure> {
        match effect {
            AccessEffect::SetEntitlement { entitlement } if entitlement.tenant_id.ends_with(['2', '5', '8']) => {
                Some(Failure::business("FEATURE_UNKNOWN", "master-data", "no such feature"))
            }
            _ => None,
        }
    }
    let case = Case { rule: refuses, ..Case::new(service(), events(jiff::civil::date(2024, 1, 1))) };
    for seed in (1..60).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}

fn happens(id: &str, event: Event) -> SimEvent<Event> {
    let topic = event.topic();
    let envelope = Envelope {
        id: id.to_owned(),
        source: "urn:test".into(),
        event_type: topics::event_type(topic),
        subject: Some(event.subject().to_owned()),
        ..Envelope::default()
    };
    SimEvent { topic, key: event.account_id().to_owned(), envelope, event: Ok(event) }
}

fn activated(contract: &str, product: &str) -> Event {
    let line = ContractLine {
        contract_line_id: "L1".into(),
        product_id: product.into(),
        quantity: 1.into(),
        ..ContractLine::default()
    };
    Event::from(ContractActivated {
        account_id: "A-1".into(),
        entity_version: 1,
        legal_entity_id: "US".into(),
        contract_id: contract.into(),
        currency: "USD".into(),
        customer: Customer { legal_name: "Example".into(), currency: "USD".into(), ..Customer::default() },
        term: Term { start_on: jiff::civil::date(2026, 1, 1), timezone: "UTC".into(), ..Term::default() },
        lines: vec![line],
        ..ContractActivated::default()
    })
}

/// What lies parked because nobody mapped its product is ended by the cancellation that gives it up, without anybody's hand, and what waits
/// behind it goes on.
#[test]
fn an_activation_that_is_given_up_ends_with_its_cancellation() {
    let given_up = Event::from(ContractCancelled {
        account_id: "A-1".into(),
        entity_version: 2,
        legal_entity_id: "US".into(),
        contract_id: "C-1".into(),
        currency: "USD".into(),
        cancel_on: jiff::civil::date(2026, 1, 1),
        timezone: "UTC".into(),
        reason: Reason { code: "activation_failed".into(), text: None },
        ..ContractCancelled::default()
    });
    let story = vec![
        happens("1", activated("C-1", "SUB-GADGET")),
        happens("2", activated("C-2", "SUB-PLATFORM")),
        happens("3", given_up),
    ];
    let case = Case::new(service(), story);
    let (observed, _) = World::new(&case, Weather::calm(), 0).run().expect("the run comes to rest");
    assert_eq!(observed.cases, [], "nothing is parked any more");
    let fates: Vec<&str> = observed.fates.values().copied().collect();
    assert_eq!(fates, ["skipped", "applied", "applied"]);
    assert!(observed.effects.iter().any(|effect| effect.payload.contains("C-2")), "the other contract has its access");
    assert!(observed.effects.iter().all(|effect| !effect.payload.contains("C-1")));
    for seed in (1..60).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}
