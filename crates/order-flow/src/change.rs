//! Changes of contracts that came of a deal: what is kept of each, and what people decide about it.
//!
//! They lie in the document of their deal, so that a decision about one reads what it needs in one look.

use crate::{
    amend,
    course::Court,
    document::{DealStage, DealState, Known, OpenCase, Order, OrderStage},
    follow,
    handler::OrderFlow,
    process::open_reasons,
    renew,
    step::{About, Step},
};
use consumer::Decision;
use events::{
    ContractAmendmentRequested, FalloutDecided, Personal,
    common::{FalloutAction, FalloutEnd, FalloutReason},
};
use failure::Failure;
use jiff::{Timestamp, civil::Date};
use rules::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

type Decided = Result<Decision<OrderFlow>, Failure>;

/// A timer that looks at a change again.
pub(crate) const CHANGE: &str = "change";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStage {
    /// Its contract is not active yet.
    #[default]
    Early,
    /// Somebody has to decide.
    Waiting,
    /// The ERP has to take it.
    Asked,
    /// It holds.
    Done,
    /// It does not happen.
    Declined,
}

/// One amendment or renewal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub contract_id: String,
    pub legal_entity_id: String,
    /// Of what was asked for.
    pub entity_version: i64,
    pub stage: ChangeStage,
    pub currency: String,
    /// Money at risk while it waits.
    pub amount_minor: i64,
    #[serde(default)]
    pub verdict: Verdict,
    /// What an outside system has against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<FalloutReason>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approved: BTreeMap<String, Given>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waived: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<OpenCase>,
    /// What was asked for, until that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The version of the contract that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp_order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp_order_no: Option<String>,
    /// What it does in tax engine and billing system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Box<Order>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    Amendment(Box<ContractAmendmentRequested>),
    Renewal(Box<Renewed>),
}

/// What of a renewal is needed until the customer is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Renewed {
    pub facts: rules::Renewal,
    pub renews_on: Date,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_on: Option<Date>,
    /// The version of the contract that the renewal is.
    pub contract_version: i64,
    /// It came after the contract's cancellation.
    #[serde(default)]
    pub is_crossed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Personal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Language of the customer's documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// An approval that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub by: String,
    pub at: Timestamp,
    pub case_id: String,
}

impl Change {
    pub(crate) fn about(&self) -> About {
        About {
            legal_entity_id: self.legal_entity_id.clone(),
            order_id: Some(self.contract_id.clone()),
            currency: self.currency.clone(),
            amount_minor: self.amount_minor,
        }
    }

    /// What keeps it from going on.
    pub(crate) fn reasons(&self) -> Vec<FalloutReason> {
        let mut reasons = open_reasons(&self.verdict, &self.waived);
        reasons.extend(self.refused.iter().filter(|reason| !self.waived.contains_key(&reason.code)).cloned());
        reasons
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, ChangeStage::Early | ChangeStage::Waiting | ChangeStage::Asked)
    }
}

/// The change whose case it is.
pub(crate) fn of_case(deal: &DealState, case_id: &str) -> Option<String> {
    let has = |change: &Change| change.case.as_ref().is_some_and(|case| case.case_id == case_id);
    deal.changes.iter().find(|(_, change)| has(change)).map(|(id, _)| id.clone())
}

/// Somebody decided about the case of a change.
pub(crate) fn decided(
    mut step: Step<'_>,
    known: Known<'_>,
    court: Court<'_>,
    event: &FalloutDecided,
    id: &str,
) -> Decided {
    let Some(mut change) = step.deal.changes.remove(id) else {
        return Ok(Decision::skip("the change is not known"));
    };
    if change.legal_entity_id != event.legal_entity_id {
        let reason = format!("the case is about entity `{}`", change.legal_entity_id);
        return Err(Failure::contract("FIELD_INVALID", reason).at_field("legal_entity_id"));
    }
    if change.at_work().is_some_and(|order| order.failed.is_some()) {
        let contract_id = change.contract_id.clone();
        step.deal.changes.insert(id.to_owned(), change);
        return Ok(follow::decided(step, court, event, (id, &contract_id)));
    }
    let case_id = change.case.as_ref().map(|case| case.case_id.clone()).unwrap_or_default();
    let end = match event.action {
        FalloutAction::Reject => return Ok(rejected(step, court, id, change, event)),
        FalloutAction::Approve => {
            let open = change.verdict.approvals.iter().map(|approval| approval.rule.clone());
            let rules = open.filter(|rule| event.codes.is_empty() || event.codes.contains(rule));
            let given = Given { by: event.decided_by.clone(), at: event.recorded_at, case_id };
            change.approved.extend(rules.map(|rule| (rule, given.clone())).collect::<Vec<_>>());
            FalloutEnd::Approved
        }
        FalloutAction::Waive => {
            change.waived.extend(event.codes.iter().map(|code| (code.clone(), event.decided_by.clone())));
            FalloutEnd::Waived
        }
        FalloutAction::Retry | FalloutAction::Unknown => FalloutEnd::Mended,
    };
    go_on(step, known, court, (id, change), (end, Some(&event.decided_by)))
}

/// Judges a change anew.
pub(crate) fn go_on(
    step: Step<'_>,
    known: Known<'_>,
    court: Court<'_>,
    (id, change): (&str, Change),
    end: (FalloutEnd, Option<&str>),
) -> Decided {
    match change.asked.clone() {
        Some(Asked::Amendment(request)) => {
            let contract = known.contract(&change.contract_id);
            Ok(amend::consider(step, contract, court, (id, change), &request, end))
        }
        Some(Asked::Renewal(renewed)) => Ok(renew::consider(step, court, (id, change), &renewed, end)),
        None => Ok(Decision::skip("the change is decided already")),
    }
}

fn rejected(
    mut step: Step<'_>,
    court: Court<'_>,
    id: &str,
    mut change: Change,
    event: &FalloutDecided,
) -> Decision<OrderFlow> {
    step.close(change.case.take(), FalloutEnd::Rejected, Some(&event.decided_by));
    match change.asked.take() {
        Some(Asked::Amendment(request)) => {
            let reason = FalloutReason {
                code: "REJECTED".to_owned(),
                path: None,
                message: "its owner rejected it".to_owned(),
                fix_hint: Some("ask for another amendment".to_owned()),
                owner_queue: "billing-operations".to_owned(),
            };
            amend::decline(step, (id, change), &request, reason, Some(&event.decided_by))
        }
        Some(Asked::Renewal(_)) | None => {
            change.stage = ChangeStage::Declined;
            follow::none(&mut change);
            let contract_id = change.contract_id.clone();
            step.deal.changes.insert(id.to_owned(), change);
            follow::go_on(&mut step, court, &contract_id);
            step.done()
        }
    }
}

/// Whether a contract may still come of an order of the deal.
pub(crate) fn may_become(deal: &DealState, contract_id: &str) -> bool {
    match deal.orders.values().find(|order| order.order_id == contract_id) {
        Some(order) => {
            !matches!(order.stage, OrderStage::Active | OrderStage::Cancelling | OrderStage::Cancelled)
                && deal.stage != DealStage::Withdrawn
        }
        // Until its orders are asked for, nobody knows who will sell.
        None => deal.stage == DealStage::Waiting,
    }
}

impl Step<'_> {
    /// Changes that came before their contract are looked at as soon as it is known what becomes of it.
    pub(crate) fn wake(&mut self) {
        let deal = &self.deal;
        let early =
            deal.changes.iter().filter(|(_, change)| change.stage == ChangeStage::Early && change.asked.is_some());
        let ready = early.filter(|(_, change)| !may_become(deal, &change.contract_id));
        let timers: Vec<_> = ready.map(|(id, change)| self.look_at(id, &change.contract_id)).collect();
        self.decision.timers.extend(timers);
    }

    fn look_at(&self, id: &str, contract_id: &str) -> consumer::TimerChange {
        let payload = json!({
            "what": CHANGE, "account_id": self.deal.account_id, "opportunity_id": self.deal.opportunity_id,
            "contract_id": contract_id, "change": id, "event_id": self.cause.event_id,
            "effective_at": self.times.effective_at, "recorded_at": self.times.recorded_at,
        });
        let due_ms = self.times.recorded_at.as_millisecond();
        consumer::TimerChange::Set { id: format!("{CHANGE}:{id}"), due_ms, payload }
    }
}
