//! A deal on its way to orders: judged by the policies, split by seller, asked for; or a case, until somebody mends what is wrong.

use crate::{
    contract::ContractState,
    course::{Course, Court, NOT_PROVISIONED},
    document::{DealStage, DealState, FlowDocument, Known, OrderStage, kind},
    facts, follow,
    handler::OrderFlow,
    order, protect,
    quote::{self, Quotes},
    saga::{Fact, by_others},
    split,
    step::{About, Step},
    work,
};
use consumer::Decision;
use events::{
    ContractCancelled, CustomerCreditHoldChanged, FalloutDecided, OpportunityClosedWon, OpportunityReopened,
    common::{CancellationMode, FalloutAction, FalloutEnd, FalloutReason, Reason, SagaKind},
    version,
};
use failure::Failure;
use jiff::tz::TimeZone;
use rules::Verdict;
use serde_json::json;
use std::collections::BTreeMap;

type Decided = Result<Decision<OrderFlow>, Failure>;

pub(crate) const CREDIT_HOLD: &str = "CREDIT_HOLD";
const APPROVAL: &str = "APPROVAL_REQUIRED";

/// A deal was won, or corrected.
pub(crate) fn won(mut step: Step<'_>, known: Known<'_>, court: Court<'_>, event: &OpportunityClosedWon) -> Decided {
    let before = known.deal(&event.opportunity_id).map(|deal| deal.entity_version);
    version::next(&event.opportunity_id, before, event.entity_version)?;
    step.deal.entity_version = event.entity_version;
    if step.deal.stage == DealStage::Ordered {
        return Ok(protect::tried(step, court.policies, event));
    }
    step.deal = DealState {
        account_id: event.account_id.clone(),
        opportunity_id: event.opportunity_id.clone(),
        entity_version: event.entity_version,
        stage: DealStage::Waiting,
        currency: event.currency.clone(),
        total_minor: event.total_contract_value_minor,
        won_at: Some(event.effective_at),
        schedule: event.billing_schedule.clone(),
        opportunity: Some(Box::new(event.clone())),
        ..step.deal
    };
    judge(step, known, court, None, FalloutEnd::Mended)
}

/// Asks the policies; orders, or a case.
pub(crate) fn judge(step: Step<'_>, known: Known<'_>, court: Court<'_>, by: Option<&str>, end: FalloutEnd) -> Decided {
    let quotes = known.quotes(&step.deal.opportunity_id);
    judge_with(step, known, court, quotes, (end, by))
}

/// The same with the quotes as they are now.
pub(crate) fn judge_with(
    mut step: Step<'_>,
    known: Known<'_>,
    court: Court<'_>,
    quotes: Option<&Quotes>,
    (end, by): (FalloutEnd, Option<&str>),
) -> Decided {
    let Some(deal) = step.deal.opportunity.clone() else { return Ok(step.done()) };
    let account = known.account(&step.deal.account_id);
    let on_hold = account.is_some_and(|account| account.on_hold);
    let seen = facts::of(&deal, on_hold, &step.deal.approved, quote::seen(&deal, quotes));
    let verdict = court.policies.judge(&seen);
    let reasons = open_reasons(&verdict, &step.deal.waived);
    step.deal.verdict = verdict;
    let before = step.deal.case.take();
    if reasons.is_empty() {
        step.close(before, end, by);
        return ask_for_orders(step, court, &deal, quotes);
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
    court: Court<'_>,
    deal: &OpportunityClosedWon,
    quotes: Option<&Quotes>,
) -> Decided {
    let parts = split::split(deal, &facts::sellers(deal), &court.policies.entities)?;
    step.deal.stage = DealStage::Ordered;
    step.deal.agreed = protect::fields(deal);
    step.deal.opportunity = None;
    for part in parts {
        let entity = part.legal_entity_id.clone();
        let mut request = order::requested(deal, part, &step.deal.verdict.version);
        quote::sign(&mut request, deal, quotes);
        let mut order = order::remembered(request, deal);
        order.parts = court.parts;
        step.fact(&mut order, &entity, Fact::of_all(SagaKind::Started));
        court.of(&entity).go_on(&mut step, &mut order);
        step.deal.orders.insert(entity, order);
    }
    Ok(step.done())
}

/// Somebody decided about the case of a deal.
pub(crate) fn decided(mut step: Step<'_>, known: Known<'_>, court: Court<'_>, event: &FalloutDecided) -> Decided {
    let decides = matches!(event.action, FalloutAction::Approve | FalloutAction::Reject);
    if step.deal.stage == DealStage::Ordered && decides && protect::is_about(&step.deal, event.case_id.as_deref()) {
        return Ok(protect::decided(step, event, event.action == FalloutAction::Approve));
    }
    match (step.deal.stage, event.action) {
        (DealStage::Ordered | DealStage::Withdrawn, FalloutAction::Retry) => return Ok(try_again(step, court)),
        (DealStage::Ordered, FalloutAction::Reject) => return Ok(give_up(step, court, event)),
        _ => {}
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
    judge(step, known, court, Some(&by), end)
}

/// Somebody gives up orders that cannot go on: what was begun for each is taken back.
fn give_up(mut step: Step<'_>, court: Court<'_>, event: &FalloutDecided) -> Decision<OrderFlow> {
    let mut orders = std::mem::take(&mut step.deal.orders);
    for (entity, order) in orders.iter_mut().filter(|(_, order)| order.case.is_some()) {
        let reason = Reason { code: "rejected".to_owned(), text: Some("somebody gave the order up".to_owned()) };
        court.of(entity).take_back(&mut step, order, reason, (FalloutEnd::Rejected, Some(&event.decided_by)));
    }
    step.deal.orders = orders;
    step.done()
}

/// Somebody mended the cause: steps that were refused are tried again at once. Their cases end when they succeed.
fn try_again(mut step: Step<'_>, court: Court<'_>) -> Decision<OrderFlow> {
    let mut orders = std::mem::take(&mut step.deal.orders);
    let mut is_any = false;
    for (entity, order) in orders.iter_mut().filter(|(_, order)| order.failed.is_some()) {
        is_any = true;
        work::retry(&mut step, &court.of(entity), order);
    }
    step.deal.orders = orders;
    let changes: Vec<String> = step.deal.changes.keys().cloned().collect();
    for id in changes {
        follow::with(&mut step, court, &id, |course, step, order| {
            is_any |= order.failed.is_some();
            work::retry(step, course, order);
        });
    }
    if is_any { step.done() } else { Decision::skip("no step of this deal waits to be tried again") }
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

/// A deal is open again: what was begun for it is taken back, each order by itself.
pub(crate) fn reopened(mut step: Step<'_>, known: Known<'_>, court: Court<'_>, event: &OpportunityReopened) -> Decided {
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
        court.of(entity).take_back(&mut step, order, event.reason.clone(), (FalloutEnd::Withdrawn, None));
    }
    step.deal.orders = orders;
    Ok(step.done())
}

/// The contract of a deal that is reopened or given up is cancelled, with the version that follows its newest one.
pub(crate) fn cancel_contract(
    mut step: Step<'_>,
    course: &Course<'_>,
    contract_id: &str,
    contract: &ContractState,
    reason: &str,
) -> Decided {
    if let Some(mut order) = step.deal.orders.remove(course.entity) {
        order.stage = OrderStage::Cancelled;
        step.fact(&mut order, course.entity, Fact::succeeded(by_others::CANCEL_CONTRACT, 1));
        course.go_on(&mut step, &mut order);
        step.deal.orders.insert(course.entity.to_owned(), order);
    }
    follow::ended(&mut step, course.court, contract_id, None);
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
