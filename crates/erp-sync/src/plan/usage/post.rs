//! When what was added up becomes a charge.

use super::month::{open_until, span};
use crate::{
    document::{Contract, ErpDocument, Known, Usage, UsageMonth, kind},
    effect::ErpEffect,
    mapping::Mapping,
    plan::{Decision, Place, revenue::schedule::month},
};
use connectors::{NewCharge, Span};
use consumer::TimerChange;
use events::UsageRated;
use failure::Failure;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rust_decimal::Decimal;
use serde_json::json;

/// Charges what an event shows to be due: months before its own that are over for the days of grace and were not charged yet, and any month
/// with as many events as may wait.
pub(super) fn due_by_event(
    mapping: &Mapping,
    decision: Decision,
    usage: &mut Usage,
    contract: &Contract,
    event: &UsageRated,
    day: Date,
) -> Result<Decision, Failure> {
    let policy = mapping.posting.usage;
    let own = month(event.period.start_on);
    let is_due = |period: &str, of: &UsageMonth| {
        let is_over = open_until(period, policy.grace_days).is_some_and(|until| until <= day);
        (of.charges == 0 && period < own.as_str() && is_over) || of.events >= policy.max_events
    };
    charge(mapping, decision, usage, contract, is_due)
}

/// Charges what the clock says is due, and waits on for the rest.
///
/// # Errors
/// Anything that the mapping does not name any more.
pub fn timer(
    mapping: &Mapping,
    known: Known<'_>,
    payload: &serde_json::Value,
    now_ms: i64,
) -> Result<Decision, Failure> {
    let text = |name: &str| payload.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let (key, contract_id) = (text("usage"), text("contract"));
    let (Some(usage), Some(contract)) = (known.usage(key), known.contract(contract_id)) else {
        return Ok(Decision::skip("there is no usage to charge any more"));
    };
    let today = day_of(now_ms);
    let grace_days = mapping.posting.usage.grace_days;
    let mut usage = Usage { is_watched: false, ..usage.clone() };
    let is_over = |period: &str, _: &UsageMonth| open_until(period, grace_days).is_some_and(|until| until <= today);
    let decision = charge(mapping, Decision::new(), &mut usage, contract, is_over)?;
    let decision = watch(mapping, decision, key, &mut usage, now_ms);
    Ok(decision.put(kind::USAGE, key, ErpDocument::Usage(usage)))
}

/// Sets the clock for the first month that waits, unless it is set. The document does not hold the time: it would differ between replays.
pub(super) fn watch(mapping: &Mapping, decision: Decision, key: &str, usage: &mut Usage, now_ms: i64) -> Decision {
    let policy = mapping.posting.usage;
    let first = usage.months.iter().find(|(_, of)| of.waits()).map(|(period, _)| period);
    let Some(until) = first.filter(|_| !usage.is_watched).and_then(|period| open_until(period, policy.grace_days))
    else {
        return decision;
    };
    let until_ms = until.to_zoned(TimeZone::UTC).map_or(i64::MAX, |at| at.timestamp().as_millisecond());
    let settled_ms = now_ms.saturating_add(policy.settle_minutes.saturating_mul(60_000));
    let due_ms = until_ms.max(settled_ms);
    usage.is_watched = true;
    let payload = json!({ "usage": key, "contract": usage.contract_id });
    decision.timer(TimerChange::Set { id: format!("usage:{key}"), due_ms, payload })
}

fn day_of(ms: i64) -> Date {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).date()
}

fn charge(
    mapping: &Mapping,
    mut decision: Decision,
    usage: &mut Usage,
    contract: &Contract,
    is_due: impl Fn(&str, &UsageMonth) -> bool,
) -> Result<Decision, Failure> {
    let due: Vec<String> = usage
        .months
        .iter()
        .filter(|(period, of)| of.waits() && is_due(period, of))
        .map(|(period, _)| period.clone())
        .collect();
    for period in due {
        let of = usage.months.get(&period).cloned().unwrap_or_default();
        let mut after = UsageMonth { events: 0, quantity: Decimal::ZERO, amount_minor: 0, ..of.clone() };
        // What the contract includes is used and not charged.
        if of.amount_minor != 0 || !of.quantity.is_zero() {
            after.charges += 1;
            after.charged_minor += of.amount_minor;
            let charge = request(mapping, usage, contract, &period, &of, after.charges)?;
            decision = decision.effect(ErpEffect::ChargeUsage { charge });
        }
        usage.months.insert(period, after);
    }
    Ok(decision)
}

fn request(
    mapping: &Mapping,
    usage: &Usage,
    contract: &Contract,
    period: &str,
    of: &UsageMonth,
    number: u32,
) -> Result<NewCharge, Failure> {
    let place = Place::find(mapping, &usage.legal_entity_id, &usage.currency)?;
    let (start_on, end_on) = span(period).ok_or_else(super::super::overflow)?;
    // The contract's first order: which renewals are there by now depends on when this is decided, and a charge must not.
    let order = super::super::erp_id("order", &usage.contract_id, contract.erp.as_ref())?;
    let Usage { account_id, contract_id, meter, product_id, .. } = usage;
    let dated = end_on.yesterday().unwrap_or(start_on);
    let memo = format!("Usage of {meter}, contract {contract_id}, {period}: {} events", of.events);
    Ok(NewCharge {
        charge_id: format!("{contract_id}/{meter}/{product_id}/{period}/{number}"),
        header: place.header(account_id, Some(contract_id), dated, memo.clone()),
        order: order.to_owned(),
        item: mapping.item("usage", place.entity, product_id, None)?,
        quantity: of.quantity,
        amount_minor: of.amount_minor,
        delivered: Span { start_on, end_on },
        description: memo,
    })
}
