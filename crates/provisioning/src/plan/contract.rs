//! Contracts: what they give, from when until when.

use super::{Decision, When, carry_out, catalogue, later, midnight};
use crate::{
    document::{AccessDocument, Account, Change, Contract, Dated, Known, key, kind},
    handler::Provisioning,
};
use events::{
    ContractActivated, ContractAmended, ContractCancelled, SubscriptionRenewalAccepted,
    common::{AmendmentType, EntitlementReason as Reason, Term},
    version,
};
use failure::Failure;
use jiff::Timestamp;
use ledger::{DocumentKey, Millis};

type Plan = Result<Decision, Failure>;

/// Grants at once, for the contract's term.
pub(crate) fn activated(
    service: &Provisioning,
    known: Known<'_>,
    event: &ContractActivated,
    when: When,
    correlation_id: Option<String>,
) -> Plan {
    let mut account = known.account(&event.account_id);
    let before = account.contracts.get(&event.contract_id);
    if before.is_some_and(|contract| contract.is_given_up) {
        return Ok(Decision::skip("the contract was given up before it could be carried out"));
    }
    version::next(&event.contract_id, before.map(|contract| contract.entity_version), event.entity_version)?;
    let lines = catalogue::lines(&service.policy, &event.lines, &event.entitlements)
        .map_err(|failure| failure.ended_by(end_of(&event.contract_id)))?;
    let (valid_from_ms, end) = span("term", &event.term)?;
    let dated = |change| Dated { at_ms: 0, version: event.entity_version, reason: Reason::Activated, change };
    let contract = Contract {
        legal_entity_id: event.legal_entity_id.clone(),
        entity_version: event.entity_version,
        valid_from_ms,
        is_given_up: false,
        changes: vec![dated(Change::Lines(lines)), dated(Change::Term(end))],
        correlation_id,
    };
    account.contracts.insert(event.contract_id.clone(), contract);
    Ok(carry_out(service, Decision::new(), account, Some(&event.customer), when))
}

/// Holds from the date of the amendment, never before.
pub(crate) fn amended(service: &Provisioning, known: Known<'_>, event: &ContractAmended, when: When) -> Plan {
    let (mut account, at_ms) = (known.account(&event.account_id), ms(event.effective_at));
    let contract = next(&mut account, &event.contract_id, event.entity_version)?;
    let mut lines = Vec::new();
    let mut gone = Vec::new();
    for change in &event.changes {
        match &change.after {
            Some(after) => lines.push(after.clone()),
            None => gone.push((change.contract_line_id.clone(), None)),
        }
    }
    let mut lines = catalogue::lines(&service.policy, &lines, &[]).map_err(|failure| Failure {
        field: failure.field.map(|field| field.replacen("lines", "changes.after", 1)),
        ..failure
    })?;
    lines.extend(gone);
    let reason = match event.amendment_type {
        AmendmentType::Suspend => Reason::Suspended,
        AmendmentType::Resume => Reason::Resumed,
        AmendmentType::Unknown
        | AmendmentType::Add
        | AmendmentType::Remove
        | AmendmentType::Quantity
        | AmendmentType::Price
        | AmendmentType::PlanChange
        | AmendmentType::TermExtension
        | AmendmentType::OwnerTransfer => Reason::Amended,
    };
    let mut add = |change| contract.changes.push(Dated { at_ms, version: event.entity_version, reason, change });
    if !lines.is_empty() {
        add(Change::Lines(lines));
    }
    if let Some(term) = &event.new_term {
        add(Change::Term(span("new_term", term)?.1));
    }
    match reason {
        Reason::Suspended => add(Change::Suspend),
        Reason::Resumed => add(Change::Resume),
        _ => {}
    }
    Ok(carry_out(service, Decision::new(), account, None, when))
}

/// Access ends on the day that the cancellation names for it, or with grace after the contract.
pub(crate) fn cancelled(service: &Provisioning, known: Known<'_>, event: &ContractCancelled, when: When) -> Plan {
    let mut account = known.account(&event.account_id);
    if gives_up(event) && !account.contracts.contains_key(&event.contract_id) {
        return Ok(given_up(account, event));
    }
    let contract = next(&mut account, &event.contract_id, event.entity_version)?;
    let day = match event.entitlement_end_on {
        Some(day) => day,
        None => later("cancel_on", event.cancel_on, service.policy.cancellation_grace_days)?,
    };
    let end = midnight("timezone", day, &event.timezone)?;
    contract.changes.push(Dated {
        at_ms: ms(event.effective_at),
        version: event.entity_version,
        reason: Reason::Cancelled,
        change: Change::End(end),
    });
    Ok(carry_out(service, Decision::new(), account, None, when))
}

/// Why a contract is cancelled that could not be carried out here.
const GIVEN_UP: &str = "activation_failed";

/// Whether the cancellation ends a contract whose activation may lie parked here.
pub(crate) fn gives_up(event: &ContractCancelled) -> bool {
    event.reason.code == GIVEN_UP
}

/// The subject of what ends an activation that was refused.
pub(crate) fn end_of(contract_id: &str) -> String {
    format!("end of {contract_id}")
}

/// Nothing was granted of it, and nothing will be: its activation, parked or still to come, is skipped.
fn given_up(mut account: Account, event: &ContractCancelled) -> Decision {
    let contract = Contract {
        legal_entity_id: event.legal_entity_id.clone(),
        entity_version: event.entity_version,
        valid_from_ms: 0,
        is_given_up: true,
        changes: Vec::new(),
        correlation_id: None,
    };
    account.contracts.insert(event.contract_id.clone(), contract);
    Decision::new().put(kind::ACCOUNT, &event.account_id, AccessDocument::Account(Box::new(account)))
}

/// The term is longer as soon as the renewal holds; what it sells holds from the first day of the new term. A contract that was cancelled
/// before stays cancelled: which of the two holds is decided elsewhere.
pub(crate) fn renewed(
    service: &Provisioning,
    known: Known<'_>,
    event: &SubscriptionRenewalAccepted,
    when: When,
) -> Plan {
    let mut account = known.account(&event.account_id);
    let contract = next(&mut account, &event.contract_id, event.entity_version)?;
    let (start, end) = span("renewed_term", &event.renewed_term)?;
    let mut lines = catalogue::lines(&service.policy, &event.lines_after, &[]).map_err(|failure| Failure {
        field: failure.field.map(|field| field.replacen("lines", "lines_after", 1)),
        ..failure
    })?;
    for line in &event.lines_before {
        lines.entry(line.contract_line_id.clone()).or_insert(None);
    }
    let dated = |at_ms, change| Dated { at_ms, version: event.entity_version, reason: Reason::Renewed, change };
    contract.changes.push(dated(ms(event.effective_at), Change::Term(end)));
    if !event.lines_after.is_empty() {
        contract.changes.push(dated(start, Change::Lines(lines)));
    }
    Ok(carry_out(service, Decision::new(), account, None, when))
}

/// The contract, which must be there: its version tells.
fn next<'a>(account: &'a mut Account, contract_id: &str, entity_version: i64) -> Result<&'a mut Contract, Failure> {
    let before = account.contracts.get(contract_id).map(|contract| contract.entity_version);
    version::next(contract_id, before, entity_version)?;
    let contract = account.contracts.get_mut(contract_id).ok_or_else(|| {
        let reason = format!("contract `{contract_id}` is not activated yet");
        Failure::not_yet("CONTRACT_NOT_ACTIVE", contract_id, reason).at_field("contract_id")
    })?;
    contract.entity_version = entity_version;
    Ok(contract)
}

/// First instant of a term, and the first one after it. A term that renews by itself has no end until somebody cancels it.
fn span(field: &str, term: &Term) -> Result<(Millis, Option<Millis>), Failure> {
    if let Some(end_on) = term.end_on.filter(|end_on| *end_on < term.start_on) {
        let reason = format!("{field} ends on {end_on}, before it begins on {}", term.start_on);
        return Err(Failure::contract("FIELD_INVALID", reason).at_field(format!("{field}.end_on")));
    }
    let start = midnight(field, term.start_on, &term.timezone)?;
    let end = term.end_on.filter(|_| !term.auto_renew).map(|end_on| midnight(field, end_on, &term.timezone));
    Ok((start, end.transpose()?))
}

fn ms(at: Timestamp) -> Millis {
    at.as_millisecond()
}

/// The documents that the plans look at.
pub(crate) fn reads(account_id: &str) -> Vec<DocumentKey> {
    vec![key(kind::ACCOUNT, account_id)]
}

/// What is due of an account. Without the account there is nothing to do: a timer of something that is gone.
pub(crate) fn due(service: &Provisioning, known: Known<'_>, account_id: &str, at_ms: Millis) -> Decision {
    if !matches!(known.0.get(kind::ACCOUNT, account_id), Some(AccessDocument::Account(_))) {
        return Decision::skip("the timer is of an account that is not known");
    }
    let mut account = known.account(account_id);
    account.timer_ms = None;
    carry_out(service, Decision::new(), account, None, When::due(at_ms))
}
