//! What amendments and renewals do outside: a renewal is taxed as a document of its own, both change what bills.
//!
//! Each is worked like an order, `<contract>/<change>`, from the document of its change. A contract has one schedule, so its changes follow
//! each other in the order of its versions: one that waits for the ERP or for its owner keeps those after it waiting. What must never happen:
//! a customer is told of a renewal that is not taxed and billed; a schedule bills beyond the end of a cancelled contract.

use crate::{
    billing::is_once,
    change::{Asked, Change, ChangeStage},
    contract::ContractState,
    course::{Course, Court, Parts, WORK},
    document::{DealState, Order, OrderStage, TaxState},
    handler::OrderFlow,
    renew,
    saga::{Fact, by_others},
    step::Step,
    work,
};
use consumer::Decision;
use events::{
    ContractAmended, FalloutDecided, SubscriptionRenewalAccepted,
    common::{ContractLine, FalloutAction, FalloutEnd, LineChange, SagaKind, Term},
};
use failure::Failure;
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// The change that an order is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    pub contract_id: String,
    pub change_id: String,
    /// The version of the contract that it is.
    pub version: i64,
    /// The first day that it holds, in the contract's zone.
    pub from: Date,
    pub what: What,
    /// The schedule has it.
    #[serde(default)]
    pub is_billed: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Renewal {
        lines: Vec<ContractLine>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end_on: Option<Date>,
        #[serde(default)]
        auto_renews: bool,
    },
    Amendment {
        changes: Vec<LineChange>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_term: Option<Term>,
    },
}

impl Followed {
    #[must_use]
    pub const fn is_renewal(&self) -> bool {
        matches!(self.what, What::Renewal { .. })
    }
}

impl Change {
    /// Whether something of it is still to be done outside, or to be taken back there.
    #[must_use]
    pub fn at_work(&self) -> Option<&Order> {
        let order = self.order.as_deref()?;
        matches!(order.stage, OrderStage::Accepted | OrderStage::Cancelling).then_some(order)
    }
}

/// What a renewal will do once the ERP has it; `before`: the contract until then. `None`: nothing.
pub(crate) fn renewal(
    deal: &DealState,
    court: Court<'_>,
    before: &ContractState,
    event: &SubscriptionRenewalAccepted,
) -> Option<Box<Order>> {
    let order = active(deal, &event.legal_entity_id, &event.contract_id).filter(|_| !before.is_cancelled)?;
    let lines = renewed_lines(before, event);
    let is_taxed = order.outside.tax.as_ref().is_some_and(|tax| tax.state == TaxState::Committed);
    let parts = Parts {
        tax: court.parts.tax && is_taxed && lines.iter().any(|line| line.amount_minor != 0),
        billing: order.outside.schedule.is_some(),
    };
    let term = &event.renewed_term;
    let what = What::Renewal { lines, end_on: term.end_on, auto_renews: term.auto_renew || term.end_on.is_none() };
    let followed = Followed {
        contract_id: event.contract_id.clone(),
        change_id: event.renewal_id.clone(),
        version: event.entity_version,
        from: term.start_on,
        what,
        is_billed: false,
    };
    process(order, followed, parts, OrderStage::Requested)
}

/// What an amendment that holds does; `contract`: as it is with it.
pub(crate) fn amendment(deal: &DealState, contract: &ContractState, event: &ContractAmended) -> Option<Box<Order>> {
    let order = active(deal, &event.legal_entity_id, &event.contract_id)?;
    let zone = TimeZone::get(&contract.timezone).unwrap_or(TimeZone::UTC);
    let parts = Parts { tax: false, billing: order.outside.schedule.is_some() };
    let what = What::Amendment { changes: event.changes.clone(), new_term: event.new_term.clone() };
    let followed = Followed {
        contract_id: event.contract_id.clone(),
        change_id: event.amendment_id.clone(),
        version: event.entity_version,
        from: event.effective_at.to_zoned(zone).date(),
        what,
        is_billed: false,
    };
    process(order, followed, parts, OrderStage::Accepted)
}

/// The order whose contract stands.
fn active<'a>(deal: &'a DealState, entity: &str, contract_id: &str) -> Option<&'a Order> {
    deal.orders.get(entity).filter(|order| order.order_id == contract_id && order.stage == OrderStage::Active)
}

fn process(order: &Order, followed: Followed, parts: Parts, stage: OrderStage) -> Option<Box<Order>> {
    (parts.tax || parts.billing).then(|| {
        Box::new(Order {
            order_id: format!("{}/{}", followed.contract_id, followed.change_id),
            stage,
            parts,
            currency: order.currency.clone(),
            followed: Some(Box::new(followed)),
            ..Order::default()
        })
    })
}

/// What is sold in the renewed term: as told, else what the term before ends with.
fn renewed_lines(before: &ContractState, event: &SubscriptionRenewalAccepted) -> Vec<ContractLine> {
    if !event.lines_after.is_empty() {
        return event.lines_after.clone();
    }
    let is_last = |line: &&ContractLine| {
        let period = line.service_period.as_ref();
        !is_once(line) && period.is_none_or(|period| before.end_on.is_none_or(|end_on| period.end_on >= end_on))
    };
    let again = |line: &ContractLine| ContractLine { service_period: None, ..line.clone() };
    before.lines.iter().filter(is_last).map(again).collect()
}

/// Whether the schedule has to take earlier changes of the contract first.
pub(crate) fn is_behind(deal: &DealState, change: &Followed) -> bool {
    let orders = deal.changes.values().filter_map(|change| change.order.as_deref());
    let open = orders.filter(|order| matches!(order.stage, OrderStage::Requested | OrderStage::Accepted));
    let mut earlier = open.filter_map(|order| order.followed.as_deref());
    earlier.any(|other| other.contract_id == change.contract_id && other.version < change.version)
}

/// The ERP has a renewal that nothing is against.
pub(crate) fn release(change: &mut Change) {
    let (id, no, amount) = (change.erp_order_id.clone(), change.erp_order_no.clone(), change.amount_minor);
    if let Some(order) = change.order.as_deref_mut() {
        (order.erp_order_id, order.erp_order_no, order.total_minor) = (id, no, amount);
        order.stage = OrderStage::Accepted;
    }
}

/// Takes each change of a contract as far as it goes, in the order of the contract's versions. Once in a decision: it begins steps.
pub(crate) fn go_on(step: &mut Step<'_>, court: Court<'_>, contract_id: &str) {
    for id in of_contract(&step.deal, contract_id) {
        with(step, court, &id, |course, step, order| {
            if order.facts == 0 && order.stage == OrderStage::Accepted {
                step.fact(order, course.entity, Fact::of_all(SagaKind::Started));
                if order.followed.as_ref().is_some_and(|change| change.is_renewal()) {
                    step.fact(order, course.entity, Fact::succeeded(by_others::ERP_ORDER, 1));
                }
            }
            course.go_on(step, order);
        });
        let Some(mut change) = step.deal.changes.remove(&id) else { continue };
        let is_done = change.order.as_deref().is_some_and(|order| order.stage == OrderStage::Active);
        if let Some(Asked::Renewal(renewed)) = change.asked.clone().filter(|_| is_done) {
            renew::tell(step, (&id, &mut change), &renewed);
        }
        step.deal.changes.insert(id, change);
    }
}

/// Changes that are at work, by the contract's versions.
fn of_contract(deal: &DealState, contract_id: &str) -> Vec<String> {
    let at_work = deal.changes.iter().filter_map(|(id, change)| Some((id, change.at_work()?.followed.as_deref()?)));
    let mut ours: Vec<_> = at_work.filter(|(_, followed)| followed.contract_id == contract_id).collect();
    ours.sort_by_key(|(_, followed)| followed.version);
    ours.into_iter().map(|(id, _)| id.clone()).collect()
}

/// Works on the order that a change is. Its case is the change's.
pub(crate) fn with<R>(
    step: &mut Step<'_>,
    court: Court<'_>,
    id: &str,
    then: impl FnOnce(&Course<'_>, &mut Step<'_>, &mut Order) -> R,
) -> Option<R> {
    let mut change = step.deal.changes.remove(id)?;
    let answer = change.order.take().map(|mut order| {
        order.case = change.case.take();
        let answer = then(&court.of(&change.legal_entity_id), step, &mut order);
        change.case = order.case.take();
        change.order = Some(order);
        answer
    });
    step.deal.changes.insert(id.to_owned(), change);
    answer
}

/// The change of an effect.
pub(crate) fn of_order(deal: &DealState, order_id: &str) -> Option<String> {
    let is_it = |change: &Change| change.order.as_deref().is_some_and(|order| order.order_id == order_id);
    deal.changes.iter().find(|(_, change)| is_it(change)).map(|(id, _)| id.clone())
}

/// The timer of a change is due: its next step begins.
pub(crate) fn due(mut step: Step<'_>, court: Court<'_>, id: &str) -> Decision<OrderFlow> {
    let begun = with(&mut step, court, id, |course, step, order| work::begin_next(step, course, order));
    match begun {
        Some(true) if court.by_timer => Decision::new(),
        Some(true) => step.done(),
        Some(false) | None => work::nothing(),
    }
}

/// Somebody decided about a step that was refused.
pub(crate) fn decided(
    mut step: Step<'_>,
    court: Court<'_>,
    event: &FalloutDecided,
    (id, contract_id): (&str, &str),
) -> Decision<OrderFlow> {
    match event.action {
        FalloutAction::Retry | FalloutAction::Unknown => {
            with(&mut step, court, id, |course, step, order| work::retry(step, course, order));
        }
        FalloutAction::Reject if is_taken_back(&step.deal, id) => {
            return Decision::skip("taking something back is not given up");
        }
        FalloutAction::Reject => {
            withdraw(&mut step, court, id, (FalloutEnd::Rejected, Some(&event.decided_by)));
            go_on(&mut step, court, contract_id);
        }
        FalloutAction::Approve | FalloutAction::Waive => {
            return Decision::skip("a step that was refused is tried again or rejected");
        }
    }
    step.done()
}

fn is_taken_back(deal: &DealState, id: &str) -> bool {
    let order = deal.changes.get(id).and_then(|change| change.order.as_deref());
    order.is_some_and(|order| order.stage == OrderStage::Cancelling)
}

/// A contract ends on a day, or is taken back as a whole. What would begin after its end does not happen any more; what was taxed for it
/// is void.
pub(crate) fn ended(step: &mut Step<'_>, court: Court<'_>, contract_id: &str, on: Option<Date>) {
    let is_over = |order: &Order| {
        let Some(followed) = order.followed.as_deref().filter(|followed| followed.contract_id == contract_id) else {
            return false;
        };
        match (order.stage, on) {
            (OrderStage::Requested | OrderStage::Accepted, Some(on)) => followed.from >= on,
            (OrderStage::Requested | OrderStage::Accepted | OrderStage::Active, None) => true,
            _ => false,
        }
    };
    let over = step.deal.changes.iter().filter(|(_, change)| change.order.as_deref().is_some_and(is_over));
    let over: Vec<String> = over.map(|(id, _)| id.clone()).collect();
    for id in over {
        withdraw(step, court, &id, (FalloutEnd::Withdrawn, None));
    }
    go_on(step, court, contract_id);
}

/// What a change does outside does not happen, or is to be taken back. An amendment stands in the contract all the same.
fn withdraw(step: &mut Step<'_>, court: Court<'_>, id: &str, (end, by): (FalloutEnd, Option<&str>)) {
    with(step, court, id, |course, step, order| {
        let case = order.case.take();
        step.close(case, end, by);
        order.failed = None;
        step.no_timer(format!("{WORK}:{}", order.order_id));
        if order.facts == 0 {
            order.stage = OrderStage::Cancelled;
            return;
        }
        order.stage = OrderStage::Cancelling;
        step.fact(order, course.entity, Fact::compensating("change_withdrawn"));
    });
    if let Some(change) = step.deal.changes.get_mut(id)
        && matches!(change.asked, Some(Asked::Renewal(_)))
    {
        change.stage = ChangeStage::Declined;
        change.asked = None;
    }
}

/// Nothing was begun, and nothing will be.
pub(crate) fn none(change: &mut Change) {
    if change.order.as_deref().is_some_and(|order| order.stage == OrderStage::Requested) {
        change.order = None;
    }
}

/// What is to be changed, of an order that is a change.
pub(crate) fn of(order: &Order) -> Result<&Followed, Failure> {
    order.followed.as_deref().ok_or_else(|| {
        Failure::bug("INVARIANT_BROKEN", format!("order `{}` is no change of a contract", order.order_id))
    })
}
