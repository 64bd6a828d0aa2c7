//! `contract.cancelled`: every order of the contract is closed, what was agreed about the end is written into it, and the revenue plan ends.
//!
//! A closed order keeps its lines and what was billed from it. The last invoice and what is paid back come as documents of their own.

use super::{Decision, Place, amendment, day_in, lines::extra, revenue, skipped, version};
use crate::{
    document::{Contract, ContractState, ErpDocument, Known, Order, OrderLine, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::Line;
use events::ContractCancelled;
use failure::Failure;

const NO_ORDER: &str = "the contract has no order to close";
const FEE: &str = "termination-fee";

/// # Errors
/// A version out of order, a fee for which the mapping has no item.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &ContractCancelled) -> Result<Decision, Failure> {
    let before = known.contract(&event.contract_id);
    version::next(&event.contract_id, before.map(|contract| contract.entity_version), event.entity_version)?;
    let Some(contract) = before.filter(|contract| !contract.orders.is_empty()) else {
        return skipped::contract(known, event, &event.contract_id, true, NO_ORDER);
    };
    let mut orders = contract.orders.clone();
    let running = orders.iter().rposition(|order| order.start_on <= event.cancel_on).unwrap_or(0);
    let mut decision = Decision::new();
    for (index, order) in orders.iter_mut().enumerate() {
        close(mapping, order, event, index == running)?;
        let mut change = amendment::request(mapping, order, &event.account_id, memo(event))?;
        change.cancellation = Some(agreed(event));
        decision = decision.effect(ErpEffect::ChangeOrder { change, version: event.entity_version });
    }
    decision = end_revenue(mapping, decision, known, event)?;
    let contract =
        Contract { entity_version: event.entity_version, state: ContractState::Cancelled, orders, ..contract.clone() };
    Ok(decision.put(kind::CONTRACT, &event.contract_id, ErpDocument::Contract(contract)))
}

/// Closes the lines; the running term ends on the day of the end, with the fee for leaving early as a line still to be billed.
fn close(mapping: &Mapping, order: &mut Order, event: &ContractCancelled, is_running: bool) -> Result<(), Failure> {
    order.lines.iter_mut().for_each(|line| line.line.is_closed = true);
    if !is_running {
        return Ok(());
    }
    if order.end_on.is_none_or(|end_on| event.cancel_on < end_on) {
        order.end_on = Some(event.cancel_on.max(order.start_on));
    }
    if let Some(fee) = event.early_termination_fee_minor.filter(|fee| *fee != 0) {
        let place = Place::find(mapping, &order.legal_entity_id, &order.currency)?;
        let item = mapping.posting_item("termination_fee", mapping.posting.termination_fee.as_ref())?;
        let line = Line { is_closed: false, ..extra(&place, FEE, item, "Early termination fee", fee) };
        order.lines.push(OrderLine { line, obligation_id: None, is_removed: false });
    }
    Ok(())
}

fn memo(event: &ContractCancelled) -> String {
    format!("Contract {} cancelled ({}) on {}: {}", event.contract_id, event.mode, event.cancel_on, event.reason.code)
}

/// What was agreed about the end, in one line that the ERP keeps with the order.
fn agreed(event: &ContractCancelled) -> String {
    let said = |policy: &Option<String>| policy.clone().unwrap_or_else(|| "not stated".to_owned());
    format!(
        "mode={}; final_invoice={}; refund={}",
        event.mode,
        said(&event.final_invoice_policy),
        said(&event.refund_policy)
    )
}

/// Money that is given back is not earned; what is kept is earned when nothing more has to be done for it.
fn refunds(event: &ContractCancelled) -> bool {
    event.refund_policy.as_deref().is_some_and(|policy| !policy.trim().is_empty() && policy != "none")
}

fn end_revenue(
    mapping: &Mapping,
    decision: Decision,
    known: Known<'_>,
    event: &ContractCancelled,
) -> Result<Decision, Failure> {
    let Some(before) = known.revenue(&event.contract_id) else { return Ok(decision) };
    let reach = revenue::Reach::new(event.cancel_on, day_in(event.recorded_at, &event.timezone));
    let after = revenue::cancelled(before, refunds(event), &reach);
    if after == *before {
        return Ok(decision);
    }
    let plan = revenue::request(mapping, &event.contract_id, &after, memo(event))?;
    let effect = ErpEffect::ChangeRevenue { plan, version: event.entity_version };
    Ok(decision.effect(effect).put(kind::REVENUE, &event.contract_id, ErpDocument::Revenue(after)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, cancelled, deferred, kept, mapping};
    use jiff::civil::date;

    #[test]
    fn a_cancelled_contract_closes_its_order_and_keeps_its_lines() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
        let event = cancelled("A-1", "C-1", 2, date(2026, 3, 1));
        let decision = plan(&mapping(), Known(&state.documents()), &event).expect("a plan");
        let [ErpEffect::ChangeOrder { change, .. }] = decision.effects.as_slice() else {
            panic!("{:?}", decision.effects)
        };
        assert!(change.lines.iter().all(|line| line.is_closed) && change.lines.len() == 1);
        assert_eq!(change.end_on, Some(date(2026, 3, 1)));
        assert_eq!(change.cancellation.as_deref(), Some("mode=immediate; final_invoice=not stated; refund=not stated"));
    }

    #[test]
    fn a_fee_for_leaving_early_is_a_line_that_can_still_be_billed() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
        let mut event = cancelled("A-1", "C-1", 2, date(2026, 3, 1));
        event.early_termination_fee_minor = Some(5_000);
        let decision = plan(&mapping(), Known(&state.documents()), &event).expect("a plan");
        let [ErpEffect::ChangeOrder { change, .. }] = decision.effects.as_slice() else {
            panic!("{:?}", decision.effects)
        };
        let open: Vec<_> = change.lines.iter().filter(|line| !line.is_closed).map(|line| line.amount_minor).collect();
        assert_eq!(open, [5_000]);
    }

    #[test]
    fn what_is_paid_back_is_never_earned_and_what_is_kept_is_earned_at_the_end() {
        for (policy, allocated) in [(Some("pro_rata"), 1_940), (None, 12_000)] {
            let state = kept(&mapping(), &[deferred("A-1", "C-1", 12_000).into()]);
            let mut event = cancelled("A-1", "C-1", 2, date(2026, 3, 1));
            event.refund_policy = policy.map(str::to_owned);
            let decision = plan(&mapping(), Known(&state.documents()), &event).expect("a plan");
            let Some(ErpEffect::ChangeRevenue { plan, .. }) = decision.effects.last() else {
                panic!("{:?}", decision.effects)
            };
            let slots = &plan.elements[0].schedule;
            let sum: i64 = slots.iter().map(|slot| slot.amount_minor).sum();
            assert_eq!(sum, plan.elements[0].allocated_minor);
            // 59 of 365 days, or all of it by March.
            assert!(sum.abs_diff(allocated) <= 1, "{sum}");
            assert!(slots.iter().all(|slot| slot.period.as_str() <= "2026-03"), "{slots:?}");
        }
    }

    #[test]
    fn a_cancellation_before_its_activation_is_kept_for_the_versions_after_it() {
        let state = kept(&mapping(), &[cancelled("A-1", "C-1", 1, date(2026, 3, 1)).into()]);
        assert_eq!(state.status("contract", "C-1"), "cancelled");
    }
}
