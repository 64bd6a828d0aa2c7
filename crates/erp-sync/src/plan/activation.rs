//! `contract.activated`: the customer, once, and the sales order.

mod guard;

use super::{Decision, Place, lines, local_day, revenue, scope, version};
use crate::{
    document::{self, Account, Contract, ContractState, ErpDocument, Known, Order, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{Contact, ContactChange, NewCustomer, NewOrder, Span};
use events::{ContractActivated, Personal, common::Customer};
use failure::Failure;
use jiff::civil::Date;

/// # Errors
/// A version out of order; anything that the mapping does not name.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &ContractActivated) -> Result<Decision, Failure> {
    let contract = known.contract(&event.contract_id);
    version::next(&event.contract_id, contract.map(|contract| contract.entity_version), event.entity_version)?;
    let active = Contract {
        account_id: event.account_id.clone(),
        entity_version: event.entity_version,
        state: ContractState::Active,
        erp: contract.and_then(|contract| contract.erp.clone()),
        orders: contract.map(|contract| contract.orders.clone()).unwrap_or_default(),
    };
    if active.erp.is_some() {
        guard::again(known, contract, event)?;
        // A contract that becomes active again keeps its order: an order is made once for its contract.
        let again = Decision::skip("the contract has its sales order already");
        return Ok(again.put(kind::CONTRACT, &event.contract_id, ErpDocument::Contract(active)));
    }
    let decision = customer(mapping, known, event)?;
    let order = order(mapping, event)?;
    let contract = Contract { orders: vec![remembered(event, &order)], ..active };
    let decision = decision.effect(ErpEffect::AcceptOrder { order, version: event.entity_version }).put(
        kind::CONTRACT,
        &event.contract_id,
        ErpDocument::Contract(contract),
    );
    deferred(mapping, decision, event)
}

/// The order as later amendments will find it.
fn remembered(event: &ContractActivated, order: &NewOrder) -> Order {
    Order {
        order_id: order.order_id(),
        legal_entity_id: event.legal_entity_id.clone(),
        currency: event.currency.clone(),
        timezone: event.term.timezone.clone(),
        start_on: order.start_on,
        end_on: order.end_on,
        lines: lines::remembered(&order.lines, &event.lines),
        erp: None,
    }
}

/// Deferred revenue is set up after the order that it belongs to.
fn deferred(mapping: &Mapping, decision: Decision, event: &ContractActivated) -> Result<Decision, Failure> {
    let Some(planned) = revenue::set_up(mapping, event, ordered_on(event))? else { return Ok(decision) };
    let memo = format!("Revenue of contract {}", event.contract_id);
    let plan = revenue::request(mapping, &event.contract_id, &planned, memo)?;
    let effect = ErpEffect::PlanRevenue { plan, version: event.entity_version };
    Ok(decision.effect(effect).put(kind::REVENUE, &event.contract_id, ErpDocument::Revenue(planned)))
}

/// Creates the customer of a new account. Of one that exists only contact data is ever touched: the rest is the ERP's.
fn customer(mapping: &Mapping, known: Known<'_>, event: &ContractActivated) -> Result<Decision, Failure> {
    let contact = contact(&event.customer);
    let contact_digest = digest(&contact);
    let Some(found) = known.account(&event.account_id) else {
        let customer = new_customer(mapping, event, contact)?;
        let account = Account {
            account_id: event.account_id.clone(),
            contact_digest,
            protected: guard::owned(&event.customer),
            places: vec![format!("{}/{}", event.legal_entity_id, event.currency)],
            erp: None,
        };
        let effect = ErpEffect::CreateCustomer { customer };
        return Ok(Decision::new().effect(effect).put(kind::ACCOUNT, &event.account_id, ErpDocument::Account(account)));
    };
    guard::customer(found, &event.customer)?;
    let place = (&*event.legal_entity_id, &*event.currency);
    if found.contact_digest == contact_digest || contact == Contact::default() {
        return scope::enabled(mapping, Decision::new(), Some(found), &event.contract_id, place);
    }
    let account = Account { contact_digest, ..found.clone() };
    let change = ContactChange { account_id: event.account_id.clone(), contact };
    let (contract_id, version) = (event.contract_id.clone(), event.entity_version);
    let decision = Decision::new().effect(ErpEffect::UpdateContact { change, contract_id, version });
    let mut decision = scope::enabled(mapping, decision, Some(&account), &event.contract_id, place)?;
    if decision.documents.is_empty() {
        decision = decision.put(kind::ACCOUNT, &event.account_id, ErpDocument::Account(account));
    }
    Ok(decision)
}

fn new_customer(mapping: &Mapping, event: &ContractActivated, contact: Contact) -> Result<NewCustomer, Failure> {
    let mut tax_ids = event.customer.tax_ids.iter().map(|id| id.value.reveal().to_owned());
    Ok(NewCustomer {
        account_id: event.account_id.clone(),
        name: event.customer.legal_name.reveal().to_owned(),
        contact,
        subsidiary: mapping.entity(&event.legal_entity_id)?.subsidiary.clone(),
        currency: mapping.currency("customer.currency", &event.customer.currency)?,
        terms: mapping.terms("customer.payment_terms", event.customer.payment_terms.as_ref())?,
        tax_id: tax_ids.next(),
        further_tax_ids: tax_ids.collect(),
        is_searched: mapping.posting.search_duplicates,
    })
}

fn contact(customer: &Customer) -> Contact {
    let text = |field: &Option<Personal>| field.as_ref().map(|text| text.reveal().to_owned());
    Contact { email: text(&customer.email), phone: text(&customer.phone) }
}

/// A fingerprint that tells whether contact data changed, and nothing else about it.
fn digest(contact: &Contact) -> String {
    guard::fingerprint([contact.email.as_deref(), contact.phone.as_deref()])
}

fn order(mapping: &Mapping, event: &ContractActivated) -> Result<NewOrder, Failure> {
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let memo = format!("Contract {}", event.contract_id);
    Ok(NewOrder {
        contract_id: event.contract_id.clone(),
        renewal_id: None,
        header: place.header(&event.account_id, Some(&event.contract_id), ordered_on(event), memo),
        start_on: event.term.start_on,
        end_on: event.term.end_on,
        terms: mapping.terms("customer.payment_terms", event.customer.payment_terms.as_ref())?,
        purchase_order: event.po_number.clone(),
        lines: lines::of_contract(&place, "lines", &event.lines, span(event))?,
    })
}

fn span(event: &ContractActivated) -> Option<Span> {
    event.term.end_on.map(|end_on| Span { start_on: event.term.start_on, end_on })
}

/// The local day on which the contract was activated.
fn ordered_on(event: &ContractActivated) -> Date {
    local_day(event.effective_at, &event.term.timezone).unwrap_or(event.term.start_on)
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &ContractActivated) -> Vec<ledger::DocumentKey> {
    vec![
        document::key(kind::ACCOUNT, &event.account_id),
        document::key(kind::CONTRACT, &event.contract_id),
        document::key(kind::REVENUE, &event.contract_id),
    ]
}

#[cfg(test)]
mod tests {
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
        let decision =
            plan(&mapping(), Known(&state(&[]).documents()), &deferred("A-1", "C-1", 12_001)).expect("a plan");
        let Some(ErpEffect::PlanRevenue { plan, .. }) = decision.effects.last() else {
            panic!("{:?}", decision.effects)
        };
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
}
