//! `contract.activated`: the customer, once, and the sales order.

use super::{Decision, Place, lines, version};
use crate::{
    document::{self, Account, Contract, ContractState, ErpDocument, Known, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{Contact, ContactChange, NewCustomer, NewOrder};
use events::{ContractActivated, Personal, common::Customer};
use failure::Failure;
use jiff::{civil::Date, tz::TimeZone};
use sha2::{Digest, Sha256};

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
    };
    if active.erp.is_some() {
        // A contract that becomes active again keeps its order: an order is made once for its contract.
        let again = Decision::skip("the contract has its sales order already");
        return Ok(again.put(kind::CONTRACT, &event.contract_id, ErpDocument::Contract(active)));
    }
    let decision = customer(mapping, known, event)?;
    let order = order(mapping, event)?;
    Ok(decision.effect(ErpEffect::AcceptOrder { order, version: event.entity_version }).put(
        kind::CONTRACT,
        &event.contract_id,
        ErpDocument::Contract(active),
    ))
}

/// Creates the customer of a new account. Of one that exists only contact data is ever touched: the rest is the ERP's.
fn customer(mapping: &Mapping, known: Known<'_>, event: &ContractActivated) -> Result<Decision, Failure> {
    let contact = contact(&event.customer);
    let contact_digest = digest(&contact);
    let existing = known.account(&event.account_id);
    let account = |erp| {
        let account_id = event.account_id.clone();
        ErpDocument::Account(Account { account_id, contact_digest: contact_digest.clone(), erp })
    };
    match existing {
        Some(found) if found.contact_digest == contact_digest || contact == Contact::default() => Ok(Decision::new()),
        Some(found) => {
            let change = ContactChange { account_id: event.account_id.clone(), contact };
            let (contract_id, version) = (event.contract_id.clone(), event.entity_version);
            Ok(Decision::new().effect(ErpEffect::UpdateContact { change, contract_id, version }).put(
                kind::ACCOUNT,
                &event.account_id,
                account(found.erp.clone()),
            ))
        }
        None => {
            let customer = new_customer(mapping, event, contact)?;
            Ok(Decision::new().effect(ErpEffect::CreateCustomer { customer }).put(
                kind::ACCOUNT,
                &event.account_id,
                account(None),
            ))
        }
    }
}

fn new_customer(mapping: &Mapping, event: &ContractActivated, contact: Contact) -> Result<NewCustomer, Failure> {
    Ok(NewCustomer {
        account_id: event.account_id.clone(),
        name: event.customer.legal_name.reveal().to_owned(),
        contact,
        subsidiary: mapping.entity(&event.legal_entity_id)?.subsidiary.clone(),
        currency: mapping.currency("customer.currency", &event.customer.currency)?,
        terms: mapping.terms("customer.payment_terms", event.customer.payment_terms.as_ref())?,
    })
}

fn contact(customer: &Customer) -> Contact {
    let text = |field: &Option<Personal>| field.as_ref().map(|text| text.reveal().to_owned());
    Contact { email: text(&customer.email), phone: text(&customer.phone) }
}

/// A fingerprint that tells whether contact data changed, and nothing else about it.
fn digest(contact: &Contact) -> String {
    let mut hash = Sha256::new();
    for field in [&contact.email, &contact.phone] {
        hash.update([u8::from(field.is_some())]);
        hash.update(field.as_deref().unwrap_or_default().as_bytes());
        hash.update([0]);
    }
    hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn order(mapping: &Mapping, event: &ContractActivated) -> Result<NewOrder, Failure> {
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let memo = format!("Contract {}", event.contract_id);
    Ok(NewOrder {
        contract_id: event.contract_id.clone(),
        header: place.header(&event.account_id, Some(&event.contract_id), ordered_on(event), memo),
        start_on: event.term.start_on,
        end_on: event.term.end_on,
        terms: mapping.terms("customer.payment_terms", event.customer.payment_terms.as_ref())?,
        purchase_order: event.po_number.clone(),
        lines: lines::of_contract(&place, event)?,
    })
}

/// The local day on which the contract was activated.
fn ordered_on(event: &ContractActivated) -> Date {
    match TimeZone::get(&event.term.timezone) {
        Ok(zone) => event.effective_at.to_zoned(zone).date(),
        Err(_) => event.term.start_on,
    }
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &ContractActivated) -> Vec<ledger::DocumentKey> {
    vec![document::key(kind::ACCOUNT, &event.account_id), document::key(kind::CONTRACT, &event.contract_id)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, kept, mapping, state};
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
        second.customer.legal_name = "Another Name".into();
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
    fn a_contract_that_is_activated_again_keeps_its_order() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
        let again = ContractActivated { entity_version: 2, ..activated("A-1", "C-1") };
        let decision = plan(&mapping(), Known(&state.documents()), &again).expect("a plan");
        assert!(decision.effects.is_empty() && decision.skipped.is_some() && decision.documents.len() == 1);
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
