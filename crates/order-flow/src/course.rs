//! The course of an order: what follows by itself from where it stands. Pure, and the same whichever event or answer brought it there.
//!
//! What must never happen: a contract is active whose tax is not committed or whose billing is not made; something is made for an order
//! that is being taken back; what was made outside is forgotten when an order ends.

use crate::{
    billing,
    contract::ContractState,
    document::{Order, OrderStage, TakenBack, TaxState},
    effect::Work,
    follow::{self, Followed},
    order, replan,
    saga::{Fact, by_others},
    step::Step,
    tax, work,
};
use events::{
    OrderCancelRequested,
    common::{FalloutEnd, Reason, SagaKind},
};
use jiff::Timestamp;
use rules::Policies;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Systems that there are. What is switched off is no step of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    pub tax: bool,
    pub billing: bool,
}

/// What every decision about a deal needs besides the deal.
#[derive(Clone, Copy)]
pub(crate) struct Court<'a> {
    pub(crate) policies: &'a Policies,
    pub(crate) parts: Parts,
    pub(crate) now_ms: i64,
    /// Whether steps outside begin by timers of their own, not with the decision: where it is about a refusal, it must be durable first.
    pub(crate) by_timer: bool,
}

impl<'a> Court<'a> {
    /// For the order of an entity.
    pub(crate) const fn of(self, entity: &'a str) -> Course<'a> {
        Course { court: self, entity }
    }
}

/// The course of one order.
#[derive(Clone, Copy)]
pub(crate) struct Course<'a> {
    pub(crate) court: Court<'a>,
    pub(crate) entity: &'a str,
}

pub(crate) const WORK: &str = "work";
pub(crate) const CANCEL: &str = "cancel";
pub(crate) const GIVE_UP: &str = "give_up";
/// Why a contract is cancelled that the product could not carry out: provisioning ends its activation, which lies parked there.
pub(crate) const NOT_PROVISIONED: &str = "activation_failed";

impl Course<'_> {
    /// The step that an outside system has to take next.
    pub(crate) fn next(&self, step: &Step<'_>, order: &Order) -> Option<Work> {
        if let Some(change) = order.followed.as_deref() {
            return self.next_of_change(step, order, change);
        }
        let (tax, schedule) = (order.outside.tax.as_ref(), order.outside.schedule.as_ref());
        let request = order.request.as_deref();
        match order.stage {
            OrderStage::Pricing => {
                let is_due = order.parts.tax && tax.is_none() && request.is_some_and(tax::is_due);
                is_due.then_some(Work::DetermineTax)
            }
            OrderStage::Accepted => {
                let is_open = tax.is_some_and(|tax| tax.state == TaxState::Determined);
                let bills = order.parts.billing
                    && request.is_some_and(|request| billing::is_due(request, step.deal.schedule.as_ref()));
                match (order.outside.customer.is_some(), schedule.is_some()) {
                    _ if is_open => Some(Work::CommitTax),
                    (false, _) if bills => Some(Work::BillingCustomer),
                    (true, false) if bills => Some(Work::BillingSchedule),
                    _ => None,
                }
            }
            OrderStage::Cancelling | OrderStage::Cancelled => {
                let bills = schedule.is_some_and(|schedule| !schedule.is_ended);
                let is_due = tax.is_some_and(|tax| tax.state != TaxState::Void);
                if bills { Some(Work::CancelSchedule) } else { is_due.then_some(Work::VoidTax) }
            }
            OrderStage::Active => {
                let ends = schedule.is_some_and(|schedule| schedule.end_on.is_some() && !schedule.is_ended);
                ends.then_some(Work::CancelSchedule)
            }
            OrderStage::Requested | OrderStage::Rejected => None,
        }
    }

    /// The same for a change of a contract: taxed, then billed.
    fn next_of_change(&self, step: &Step<'_>, order: &Order, change: &Followed) -> Option<Work> {
        let tax = order.outside.tax.as_ref().map(|tax| tax.state);
        match (order.stage, tax) {
            (OrderStage::Accepted, _) if self.standing(step).is_none() => None,
            (OrderStage::Accepted, None) if order.parts.tax => Some(Work::DetermineTax),
            (OrderStage::Accepted, Some(TaxState::Determined)) => Some(Work::CommitTax),
            (OrderStage::Accepted, _) => {
                let is_due = !self.waits(step, order, change) && self.changes_schedule(step, order, change);
                is_due.then_some(Work::ChangeSchedule)
            }
            (OrderStage::Cancelling, Some(TaxState::Determined | TaxState::Committed)) => Some(Work::VoidTax),
            _ => None,
        }
    }

    /// Whether others of the contract go first: that it is taken back, its end, and earlier changes of its schedule.
    fn waits(&self, step: &Step<'_>, order: &Order, change: &Followed) -> bool {
        let Some(of) = self.standing(step) else { return true };
        let schedule = of.outside.schedule.as_ref();
        let ends = schedule.is_some_and(|schedule| schedule.end_on.is_some() && !schedule.is_ended);
        order.parts.billing && !change.is_billed && (ends || follow::is_behind(&step.deal, change))
    }

    /// What makes no plan is tried all the same: it fails with its reason.
    fn changes_schedule(&self, step: &Step<'_>, order: &Order, change: &Followed) -> bool {
        let schedule = self.standing(step).and_then(|of| of.outside.schedule.as_ref());
        let of = |(schedule, terms)| !matches!(replan::changed(schedule, terms, change), Ok(None));
        order.parts.billing && !change.is_billed && schedule.zip(step.deal.schedule.as_ref()).is_some_and(of)
    }

    /// The order of the contract, as long as nothing takes it back.
    fn standing<'s>(&self, step: &'s Step<'_>) -> Option<&'s Order> {
        step.deal.orders.get(self.entity).filter(|order| order.stage == OrderStage::Active)
    }

    fn end_of_change(&self, step: &mut Step<'_>, order: &mut Order, change: &Followed) {
        match order.stage {
            OrderStage::Accepted if !self.waits(step, order, change) => {
                order.stage = OrderStage::Active;
                step.fact(order, self.entity, Fact::of_all(SagaKind::Completed));
            }
            OrderStage::Cancelling => {
                order.stage = OrderStage::Cancelled;
                step.fact(order, self.entity, Fact::of_all(SagaKind::Compensated));
            }
            _ => {}
        }
    }

    /// Takes the order as far as it goes without anybody's answer.
    pub(crate) fn go_on(&self, step: &mut Step<'_>, order: &mut Order) {
        if let Some(work) = self.next(step, order) {
            // One that was refused has its timer already, or waits for somebody.
            let is_refused = order.failed.as_ref().is_some_and(|failed| failed.step == work);
            if !is_refused {
                self.begin(step, order, work);
            }
            return;
        }
        if let Some(change) = order.followed.clone() {
            return self.end_of_change(step, order, &change);
        }
        match order.stage {
            OrderStage::Pricing => self.ask(step, order),
            OrderStage::Accepted => self.activate(step, order),
            OrderStage::Cancelled if order.taken_back == TakenBack::Begun && order.is_undone() => {
                order.taken_back = TakenBack::Done;
                order.request = None;
                order.usage.clear();
                step.fact(order, self.entity, Fact::of_all(SagaKind::Compensated));
            }
            OrderStage::Requested
            | OrderStage::Rejected
            | OrderStage::Active
            | OrderStage::Cancelling
            | OrderStage::Cancelled => {}
        }
    }

    /// The effect of the next step goes with the decision. What the step lacks is a refusal like the outside system's.
    pub(crate) fn begin(&self, step: &mut Step<'_>, order: &mut Order, work: Work) {
        if self.court.by_timer {
            return self.begin_at(step, order, self.court.now_ms);
        }
        match work::effect(&step.deal, self.entity, order, work) {
            Ok(effect) => step.decision.effects.push(effect),
            Err(failure) => work::fail(step, order, self, work, &failure),
        }
    }

    /// The next step begins by a timer.
    pub(crate) fn begin_at(&self, step: &mut Step<'_>, order: &Order, due_ms: i64) {
        let payload = payload(step, self.entity, order, WORK);
        step.timer(format!("{WORK}:{}", order.order_id), due_ms, payload);
    }

    /// Asks the ERP. Should it have answered before it was asked, its answer counts from here.
    fn ask(&self, step: &mut Step<'_>, order: &mut Order) {
        order.stage = OrderStage::Requested;
        if let Some(request) = order.request.as_deref() {
            step.ask(order::with_tax(request, order));
        }
        if order.erp_order_id.is_some() {
            order.stage = OrderStage::Accepted;
            self.go_on(step, order);
        }
    }

    fn activate(&self, step: &mut Step<'_>, order: &mut Order) {
        order.stage = OrderStage::Active;
        let (Some(request), Some(accepted)) = (order.request.take(), order.accepted.clone()) else { return };
        order.usage.clear();
        let activated = order::activated(&request, &step.deal, order, &accepted);
        let gives_access = !activated.entitlements.is_empty();
        step.tell(activated);
        step.keep(&request.contract_id, ContractState::of(&request));
        step.fact(order, self.entity, Fact::succeeded(by_others::ACTIVATION, 1));
        if !gives_access {
            step.fact(order, self.entity, Fact::of_all(SagaKind::Completed));
        }
    }

    /// Takes back what was begun: the order while no contract came of it, the contract after that; then tax and billing. Nothing is deleted.
    /// `end`: how its case ends, and by whom.
    pub(crate) fn take_back(
        &self,
        step: &mut Step<'_>,
        order: &mut Order,
        reason: Reason,
        (end, by): (FalloutEnd, Option<&str>),
    ) {
        let is_stuck = order.case.is_some();
        let case = order.case.take();
        step.close(case, end, by);
        if matches!(order.stage, OrderStage::Cancelling | OrderStage::Cancelled) {
            return;
        }
        order.failed = None;
        order.taken_back = TakenBack::Begun;
        step.no_timer(format!("{GIVE_UP}:{}", order.order_id));
        step.fact(order, self.entity, Fact::compensating(&reason.code));
        match order.stage {
            // Nobody was asked for it, or it lies parked in erp-sync: should it be taken after all, it is closed then.
            OrderStage::Pricing | OrderStage::Rejected => order.stage = OrderStage::Cancelled,
            OrderStage::Requested | OrderStage::Accepted => self.close_in_erp(step, order, reason),
            OrderStage::Active => {
                order.stage = OrderStage::Cancelling;
                let code = if is_stuck && !order.provisioned { NOT_PROVISIONED } else { &*reason.code };
                self.cancel_contract_later(step, order, code);
            }
            OrderStage::Cancelling | OrderStage::Cancelled => {}
        }
        self.go_on(step, order);
    }

    /// Asks the ERP to close an order that no contract came of.
    pub(crate) fn close_in_erp(&self, step: &mut Step<'_>, order: &mut Order, reason: Reason) {
        order.stage = OrderStage::Cancelling;
        order.cancel_asked = true;
        step.ask(OrderCancelRequested {
            account_id: step.deal.account_id.clone(),
            entity_version: 2,
            effective_at: step.times.effective_at,
            recorded_at: step.times.recorded_at,
            legal_entity_id: self.entity.to_owned(),
            order_id: order.order_id.clone(),
            contract_id: order.order_id.clone(),
            opportunity_id: step.deal.opportunity_id.clone(),
            reason,
        });
    }

    /// The contract's newest version is read when its turn comes.
    fn cancel_contract_later(&self, step: &mut Step<'_>, order: &Order, reason: &str) {
        let mut payload = payload(step, self.entity, order, CANCEL);
        payload["reason"] = reason.into();
        step.timer(format!("{CANCEL}:{}", order.order_id), self.court.now_ms, payload);
    }
}

/// What a timer of an order says: enough to find its documents, and when what began it holds.
pub(crate) fn payload(step: &Step<'_>, entity: &str, order: &Order, what: &str) -> serde_json::Value {
    let times: [Timestamp; 2] = [step.times.effective_at, step.times.recorded_at];
    json!({
        "what": what, "account_id": step.deal.account_id, "opportunity_id": step.deal.opportunity_id,
        "legal_entity_id": entity, "contract_id": order.contract_id(), "event_id": step.cause.event_id,
        "effective_at": times[0], "recorded_at": times[1],
        "change": order.followed.as_ref().map(|change| &change.change_id),
    })
}
