//! A first contract, further ones, and what they may not change.

use super::*;
use crate::testing::{activated, cancelled, deferred, kept, mapping, state};
use consumer::Effect as _;
use failure::Class;

#[test]
fn a_first_contract_makes_the_customer_and_then_the_order() {
    let decision = plan(&mapping(), Known(&state(&[]).documents()), &activated("A-1", "C-1")).expect("a plan");
    let keys: Vec<_> = decision.effects.iter().map(consumer::Effect::key).collect();
    assert_eq!(keys, ["customer:A-1:create", "order:C-1:v1:create"]);
    assert_eq!(decision.documents.len(), 2);
}

#[test]
fn a_second_contract_leaves_the_customer_alone() {
    let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
    let decision = plan(&mapping(), Known(&state.documents()), &activated("A-1", "C-2")).expect("a plan");
    assert_eq!(decision.effects.iter().map(ErpEffect::key).collect::<Vec<_>>(), ["order:C-2:v1:create"]);
}

#[test]
fn new_contact_data_is_the_only_thing_that_is_sent_of_a_customer_that_exists() {
    let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
    let mut second = activated("A-1", "C-2");
    second.customer.email = Some("new@example.com".into());
    let decision = plan(&mapping(), Known(&state.documents()), &second).expect("a plan");
    let Some(ErpEffect::UpdateContact { change, .. }) = decision.effects.first() else {
        panic!("{:?}", decision.effects)
    };
    assert_eq!(change.contact, Contact { email: Some("new@example.com".into()), phone: None });
    let documents = serde_json::to_string(&decision.documents.iter().map(|c| &c.document).collect::<Vec<_>>());
    assert!(!documents.expect("JSON").contains("example.com"), "documents hold no personal data");
}

#[test]
fn a_contract_may_not_change_what_the_erp_owns_of_a_customer() {
    let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
    let mut second = activated("A-1", "C-2");
    second.customer.legal_name = "Another Name".into();
    let failure = plan(&mapping(), Known(&state.documents()), &second).err().expect("protected");
    assert_eq!((failure.code.as_ref(), failure.owner.as_deref()), ("FIELD_PROTECTED", Some("master-data")));
    assert_eq!(failure.field.as_deref(), Some("customer.legal_name"));
    assert!(!failure.reason.contains("Another Name"), "a name is personal data: {failure}");
    second = activated("A-1", "C-2");
    second.customer.currency = "EUR".into();
    let failure = plan(&mapping(), Known(&state.documents()), &second).err().expect("protected");
    assert!(failure.reason.contains("GBP there, EUR in the event"), "{failure}");
}

/// Of a deal of two entities either order may be the first.
#[test]
fn a_first_order_in_a_currency_that_is_not_the_customers_enables_it_there() {
    let mut first = ContractActivated { currency: "EUR".into(), ..activated("A-1", "C-1") };
    first.legal_entity_id = "DE".into();
    let decision = plan(&mapping(), Known(&state(&[]).documents()), &first).expect("a plan");
    let keys: Vec<_> = decision.effects.iter().map(consumer::Effect::key).collect();
    assert_eq!(keys, ["customer:A-1:create", "customer:A-1:enable:C-1", "order:C-1:v1:create"]);
    let state = kept(&mapping(), &[first.clone().into()]);
    let again = ContractActivated { contract_id: "C-2".into(), ..first };
    let decision = plan(&mapping(), Known(&state.documents()), &again).expect("a plan");
    assert_eq!(decision.effects.len(), 1, "it is enabled once: {:?}", decision.effects);
}

#[test]
fn a_customer_is_enabled_in_a_further_subsidiary_before_its_order_there() {
    let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
    let second = ContractActivated { legal_entity_id: "DE".into(), ..activated("A-1", "C-2") };
    let decision = plan(&mapping(), Known(&state.documents()), &second).expect("a plan");
    let keys: Vec<_> = decision.effects.iter().map(consumer::Effect::key).collect();
    assert_eq!(keys, ["customer:A-1:enable:C-2", "order:C-2:v1:create"]);
    let state = kept(&mapping(), &[activated("A-1", "C-1").into(), second.into()]);
    let third = ContractActivated { legal_entity_id: "DE".into(), ..activated("A-1", "C-3") };
    let decision = plan(&mapping(), Known(&state.documents()), &third).expect("a plan");
    assert_eq!(decision.effects.len(), 1, "it is enabled once");
}

#[test]
fn deferred_revenue_is_set_up_after_the_order_and_adds_up_to_the_contract() {
    let decision = plan(&mapping(), Known(&state(&[]).documents()), &deferred("A-1", "C-1", 12_001)).expect("a plan");
    let Some(ErpEffect::PlanRevenue { plan, .. }) = decision.effects.last() else { panic!("{:?}", decision.effects) };
    let slots = plan.elements.iter().flat_map(|element| &element.schedule);
    assert_eq!(slots.map(|slot| slot.amount_minor).sum::<i64>(), 12_001);
    assert_eq!(plan.elements[0].schedule.len(), 12);
}

#[test]
fn a_contract_that_is_activated_again_keeps_its_order() {
    let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
    let again = ContractActivated { entity_version: 2, ..activated("A-1", "C-1") };
    let decision = plan(&mapping(), Known(&state.documents()), &again).expect("a plan");
    assert!(decision.effects.is_empty() && decision.skipped.is_some() && decision.documents.len() == 1);
}

#[test]
fn what_the_erp_owns_of_an_order_is_not_changed_by_activating_its_contract_again() {
    let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
    let refused = |change: fn(&mut ContractActivated)| {
        let mut event = ContractActivated { entity_version: 2, ..activated("A-1", "C-1") };
        change(&mut event);
        let failure = plan(&mapping(), Known(&state.documents()), &event).err().expect("refused");
        (failure.code.to_string(), failure.field.unwrap_or_default(), failure.owner.unwrap_or_default())
    };
    let told = |code: &str, field: &str, owner: &str| (code.to_owned(), field.to_owned(), owner.to_owned());
    assert_eq!(refused(|event| event.currency = "EUR".into()), told("FIELD_PROTECTED", "currency", "finance"));
    let entity = refused(|event| event.legal_entity_id = "DE".into());
    assert_eq!(entity, told("FIELD_PROTECTED", "legal_entity_id", "finance"));
    let name = refused(|event| event.customer.legal_name = "Another Name".into());
    assert_eq!(name, told("FIELD_PROTECTED", "customer.legal_name", "master-data"));
    let line = refused(|event| event.lines[0].amount_minor += 1);
    assert_eq!(line, told("ORDER_LINE_DIFFERS", "lines[0]", "finance"));
}

#[test]
fn a_cancelled_contract_that_is_activated_again_is_for_people() {
    let events = [activated("A-1", "C-1").into(), cancelled("A-1", "C-1", 2, jiff::civil::date(2026, 7, 1)).into()];
    let state = kept(&mapping(), &events);
    let again = ContractActivated { entity_version: 3, ..activated("A-1", "C-1") };
    let failure = plan(&mapping(), Known(&state.documents()), &again).err().expect("its order is closed");
    assert_eq!(failure.code, "ORDER_CLOSED");
}

#[test]
fn a_contract_without_lines_gets_the_line_of_a_frame_contract() {
    let event = ContractActivated { lines: Vec::new(), ..activated("A-1", "C-1") };
    let order = order(&mapping(), &event).expect("an order");
    assert_eq!(order.lines.len(), 1);
    assert_eq!(order.lines[0].amount_minor, 0);
}

#[test]
fn the_order_is_dated_on_the_local_day_of_the_activation() {
    let mut event = activated("A-1", "C-1");
    event.term.timezone = "Australia/Sydney".into();
    event.effective_at = "2025-12-31T13:30:00Z".parse().expect("a time");
    assert_eq!(ordered_on(&event).to_string(), "2026-01-01");
}

#[test]
fn an_unmapped_product_is_a_business_exception_with_its_line() {
    let mut event = activated("A-1", "C-1");
    event.lines[0].product_id = "UNMAPPED-GADGET".into();
    let failure = plan(&mapping(), Known(&state(&[]).documents()), &event).err().expect("unmapped");
    assert_eq!((failure.class, failure.field.as_deref()), (Class::Business, Some("lines[0].product_id")));
}
