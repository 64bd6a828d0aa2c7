//! `order.requested` and `order.cancel_requested`: an order before there is a contract.
//!
//! The order is the one that its contract's activation would make, so it is planned as that; the contract then finds it. Until the contract
//! is active the order can be taken back: its lines are closed, nothing is deleted.

use super::{Decision, activation, amendment};
use crate::{
    document::{self, ContractState, ErpDocument, Known, kind},
    mapping::Mapping,
};
use connectors::queue;
use events::{ContractActivated, OrderCancelRequested, OrderRequested};
use failure::Failure;

/// Version of a contract that is only ordered yet: its activation is version 1.
pub(crate) const ORDERED: i64 = 0;

/// The contract as it will be activated, as far as the order tells.
pub(crate) fn announced(event: &OrderRequested) -> ContractActivated {
    ContractActivated {
        account_id: event.account_id.clone(),
        entity_version: ORDERED,
        effective_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: event.legal_entity_id.clone(),
        contract_id: event.contract_id.clone(),
        order_id: Some(event.order_id.clone()),
        opportunity_id: Some(event.opportunity_id.clone()),
        customer: event.customer.clone(),
        currency: event.currency.clone(),
        term: event.term.clone(),
        lines: event.lines.clone(),
        total_contract_value_minor: Some(event.total_net_minor),
        po_number: event.po_number.clone(),
        ..ContractActivated::default()
    }
}

/// # Errors
/// Anything that the mapping does not name; a contract that was cancelled.
pub fn requested(mapping: &Mapping, known: Known<'_>, event: &OrderRequested) -> Result<Decision, Failure> {
    match known.contract(&event.contract_id) {
        None => activation::ordered(mapping, known, &announced(event)),
        Some(contract) if contract.state == ContractState::Cancelled => {
            let reason = format!("contract `{}` is cancelled and its order closed", event.contract_id);
            Err(Failure::business("ORDER_CLOSED", queue::FINANCE, reason).at_field("contract_id"))
        }
        Some(_) => Ok(Decision::skip("the contract has its sales order already")),
    }
}

/// Closes the order of a contract that never became active.
///
/// # Errors
/// An order that is not there yet is awaited; one whose contract is active ends with the contract only.
pub fn cancelled(mapping: &Mapping, known: Known<'_>, event: &OrderCancelRequested) -> Result<Decision, Failure> {
    let Some(contract) = known.contract(&event.contract_id) else {
        let reason = format!("order `{}` is not there", event.order_id);
        return Err(Failure::not_yet("ORDER_NOT_REQUESTED", &*event.contract_id, reason).at_field("order_id"));
    };
    match contract.state {
        ContractState::Cancelled => return Ok(Decision::skip("the order is closed already")),
        ContractState::Ordered => {}
        ContractState::Announced | ContractState::Active | ContractState::Suspended => {
            let reason = format!("contract `{}` is active: cancel the contract", event.contract_id);
            return Err(Failure::business("ORDER_IN_FORCE", queue::FINANCE, reason).at_field("contract_id"));
        }
    }
    let mut orders = contract.orders.clone();
    let mut decision = Decision::new();
    for order in &mut orders {
        order.lines.iter_mut().for_each(|line| line.line.is_closed = true);
        let memo = format!("Order {} cancelled: {}", event.order_id, event.reason.code);
        let mut change = amendment::request(mapping, order, &event.account_id, memo)?;
        change.cancellation = Some(format!("order taken back before its contract; reason={}", event.reason.code));
        decision = decision.effect(crate::effect::ErpEffect::ChangeOrder { change, version: ORDERED });
    }
    let contract = document::Contract { state: ContractState::Cancelled, orders, ..contract.clone() };
    Ok(decision.put(kind::CONTRACT, &event.contract_id, ErpDocument::Contract(contract)))
}

/// The documents that a cancellation looks at.
#[must_use]
pub fn reads(event: &OrderCancelRequested) -> Vec<ledger::DocumentKey> {
    vec![document::key(kind::CONTRACT, &event.contract_id)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        effect::ErpEffect,
        testing::{activated, deferred, kept_all, mapping, ordered},
    };
    use events::{Request, common::Reason};

    fn taken_back(contract_id: &str) -> OrderCancelRequested {
        OrderCancelRequested {
            account_id: "A-1".into(),
            entity_version: 1,
            legal_entity_id: "UK".into(),
            order_id: contract_id.into(),
            contract_id: contract_id.into(),
            opportunity_id: "O-1".into(),
            reason: Reason { code: "reopened".into(), text: None },
            ..OrderCancelRequested::default()
        }
    }

    fn names(effects: &[ErpEffect]) -> Vec<String> {
        effects.iter().map(consumer::Effect::key).collect()
    }

    #[test]
    fn an_order_that_is_asked_for_makes_customer_and_order() {
        let decision = requested(&mapping(), Known(&kept_all(&mapping(), &[]).documents()), &ordered("A-1", "C-1"));
        assert_eq!(names(&decision.expect("a plan").effects), ["customer:A-1:create", "order:C-1:v0:create"]);
    }

    #[test]
    fn the_activation_of_an_ordered_contract_sets_up_its_revenue_and_makes_no_second_order() {
        let contract = deferred("A-1", "C-1", 12_000);
        let request =
            OrderRequested { term: contract.term.clone(), lines: contract.lines.clone(), ..ordered("A-1", "C-1") };
        let state = kept_all(&mapping(), &[Request::from(request).into()]);
        assert_eq!(state.status("contract", "C-1"), "ordered");
        let decision = activation::plan(&mapping(), Known(&state.documents()), &contract).expect("a plan");
        assert_eq!(names(&decision.effects), ["revenue_plan:C-1:v1:create"]);
    }

    #[test]
    fn an_order_is_taken_back_once_and_only_while_its_contract_is_not_active() {
        let request = Request::from(ordered("A-1", "C-1"));
        let state = kept_all(&mapping(), &[request.clone().into()]);
        let decision = cancelled(&mapping(), Known(&state.documents()), &taken_back("C-1")).expect("a plan");
        assert_eq!(names(&decision.effects), ["order:C-1:v0:change"]);
        let state = kept_all(&mapping(), &[request.clone().into(), Request::from(taken_back("C-1")).into()]);
        let again = cancelled(&mapping(), Known(&state.documents()), &taken_back("C-1")).expect("a plan");
        assert!(again.effects.is_empty());
        let state = kept_all(&mapping(), &[request.into(), events::Event::from(activated("A-1", "C-1")).into()]);
        let refused = cancelled(&mapping(), Known(&state.documents()), &taken_back("C-1")).err().expect("refused");
        assert_eq!(refused.code, "ORDER_IN_FORCE");
    }

    #[test]
    fn what_is_taken_back_before_it_came_waits_for_it() {
        let state = kept_all(&mapping(), &[]);
        let waits = cancelled(&mapping(), Known(&state.documents()), &taken_back("C-9")).err().expect("not yet");
        assert_eq!((waits.class, &*waits.code), (failure::Class::NotYet, "ORDER_NOT_REQUESTED"));
    }
}
