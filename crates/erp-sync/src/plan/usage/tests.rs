//! Usage is added up, corrected, late, and charged as often as the policy says.

use super::*;
use crate::{
    effect::ErpEffect,
    testing::{State, activated, kept, mapping, used},
};
use consumer::TimerChange;
use events::Event;
use failure::Class;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: i64 = 1_770_000_000_000;

fn decide(state: &State, event: &UsageRated) -> Result<Decision, Failure> {
    plan(&mapping(), Known(&state.documents()), event, NOW)
}

fn after(events: &[UsageRated]) -> State {
    let first: Event = activated("A-1", "C-1").into();
    let all: Vec<Event> = std::iter::once(first).chain(events.iter().cloned().map(Event::from)).collect();
    kept(&mapping(), &all)
}

fn charges(decision: &Decision) -> Vec<(String, i64)> {
    let charge = |effect: &ErpEffect| match effect {
        ErpEffect::ChargeUsage { charge } => Some((charge.charge_id.clone(), charge.amount_minor)),
        _ => None,
    };
    decision.effects.iter().filter_map(charge).collect()
}

fn usage(state: &State) -> Usage {
    let documents = state.documents();
    Known(&documents).usage("C-1|api_calls|USE-API-CALLS").expect("added up").clone()
}

#[test]
fn a_month_of_usage_becomes_one_charge_when_a_later_month_shows_that_it_is_over() {
    let january: Vec<_> = (1..=50).map(|n| used(&format!("U-{n}"), "2026-01-15", 10)).collect();
    let state = after(&january);
    assert_eq!(usage(&state).waiting_minor(), 500, "nothing is charged while the month runs");
    let decision = decide(&state, &used("U-51", "2026-02-15", 7)).expect("a plan");
    assert_eq!(charges(&decision), [("C-1/api_calls/USE-API-CALLS/2026-01/1".to_owned(), 500)]);
}

#[test]
fn days_of_grace_are_kept_before_a_month_is_charged() {
    let state = after(&[used("U-1", "2026-01-31", 10)]);
    let mut early = used("U-2", "2026-02-01", 1);
    early.effective_at = "2026-02-02T23:59:00Z".parse().expect("a time");
    assert!(charges(&decide(&state, &early).expect("a plan")).is_empty());
    early.effective_at = "2026-02-03T00:00:00Z".parse().expect("a time");
    assert_eq!(charges(&decide(&state, &early).expect("a plan")).len(), 1);
}

#[test]
fn late_usage_waits_for_the_clock_and_becomes_a_further_charge_of_its_month() {
    let mut events = vec![used("U-1", "2026-01-15", 10), used("U-2", "2026-02-15", 7)];
    for n in 3..20 {
        let mut late = used(&format!("U-{n}"), "2026-01-20", 1);
        late.effective_at = "2026-02-16T12:00:00Z".parse().expect("a time");
        events.push(late);
        events.push(used(&format!("V-{n}"), "2026-02-17", 1));
    }
    let state = after(&events);
    let added = usage(&state);
    assert_eq!((added.months["2026-01"].charges, added.months["2026-01"].amount_minor), (1, 17));
    let at = "2026-03-05T00:00:00Z".parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    let payload = serde_json::json!({ "usage": "C-1|api_calls|USE-API-CALLS", "contract": "C-1" });
    let decision = timer(&mapping(), Known(&state.documents()), &payload, at).expect("a plan");
    let expected = [
        ("C-1/api_calls/USE-API-CALLS/2026-01/2".to_owned(), 17),
        ("C-1/api_calls/USE-API-CALLS/2026-02/1".to_owned(), 24),
    ];
    assert_eq!(charges(&decision), expected);
}

#[test]
fn the_clock_is_set_once_and_never_so_early_that_a_catch_up_charges_every_event() {
    let state = after(&[]);
    let decision = decide(&state, &used("U-1", "2020-01-15", 10)).expect("a plan");
    let [TimerChange::Set { due_ms, .. }] = decision.timers.as_slice() else { panic!("{:?}", decision.timers) };
    assert_eq!(*due_ms, NOW + 3_600_000);
    let state = after(&[used("U-1", "2020-01-15", 10)]);
    assert!(decide(&state, &used("U-2", "2020-01-15", 10)).expect("a plan").timers.is_empty());
}

#[test]
fn as_many_events_as_the_policy_allows_are_charged_at_once() {
    let mut few = mapping();
    few.posting.usage.max_events = 3;
    let state = after(&[used("U-1", "2026-01-15", 1), used("U-2", "2026-01-15", 1)]);
    let decision = plan(&few, Known(&state.documents()), &used("U-3", "2026-01-15", 1), NOW).expect("a plan");
    assert_eq!(charges(&decision), [("C-1/api_calls/USE-API-CALLS/2026-01/1".to_owned(), 3)]);
}

#[test]
fn twenty_thousand_events_become_as_many_charges_as_the_policy_says() {
    let events: Vec<_> = (0..20_500).map(|n| used(&format!("U-{n}"), "2026-01-15", 3)).collect();
    let state = after(&events);
    let january = usage(&state).months["2026-01"].clone();
    assert_eq!((january.charges, january.charged_minor, january.amount_minor), (2, 60_000, 1_500));
}

#[test]
fn a_usage_correction_after_invoicing_charges_the_difference() {
    let mut right = used("U-3", "2026-01-15", 4);
    right.corrects_usage_batch_id = Some("U-1".into());
    let state = after(&[used("U-1", "2026-01-15", 10), used("U-2", "2026-02-15", 7), right.clone()]);
    assert_eq!(usage(&state).months["2026-01"].amount_minor, -6);
    let again = UsageRated { usage_batch_id: "U-4".into(), ..right };
    let failure = decide(&state, &again).err().expect("corrected before");
    assert_eq!((failure.class, failure.field.as_deref()), (Class::Contract, Some("corrects_usage_batch_id")));
}

#[test]
fn metering_that_sends_a_batch_twice_is_stale_and_its_next_version_replaces_it() {
    let state = after(&[used("U-1", "2026-01-15", 10)]);
    assert_eq!(decide(&state, &used("U-1", "2026-01-15", 10)).err().expect("twice").code, "STALE_VERSION");
    let second = UsageRated { entity_version: 2, ..used("U-1", "2026-01-15", 8) };
    assert_eq!(usage(&after(&[used("U-1", "2026-01-15", 10), second])).waiting_minor(), 8);
}

#[test]
fn usage_waits_for_the_order_of_its_contract_and_a_correction_for_what_it_corrects() {
    let state = kept(&mapping(), &[]);
    let failure = decide(&state, &used("U-1", "2026-01-15", 10)).err().expect("early");
    assert_eq!((failure.class, failure.awaits.as_deref()), (Class::NotYet, Some("C-1")));
    let mut early = used("U-2", "2026-01-15", 4);
    early.corrects_usage_batch_id = Some("U-1".into());
    let failure = decide(&after(&[]), &early).err().expect("early");
    assert_eq!((failure.code.as_ref(), failure.awaits.as_deref()), ("USAGE_NOT_RATED", Some("U-1")));
}

#[test]
fn usage_within_what_is_included_makes_no_charge() {
    let state = after(&[used("U-1", "2026-01-15", 0)]);
    let decision = decide(&state, &used("U-2", "2026-02-15", 0)).expect("a plan");
    assert!(decision.effects.is_empty());
}

proptest! {
    #[test]
    fn what_is_charged_and_what_waits_is_what_was_rated(
        events in prop::collection::vec((1u8..=12, 0i64..10_000), 1..60), max_events in 1u64..20,
    ) {
        let mut mapping = mapping();
        mapping.posting.usage.max_events = max_events;
        let mut all: Vec<Event> = vec![activated("A-1", "C-1").into()];
        for (n, (month, amount)) in events.iter().enumerate() {
            all.push(used(&format!("U-{n}"), &format!("2026-{month:02}-15"), *amount).into());
        }
        let state = kept(&mapping, &all);
        let added = usage(&state);
        let charged: i64 = added.months.values().map(|of| of.charged_minor).sum();
        prop_assert_eq!(charged + added.waiting_minor(), events.iter().map(|(_, amount)| amount).sum::<i64>());
        let mut by_month: BTreeMap<u8, usize> = BTreeMap::new();
        events.iter().for_each(|(month, _)| *by_month.entry(*month).or_default() += 1);
        for (month, count) in by_month {
            let charges = added.months[&format!("2026-{month:02}")].charges as usize;
            prop_assert!(charges <= count / usize::try_from(max_events).unwrap_or(1) + 1);
        }
    }
}
