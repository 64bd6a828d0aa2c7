//! Steps that tax engine and billing system take, one effect each: done, tried again by the policy, or given up.

use crate::{
    billing,
    course::{Course, Court, WORK},
    document::{DealState, FailedStep, Order, Schedule, TakenBack, TaxState},
    effect::{Change, FlowEffect, For, ScheduleChange, Work, effect_key},
    follow,
    handler::OrderFlow,
    order::case_about,
    replan,
    saga::Fact,
    step::Step,
    target::SUBSCRIPTION,
    tax,
};
use connectors::billing::BillingPlan;
use consumer::{Decision, Receipt};
use events::common::{FalloutEnd, FalloutReason, Reason};
use failure::Failure;
use rules::policy::compensation::Then;
use std::collections::BTreeMap;

type Decided = Result<Decision<OrderFlow>, Failure>;

/// The timer of an order is due: its next step begins.
pub(crate) fn due(mut step: Step<'_>, course: &Course<'_>) -> Decided {
    let Some(mut order) = step.deal.orders.remove(course.entity) else { return Ok(nothing()) };
    if !begin_next(&mut step, course, &mut order) {
        return Ok(nothing());
    }
    if course.court.by_timer {
        return Ok(Decision::new());
    }
    step.deal.orders.insert(course.entity.to_owned(), order);
    Ok(step.done())
}

/// Begins the next step, if there is one. One that was refused is noted first: then nothing begins.
pub(crate) fn begin_next(step: &mut Step<'_>, course: &Course<'_>, order: &mut Order) -> bool {
    let next = course.next(step, order);
    if let Some(work) = next.filter(|_| !course.court.by_timer) {
        course.begin(step, order, work);
    }
    next.is_some()
}

/// Somebody mended the cause: the step is tried again at once, and its waits begin anew.
pub(crate) fn retry(step: &mut Step<'_>, course: &Course<'_>, order: &mut Order) {
    if let Some(failed) = &mut order.failed {
        failed.attempts = 0;
        failed.is_retried = true;
        course.begin_at(step, order, course.court.now_ms);
    }
}

pub(crate) fn nothing() -> Decision<OrderFlow> {
    Decision::skip("the order has no step to take by itself any more")
}

pub(crate) fn effect(deal: &DealState, entity: &str, order: &Order, work: Work) -> Result<FlowEffect, Failure> {
    let missing = || Failure::bug("INVARIANT_BROKEN", format!("order `{}` lacks what {work:?} needs", order.order_id));
    let request = || order.request.as_deref().ok_or_else(missing);
    let found = || order.outside.tax.as_ref().map(|tax| tax.document.clone()).ok_or_else(missing);
    let change = match work {
        Work::DetermineTax => Change::DetermineTax(Box::new(match order.followed.as_deref() {
            Some(change) => tax::again(deal, entity, order, change)?,
            None => tax::question(request()?)?,
        })),
        Work::CommitTax => Change::CommitTax(found()?),
        Work::VoidTax => Change::VoidTax(found()?),
        Work::BillingCustomer => Change::BillingCustomer(billing::customer(request()?)),
        Work::BillingSchedule => {
            let schedule = deal.schedule.as_ref().ok_or_else(missing)?;
            let customer = order.outside.customer.as_deref().ok_or_else(missing)?;
            Change::BillingSchedule(Box::new(billing::plan(order, schedule, customer)?))
        }
        Work::ChangeSchedule => {
            let (plan, of) = (replanned(deal, entity, order)?, deal.orders.get(entity).ok_or_else(missing)?);
            let schedule = of.outside.schedule.as_ref().ok_or_else(missing)?;
            let schedule = billing::reference(of, &deal.account_id, schedule);
            Change::ChangeSchedule(Box::new(ScheduleChange { schedule, plan }))
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

/// The plan of a contract with a change.
fn replanned(deal: &DealState, entity: &str, order: &Order) -> Result<BillingPlan, Failure> {
    let change = follow::of(order)?;
    let schedule = deal.orders.get(entity).and_then(|order| order.outside.schedule.as_ref());
    let plan = schedule.zip(deal.schedule.as_ref()).map(|(schedule, terms)| replan::changed(schedule, terms, change));
    plan.transpose()?
        .flatten()
        .ok_or_else(|| Failure::bug("INVARIANT_BROKEN", format!("`{}` changes nothing of what bills", order.order_id)))
}

/// Steps were taken: their orders go on with what was made.
pub(crate) fn done(mut step: Step<'_>, court: Court<'_>, receipts: &BTreeMap<String, Receipt>) -> Decided {
    note_all(&mut step, court, receipts)?;
    Ok(step.done())
}

/// Receipts that were not noted before; each order that has one goes on, and then the changes of contracts.
fn note_all(step: &mut Step<'_>, court: Court<'_>, receipts: &BTreeMap<String, Receipt>) -> Result<(), Failure> {
    let mut orders = std::mem::take(&mut step.deal.orders);
    let mut noted = Ok(());
    for (entity, order) in &mut orders {
        match note_one(step, &court.of(entity), order, receipts) {
            Ok(true) => court.of(entity).go_on(step, order),
            Ok(false) => {}
            Err(failure) => noted = Err(failure),
        }
    }
    step.deal.orders = orders;
    noted?;
    let changes: Vec<String> = step.deal.changes.keys().cloned().collect();
    for id in changes {
        follow::with(step, court, &id, |course, step, order| note_one(step, course, order, receipts)).transpose()?;
    }
    let contracts: Vec<String> = step.deal.orders.values().map(|order| order.order_id.clone()).collect();
    contracts.iter().for_each(|contract_id| follow::go_on(step, court, contract_id));
    Ok(())
}

/// Answers whether there was one for this order.
fn note_one(
    step: &mut Step<'_>,
    course: &Course<'_>,
    order: &mut Order,
    receipts: &BTreeMap<String, Receipt>,
) -> Result<bool, Failure> {
    let mut is_any = false;
    for work in Work::ALL {
        let Some(receipt) = receipts.get(&key_of(order, work)) else { continue };
        note(&mut step.deal, course.entity, order, work, receipt)?;
        let attempt = attempted(order, work);
        let case = if order.failed.take().is_some() { order.case.take() } else { None };
        step.close(case, FalloutEnd::Mended, None);
        step.fact(order, course.entity, Fact::succeeded(work.as_str(), attempt));
        is_any = true;
    }
    Ok(is_any)
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

fn note(deal: &mut DealState, entity: &str, order: &mut Order, work: Work, receipt: &Receipt) -> Result<(), Failure> {
    match work {
        Work::DetermineTax => order.outside.tax = Some(tax::determined(entity, order, receipt)?),
        Work::CommitTax => order.outside.tax.iter_mut().for_each(|tax| tax.state = TaxState::Committed),
        Work::VoidTax => order.outside.tax.iter_mut().for_each(|tax| tax.state = TaxState::Void),
        Work::BillingCustomer => order.outside.customer = Some(receipt.external_id.clone()),
        Work::BillingSchedule => {
            let (terms, customer) = (deal.schedule.as_ref(), order.outside.customer.as_deref());
            let plan =
                terms.zip(customer).map(|(terms, customer)| billing::plan(order, terms, customer)).transpose()?;
            order.outside.schedule = Some(Schedule {
                plan: plan.map(Box::new),
                schedule_id: receipt.external_id.clone(),
                subscription_id: receipt.details.get(SUBSCRIPTION).cloned(),
                revision: 1,
                zone: deal.schedule.as_ref().map(|schedule| schedule.timezone.clone()).unwrap_or_default(),
                ..Schedule::default()
            });
        }
        Work::ChangeSchedule => {
            let plan = replanned(deal, entity, order)?;
            let schedule = deal.orders.get_mut(entity).and_then(|order| order.outside.schedule.as_mut());
            if let Some(schedule) = schedule {
                schedule.revision = plan.revision;
                schedule.plan = Some(Box::new(plan));
            }
            order.followed.iter_mut().for_each(|change| change.is_billed = true);
        }
        Work::CancelSchedule => {
            if let Some(schedule) = &mut order.outside.schedule {
                schedule.is_ended = true;
                schedule.revision += 1;
                if let (Some(plan), Some(end)) = (schedule.plan.as_deref_mut(), schedule.end_on) {
                    replan::end_at(plan, end);
                }
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
    let Some(entity) = found.map(|(entity, _)| entity.clone()) else {
        let Some(id) = follow::of_order(&step.deal, &effect.order.order_id) else { return Ok(nothing()) };
        follow::with(&mut step, court, &id, |course, step, order| fail(step, order, course, effect.work(), failure));
        return Ok(step.done());
    };
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
    // A change of a contract that stands is not taken back by itself: the customer accepted it, or it was agreed.
    let then = plan.filter(|_| order.followed.is_none()).map_or(Then::Wait, |plan| plan.then);
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
