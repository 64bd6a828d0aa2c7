//! Any schedule of crashes, redeliveries, lost answers and late effects ends as the run without faults does.

use crm_sync::{CrmSync, effect::CrmEffect, event::CrmEvent};
use events::{
    Event, Notice,
    topics::{self, Family},
};
use failure::Failure;
use std::collections::BTreeSet;
use testkit::{
    business::{Faults, Item, Options, covering},
    simulation::{Case, Options as Weather, SimEvent, World, assert_replay_safe},
};

/// Lives of a few accounts that together have every kind of event.
fn events(faults: Faults) -> Vec<SimEvent<CrmEvent>> {
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

#[test]
fn crm_sync_is_replay_safe() {
    let events = events(Faults::NONE);
    let topics: BTreeSet<_> = events.iter().map(|event| event.topic).collect();
    assert_eq!(topics.len(), topics::of_family(Family::Commercial).count(), "every kind of event: {topics:?}");
    assert_replay_safe(&Case { coalesces: true, ..Case::new(CrmSync, events) }, 60);
}

/// Records that the CRM refuses: their accounts wait, the others go on. Only schedules that keep the order between topics can be compared:
/// in the others it is another event that waits behind the refused one.
#[test]
fn crm_sync_is_replay_safe_where_people_have_to_decide() {
    fn refuses(effect: &CrmEffect) -> Option<Failure> {
        match effect {
            CrmEffect::OpenTask { task } if task.account_id.ends_with(['2', '5', '8']) => {
                Some(Failure::business("REFUSED_BY_CRM", "revenue-operations", "no such task, please"))
            }
            _ => None,
        }
    }
    let case = Case { rule: refuses, coalesces: true, ..Case::new(CrmSync, events(Faults::NONE)) };
    for seed in (1..60).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}

/// A burst for one account: what waits while a call is out, or arrives together, is sent in its newest state only (design §5.4).
#[test]
fn fifty_updates_of_one_account_become_a_few_writes_and_the_others_end_superseded() {
    let all = events(Faults::NONE);
    let first = all.iter().find(|event| event.topic == topics::CONTRACT_ACTIVATED).expect("a contract").clone();
    let template = all.iter().find(|event| event.topic == topics::INVOICE_POSTED).expect("an invoice").clone();
    let mut burst = vec![first.clone()];
    for n in 0..50 {
        let mut event = template.clone();
        event.key.clone_from(&first.key);
        event.envelope.id = format!("burst-{n}");
        event.envelope.time_ms = first.envelope.time_ms + 1_000 + n;
        if let Ok(CrmEvent::Business(Event::InvoicePosted(invoice))) = &mut event.event {
            invoice.account_id.clone_from(&first.key);
            invoice.invoice_id = format!("burst-{n}");
        }
        burst.push(event);
    }
    let case = Case::new(CrmSync, burst);
    let (observed, _) = World::new(&case, Weather::calm(), 0).run().expect("the run without faults comes to rest");
    let shown = observed.effects.iter().filter(|effect| effect.entity.starts_with("receivable:"));
    let shown: Vec<CrmEffect> = shown.map(|effect| serde_json::from_str(&effect.payload).expect("an effect")).collect();
    assert!(shown.len() < 25, "{} writes for a burst of 50", shown.len());
    assert!(
        matches!(shown.last(), Some(CrmEffect::ShowReceivable { receivable, .. }) if receivable.open_invoices == 50),
        "the last write has all of it"
    );
    let superseded = observed.fates.values().filter(|fate| **fate == "superseded").count();
    assert_eq!(superseded, 50 - shown.len(), "what was not sent ended superseded");
}

/// A renewal that is due, one that is won on the opportunity opened for it, one that is lost. The order between topics says which of them comes first.
#[test]
fn crm_sync_is_replay_safe_where_renewals_are_due_won_and_lost() {
    let all = events(Faults::NONE);
    let of = |topic: &str| all.iter().find(|event| event.topic == topic).expect("one of each").clone();
    let active = of(topics::CONTRACT_ACTIVATED);
    let Ok(CrmEvent::Business(Event::ContractActivated(contract))) = &active.event else { panic!("{active:?}") };
    let term = events::common::Term {
        end_on: Some(contract.term.start_on.saturating_add(jiff::Span::new().years(1))),
        ..contract.term.clone()
    };
    let (first, second) = (term.end_on.expect("an end"), term.start_on.saturating_add(jiff::Span::new().years(2)));
    let contract = events::ContractActivated { entity_version: 1, term: term.clone(), ..(**contract).clone() };
    let due = |renews_on| events::SubscriptionRenewalDue {
        account_id: contract.account_id.clone(),
        entity_version: 1,
        legal_entity_id: contract.legal_entity_id.clone(),
        renewal_id: format!("{}/{renews_on}", contract.contract_id),
        contract_id: contract.contract_id.clone(),
        renews_on,
        currency: contract.currency.clone(),
        ..events::SubscriptionRenewalDue::default()
    };
    let renewed = events::SubscriptionRenewalAccepted {
        account_id: contract.account_id.clone(),
        entity_version: 2,
        legal_entity_id: contract.legal_entity_id.clone(),
        renewal_id: "renewal".into(),
        contract_id: contract.contract_id.clone(),
        renewed_term: events::common::Term { start_on: first, end_on: Some(second), ..term },
        currency: contract.currency.clone(),
        ..events::SubscriptionRenewalAccepted::default()
    };
    let declined = events::SubscriptionRenewalDeclined {
        account_id: contract.account_id.clone(),
        entity_version: 1,
        legal_entity_id: contract.legal_entity_id.clone(),
        renewal_id: "declined".into(),
        contract_id: contract.contract_id.clone(),
        ends_on: second,
        ..events::SubscriptionRenewalDeclined::default()
    };
    let happened: [(&'static str, CrmEvent); 5] = [
        (topics::CONTRACT_ACTIVATED, Event::from(contract.clone()).into()),
        (topics::SUBSCRIPTION_RENEWAL_DUE, Notice::from(due(first)).into()),
        (topics::SUBSCRIPTION_RENEWAL_ACCEPTED, Event::from(renewed).into()),
        (topics::SUBSCRIPTION_RENEWAL_DUE, Notice::from(due(second)).into()),
        (topics::SUBSCRIPTION_RENEWAL_DECLINED, Notice::from(declined).into()),
    ];
    let story = happened.into_iter().enumerate().map(|(index, (topic, event))| {
        let mut happens = SimEvent { topic, event: Ok(event), ..active.clone() };
        happens.envelope.id = format!("renewal-{index}");
        happens.envelope.time_ms += i64::try_from(index).expect("few") * 1_000;
        happens
    });
    let case = Case { coalesces: true, ..Case::new(CrmSync, story.collect()) };
    for seed in (1..100).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}
