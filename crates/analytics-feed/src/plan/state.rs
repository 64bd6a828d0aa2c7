//! The state of a contract and of its recurring lines as it is published, and how its monthly recurring revenue moves.

use super::{
    Plan, Row, Source, add, count,
    mrr::{self, Level, Movement, movements},
    overflow,
};
use crate::document::{Contract, FeedDocument, kind};
use events::{
    AnalyticsContract, AnalyticsMrrMovement, AnalyticsSubscription, Payload, common::ContractStatus,
    topics::ANALYTICS_SUBSCRIPTION,
};
use failure::Failure;
use jiff::civil::Date;

/// Why the revenue moves.
#[derive(Default)]
pub(super) struct Why {
    pub on: Date,
    pub amendment_id: Option<String>,
    pub renewal_id: Option<String>,
    pub reason_code: Option<String>,
}

/// Completes the new state, and publishes what differs from the old one.
pub(super) fn publish<T: Payload>(
    before: Option<&Contract>,
    mut after: Contract,
    source: Source<'_, T>,
    why: &Why,
) -> Result<Plan, Failure> {
    complete(&mut after, before, source.event)?;
    let mut plan = Plan::default();
    plan.state(after.row.clone());
    subscriptions(&mut plan, before, &after);
    let moved = movements(level(before), level(Some(&after)), why.on);
    let line_count = count(moved.len());
    for (movement, line_no) in moved.into_iter().zip(1..) {
        plan.fact(AnalyticsMrrMovement { line_no, line_count, ..row(&after.row, source.id, movement, why) });
    }
    let contract_id = after.row.contract_id.clone();
    plan.put(kind::CONTRACT, &contract_id, FeedDocument::Contract(Box::new(after)));
    Ok(plan)
}

fn row(contract: &AnalyticsContract, source_event_id: &str, movement: Movement, why: &Why) -> AnalyticsMrrMovement {
    AnalyticsMrrMovement {
        account_id: contract.account_id.clone(),
        entity_version: contract.entity_version,
        occurred_at: contract.occurred_at,
        recorded_at: contract.recorded_at,
        legal_entity_id: contract.legal_entity_id.clone(),
        source_event_id: source_event_id.to_owned(),
        contract_id: contract.contract_id.clone(),
        movement: movement.change,
        effective_on: movement.on,
        timezone: contract.timezone.clone(),
        currency: contract.currency.clone(),
        delta_mrr_minor: movement.delta_minor,
        amendment_id: why.amendment_id.clone(),
        renewal_id: why.renewal_id.clone(),
        reason_code: why.reason_code.clone(),
        ..AnalyticsMrrMovement::default()
    }
}

fn level(contract: Option<&Contract>) -> Level {
    contract.map_or_else(Level::default, |contract| Level {
        mrr_minor: contract.row.mrr_minor,
        ends_on: contract.row.ends_on,
        had_any: contract.had_mrr,
    })
}

/// No sum of two revenues leaves 64 bits.
const MOST: u64 = u64::MAX / 8;

/// Fills in what follows from the lines.
fn complete(after: &mut Contract, before: Option<&Contract>, event: &impl Payload) -> Result<(), Failure> {
    let Contract { row, lines, unlined_mrr_minor, suspended, had_mrr, .. } = after;
    row.entity_version = event.entity_version();
    row.occurred_at = event.effective_at();
    row.recorded_at = event.recorded_at();
    row.status = match (row.ends_on, *suspended) {
        (Some(_), _) => ContractStatus::Cancelled,
        (None, true) => ContractStatus::Suspended,
        (None, false) => ContractStatus::Active,
    };
    row.recurring_lines = count(lines.len());
    row.mrr_minor = if *suspended { 0 } else { *unlined_mrr_minor };
    lines.sort_by(|a, b| a.contract_line_id.cmp(&b.contract_line_id));
    for line in lines {
        line.mrr_minor = if *suspended { 0 } else { mrr::of_line(line.amount_minor, row.billing_frequency) };
        add(&mut row.mrr_minor, line.mrr_minor)?;
        line.status = row.status;
        line.ends_on = [line.ends_on, row.ends_on].into_iter().flatten().min();
        stamp(line, before.and_then(|before| find(before, &line.subscription_id)), row);
    }
    *had_mrr |= row.mrr_minor != 0;
    if row.mrr_minor.unsigned_abs() > MOST { Err(overflow()) } else { Ok(()) }
}

/// A line that did not change keeps the version and the times that it had.
fn stamp(line: &mut AnalyticsSubscription, old: Option<&AnalyticsSubscription>, row: &AnalyticsContract) {
    if let Some(old) = old {
        (line.entity_version, line.occurred_at, line.recorded_at) =
            (old.entity_version, old.occurred_at, old.recorded_at);
    }
    if old != Some(line) {
        (line.entity_version, line.occurred_at, line.recorded_at) =
            (row.entity_version, row.occurred_at, row.recorded_at);
    }
}

fn find<'a>(contract: &'a Contract, subscription_id: &str) -> Option<&'a AnalyticsSubscription> {
    contract.lines.iter().find(|line| line.subscription_id == subscription_id)
}

fn subscriptions(plan: &mut Plan, before: Option<&Contract>, after: &Contract) {
    let at_ms = after.row.occurred_at.as_millisecond();
    let was_there = before.filter(|before| !before.ended);
    for old in was_there.into_iter().flat_map(|before| &before.lines) {
        if after.ended || find(after, &old.subscription_id).is_none() {
            plan.rows.push(over(old, at_ms));
        }
    }
    if after.ended {
        return;
    }
    for line in &after.lines {
        if was_there.and_then(|before| find(before, &line.subscription_id)) != Some(line) {
            plan.state(line.clone());
        }
    }
}

pub(super) fn over(line: &AnalyticsSubscription, at_ms: i64) -> Row {
    Row::Deleted { topic: ANALYTICS_SUBSCRIPTION, key: line.subscription_id.clone(), at_ms }
}
