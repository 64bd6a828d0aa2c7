//! A deal on its way to orders: judged by the policies, split by seller, asked for; or a case, until somebody mends what is wrong.

use crate::{
    contract::ContractState,
    document::{DealStage, DealState, FlowDocument, Known, OrderStage, kind},
    facts,
    handler::OrderFlow,
    order, protect,
    quote::{self, Quotes},
    split,
    step::{About, Step},
};
use consumer::Decision;
use events::{
    ContractCancelled, CustomerCreditHoldChanged, FalloutDecided, OpportunityClosedWon, OpportunityReopened,
    OrderCancelRequested,
    common::{CancellationMode, FalloutAction, FalloutEnd, FalloutReason, Reason},
    version,
};
use failure::Failure;
use jiff::{Timestamp, tz::TimeZone};
use rules::{Policies, Verdict};
use serde_json::json;
use std::collections::BTreeMap;

type Decided = Result<Decision<OrderFlow>, Failure>;

pub(crate) const CREDIT_HOLD: &str = "CREDIT_HOLD";
const APPROVAL: &str = "APPROVAL_REQUIRED";

/// A deal was won, or corrected.
pub(crate) fn won(mut step: Step<'_>, known: Known<'_>, policies: &Policies, event: &OpportunityClosedWon) -> Decided {
    let before = known.deal(&event.opportunity_id).map(|deal| deal.entity_version);
    version::next(&event.opportunity_id, before, event.entity_version)?;
    step.deal.entity_version = event.entity_version;
    if step.deal.stage == DealStage::Ordered {
        return Ok(protect::tried(step, policies, event));
    }
    step.deal = DealState {
        account_id: event.account_id.clone(),
        opportunity_id: event.opportunity_id.clone(),
        entity_version: event.entity_version,
        stage: DealStage::Waiting,
        currency: event.currency.clone(),
        total_minor: event.total_contract_value_minor,
        schedule: event.billing_schedule.clone(),
        opportunity: Some(Box::new(event.clone())),
        ..step.deal
    };
    judge(step, known, policies, None, FalloutEnd::Mended)
}

/// Asks the policies; orders, or a case.
pub(crate) fn judge(
    step: Step<'_>,
    known: Known<'_>,
    policies: &Policies,
    by: Option<&str>,
    end: FalloutEnd,
) -> Decided {
    let quotes = known.quotes(&step.deal.opportunity_id);
    judge_with(step, known, policies, quotes, (end, by))
}

/// The same with the quotes as they are now.
pub(crate) fn judge_with(
    mut step: Step<'_>,
    known: Known<'_>,
    policies: &Policies,
    quotes: Option<&Quotes>,
    (end, by): (FalloutEnd, Option<&str>),
) -> Decided {
    let Some(deal) = step.deal.opportunity.clone() else { return Ok(step.done()) };
    let account = known.account(&step.deal.account_id);
    let on_hold = account.is_some_and(|account| account.on_hold);
    let verdict = policies.judge(&facts::of(&deal, on_hold, &step.deal.approved, quote::seen(&deal, quotes)));
    let reasons = open_reasons(&verdict, &step.deal.waived);
    step.deal.verdict = verdict;
    let before = step.deal.case.take();
    if reasons.is_empty() {
        step.close(before, end, by);
        return ask_for_orders(step, policies, &deal, quotes);
    }
    if let Some(account) = account.filter(|_| reasons.iter().any(|reason| reason.code == CREDIT_HOLD)) {
        let mut account = account.clone();
        if account.waiting.insert(deal.opportunity_id.clone()) {
            let id = account.account_id.clone();
            step.put(kind::ACCOUNT, &id, FlowDocument::Account(account));
        }
    }
    let about = whole(&step.deal, &deal.legal_entity_id);
    step.deal.case = step.open(before, about, reasons);
    Ok(step.done())
}

/// Findings that nobody waived, and approvals that nobody gave.
pub(crate) fn open_reasons(verdict: &Verdict, waived: &BTreeMap<String, String>) -> Vec<FalloutReason> {
    let findings = verdict.findings.iter().filter(|finding| !waived.contains_key(&finding.code));
    let findings = findings.map(|finding| FalloutReason {
        code: finding.code.clone(),
        path: Some(finding.path.clone()).filter(|path| !path.is_empty()),
        message: finding.message.clone(),
        fix_hint: Some(finding.hint.clone()),
        owner_queue: finding.owner.clone(),
    });
    let approvals = verdict.approvals.iter().map(|approval| FalloutReason {
        code: APPROVAL.to_owned(),
        path: Some(approval.rule.clone()),
        message: approval.reason.clone(),
        fix_hint: Some(format!("decide the case: approve or reject {}", approval.rule)),
        owner_queue: approval.owner.clone(),
    });
    findings.chain(approvals).collect()
}

fn whole(deal: &DealState, legal_entity_id: &str) -> About {
    About {
        legal_entity_id: legal_entity_id.to_owned(),
        order_id: None,
        currency: deal.currency.clone(),
        amount_minor: deal.total_minor,
    }
}

/// The customer's data goes with the requests; the deal itself is not needed any more.
fn ask_for_orders(
    mut step: Step<'_>,
    policies: &Policies,
    deal: &OpportunityClosedWon,
    quotes: Option<&Quotes>,
) -> Decided {
    let parts = split::split(deal, &facts::sellers(deal), &policies.entities)?;
    for part in parts {
        let entity = part.legal_entity_id.clone();
        let mut request = order::requested(deal, part, &step.deal.verdict.version);
        quote::sign(&mut request, deal, quotes);
        step.ask(request.clone());
        step.deal.orders.insert(entity, order::remembered(request));
    }
    step.deal.stage = DealStage::Ordered;
    step.deal.agreed = protect::fields(deal);
    step.deal.opportunity = None;
    Ok(step.done())
}

/// Somebody decided about the case of a deal.
pub(crate) fn decided(
    mut step: Step<'_>,
    known: Known<'_>,
    policies: &Policies,
    event: &FalloutDecided,
    now_ms: i64,
) -> Decided {
    let decides = matches!(event.action, FalloutAction::Approve | FalloutAction::Reject);
    if step.deal.stage == DealStage::Ordered && decides && protect::is_about(&step.deal, event.case_id.as_deref()) {
        return Ok(protect::decided(step, event, event.action == FalloutAction::Approve));
    }
    if step.deal.stage == DealStage::Ordered && event.action == FalloutAction::Reject {
        return Ok(give_up(step, event, now_ms));
    }
    if step.deal.stage != DealStage::Waiting {
        return Ok(Decision::skip("no case of this deal waits for a decision"));
    }
    let by = event.decided_by.clone();
    let end = match event.action {
        FalloutAction::Reject => {
            let before = step.deal.case.take();
            step.close(before, FalloutEnd::Rejected, Some(&by));
            step.deal.stage = DealStage::Declined;
            step.deal.opportunity = None;
            return Ok(step.done());
        }
        FalloutAction::Approve => {
            let open = step.deal.verdict.approvals.iter().map(|approval| approval.rule.clone());
            let rules: Vec<String> = open.filter(|rule| event.codes.is_empty() || event.codes.contains(rule)).collect();
            step.deal.approved.extend(rules.into_iter().map(|rule| (rule, by.clone())));
            FalloutEnd::Approved
        }
        FalloutAction::Waive => {
            step.deal.waived.extend(event.codes.iter().map(|code| (code.clone(), by.clone())));
            FalloutEnd::Waived
        }
        FalloutAction::Retry | FalloutAction::Unknown => FalloutEnd::Mended,
    };
    judge(step, known, policies, Some(&by), end)
}

/// Somebody gives up contracts that the product could not carry out: each is cancelled, which closes its order in the ERP, takes its access
/// back and tells the CRM.
fn give_up(mut step: Step<'_>, event: &FalloutDecided, now_ms: i64) -> Decision<OrderFlow> {
    let mut orders = std::mem::take(&mut step.deal.orders);
    for order in orders.values_mut().filter(|order| order.stage == OrderStage::Active && !order.provisioned) {
        let Some(case) = order.case.take() else { continue };
        step.close(Some(case), FalloutEnd::Rejected, Some(&event.decided_by));
        order.stage = OrderStage::Cancelling;
        let times = (event.effective_at, event.recorded_at);
        cancel_later(&mut step, &order.order_id, NOT_PROVISIONED, times, now_ms);
    }
    step.deal.orders = orders;
    step.done()
}

/// The contract's newest version is read when its turn comes.
fn cancel_later(step: &mut Step<'_>, contract_id: &str, reason: &str, times: (Timestamp, Timestamp), now_ms: i64) {
    let payload = json!({
        "what": CANCEL, "account_id": step.deal.account_id, "opportunity_id": step.deal.opportunity_id,
        "contract_id": contract_id, "event_id": step.cause.event_id, "reason": reason,
        "effective_at": times.0, "recorded_at": times.1,
    });
    step.timer(format!("{CANCEL}:{contract_id}"), now_ms, payload);
}

/// Credit control holds or releases: deals that wait for the release are looked at again by timers of their own.
pub(crate) fn credit(known: Known<'_>, event: &CustomerCreditHoldChanged, now_ms: i64, event_id: &str) -> Decided {
    let before = known.account(&event.account_id);
    version::next(&event.account_id, before.map(|account| account.entity_version), event.entity_version)?;
    let mut account = before.cloned().unwrap_or_default();
    account.account_id.clone_from(&event.account_id);
    account.entity_version = event.entity_version;
    account.on_hold = event.on_hold;
    let mut decision = Decision::new();
    if !event.on_hold {
        for opportunity_id in std::mem::take(&mut account.waiting) {
            let payload = json!({
                "what": RECHECK, "account_id": event.account_id, "opportunity_id": opportunity_id, "event_id": event_id,
                "effective_at": event.effective_at, "recorded_at": event.recorded_at,
            });
            decision = decision.timer(consumer::TimerChange::Set {
                id: format!("{RECHECK}:{opportunity_id}"),
                due_ms: now_ms,
                payload,
            });
        }
    }
    Ok(decision.put(kind::ACCOUNT, &event.account_id, FlowDocument::Account(account)))
}

pub(crate) const RECHECK: &str = "recheck";
pub(crate) const CANCEL: &str = "cancel";
/// Why a contract is cancelled that was given up.
const NOT_PROVISIONED: &str = "activation_failed";

/// A deal is open again: what was begun for it is taken back, each order by itself.
pub(crate) fn reopened(mut step: Step<'_>, known: Known<'_>, event: &OpportunityReopened, now_ms: i64) -> Decided {
    let before = known.deal(&event.opportunity_id).map(|deal| deal.entity_version);
    version::next(&event.opportunity_id, before, event.entity_version)?;
    step.deal.entity_version = event.entity_version;
    step.deal.account_id.clone_from(&event.account_id);
    step.deal.opportunity_id.clone_from(&event.opportunity_id);
    let case = step.deal.case.take();
    step.close(case, FalloutEnd::Withdrawn, None);
    step.deal.stage = DealStage::Withdrawn;
    step.deal.opportunity = None;
    let mut orders = std::mem::take(&mut step.deal.orders);
    for (entity, order) in &mut orders {
        match order.stage {
            OrderStage::Requested => {
                order.stage = OrderStage::Cancelling;
                let request = take_back(&step, entity, &order.order_id, event.reason.clone());
                step.ask(request);
            }
            OrderStage::Active => {
                order.stage = OrderStage::Cancelling;
                let times = (event.effective_at, event.recorded_at);
                cancel_later(&mut step, &order.order_id, &event.reason.code, times, now_ms);
            }
            // It may still be taken after somebody has mended the cause; then it is taken back.
            OrderStage::Rejected | OrderStage::Cancelling | OrderStage::Cancelled => {}
        }
    }
    step.deal.orders = orders;
    Ok(step.done())
}

/// Asks the ERP to close an order that no contract came of.
pub(crate) fn take_back(step: &Step<'_>, entity: &str, order_id: &str, reason: Reason) -> OrderCancelRequested {
    OrderCancelRequested {
        account_id: step.deal.account_id.clone(),
        entity_version: 2,
        effective_at: step.times.effective_at,
        recorded_at: step.times.recorded_at,
        legal_entity_id: entity.to_owned(),
        order_id: order_id.to_owned(),
        contract_id: order_id.to_owned(),
        opportunity_id: step.deal.opportunity_id.clone(),
        reason,
    }
}

/// The contract of a deal that is reopened or given up is cancelled, with the version that follows its newest one.
pub(crate) fn cancel_contract(
    mut step: Step<'_>,
    contract_id: &str,
    contract: &ContractState,
    reason: &str,
) -> Decided {
    if let Some(order) = step.deal.orders.get_mut(&contract.legal_entity_id) {
        order.stage = OrderStage::Cancelled;
    }
    if contract.is_cancelled {
        return Ok(step.done());
    }
    let text =
        if reason == NOT_PROVISIONED { "the product could not carry it out" } else { "the opportunity was reopened" };
    let zone = TimeZone::get(&contract.timezone).unwrap_or(TimeZone::UTC);
    let cancelled = ContractCancelled {
        account_id: contract.account_id.clone(),
        entity_version: contract.entity_version + 1,
        effective_at: step.times.effective_at,
        recorded_at: step.times.recorded_at,
        legal_entity_id: contract.legal_entity_id.clone(),
        contract_id: contract_id.to_owned(),
        mode: CancellationMode::Immediate,
        cancel_on: step.times.effective_at.to_zoned(zone).date(),
        timezone: contract.timezone.clone(),
        reason: Reason { code: reason.to_owned(), text: Some(text.to_owned()) },
        currency: contract.currency.clone(),
        ..ContractCancelled::default()
    };
    let ended = ContractState { entity_version: contract.entity_version + 1, is_cancelled: true, ..contract.clone() };
    step.tell(cancelled);
    step.keep(contract_id, ended);
    Ok(step.done())
}
