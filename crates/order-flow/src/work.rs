//! Steps that tax engine and billing system take, one effect each: done, tried again by the policy, or given up.

use crate::{
    billing,
    course::{Course, Court, WORK},
    document::{DealState, FailedStep, Order, Schedule, TakenBack, TaxState},
    effect::{Change, FlowEffect, For, Work, effect_key},
    handler::OrderFlow,
    order::case_about,
    saga::Fact,
    step::Step,
    target::SUBSCRIPTION,
    tax,
};
use consumer::{Decision, Receipt};
use events::common::{FalloutEnd, FalloutReason, Reason};
use failure::Failure;
use rules::policy::compensation::Then;
use std::collections::BTreeMap;

type Decided = Result<Decision<OrderFlow>, Failure>;

/// The timer of an order is due: its next step begins.
pub(crate) fn due(mut step: Step<'_>, course: &Course<'_>) -> Decided {
    let Some(mut order) = step.deal.orders.remove(course.entity) else { return Ok(nothing()) };
    let Some(work) = course.next(&step, &order) else { return Ok(nothing()) };
    if course.court.by_timer {
        return Ok(Decision::new());
    }
    course.begin(&mut step, &mut order, work);
    step.deal.orders.insert(course.entity.to_owned(), order);
    Ok(step.done())
}

fn nothing() -> Decision<OrderFlow> {
    Decision::skip("the order has no step to take by itself any more")
}

pub(crate) fn effect(deal: &DealState, order: &Order, work: Work) -> Result<FlowEffect, Failure> {
    let missing = || Failure::bug("INVARIANT_BROKEN", format!("order `{}` lacks what {work:?} needs", order.order_id));
    let request = || order.request.as_deref().ok_or_else(missing);
    let found = || order.outside.tax.as_ref().map(|tax| tax.document.clone()).ok_or_else(missing);
    let change = match work {
        Work::DetermineTax => Change::DetermineTax(Box::new(tax::question(request()?)?)),
        Work::CommitTax => Change::CommitTax(found()?),
        Work::VoidTax => Change::VoidTax(found()?),
        Work::BillingCustomer => Change::BillingCustomer(billing::customer(request()?)),
        Work::BillingSchedule => {
            let schedule = deal.schedule.as_ref().ok_or_else(missing)?;
            let customer = order.outside.customer.as_deref().ok_or_else(missing)?;
            Change::BillingSchedule(Box::new(billing::plan(order, schedule, customer)?))
        }
        Work::CancelSchedule => {
            let schedule = order.outside.schedule.as_ref().ok_or_else(missing)?;
            let is_taken_back = order.taken_back != TakenBack::No;
            Change::CancelSchedule(billing::end(order, &deal.account_id, schedule, is_taken_back))
        }
    };
    let attempt = order.attempts.get(&work).copied().unwrap_or(0) + 1;
    let order = For { account_id: deal.account_id.clone(), order_id: order.order_id.clone(), attempt };
    Ok(FlowEffect { order, change })
}

/// Steps were taken: their orders go on with what was made.
pub(crate) fn done(mut step: Step<'_>, court: Court<'_>, receipts: &BTreeMap<String, Receipt>) -> Decided {
    note_all(&mut step, court, receipts)?;
    Ok(step.done())
}

/// Receipts that were not noted before; each order that has one goes on.
fn note_all(step: &mut Step<'_>, court: Court<'_>, receipts: &BTreeMap<String, Receipt>) -> Result<(), Failure> {
    let mut orders = std::mem::take(&mut step.deal.orders);
    for (entity, order) in &mut orders {
        let mut is_any = false;
        for work in Work::ALL {
            let Some(receipt) = receipts.get(&key_of(order, work)) else { continue };
            note(&step.deal, order, work, receipt)?;
            let attempt = attempted(order, work);
            let case = if order.failed.take().is_some() { order.case.take() } else { None };
            step.close(case, FalloutEnd::Mended, None);
            step.fact(order, entity, Fact::succeeded(work.as_str(), attempt));
            is_any = true;
        }
        if is_any {
            court.of(entity).go_on(step, order);
        }
    }
    step.deal.orders = orders;
    Ok(())
}

/// Key of the next attempt at a step.
fn key_of(order: &Order, work: Work) -> String {
    let attempt = order.attempts.get(&work).copied().unwrap_or(0) + 1;
    effect_key(work, &order.order_id, attempt)
}

fn attempted(order: &mut Order, work: Work) -> u32 {
    let attempts = order.attempts.entry(work).or_default();
    *attempts += 1;
    *attempts
}

fn note(deal: &DealState, order: &mut Order, work: Work, receipt: &Receipt) -> Result<(), Failure> {
    match work {
        Work::DetermineTax => order.outside.tax = Some(tax::determined(order, receipt)?),
        Work::CommitTax => order.outside.tax.iter_mut().for_each(|tax| tax.state = TaxState::Committed),
        Work::VoidTax => order.outside.tax.iter_mut().for_each(|tax| tax.state = TaxState::Void),
        Work::BillingCustomer => order.outside.customer = Some(receipt.external_id.clone()),
        Work::BillingSchedule => {
            order.outside.schedule = Some(Schedule {
                schedule_id: receipt.external_id.clone(),
                subscription_id: receipt.details.get(SUBSCRIPTION).cloned(),
                revision: 1,
                zone: deal.schedule.as_ref().map(|schedule| schedule.timezone.clone()).unwrap_or_default(),
                ..Schedule::default()
            });
        }
        Work::CancelSchedule => {
            if let Some(schedule) = &mut order.outside.schedule {
                schedule.is_ended = true;
                schedule.revision += 1;
            }
        }
    }
    Ok(())
}

/// The outside system refused a step. `step` is the deal as the refused decision would have left it; what was done before is noted.
pub(crate) fn refused(
    mut step: Step<'_>,
    court: Court<'_>,
    effect: &FlowEffect,
    failure: &Failure,
    receipts: &BTreeMap<String, Receipt>,
) -> Decided {
    note_all(&mut step, court, receipts)?;
    let found = step.deal.orders.iter().find(|(_, order)| order.order_id == effect.order.order_id);
    let Some(entity) = found.map(|(entity, _)| entity.clone()) else { return Ok(nothing()) };
    let Some(mut order) = step.deal.orders.remove(&entity) else { return Ok(nothing()) };
    fail(&mut step, &mut order, &court.of(&entity), effect.work(), failure);
    step.deal.orders.insert(entity, order);
    Ok(step.done())
}

/// A case with the reason; then again after a wait, or what the policy says when that was in vain.
pub(crate) fn fail(step: &mut Step<'_>, order: &mut Order, course: &Course<'_>, work: Work, failure: &Failure) {
    // Whatever else had begun the step: it is over.
    step.no_timer(format!("{WORK}:{}", order.order_id));
    let attempt = attempted(order, work);
    let before = order.failed.as_ref().filter(|failed| failed.step == work).map_or(0, |failed| failed.attempts);
    let plan = course.court.policies.compensation.plan(work.as_str(), &failure.code);
    let delay = plan.and_then(|plan| plan.delay_after(before + 1));
    let then = plan.map_or(Then::Wait, |plan| plan.then);
    let code = failure.code.to_string();
    let failed = FailedStep { step: work, code: code.clone(), attempts: before + 1, is_retried: delay.is_some() };
    order.failed = Some(failed);
    let owner = failure.owner.as_deref().unwrap_or_else(|| work.owner());
    let told = Fact::failed(work.as_str(), attempt, &code).owned_by(owner).retried(delay);
    step.fact(order, course.entity, told);
    let reason = FalloutReason {
        code: code.clone(),
        path: failure.field.clone(),
        message: failure.reason.clone(),
        fix_hint: failure::explain(&failure.code).map(|explanation| explanation.action.to_owned()),
        owner_queue: owner.to_owned(),
    };
    order.case = step.open(order.case.take(), case_about(order, course.entity), vec![reason]);
    match (delay, then) {
        (Some(delay), _) => {
            let wait = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            course.begin_at(step, order, course.court.now_ms.saturating_add(wait));
        }
        (None, Then::Wait) => step.fact(order, course.entity, Fact::stuck(work.as_str(), &code).owned_by(owner)),
        (None, Then::Cancel) => {
            let reason = Reason { code, text: Some(format!("{} failed for good", work.as_str())) };
            course.take_back(step, order, reason, (FalloutEnd::Compensated, Some("compensation.yaml")));
        }
    }
}
