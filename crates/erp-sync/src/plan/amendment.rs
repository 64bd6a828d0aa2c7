//! `contract.amended`: the order's lines and the revenue plan after it.
//!
//! An amendment says how a line was and how it is. The order it starts from must have the line as it was: two systems that disagree
//! about that are for people, not for whoever writes last. Lines are never deleted: what is removed is closed.

mod lines;

use super::{
    Decision, Place, day_in, lines as order_lines, protected,
    revenue::{self, Reach, Terms},
    skipped, version,
};
use crate::{
    document::{self, Contract, ContractState, ErpDocument, Known, Order, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::OrderChange;
use events::{ContractAmended, common::AmendmentType};
use failure::Failure;
use jiff::civil::Date;

const OLD_ORDER: &str = "the order was made before its lines were remembered: amend it in the ERP by hand";
const NO_ORDER: &str = "the contract has no order yet: its activation brings the lines as they are then";

/// # Errors
/// A version out of order, an order in another state than the amendment starts from, anything that the mapping does not name.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &ContractAmended) -> Result<Decision, Failure> {
    let before = known.contract(&event.contract_id);
    version::next(&event.contract_id, before.map(|contract| contract.entity_version), event.entity_version)?;
    let Some(contract) = before.filter(|contract| !contract.orders.is_empty()) else {
        let rule = if before.is_some_and(|contract| contract.erp.is_some()) { OLD_ORDER } else { NO_ORDER };
        return skipped::contract(known, event, &event.contract_id, false, rule);
    };
    guard(contract, event)?;
    let zone = zone(contract);
    let day = day_in(event.effective_at, zone);
    let mut orders = contract.orders.clone();
    let touched = lines::amend(mapping, &mut orders, event, day)?;
    let mut decision = Decision::new();
    for order in orders.iter().filter(|order| touched.contains(&order.order_id)) {
        let change = request(mapping, order, &event.account_id, memo(event, day))?;
        decision = decision.effect(ErpEffect::ChangeOrder { change, version: event.entity_version });
    }
    decision = replan(mapping, decision, known, event, &orders, zone)?;
    let contract =
        Contract { entity_version: event.entity_version, state: state(contract, event), orders, ..contract.clone() };
    if decision.effects.is_empty() {
        decision.skipped = Some("the amendment changes nothing that the ERP keeps");
    }
    Ok(decision.put(kind::CONTRACT, &event.contract_id, ErpDocument::Contract(contract)))
}

/// What an amendment may not touch: the ERP's own fields of an order, and orders that are closed.
fn guard(contract: &Contract, event: &ContractAmended) -> Result<(), Failure> {
    let id = &event.contract_id;
    if contract.state == ContractState::Cancelled {
        let reason = format!("contract `{id}` is cancelled, amendment `{}` came after that", event.amendment_id);
        return Err(Failure::business("ORDER_CLOSED", connectors::queue::FINANCE, reason).at_field("contract_id"));
    }
    if event.amendment_type == AmendmentType::OwnerTransfer {
        let reason =
            format!("the customer of the order of contract `{id}` is the ERP's: it is not moved to another one");
        return Err(protected(connectors::queue::FINANCE, "amendment_type", reason));
    }
    let fits = |order: &Order| order.currency == event.currency && order.legal_entity_id == event.legal_entity_id;
    if contract.orders.iter().any(fits) {
        return Ok(());
    }
    let Some(order) = contract.orders.last() else { return Ok(()) };
    let (field, there, stated) = if order.currency == event.currency {
        ("legal_entity_id", &order.legal_entity_id, &event.legal_entity_id)
    } else {
        ("currency", &order.currency, &event.currency)
    };
    let reason = format!("{field} of order `{}` is the ERP's: {there} there, {stated} in the event", order.order_id);
    Err(protected(connectors::queue::FINANCE, field, reason))
}

/// The zone in which the contract's dates are meant.
fn zone(contract: &Contract) -> &str {
    contract.orders.last().map_or("", |order| order.timezone.as_str())
}

fn state(contract: &Contract, event: &ContractAmended) -> ContractState {
    match event.amendment_type {
        AmendmentType::Suspend => ContractState::Suspended,
        AmendmentType::Resume => ContractState::Active,
        _ => contract.state,
    }
}

fn memo(event: &ContractAmended, day: Date) -> String {
    format!("Contract {}, amendment {} ({}) from {day}", event.contract_id, event.amendment_id, event.amendment_type)
}

/// The order as it is to be in the ERP.
pub(super) fn request(
    mapping: &Mapping,
    order: &Order,
    account_id: &str,
    memo: String,
) -> Result<OrderChange, Failure> {
    Ok(OrderChange {
        order_id: order.order_id.clone(),
        account_id: account_id.to_owned(),
        currency: mapping.currency("currency", &order.currency)?,
        start_on: order.start_on,
        end_on: order.end_on,
        lines: order.lines.iter().map(|line| line.line.clone()).collect(),
        memo,
        cancellation: None,
    })
}

fn replan(
    mapping: &Mapping,
    decision: Decision,
    known: Known<'_>,
    event: &ContractAmended,
    orders: &[Order],
    zone: &str,
) -> Result<Decision, Failure> {
    let Some(revenue) = known.revenue(&event.contract_id) else { return Ok(decision) };
    let hold = match event.amendment_type {
        AmendmentType::Suspend => Some(true),
        AmendmentType::Resume => Some(false),
        _ => None,
    };
    let terms = Terms {
        changes: &event.changes,
        delta_minor: event.delta_tcv_minor,
        modification: event.revenue_modification,
        end_on: event.new_term.as_ref().and_then(|term| term.end_on),
        hold,
        term_end: orders.last().and_then(|order| order.end_on),
    };
    let day = day_in(event.effective_at, zone);
    let reach = Reach::new(day, day_in(event.recorded_at, zone));
    let new = revenue::amended(mapping, revenue, &terms, &reach)?;
    if new == *revenue {
        return Ok(decision);
    }
    let plan = revenue::request(mapping, &event.contract_id, &new, memo(event, day))?;
    let effect = ErpEffect::ChangeRevenue { plan, version: event.entity_version };
    Ok(decision.effect(effect).put(kind::REVENUE, &event.contract_id, ErpDocument::Revenue(new)))
}

/// The place where an order's lines are mapped.
fn place<'a>(mapping: &'a Mapping, order: &Order) -> Result<Place<'a>, Failure> {
    Place::find(mapping, &order.legal_entity_id, &order.currency)
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(contract_id: &str) -> Vec<ledger::DocumentKey> {
    vec![document::key(kind::CONTRACT, contract_id), document::key(kind::REVENUE, contract_id)]
}

#[cfg(test)]
mod tests;
