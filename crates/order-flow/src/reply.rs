//! What the ERP answers about orders, and what becomes of their contracts.

use crate::{
    contract::ContractState,
    document::{DealStage, Order, OrderStage},
    handler::OrderFlow,
    order, process,
    step::{About, Step},
};
use consumer::Decision;
use events::{
    EntitlementGranted, OrderAccepted, OrderCancelled, OrderRejected, ProvisioningFailed,
    common::{FalloutEnd, FalloutReason, Reason, RejectionReason},
};
use failure::Failure;

type Decided = Result<Decision<OrderFlow>, Failure>;

/// The ERP has the order: the contract becomes active, unless the deal was taken back meanwhile.
pub(crate) fn accepted(mut step: Step<'_>, event: &OrderAccepted) -> Decided {
    let Some(mut order) = step.deal.orders.remove(&event.legal_entity_id) else { return Ok(unexpected()) };
    if order.erp_order_id.is_some() {
        return Ok(Decision::skip("the order was accepted before"));
    }
    order.erp_order_id = Some(event.erp_order_id.clone());
    order.erp_order_no.clone_from(&event.erp_order_no);
    let case = order.case.take();
    step.close(case, FalloutEnd::Mended, None);
    match order.stage {
        OrderStage::Requested | OrderStage::Rejected if step.deal.stage == DealStage::Withdrawn => {
            order.stage = OrderStage::Cancelling;
            let reason = Reason { code: "opportunity_reopened".to_owned(), text: None };
            let request = process::take_back(&step, &event.legal_entity_id, &order.order_id, reason);
            step.ask(request);
        }
        OrderStage::Requested | OrderStage::Rejected => activate(&mut step, &mut order, event),
        OrderStage::Active | OrderStage::Cancelling | OrderStage::Cancelled => {}
    }
    step.deal.orders.insert(event.legal_entity_id.clone(), order);
    Ok(step.done())
}

fn activate(step: &mut Step<'_>, order: &mut Order, event: &OrderAccepted) {
    order.stage = OrderStage::Active;
    let Some(request) = order.request.take() else { return };
    step.tell(order::activated(&request, &step.deal.verdict, step.deal.schedule.as_ref(), event));
    step.keep(&request.contract_id, ContractState::of(&request));
}

/// The ERP refused the order. It lies parked there: somebody mends the cause and has it tried again, then it is accepted.
pub(crate) fn rejected(mut step: Step<'_>, event: &OrderRejected) -> Decided {
    let Some(mut order) = step.deal.orders.remove(&event.legal_entity_id) else { return Ok(unexpected()) };
    if order.erp_order_id.is_some() {
        return Ok(Decision::skip("the order was accepted since"));
    }
    if matches!(order.stage, OrderStage::Requested | OrderStage::Rejected) {
        order.stage = OrderStage::Rejected;
        open_case(&mut step, &mut order, &event.legal_entity_id, "ORDER_REJECTED", &event.reasons);
    }
    step.deal.orders.insert(event.legal_entity_id.clone(), order);
    Ok(step.done())
}

/// The product could not carry the contract out. It lies parked there: somebody mends the cause and has it tried again, or gives the contract
/// up. A grant that was read first says that it was tried again already.
pub(crate) fn not_provisioned(mut step: Step<'_>, event: &ProvisioningFailed) -> Decided {
    let Some(mut order) = step.deal.orders.remove(&event.legal_entity_id) else { return Ok(unexpected()) };
    if order.stage == OrderStage::Active && !order.provisioned {
        open_case(&mut step, &mut order, &event.legal_entity_id, "PROVISIONING_FAILED", &event.reasons);
    }
    step.deal.orders.insert(event.legal_entity_id.clone(), order);
    Ok(step.done())
}

/// The order's case is open with what was said of it, under the codes of who said so.
fn open_case(step: &mut Step<'_>, order: &mut Order, entity: &str, prefix: &str, said: &[RejectionReason]) {
    let about = About {
        legal_entity_id: entity.to_owned(),
        order_id: Some(order.order_id.clone()),
        currency: order.currency.clone(),
        amount_minor: order.total_minor,
    };
    order.case = step.open(order.case.take(), about, reasons(prefix, said).collect());
}

/// What was said, under the codes of who said so.
pub(crate) fn reasons(prefix: &str, said: &[RejectionReason]) -> impl Iterator<Item = FalloutReason> {
    said.iter().map(move |reason| FalloutReason {
        code: format!("{prefix}_{}", reason.code.to_string().to_uppercase()),
        path: reason.path.clone(),
        message: reason.message.clone(),
        fix_hint: reason.fix_hint.clone(),
        owner_queue: reason.owner_queue.clone().unwrap_or_else(|| "revenue-operations".to_owned()),
    })
}

/// The customer has access: with the first grant of a contract, all of its grants are done.
pub(crate) fn provisioned(mut step: Step<'_>, event: &EntitlementGranted) -> Decided {
    let Some(mut order) = step.deal.orders.remove(&event.legal_entity_id) else { return Ok(unexpected()) };
    if order.stage == OrderStage::Active {
        let case = order.case.take();
        step.close(case, FalloutEnd::Mended, None);
    }
    order.provisioned = true;
    step.deal.orders.insert(event.legal_entity_id.clone(), order);
    Ok(step.done())
}

/// The ERP closed the order.
pub(crate) fn cancelled(mut step: Step<'_>, event: &OrderCancelled) -> Decided {
    let Some(order) = step.deal.orders.get_mut(&event.legal_entity_id) else { return Ok(unexpected()) };
    order.stage = OrderStage::Cancelled;
    order.request = None;
    Ok(step.done())
}

fn unexpected() -> Decision<OrderFlow> {
    Decision::skip("no order of this deal waits for the answer")
}
