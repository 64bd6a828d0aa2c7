//! Renewals of contracts that came of deals: announced before notice is due, judged by the limits of their price plans, taken by the ERP,
//! and told to the customer once (D6.10 to D6.14).
//!
//! A renewal and a cancellation that cross are told apart by the contract's versions: the lower one came first, whichever is read first.

use crate::{
    change::{Asked, Change, ChangeStage, Renewed},
    contract::{ContractState, RENEWAL_DUE, known_contract},
    course::{Course, Court},
    document::Known,
    facts, follow,
    handler::OrderFlow,
    reply,
    step::Step,
};
use consumer::Decision;
use events::{
    ContractCancelled, NotificationRequested, OrderAccepted, OrderRejected, SubscriptionRenewalAccepted,
    SubscriptionRenewalDeclined, SubscriptionRenewalDue,
    common::{CancellationMode, ContractLine, FalloutEnd, NotificationChannel, NotificationFact, Reason},
    version,
};
use failure::Failure;
use jiff::{civil::Date, tz::TimeZone};
use rules::{Finding, Renewal, Repriced};
use serde_json::Value;

type Decided = Result<Decision<OrderFlow>, Failure>;

/// The customer accepted a renewal.
pub(crate) fn accepted(
    mut step: Step<'_>,
    known: Known<'_>,
    court: Court<'_>,
    event: &SubscriptionRenewalAccepted,
) -> Decided {
    let before = known_contract(known, &event.contract_id)?;
    version::next(&event.contract_id, Some(before.entity_version), event.entity_version)?;
    let mut contract = before.clone();
    contract.renew(event);
    // What the ERP says of it may have been read first.
    let mut change = step.deal.changes.remove(&event.renewal_id).unwrap_or_default();
    change.contract_id.clone_from(&event.contract_id);
    change.legal_entity_id.clone_from(&event.legal_entity_id);
    change.entity_version = event.entity_version;
    change.currency.clone_from(&event.currency);
    change.amount_minor = event.total_contract_value_minor.unwrap_or(before.value_minor).saturating_abs();
    let renewed = Renewed {
        facts: seen(before, event),
        renews_on: event.renewed_term.start_on,
        ends_on: event.renewed_term.end_on,
        contract_version: event.entity_version,
        is_crossed: before.is_cancelled,
        recipient: event.accepted_by.clone(),
        channel: event.channel.clone(),
        locale: before.locale.clone(),
    };
    change.order = follow::renewal(&step.deal, court, before, event);
    change.asked = Some(Asked::Renewal(Box::new(renewed.clone())));
    step.keep(&event.contract_id, contract.clone());
    Ok(consider(step, court, (&event.renewal_id, change), &renewed, (FalloutEnd::Mended, None)))
}

fn seen(before: &ContractState, event: &SubscriptionRenewalAccepted) -> Renewal {
    let term = &event.renewed_term;
    let stated = if event.lines_before.is_empty() { &before.lines } else { &event.lines_before };
    let price = |line: &ContractLine| {
        let same = stated.iter().find(|old| old.contract_line_id == line.contract_line_id);
        same.or_else(|| stated.iter().find(|old| old.product_id == line.product_id)).map(|old| old.unit_price)
    };
    let of = |line: &ContractLine| Repriced {
        id: line.contract_line_id.clone(),
        product: line.product_id.clone(),
        price_before: price(line),
        price: line.unit_price,
    };
    Renewal {
        currency: event.currency.clone(),
        entity: event.legal_entity_id.clone(),
        term_months: term.end_on.map(|end_on| facts::months(term.start_on, end_on)).unwrap_or_default(),
        total_minor: event.total_contract_value_minor.unwrap_or_default(),
        uplift_percent: event.uplift_percent.unwrap_or_default(),
        lines: event.lines_after.iter().map(of).collect(),
        approvals: Vec::new(),
    }
}

/// Judges a renewal; once nothing is against it and the ERP has it, it is taxed and billed, and then the customer is told.
pub(crate) fn consider(
    mut step: Step<'_>,
    court: Court<'_>,
    (id, mut change): (&str, Change),
    renewed: &Renewed,
    (end, by): (FalloutEnd, Option<&str>),
) -> Decision<OrderFlow> {
    if change.at_work().is_some() {
        step.deal.changes.insert(id.to_owned(), change);
        return step.done();
    }
    let facts = Renewal { approvals: change.approved.keys().cloned().collect(), ..renewed.facts.clone() };
    change.verdict = court.policies.judge_renewal(&facts);
    if renewed.is_crossed {
        change.verdict.findings.push(crossed());
    }
    let reasons = change.reasons();
    if reasons.is_empty() {
        step.close(change.case.take(), end, by);
        change.stage = ChangeStage::Asked;
        match (&change.erp_order_id, &change.order) {
            (Some(_), Some(_)) => follow::release(&mut change),
            (Some(_), None) => tell(&mut step, (id, &mut change), renewed),
            (None, _) => {}
        }
    } else {
        change.stage = ChangeStage::Waiting;
        let version = change.verdict.version.clone();
        change.case = step.open_by(change.case.take(), change.about(), reasons, &version);
    }
    let contract_id = change.contract_id.clone();
    step.deal.changes.insert(id.to_owned(), change);
    follow::go_on(&mut step, court, &contract_id);
    step.done()
}

fn crossed() -> Finding {
    Finding {
        code: "CONTRACT_CANCELLED".to_owned(),
        path: "contract_id".to_owned(),
        message: "the contract was cancelled before it was renewed; the cancellation holds".to_owned(),
        hint: "reject the renewal, or close a new deal".to_owned(),
        owner: "finance".to_owned(),
    }
}

/// The renewal holds: the customer is told once, whatever is read again.
pub(crate) fn tell(step: &mut Step<'_>, (id, change): (&str, &mut Change), renewed: &Renewed) {
    let channel = match renewed.channel.as_deref() {
        Some("portal") => NotificationChannel::Portal,
        _ => NotificationChannel::Email,
    };
    let ends = renewed.ends_on.and_then(|ends_on| ends_on.yesterday().ok());
    let facts = [
        Some(("renews_on", renewed.renews_on.to_string())),
        ends.map(|last| ("last_day", last.to_string())),
        Some(("currency", change.currency.clone())),
        Some(("total_minor", change.amount_minor.to_string())),
    ];
    let message = NotificationRequested {
        recipient: renewed.recipient.clone(),
        channel,
        ..message(step, "renewal_accepted", (&change.contract_id, id), facts.into_iter().flatten())
    };
    let locale = renewed.locale.clone();
    let legal_entity_id = change.legal_entity_id.clone();
    step.notice(NotificationRequested { locale, legal_entity_id, ..message });
    change.stage = ChangeStage::Done;
    change.asked = None;
    change.contract_version = Some(renewed.contract_version);
}

/// The id follows from what it is about: the same id is the same message.
fn message<'f>(
    step: &Step<'_>,
    template: &str,
    (contract_id, about_id): (&str, &str),
    facts: impl Iterator<Item = (&'f str, String)>,
) -> NotificationRequested {
    NotificationRequested {
        account_id: step.deal.account_id.clone(),
        entity_version: 1,
        effective_at: step.times.effective_at,
        recorded_at: step.times.recorded_at,
        notification_id: format!("{template}/{about_id}"),
        template: template.to_owned(),
        channel: NotificationChannel::Email,
        contract_id: Some(contract_id.to_owned()),
        about_id: about_id.to_owned(),
        facts: facts.map(|(name, value)| NotificationFact { name: name.to_owned(), value }).collect(),
        ..NotificationRequested::default()
    }
}

/// The renewal of a contract that an order of the ERP is about.
pub(crate) fn of_order<'a>(order_id: &'a str, contract_id: Option<&str>) -> Option<&'a str> {
    order_id.strip_prefix(contract_id?)?.strip_prefix('/').filter(|id| !id.is_empty())
}

/// The ERP has the order of a renewal.
pub(crate) fn taken(mut step: Step<'_>, court: Court<'_>, event: &OrderAccepted, id: &str) -> Decided {
    let mut change = step.deal.changes.remove(id).unwrap_or_default();
    change.erp_order_id = Some(event.erp_order_id.clone());
    change.erp_order_no.clone_from(&event.erp_order_no);
    change.refused.clear();
    answered(step, court, (id, change))
}

/// The ERP refused it. It lies parked there until somebody has mended the cause.
pub(crate) fn refused(mut step: Step<'_>, court: Court<'_>, event: &OrderRejected, id: &str) -> Decided {
    let mut change = step.deal.changes.remove(id).unwrap_or_default();
    if change.erp_order_id.is_none() {
        change.refused = reply::reasons("RENEWAL_REJECTED", &event.reasons).collect();
    }
    answered(step, court, (id, change))
}

fn answered(mut step: Step<'_>, court: Court<'_>, (id, change): (&str, Change)) -> Decided {
    let Some(Asked::Renewal(renewed)) = change.asked.clone() else {
        step.deal.changes.insert(id.to_owned(), change);
        return Ok(step.done());
    };
    Ok(consider(step, court, (id, change), &renewed, (FalloutEnd::Mended, None)))
}

/// Notice can be given until today: the CRM and the customer are told, once for each term.
pub(crate) fn due(mut step: Step<'_>, known: Known<'_>, payload: &Value) -> Decided {
    let contract_id = payload["contract_id"].as_str().unwrap_or_default();
    let Some(contract) = known.contract(contract_id) else {
        return Ok(Decision::skip("a timer of a contract that is not there"));
    };
    let ends_on = payload["ends_on"].as_str().and_then(|day| day.parse::<Date>().ok());
    let (Some((_, notice_on)), Some(renews_on)) = (contract.notice(), contract.end_on) else {
        return Ok(Decision::skip("the contract does not renew by itself any more"));
    };
    if ends_on != contract.end_on || contract.announced == contract.end_on {
        return Ok(Decision::skip("a timer of another term"));
    }
    let renewal_id = format!("{contract_id}/{renews_on}");
    let due = SubscriptionRenewalDue {
        account_id: contract.account_id.clone(),
        entity_version: 1,
        effective_at: step.times.effective_at,
        recorded_at: step.times.recorded_at,
        legal_entity_id: contract.legal_entity_id.clone(),
        renewal_id: renewal_id.clone(),
        contract_id: contract_id.to_owned(),
        opportunity_id: contract.opportunity_id.clone(),
        notice_on,
        renews_on,
        timezone: contract.timezone.clone(),
        currency: contract.currency.clone(),
        total_contract_value_minor: Some(contract.value_minor),
    };
    let facts = [("renews_on", renews_on.to_string()), ("notice_on", notice_on.to_string())];
    let message = message(&step, RENEWAL_DUE, (contract_id, &renewal_id), facts.into_iter());
    let (locale, legal_entity_id) = (contract.locale.clone(), contract.legal_entity_id.clone());
    step.notice(due);
    step.notice(NotificationRequested { locale, legal_entity_id, ..message });
    step.keep(contract_id, ContractState { announced: contract.end_on, ..contract.clone() });
    Ok(step.done())
}

/// The customer does not renew: a contract that would go on by itself is cancelled for the end of its term.
pub(crate) fn declined(
    step: Step<'_>,
    known: Known<'_>,
    course: &Course<'_>,
    event: &SubscriptionRenewalDeclined,
) -> Decided {
    let contract = known_contract(known, &event.contract_id)?;
    if contract.is_cancelled {
        return Ok(Decision::skip("the contract ends already"));
    }
    if contract.end_on.is_some_and(|end_on| end_on > event.ends_on) {
        // What was accepted since holds; taking it back is a cancellation.
        let reason = format!("contract `{}` was renewed beyond {} before that", event.contract_id, event.ends_on);
        return Err(Failure::business("RENEWAL_ACCEPTED", "billing-operations", reason).at_field("ends_on"));
    }
    if !contract.auto_renews {
        return Ok(Decision::skip("the contract ends with its term by itself"));
    }
    let zone = TimeZone::get(&contract.timezone).unwrap_or(TimeZone::UTC);
    let cancelled = ContractCancelled {
        account_id: contract.account_id.clone(),
        entity_version: contract.entity_version + 1,
        effective_at: step.times.effective_at,
        recorded_at: step.times.recorded_at,
        legal_entity_id: contract.legal_entity_id.clone(),
        contract_id: event.contract_id.clone(),
        mode: CancellationMode::EndOfTerm,
        cancel_on: event.ends_on,
        notice_on: Some(event.declined_at.to_zoned(zone).date()),
        timezone: contract.timezone.clone(),
        reason: Reason { code: "renewal_declined".to_owned(), text: event.reason.text.clone() },
        currency: contract.currency.clone(),
        ..ContractCancelled::default()
    };
    let ended = ContractState { entity_version: contract.entity_version + 1, is_cancelled: true, ..contract.clone() };
    let mut step = reply::ended(step, course, &cancelled);
    step.tell(cancelled);
    step.keep(&event.contract_id, ended);
    Ok(step.done())
}
