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
        if contract.is_some_and(|contract| contract.state == ContractState::Ordered) {
            let active = Decision::new().put(kind::CONTRACT, &event.contract_id, ErpDocument::Contract(active));
            return deferred(mapping, active, event);
        }
        // A contract that becomes active again keeps its order: an order is made once for its contract.
        let again = Decision::skip("the contract has its sales order already");
        return Ok(again.put(kind::CONTRACT, &event.contract_id, ErpDocument::Contract(active)));
    }
    deferred(mapping, with_order(mapping, known, event, active)?, event)
}

/// The order of a contract that is not active yet.
pub(super) fn ordered(mapping: &Mapping, known: Known<'_>, event: &ContractActivated) -> Result<Decision, Failure> {
    let contract = Contract {
        account_id: event.account_id.clone(),
        entity_version: event.entity_version,
        state: ContractState::Ordered,
        erp: None,
        orders: Vec::new(),
    };
    with_order(mapping, known, event, contract)
}

/// Customer and order; the contract remembers the order.
fn with_order(
    mapping: &Mapping,
    known: Known<'_>,
    event: &ContractActivated,
    contract: Contract,
) -> Result<Decision, Failure> {
    let decision = customer(mapping, known, event)?;
    let order = order(mapping, event)?;
    let contract = Contract { orders: vec![remembered(event, &order)], ..contract };
    Ok(decision.effect(ErpEffect::AcceptOrder { order, version: event.entity_version }).put(
        kind::CONTRACT,
        &event.contract_id,
        ErpDocument::Contract(contract),
    ))
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
    let place = (&*event.legal_entity_id, &*event.currency);
    let Some(found) = known.account(&event.account_id) else {
        let customer = new_customer(mapping, event, contact)?;
        let account = Account {
            account_id: event.account_id.clone(),
            contact_digest,
            protected: guard::owned(&event.customer),
            // It is made with its own currency, which the first order need not have: a deal may be sold in several.
            places: vec![format!("{}/{}", event.legal_entity_id, event.customer.currency)],
            erp: None,
        };
        let decision = Decision::new().effect(ErpEffect::CreateCustomer { customer });
        let decision = scope::enabled(mapping, decision, Some(&account), &event.contract_id, place)?;
        return Ok(if decision.documents.is_empty() {
            decision.put(kind::ACCOUNT, &event.account_id, ErpDocument::Account(account))
        } else {
            decision
        });
    };
    guard::customer(found, &event.customer)?;
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
mod tests;
