//! What the ERP answers about orders, and what becomes of their contracts.

use crate::{
    course::{Course, GIVE_UP, payload},
    document::{AcceptedAt, Order, OrderStage},
    follow,
    handler::OrderFlow,
    order::case_about,
    saga::{Fact, by_others},
    step::Step,
};
use consumer::Decision;
use events::{
    ContractCancelled, OrderAccepted, OrderRejected, ProvisioningFailed,
    common::{FalloutEnd, FalloutReason, Reason, RejectionReason, SagaKind},
};
use failure::Failure;
use rules::policy::compensation::Then;

type Decided = Result<Decision<OrderFlow>, Failure>;

/// The ERP has the order: it goes on to its contract, unless it was taken back meanwhile.
pub(crate) fn accepted(mut step: Step<'_>, course: &Course<'_>, event: &OrderAccepted) -> Decided {
    let Some(mut order) = step.deal.orders.remove(course.entity) else { return Ok(unexpected()) };
    if order.erp_order_id.is_some() {
        return Ok(Decision::skip("the order was accepted before"));
    }
    order.erp_order_id = Some(event.erp_order_id.clone());
    order.erp_order_no.clone_from(&event.erp_order_no);
    order.accepted = Some(AcceptedAt { effective_at: event.effective_at, recorded_at: event.recorded_at });
    let case = if order.failed.is_none() { order.case.take() } else { None };
    step.close(case, FalloutEnd::Mended, None);
    step.fact(&mut order, course.entity, Fact::succeeded(by_others::ERP_ORDER, 1));
    match order.stage {
        // It was not asked yet: see `Course::ask`.
        OrderStage::Pricing => {}
        OrderStage::Requested | OrderStage::Rejected => {
            order.stage = OrderStage::Accepted;
            course.go_on(&mut step, &mut order);
        }
        // It was given up while it lay parked there.
        OrderStage::Cancelling | OrderStage::Cancelled if !order.cancel_asked => {
            let reason = Reason { code: "order_taken_back".to_owned(), text: None };
            course.close_in_erp(&mut step, &mut order, reason);
        }
        OrderStage::Accepted | OrderStage::Active | OrderStage::Cancelling | OrderStage::Cancelled => {}
    }
    step.deal.orders.insert(course.entity.to_owned(), order);
    Ok(step.done())
}

/// The ERP refused the order. It lies parked there: somebody mends the cause and has it tried again, then it is accepted.
pub(crate) fn rejected(mut step: Step<'_>, course: &Course<'_>, event: &OrderRejected) -> Decided {
    let Some(mut order) = step.deal.orders.remove(course.entity) else { return Ok(unexpected()) };
    if order.erp_order_id.is_some() {
        return Ok(Decision::skip("the order was accepted since"));
    }
    if matches!(order.stage, OrderStage::Requested | OrderStage::Rejected) {
        order.stage = OrderStage::Rejected;
        let code = open_case(&mut step, &mut order, course.entity, "ORDER_REJECTED", &event.reasons);
        step.fact(&mut order, course.entity, Fact::failed(by_others::ERP_ORDER, 1, &code));
        step.fact(&mut order, course.entity, Fact::stuck(by_others::ERP_ORDER, &code));
    }
    step.deal.orders.insert(course.entity.to_owned(), order);
    Ok(step.done())
}

/// The product could not carry the contract out. It lies parked there: somebody mends the cause and has it tried again, or gives the contract
/// up, or the policy does after a while. A grant that was read first says that it was tried again already.
pub(crate) fn not_provisioned(mut step: Step<'_>, course: &Course<'_>, event: &ProvisioningFailed) -> Decided {
    let Some(mut order) = step.deal.orders.remove(course.entity) else { return Ok(unexpected()) };
    if order.stage == OrderStage::Active && !order.provisioned {
        let code = open_case(&mut step, &mut order, course.entity, "PROVISIONING_FAILED", &event.reasons);
        let attempt = u32::try_from(event.entity_version).unwrap_or(1);
        step.fact(&mut order, course.entity, Fact::failed(by_others::PROVISIONING, attempt, &code));
        let plan = course.court.policies.compensation.plan(by_others::PROVISIONING, &code);
        match plan.filter(|plan| plan.then == Then::Cancel) {
            Some(plan) => {
                let wait = i64::try_from(plan.whole().as_millis()).unwrap_or(i64::MAX);
                let payload = payload(&step, course.entity, &order, GIVE_UP);
                step.timer(format!("{GIVE_UP}:{}", order.order_id), course.court.now_ms.saturating_add(wait), payload);
            }
            None => step.fact(&mut order, course.entity, Fact::stuck(by_others::PROVISIONING, &code)),
        }
    }
    step.deal.orders.insert(course.entity.to_owned(), order);
    Ok(step.done())
}

/// Nobody has mended it for as long as the policy waits.
pub(crate) fn waited_in_vain(mut step: Step<'_>, course: &Course<'_>) -> Decided {
    let Some(mut order) = step.deal.orders.remove(course.entity) else { return Ok(unexpected()) };
    if order.stage != OrderStage::Active || order.provisioned || order.case.is_none() {
        return Ok(Decision::skip("the contract was carried out, or given up, since"));
    }
    let reason = Reason { code: "activation_failed".to_owned(), text: Some("nobody mended it in time".to_owned()) };
    course.take_back(&mut step, &mut order, reason, (FalloutEnd::Compensated, Some("compensation.yaml")));
    step.deal.orders.insert(course.entity.to_owned(), order);
    Ok(step.done())
}

/// The order's case is open with what was said of it, under the codes of who said so. Answers the first code.
fn open_case(step: &mut Step<'_>, order: &mut Order, entity: &str, prefix: &str, said: &[RejectionReason]) -> String {
    let reasons: Vec<FalloutReason> = reasons(prefix, said).collect();
    let code = reasons.first().map_or_else(|| prefix.to_owned(), |reason| reason.code.clone());
    order.case = step.open(order.case.take(), case_about(order, entity), reasons);
    code
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
pub(crate) fn provisioned(mut step: Step<'_>, course: &Course<'_>) -> Decided {
    let Some(mut order) = step.deal.orders.remove(course.entity) else { return Ok(unexpected()) };
    if order.stage == OrderStage::Active && !order.provisioned {
        let case = order.case.take();
        step.close(case, FalloutEnd::Mended, None);
        step.no_timer(format!("{GIVE_UP}:{}", order.order_id));
        step.fact(&mut order, course.entity, Fact::succeeded(by_others::PROVISIONING, 1));
        step.fact(&mut order, course.entity, Fact::of_all(SagaKind::Completed));
    }
    order.provisioned = true;
    step.deal.orders.insert(course.entity.to_owned(), order);
    Ok(step.done())
}

/// The ERP closed the order.
pub(crate) fn cancelled(mut step: Step<'_>, course: &Course<'_>) -> Decided {
    let Some(mut order) = step.deal.orders.remove(course.entity) else { return Ok(unexpected()) };
    order.stage = OrderStage::Cancelled;
    order.request = None;
    step.fact(&mut order, course.entity, Fact::succeeded(by_others::CANCEL_ORDER, 1));
    course.go_on(&mut step, &mut order);
    step.deal.orders.insert(course.entity.to_owned(), order);
    Ok(step.done())
}

/// A contract of ours was cancelled elsewhere: it is not billed from that day on.
pub(crate) fn ended<'a>(mut step: Step<'a>, course: &Course<'_>, event: &ContractCancelled) -> Step<'a> {
    if let Some(mut order) = step.deal.orders.remove(course.entity) {
        if let Some(schedule) = order.outside.schedule.as_mut().filter(|_| order.stage == OrderStage::Active) {
            schedule.end_on = Some(event.cancel_on);
            course.go_on(&mut step, &mut order);
        }
        step.deal.orders.insert(course.entity.to_owned(), order);
    }
    follow::ended(&mut step, course.court, &event.contract_id, Some(event.cancel_on));
    step
}

fn unexpected() -> Decision<OrderFlow> {
    Decision::skip("no order of this deal waits for the answer")
}
