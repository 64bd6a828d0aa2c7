//! `subscription.renewal_accepted`: an order of its own for the new term, and its revenue where the contract's is planned.

use super::{Decision, Place, lines, local_day, protected, revenue, scope, skipped, version};
use crate::{
    document::{self, Contract, ContractState, ErpDocument, Known, Order, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{NewOrder, Span};
use events::SubscriptionRenewalAccepted;
use failure::Failure;
use jiff::civil::Date;

const NO_ORDER: &str = "the contract has no order yet: its activation brings the running term";

/// # Errors
/// A version out of order, a contract that ended, anything that the mapping does not name.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &SubscriptionRenewalAccepted) -> Result<Decision, Failure> {
    let before = known.contract(&event.contract_id);
    version::next(&event.contract_id, before.map(|contract| contract.entity_version), event.entity_version)?;
    let Some(contract) = before.filter(|contract| !contract.orders.is_empty()) else {
        return skipped::contract(known, event, &event.contract_id, false, NO_ORDER);
    };
    guard(contract, event)?;
    let order = request(mapping, event)?;
    let remembered = Order {
        order_id: order.order_id(),
        legal_entity_id: event.legal_entity_id.clone(),
        currency: event.currency.clone(),
        timezone: event.renewed_term.timezone.clone(),
        start_on: order.start_on,
        end_on: order.end_on,
        lines: lines::remembered(&order.lines, &event.lines_after),
        erp: None,
    };
    let account = known.account(&event.account_id);
    let place = (&*event.legal_entity_id, &*event.currency);
    let decision = scope::enabled(mapping, Decision::new(), account, &event.renewal_id, place)?;
    let decision = decision.effect(ErpEffect::AcceptOrder { order, version: event.entity_version });
    let decision = plan_term(mapping, decision, known, event, &remembered)?;
    let mut orders = contract.orders.clone();
    orders.push(remembered);
    let contract = Contract { entity_version: event.entity_version, orders, ..contract.clone() };
    Ok(decision.put(kind::CONTRACT, &event.contract_id, ErpDocument::Contract(contract)))
}

/// The end and the renewal of a contract may cross: which came first is for people.
fn guard(contract: &Contract, event: &SubscriptionRenewalAccepted) -> Result<(), Failure> {
    let id = &event.contract_id;
    if contract.state == ContractState::Cancelled {
        let reason = format!("contract `{id}` is cancelled, renewal `{}` came after that", event.renewal_id);
        return Err(Failure::business("ORDER_CLOSED", connectors::queue::FINANCE, reason).at_field("contract_id"));
    }
    match contract.orders.last() {
        Some(order) if order.currency != event.currency => {
            let (there, stated) = (&order.currency, &event.currency);
            let reason = format!("the currency of contract `{id}` is the ERP's: {there} there, {stated} in the event");
            Err(protected(connectors::queue::FINANCE, "currency", reason))
        }
        Some(_) | None => Ok(()),
    }
}

fn request(mapping: &Mapping, event: &SubscriptionRenewalAccepted) -> Result<NewOrder, Failure> {
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let term = &event.renewed_term;
    let span = term.end_on.map(|end_on| Span { start_on: term.start_on, end_on });
    let memo = format!("Contract {}, renewal {}", event.contract_id, event.renewal_id);
    Ok(NewOrder {
        contract_id: event.contract_id.clone(),
        renewal_id: Some(event.renewal_id.clone()),
        header: place.header(&event.account_id, Some(&event.contract_id), ordered_on(event), memo),
        start_on: term.start_on,
        end_on: term.end_on,
        terms: None,
        purchase_order: None,
        lines: lines::of_contract(&place, "lines_after", &event.lines_after, span)?,
    })
}

/// The local day on which the renewal was accepted.
fn ordered_on(event: &SubscriptionRenewalAccepted) -> Date {
    local_day(event.accepted_at, &event.renewed_term.timezone).unwrap_or(event.renewed_term.start_on)
}

/// Only a contract whose revenue is planned has it planned for the new term, and only where the term's value is stated.
fn plan_term(
    mapping: &Mapping,
    decision: Decision,
    known: Known<'_>,
    event: &SubscriptionRenewalAccepted,
    order: &Order,
) -> Result<Decision, Failure> {
    let planned = known.revenue(&event.contract_id).zip(event.total_contract_value_minor);
    let Some((revenue, value)) = planned else { return Ok(decision) };
    let term = (order.start_on, order.end_on);
    let new = revenue::renewed(mapping, revenue, &event.renewal_id, value, &order.lines, term)?;
    let memo = format!("Revenue of contract {}, renewal {}", event.contract_id, event.renewal_id);
    let plan = revenue::request(mapping, &event.contract_id, &new, memo)?;
    let effect = ErpEffect::ChangeRevenue { plan, version: event.entity_version };
    Ok(decision.effect(effect).put(kind::REVENUE, &event.contract_id, ErpDocument::Revenue(new)))
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &SubscriptionRenewalAccepted) -> Vec<ledger::DocumentKey> {
    vec![
        document::key(kind::ACCOUNT, &event.account_id),
        document::key(kind::CONTRACT, &event.contract_id),
        document::key(kind::REVENUE, &event.contract_id),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, cancelled, deferred, kept, mapping, renewed};
    use consumer::Effect as _;
    use jiff::civil::date;

    #[test]
    fn a_renewal_makes_an_order_of_its_own_for_the_new_term() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into(), renewed("A-1", "C-1", 2).into()]);
        let documents = state.documents();
        let contract = Known(&documents).contract("C-1").expect("kept");
        assert_eq!(contract.orders.iter().map(|order| &*order.order_id).collect::<Vec<_>>(), ["C-1", "C-1/R-2"]);
        assert_ne!(contract.orders[0].erp, contract.orders[1].erp, "each has its own record");
        assert_eq!(contract.erp, contract.orders[0].erp);
    }

    #[test]
    fn a_renewal_that_crosses_a_cancellation_is_for_people() {
        let events = [activated("A-1", "C-1").into(), cancelled("A-1", "C-1", 2, date(2026, 6, 1)).into()];
        let state = kept(&mapping(), &events);
        let failure = plan(&mapping(), Known(&state.documents()), &renewed("A-1", "C-1", 3)).err().expect("crossed");
        assert_eq!(failure.code, "ORDER_CLOSED");
    }

    #[test]
    fn the_value_of_a_renewed_term_is_recognised_over_it() {
        let state = kept(&mapping(), &[deferred("A-1", "C-1", 12_000).into()]);
        let mut event = renewed("A-1", "C-1", 2);
        event.total_contract_value_minor = Some(13_001);
        let decision = plan(&mapping(), Known(&state.documents()), &event).expect("a plan");
        let keys: Vec<_> = decision.effects.iter().map(ErpEffect::key).collect();
        assert_eq!(keys, ["order:C-1:v2:create", "revenue_plan:C-1:v2:change"]);
        let Some(ErpEffect::ChangeRevenue { plan, .. }) = decision.effects.last() else {
            panic!("{:?}", decision.effects)
        };
        let element = &plan.elements[1];
        assert_eq!(element.schedule.iter().map(|slot| slot.amount_minor).sum::<i64>(), 13_001);
        assert_eq!(element.schedule.first().map(|slot| &*slot.period), Some("2027-01"));
    }
}
