//! What a schedule bills as time goes by: a subscription with the items of its phase, invoices when periods begin or end, and prorations
//! where something changes in the middle of one.
//!
//! Time is looked at whenever a request comes or the clock is moved. Everything that was due until then happens in its order, at its time.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use super::{
    invoices::{self, Line},
    store::{Logged, Store},
    usage,
};
use crate::call::Reply;

/// Steps of one schedule in one go. More than anybody moves a clock at once; a schedule beyond it goes on at the next request.
const MOST_STEPS: usize = 10_000;

/// Months of a price's interval.
pub fn months(price: &Value) -> i64 {
    let count = price["recurring"]["interval_count"].as_i64().unwrap_or(1);
    if price["recurring"]["interval"] == "year" { count.saturating_mul(12) } else { count }
}

/// The start of the `n`th period, counted from the anchor so that short months do not add up.
fn boundary(anchor: i64, months: i64, n: i64) -> i64 {
    let start = Timestamp::from_second(anchor).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    let moved = start.checked_add(months.saturating_mul(n).months());
    moved.map_or(i64::MAX, |moved| moved.timestamp().as_second())
}

/// The period that `at` lies in: from, until.
fn period(anchor: i64, months: i64, at: i64) -> (i64, i64) {
    // Months have 28 days at least, so this guess is never too late by more than the loop mends.
    let mut n = (at - anchor).max(0) / (31 * 86_400 * months.max(1));
    while boundary(anchor, months, n + 1) <= at {
        n += 1;
    }
    (boundary(anchor, months, n), boundary(anchor, months, n + 1))
}

/// Everything of a kind that is due, of all schedules.
pub fn run_all(store: &mut Store<'_>) -> Result<(), Reply> {
    let all: Vec<Value> = store.newest("subscription_schedule").into_iter().rev().cloned().collect();
    for mut schedule in all {
        run(store, &mut schedule)?;
    }
    invoices::finalise_due(store)
}

/// Carries one schedule on until now.
pub fn run(store: &mut Store<'_>, schedule: &mut Value) -> Result<(), Reply> {
    let now = store.now();
    let mut has_changed = false;
    for _ in 0..MOST_STEPS {
        let Some(at) = next(store, schedule).filter(|at| *at <= now) else { break };
        step(store, schedule, at)?;
        schedule["_"]["cursor"] = at.into();
        has_changed = true;
    }
    if has_changed {
        store.put("subscription_schedule", schedule, Logged::No, None)?;
    }
    Ok(())
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// Phases with their place; the last one of a schedule that releases its subscription has no end.
fn phase_at(schedule: &Value, at: i64) -> Option<(usize, &Value)> {
    let phases = schedule["phases"].as_array()?;
    let goes_on = schedule["end_behavior"] == "release";
    let holds = |(place, phase): &(usize, &Value)| {
        let is_last = place + 1 == phases.len();
        number(&phase["start_date"]) <= at && (at < number(&phase["end_date"]) || (is_last && goes_on))
    };
    phases.iter().enumerate().find(holds)
}

/// When something is due next.
fn next(store: &Store<'_>, schedule: &Value) -> Option<i64> {
    let is_running = matches!(schedule["status"].as_str(), Some("not_started" | "active" | "released"));
    if !is_running || schedule["_"]["stopped"] == true {
        return None;
    }
    let cursor = number(&schedule["_"]["cursor"]);
    let anchor = number(&schedule["_"]["anchor"]);
    let phases = schedule["phases"].as_array()?;
    let starts = phases.iter().map(|phase| number(&phase["start_date"]));
    let end = phases.last().map(|phase| number(&phase["end_date"]));
    let mut due: Vec<i64> = starts.chain(end).filter(|at| *at > cursor).collect();
    if let Some((_, phase)) = phase_at(schedule, cursor) {
        for item in phase["items"].as_array().into_iter().flatten() {
            if let Some(price) = price(store, item) {
                due.push(period(anchor, months(price), cursor).1);
            }
        }
    }
    due.into_iter().filter(|at| *at > cursor).min()
}

fn price<'a>(store: &'a Store<'_>, item: &Value) -> Option<&'a Value> {
    store.get("price", item["price"].as_str()?)
}

/// What happens at one time.
fn step(store: &mut Store<'_>, schedule: &mut Value, at: i64) -> Result<(), Reply> {
    let before = phase_at(schedule, at - 1).map(|(place, phase)| (place, phase.clone()));
    let after = phase_at(schedule, at).map(|(place, phase)| (place, phase.clone()));
    let mut lines = Vec::new();
    if let Some((_, phase)) = &before {
        lines.extend(used(store, schedule, phase, at));
    }
    let enters = after.as_ref().filter(|(place, _)| before.as_ref().is_none_or(|(old, _)| old != place));
    if let Some((_, phase)) = enters {
        if let Some((_, old)) = &before {
            lines.extend(prorations(store, schedule, old, phase, at));
        }
        lines.extend(once(store, phase, at));
    }
    match &after {
        Some((_, phase)) => {
            lines.extend(periods(store, schedule, phase, at));
            enter(store, schedule, phase)?;
        }
        None => finish(store, schedule, at)?,
    }
    // The last phase may go on beyond its end; the schedule is over then, what it billed is not.
    let ends = schedule["phases"].as_array().and_then(|phases| phases.last()).map(|phase| number(&phase["end_date"]));
    if ends == Some(at) && after.is_some() {
        release(store, schedule);
    }
    invoices::make(store, schedule, lines, at, "subscription_cycle")
}

fn enter(store: &mut Store<'_>, schedule: &mut Value, phase: &Value) -> Result<(), Reply> {
    if schedule["status"] == "not_started" {
        schedule["status"] = "active".into();
        schedule["subscription"] = store.id("sub").into();
    }
    if schedule["status"] == "active" {
        schedule["current_phase"] = json!({ "start_date": phase["start_date"], "end_date": phase["end_date"] });
    }
    let Some(id) = schedule["subscription"].as_str().map(str::to_owned) else { return Ok(()) };
    let known = store.get("subscription", &id).cloned();
    let body = json!({
        "id": id, "object": "subscription", "customer": schedule["customer"], "status": "active", "livemode": false,
        "created": known.as_ref().map_or(json!(store.now()), |known| known["created"].clone()),
        "billing_cycle_anchor": schedule["_"]["anchor"], "currency": phase["currency"], "schedule": schedule["id"],
        "items": { "object": "list", "data": phase["items"], "has_more": false }, "metadata": phase["metadata"],
        "canceled_at": null,
    });
    if known.as_ref() == Some(&body) {
        return Ok(());
    }
    let event = if known.is_some() { "customer.subscription.updated" } else { "customer.subscription.created" };
    store.put("subscription", &body, Logged::No, Some(event))?;
    let customer = schedule["customer"].as_str().unwrap_or_default();
    if let Some(mut customer) =
        store.get("customer", customer).filter(|customer| customer["currency"].is_null()).cloned()
    {
        customer["currency"] = phase["currency"].clone();
        store.put("customer", &customer, Logged::No, None)?;
    }
    Ok(())
}

fn finish(store: &mut Store<'_>, schedule: &mut Value, at: i64) -> Result<(), Reply> {
    schedule["status"] = "completed".into();
    schedule["completed_at"] = at.into();
    schedule["current_phase"] = Value::Null;
    store.put("subscription_schedule", schedule, Logged::No, Some("subscription_schedule.completed"))?;
    end_subscription(store, schedule)
}

/// The subscription goes on without the schedule.
pub fn release(store: &Store<'_>, schedule: &mut Value) {
    schedule["status"] = "released".into();
    schedule["end_behavior"] = "release".into();
    schedule["released_at"] = store.now().into();
    schedule["released_subscription"] = schedule["subscription"].clone();
    schedule["subscription"] = Value::Null;
    schedule["current_phase"] = Value::Null;
    // Only what started goes on.
    schedule["_"]["stopped"] = schedule["released_subscription"].is_null().into();
}

pub fn end_subscription(store: &mut Store<'_>, schedule: &Value) -> Result<(), Reply> {
    let id = schedule["subscription"].as_str().unwrap_or_default();
    let Some(mut body) = store.get("subscription", id).cloned() else { return Ok(()) };
    body["status"] = "canceled".into();
    body["canceled_at"] = store.now().into();
    store.put("subscription", &body, Logged::No, Some("customer.subscription.deleted"))
}

fn is_metered(price: &Value) -> bool {
    price["recurring"]["usage_type"] == "metered"
}

/// Amount of an item for a whole period.
fn amount(price: &Value, item: &Value) -> Decimal {
    let unit: Decimal = price["unit_amount_decimal"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    unit.saturating_mul(item["quantity"].as_i64().unwrap_or(1).into())
}

pub fn rounded(amount: Decimal) -> i64 {
    let whole = amount.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

/// Fixed items whose period begins now, for all of it.
fn periods(store: &Store<'_>, schedule: &Value, phase: &Value, at: i64) -> Vec<Line> {
    let anchor = number(&schedule["_"]["anchor"]);
    let items = phase["items"].as_array().into_iter().flatten();
    let begins = items.filter_map(|item| {
        let price = price(store, item).filter(|price| !is_metered(price))?;
        let (start, end) = period(anchor, months(price), at);
        (start == at).then(|| Line::of(item, price, rounded(amount(price, item)), (start, end)))
    });
    begins.collect()
}

/// Metered items whose period ends now, for what was used in it.
fn used(store: &Store<'_>, schedule: &Value, phase: &Value, at: i64) -> Vec<Line> {
    let anchor = number(&schedule["_"]["anchor"]);
    let customer = schedule["customer"].as_str().unwrap_or_default();
    let items = phase["items"].as_array().into_iter().flatten();
    let ends = items.filter_map(|item| {
        let price = price(store, item).filter(|price| is_metered(price))?;
        let (start, end) = period(anchor, months(price), at - 1);
        (end == at).then(|| {
            let quantity = usage::quantity(store, customer, price, (start, end));
            Line::of(item, price, rounded(usage::amount(price, quantity)), (start, end)).used(quantity)
        })
    });
    ends.collect()
}

fn once(store: &Store<'_>, phase: &Value, at: i64) -> Vec<Line> {
    let items = phase["add_invoice_items"].as_array().into_iter().flatten();
    let lines = items.filter_map(|item| {
        let price = price(store, item)?;
        Some(Line::of(item, price, rounded(amount(price, item)), (at, at)))
    });
    lines.collect()
}

/// What is left of the running periods: given back for the items before, billed for those after. An item that stays the same is left alone.
fn prorations(store: &Store<'_>, schedule: &Value, before: &Value, after: &Value, at: i64) -> Vec<Line> {
    if after["proration_behavior"] == "none" {
        return Vec::new();
    }
    let list = |phase: &Value| phase["items"].as_array().cloned().unwrap_or_default();
    let (old, new) = (list(before), list(after));
    let is_same = |item: &Value, others: &[Value]| {
        others.iter().any(|other| other["price"] == item["price"] && other["quantity"] == item["quantity"])
    };
    let mut lines: Vec<Line> =
        old.iter().filter(|item| !is_same(item, &new)).filter_map(|item| rest(store, schedule, item, at, -1)).collect();
    lines.extend(new.iter().filter(|item| !is_same(item, &old)).filter_map(|item| rest(store, schedule, item, at, 1)));
    lines
}

/// An item's amount for the rest of its period; `None` where a period begins now.
fn rest(store: &Store<'_>, schedule: &Value, item: &Value, at: i64, sign: i64) -> Option<Line> {
    let price = price(store, item).filter(|price| !is_metered(price))?;
    let (start, end) = period(number(&schedule["_"]["anchor"]), months(price), at);
    if start == at {
        return None;
    }
    let share = Decimal::from(end - at).checked_div(Decimal::from(end - start))?;
    let amount = rounded(amount(price, item).saturating_mul(share)).saturating_mul(sign);
    Some(Line::of(item, price, amount, (at, end)).proration())
}

/// The current phase was replaced while it runs.
pub fn changed(store: &mut Store<'_>, before: &Value, schedule: &mut Value) -> Result<(), Reply> {
    let now = store.now();
    if schedule["status"] != "active" {
        return Ok(());
    }
    let (Some((_, old)), Some((_, new))) = (phase_at(before, now), phase_at(schedule, now)) else { return Ok(()) };
    let (old, new) = (old.clone(), new.clone());
    let mut lines = prorations(store, schedule, &old, &new, now);
    lines.extend(once(store, &new, now));
    enter(store, schedule, &new)?;
    schedule["_"]["cursor"] = now.into();
    store.put("subscription_schedule", schedule, Logged::No, None)?;
    invoices::make(store, schedule, lines, now, "subscription_update")
}

/// Gives the rest of the running periods back.
pub fn credit_rest(store: &mut Store<'_>, schedule: &mut Value) -> Result<(), Reply> {
    let now = store.now();
    let Some((_, phase)) = phase_at(schedule, now) else { return Ok(()) };
    let items = phase["items"].as_array().into_iter().flatten();
    let lines = items.filter_map(|item| rest(store, schedule, item, now, -1)).collect();
    invoices::make(store, schedule, lines, now, "subscription_update")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_second()
    }

    #[test]
    fn periods_count_from_the_anchor_so_that_short_months_do_not_add_up() {
        let anchor = at("2024-01-31T00:00:00Z");
        assert_eq!(period(anchor, 1, at("2024-02-10T00:00:00Z")), (anchor, at("2024-02-29T00:00:00Z")));
        let march = (at("2024-02-29T00:00:00Z"), at("2024-03-31T00:00:00Z"));
        assert_eq!(period(anchor, 1, at("2024-02-29T00:00:00Z")), march);
        assert_eq!(period(anchor, 12, at("2026-06-01T00:00:00Z")).0, at("2026-01-31T00:00:00Z"));
    }
}
