//! Amendments that somebody asks for: within policy they hold at once, above it they wait for their owner (D2.05).
//!
//! Each request is answered once: by `contract.amended` with the contract's next version, or by `contract.amendment_declined`.

use crate::{
    change::{Asked, Change, ChangeStage, may_become},
    contract::ContractState,
    course::Court,
    document::Known,
    facts, follow,
    handler::OrderFlow,
    step::Step,
};
use consumer::Decision;
use events::{
    ContractAmended, ContractAmendmentDeclined, ContractAmendmentRequested,
    common::{Approval, ContractLine, FalloutEnd, FalloutReason},
    version,
};
use failure::Failure;
use rules::{Amendment, Changed, Finding};
use std::collections::BTreeSet;

type Decided = Result<Decision<OrderFlow>, Failure>;

/// Somebody asks for an amendment, or corrects one that waits.
pub(crate) fn requested(
    mut step: Step<'_>,
    known: Known<'_>,
    court: Court<'_>,
    event: &ContractAmendmentRequested,
) -> Decided {
    let id = &event.amendment_id;
    let before = step.deal.changes.remove(id);
    version::next(id, before.as_ref().map(|change| change.entity_version), event.entity_version)?;
    let is_decided = before.as_ref().is_some_and(|change| !change.is_open());
    let mut change = Change {
        contract_id: event.contract_id.clone(),
        legal_entity_id: event.legal_entity_id.clone(),
        entity_version: event.entity_version,
        currency: event.currency.clone(),
        amount_minor: event.delta_tcv_minor.saturating_abs(),
        ..before.unwrap_or_default()
    };
    if is_decided {
        let reason = reason("AMENDMENT_DECIDED", "amendment_id", "it was decided already", "ask for another amendment");
        let stage = change.stage;
        change.asked = None;
        let declined = answer(&step, &change, event, reason, None);
        step.answer(declined);
        step.deal.changes.insert(id.clone(), Change { stage, ..change });
        return Ok(step.done());
    }
    // What was approved was what was asked for then.
    change.approved.clear();
    change.waived.clear();
    // Who asks is nobody's business any more once it is decided, and is not kept until then either.
    let request = ContractAmendmentRequested { requested_by: None, ..event.clone() };
    change.asked = Some(Asked::Amendment(Box::new(request.clone())));
    Ok(consider(step, known.contract(&event.contract_id), court, (id, change), &request, (FalloutEnd::Mended, None)))
}

/// Judges an amendment by what the contract and the policies are now.
pub(crate) fn consider(
    mut step: Step<'_>,
    contract: Option<&ContractState>,
    court: Court<'_>,
    (id, mut change): (&str, Change),
    request: &ContractAmendmentRequested,
    (end, by): (FalloutEnd, Option<&str>),
) -> Decision<OrderFlow> {
    let Some(contract) = contract else {
        if may_become(&step.deal, &change.contract_id) {
            change.stage = ChangeStage::Early;
            step.deal.changes.insert(id.to_owned(), change);
            return step.done();
        }
        let hint = "there is nothing to amend";
        let reason = reason("CONTRACT_NOT_MADE", "contract_id", "no contract came of the order", hint);
        return declined(step, (id, change), request, reason);
    };
    if let Some(reason) = against(contract, request) {
        return declined(step, (id, change), request, reason);
    }
    change.verdict = court.policies.judge_amendment(&seen(contract, request, &change));
    change.verdict.findings.extend(differences(contract, request));
    let reasons = change.reasons();
    if reasons.is_empty() {
        step.close(change.case.take(), end, by);
        return apply(step, court, contract, (id, change), request);
    }
    change.stage = ChangeStage::Waiting;
    let version = change.verdict.version.clone();
    change.case = step.open_by(change.case.take(), change.about(), reasons, &version);
    step.deal.changes.insert(id.to_owned(), change);
    step.done()
}

/// Why no policy and nobody can let it through.
fn against(contract: &ContractState, request: &ContractAmendmentRequested) -> Option<FalloutReason> {
    if contract.is_cancelled {
        let hint = "a contract that was cancelled is not amended; close a new deal";
        return Some(reason("CONTRACT_CANCELLED", "contract_id", "the contract is cancelled", hint));
    }
    if contract.currency != request.currency {
        let message = format!("the contract is in {}, the amendment in {}", contract.currency, request.currency);
        return Some(reason("CURRENCY_DIFFERS", "currency", &message, "state it in the contract's currency"));
    }
    None
}

/// Lines that are not as the amendment says they were: the ERP would refuse it.
fn differences(contract: &ContractState, request: &ContractAmendmentRequested) -> Vec<Finding> {
    // Contracts of earlier versions of this program kept no lines.
    if contract.lines.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, change) in request.changes.iter().enumerate() {
        let line = contract.lines.iter().find(|line| line.contract_line_id == change.contract_line_id);
        let is_same = match (line, &change.before) {
            (Some(line), Some(before)) => commercial(line) == commercial(before),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            found.push(Finding {
                code: "LINE_DIFFERS".to_owned(),
                path: format!("changes[{index}].before"),
                message: format!("line `{}` is not as the amendment says it was", change.contract_line_id),
                hint: "ask again from the contract as it is now".to_owned(),
                owner: "billing-operations".to_owned(),
            });
        }
    }
    found
}

fn commercial(line: &ContractLine) -> (&str, rust_decimal::Decimal, rust_decimal::Decimal, i64) {
    (&line.product_id, line.quantity.normalize(), line.unit_price.normalize(), line.amount_minor)
}

fn seen(contract: &ContractState, request: &ContractAmendmentRequested, change: &Change) -> Amendment {
    let zone = jiff::tz::TimeZone::get(&contract.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    let term = request.new_term.as_ref();
    Amendment {
        kind: request.amendment_type.to_string(),
        currency: request.currency.clone(),
        entity: request.legal_entity_id.clone(),
        delta_mrr_minor: request.delta_mrr_minor,
        delta_tcv_minor: request.delta_tcv_minor,
        contract_value_minor: contract.value_minor,
        holds_on: Some(request.effective_at.to_zoned(zone).date()),
        term_months: term.and_then(|term| Some(facts::months(term.start_on, term.end_on?))).unwrap_or_default(),
        changes: request
            .changes
            .iter()
            .map(|change| Changed {
                before: change.before.as_ref().map(facts::sold),
                after: change.after.as_ref().map(facts::sold),
            })
            .collect(),
        approvals: change.approved.keys().cloned().collect(),
    }
}

/// It holds: every service reads it as the contract's next version, from the date that was asked for.
fn apply(
    mut step: Step<'_>,
    court: Court<'_>,
    contract: &ContractState,
    (id, mut change): (&str, Change),
    request: &ContractAmendmentRequested,
) -> Decision<OrderFlow> {
    let amended = ContractAmended {
        account_id: request.account_id.clone(),
        entity_version: contract.entity_version + 1,
        effective_at: request.effective_at,
        recorded_at: step.times.recorded_at,
        legal_entity_id: request.legal_entity_id.clone(),
        contract_id: request.contract_id.clone(),
        amendment_id: request.amendment_id.clone(),
        sequence_no: contract.amendments + 1,
        amendment_type: request.amendment_type,
        currency: request.currency.clone(),
        changes: request.changes.clone(),
        new_term: request.new_term.clone(),
        delta_mrr_minor: request.delta_mrr_minor,
        delta_tcv_minor: request.delta_tcv_minor,
        proration: request.proration.clone(),
        revenue_modification: request.revenue_modification,
        tax_recalculation_required: request.tax_recalculation_required,
        approval: approval(&change),
        source_record: request.source_record.clone(),
        policy_version: Some(change.verdict.version.clone()),
    };
    let mut after = contract.clone();
    after.amend(&amended);
    change.stage = ChangeStage::Done;
    change.asked = None;
    change.contract_version = Some(after.entity_version);
    change.order = follow::amendment(&step.deal, &after, &amended);
    step.tell(amended);
    step.keep(&request.contract_id, after);
    step.deal.changes.insert(id.to_owned(), change);
    follow::go_on(&mut step, court, &request.contract_id);
    step.done()
}

/// Who approved it, by which rules; the last one where several did.
fn approval(change: &Change) -> Option<Approval> {
    let last = change.approved.values().max_by_key(|given| given.at)?;
    let rules: Vec<&str> = change.approved.keys().map(String::as_str).collect();
    let by: BTreeSet<&str> = change.approved.values().map(|given| given.by.as_str()).collect();
    Some(Approval {
        approved_by: by.into_iter().collect::<Vec<_>>().join(", ").into(),
        approved_at: last.at,
        policy: Some(rules.join(", ")),
        reference: Some(last.case_id.clone()),
    })
}

fn declined(
    mut step: Step<'_>,
    (id, mut change): (&str, Change),
    request: &ContractAmendmentRequested,
    reason: FalloutReason,
) -> Decision<OrderFlow> {
    step.close(change.case.take(), FalloutEnd::Withdrawn, None);
    decline(step, (id, change), request, reason, None)
}

/// The contract stays as it is, and whoever asked is told why.
pub(crate) fn decline(
    mut step: Step<'_>,
    (id, mut change): (&str, Change),
    request: &ContractAmendmentRequested,
    reason: FalloutReason,
    by: Option<&str>,
) -> Decision<OrderFlow> {
    change.stage = ChangeStage::Declined;
    change.asked = None;
    let declined = answer(&step, &change, request, reason, by);
    step.answer(declined);
    step.deal.changes.insert(id.to_owned(), change);
    step.done()
}

fn answer(
    step: &Step<'_>,
    change: &Change,
    request: &ContractAmendmentRequested,
    reason: FalloutReason,
    by: Option<&str>,
) -> ContractAmendmentDeclined {
    ContractAmendmentDeclined {
        account_id: request.account_id.clone(),
        entity_version: request.entity_version,
        effective_at: step.times.effective_at,
        recorded_at: step.times.recorded_at,
        legal_entity_id: request.legal_entity_id.clone(),
        contract_id: request.contract_id.clone(),
        opportunity_id: step.deal.opportunity_id.clone(),
        amendment_id: request.amendment_id.clone(),
        reasons: vec![reason],
        decided_by: by.map(str::to_owned),
        policy_version: change.verdict.version.clone(),
    }
}

fn reason(code: &str, path: &str, message: &str, hint: &str) -> FalloutReason {
    FalloutReason {
        code: code.to_owned(),
        path: Some(path.to_owned()),
        message: message.to_owned(),
        fix_hint: Some(hint.to_owned()),
        owner_queue: "billing-operations".to_owned(),
    }
}
