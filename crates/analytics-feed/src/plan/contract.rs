//! What each event does to a contract and its recurring lines.

use super::{
    Plan, Source, add, begin, day, journey,
    state::{Why, over, publish},
    version,
};
use crate::{
    document::{Contract, FeedDocument, Known, key, kind},
    mask::Pseudonyms,
};
use consumer::TimerChange;
use events::{
    AnalyticsContract, AnalyticsSubscription, ContractActivated, ContractAmended, ContractCancelled, Payload,
    SubscriptionRenewalAccepted,
    common::{AmendmentType, BillingFrequency, CancellationMode, ChargeType, ContractLine, Term},
};
use failure::Failure;
use ledger::DocumentKey;
use serde_json::{Value, json};

#[must_use]
pub fn reads(contract_id: &str) -> Vec<DocumentKey> {
    vec![key(kind::CONTRACT, contract_id)]
}

/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn activated(masks: &Pseudonyms, known: Known<'_>, source: Source<'_, ContractActivated>) -> Result<Plan, Failure> {
    let event = source.event;
    let before = known.contract(&event.contract_id);
    version::first(&event.contract_id, before.map(|contract| contract.row.entity_version), event.entity_version)?;
    let customer = &event.customer;
    let row = AnalyticsContract {
        account_id: source.account(),
        legal_entity_id: source.entity(),
        contract_id: event.contract_id.clone(),
        order_id: event.order_id.clone(),
        opportunity_id: event.opportunity_id.clone(),
        currency: event.currency.clone(),
        billing_frequency: event.billing_schedule.as_ref().map_or(BillingFrequency::Unknown, |plan| plan.frequency),
        total_contract_value_minor: event.total_contract_value_minor,
        payment_terms_code: customer.payment_terms.as_ref().map(|terms| terms.code.clone()),
        payment_net_days: customer.payment_terms.as_ref().map(|terms| terms.net_days),
        activation_source: event.activation_source.clone(),
        parent_account_id: customer.parent_account_id.clone(),
        customer_country: customer.billing_address.as_ref().map(|address| address.country.clone()),
        customer_name_token: masks.token("name", &customer.legal_name),
        customer_email_token: masks.optional("email", customer.email.as_ref()),
        ..AnalyticsContract::default()
    };
    let (lines, unlined_mrr_minor) = (Vec::new(), 0);
    let mut after = Contract { row, lines, unlined_mrr_minor, suspended: false, had_mrr: false, ended: false };
    set_term(&mut after, &event.term);
    event.lines.iter().for_each(|line| set_line(&mut after, line));
    let why = Why { on: event.term.start_on, ..Why::default() };
    let mut plan = publish(None, after, source, &why)?;
    journey::activated(&mut plan, known, source);
    Ok(plan)
}

/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn amended(known: Known<'_>, source: Source<'_, ContractAmended>) -> Result<Plan, Failure> {
    let event = source.event;
    let before = known_contract(known, event)?;
    let mut after = before.clone();
    after.row.amendments += 1;
    match event.amendment_type {
        AmendmentType::Suspend => after.suspended = true,
        AmendmentType::Resume => after.suspended = false,
        // What is suspended or resumed is the whole contract; any other change without lines states its effect only.
        _ if event.changes.is_empty() => add(&mut after.unlined_mrr_minor, event.delta_mrr_minor)?,
        _ => {}
    }
    for change in &event.changes {
        match &change.after {
            Some(line) => set_line(&mut after, line),
            None => after.lines.retain(|line| line.contract_line_id != change.contract_line_id),
        }
    }
    if let Some(term) = &event.new_term {
        set_term(&mut after, term);
    }
    let why = Why {
        on: day(event.effective_at, &before.row.timezone),
        amendment_id: Some(event.amendment_id.clone()),
        ..Why::default()
    };
    publish(Some(before), after, source, &why)
}

/// The new term has the lines it names; where it names none, those of the old one.
///
/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn renewed(known: Known<'_>, source: Source<'_, SubscriptionRenewalAccepted>) -> Result<Plan, Failure> {
    let event = source.event;
    let before = known_contract(known, event)?;
    let mut after = before.clone();
    after.row.renewals += 1;
    let starts_on = after.row.starts_on;
    set_term(&mut after, &event.renewed_term);
    after.row.starts_on = starts_on;
    if event.total_contract_value_minor.is_some() {
        after.row.total_contract_value_minor = event.total_contract_value_minor;
    }
    if !event.lines_after.is_empty() {
        after.lines.retain(|line| event.lines_after.iter().any(|new| new.contract_line_id == line.contract_line_id));
        after.unlined_mrr_minor = 0;
        event.lines_after.iter().for_each(|line| set_line(&mut after, line));
    }
    for line in after.lines.iter_mut().filter(|line| line.ends_on.is_some() && line.ends_on == before.row.ends_on) {
        line.ends_on = None;
    }
    (after.row.ends_on, after.row.cancellation_mode, after.row.cancellation_reason_code) = (None, None, None);
    after.ended = false;
    let renewal_id = Some(event.renewal_id.clone());
    let why = Why { on: event.renewed_term.start_on, renewal_id, ..Why::default() };
    let was_cancelled = before.row.ends_on.is_some();
    let mut plan = publish(Some(before), after, source, &why)?;
    if was_cancelled {
        plan.timers.push(TimerChange::Clear { id: timer_id(&event.contract_id) });
    }
    Ok(plan)
}

/// A cancellation at once ends the contract now, another one on its day.
///
/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn cancelled(known: Known<'_>, source: Source<'_, ContractCancelled>) -> Result<Plan, Failure> {
    let event = source.event;
    let before = known_contract(known, event)?;
    let mut after = before.clone();
    after.row.ends_on = Some(event.cancel_on);
    after.row.cancellation_mode = Some(event.mode);
    after.row.cancellation_reason_code = Some(event.reason.code.clone());
    let today = day(event.effective_at, &event.timezone);
    let at_once = event.mode == CancellationMode::Immediate || event.cancel_on <= today;
    after.ended = at_once;
    let why = Why { on: today, reason_code: Some(event.reason.code.clone()), ..Why::default() };
    let mut plan = publish(Some(before), after, source, &why)?;
    let id = timer_id(&event.contract_id);
    plan.timers.push(if at_once {
        TimerChange::Clear { id }
    } else {
        let due_ms = begin(event.cancel_on, &event.timezone).as_millisecond();
        TimerChange::Set { id, due_ms, payload: json!({ "contract_id": event.contract_id }) }
    });
    Ok(plan)
}

/// The day of a cancellation has come: the subscriptions are over.
#[must_use]
pub fn ended(known: Known<'_>, contract_id: &str) -> Plan {
    let mut plan = Plan::default();
    if let Some(contract) = known.contract(contract_id).filter(|contract| !contract.ended)
        && let Some(ends_on) = contract.row.ends_on
    {
        let at_ms = begin(ends_on, &contract.row.timezone).as_millisecond();
        contract.lines.iter().for_each(|line| plan.rows.push(over(line, at_ms)));
        let ended = Contract { ended: true, ..contract.clone() };
        plan.put(kind::CONTRACT, contract_id, FeedDocument::Contract(Box::new(ended)));
    }
    plan
}

/// The contract that a timer is about.
#[must_use]
pub fn of_timer(payload: &Value) -> Option<&str> {
    payload.get("contract_id").and_then(Value::as_str)
}

fn timer_id(contract_id: &str) -> String {
    format!("end/{contract_id}")
}

fn known_contract<'a>(known: Known<'a>, event: &impl Payload) -> Result<&'a Contract, Failure> {
    let contract_id = event.subject();
    let found = known.contract(contract_id);
    version::next(contract_id, found.map(|contract| contract.row.entity_version), event.entity_version())?;
    found.ok_or_else(|| {
        let reason = format!("the first event of `{contract_id}` must be its contract.activated");
        Failure::contract("FIELD_INVALID", reason).at_field("entity_version")
    })
}

fn set_term(contract: &mut Contract, term: &Term) {
    contract.row.starts_on = term.start_on;
    contract.row.term_ends_on = term.end_on;
    contract.row.timezone.clone_from(&term.timezone);
}

/// Adds a line, or changes it. What is not recurring is no subscription.
fn set_line(contract: &mut Contract, line: &ContractLine) {
    contract.lines.retain(|known| known.contract_line_id != line.contract_line_id);
    if line.charge_type != ChargeType::Recurring {
        return;
    }
    let row = &contract.row;
    contract.lines.push(AnalyticsSubscription {
        account_id: row.account_id.clone(),
        legal_entity_id: row.legal_entity_id.clone(),
        subscription_id: format!("{}/{}", row.contract_id, line.contract_line_id),
        contract_id: row.contract_id.clone(),
        contract_line_id: line.contract_line_id.clone(),
        product_id: line.product_id.clone(),
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit: line.unit.clone(),
        unit_price: line.unit_price,
        currency: row.currency.clone(),
        amount_minor: line.amount_minor,
        billing_frequency: row.billing_frequency,
        starts_on: line.service_period.as_ref().map_or(row.starts_on, |period| period.start_on),
        ends_on: line.service_period.as_ref().map(|period| period.end_on),
        ..AnalyticsSubscription::default()
    });
}
