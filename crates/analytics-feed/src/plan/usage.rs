//! Usage. A batch that replaces an earlier one takes it back with a row of its own.

use super::{Plan, Source, negated, version};
use crate::document::{FeedDocument, Known, Usage, key, kind};
use events::{AnalyticsUsage, UsageRated, common::UsageEntry};
use failure::Failure;
use ledger::DocumentKey;

#[must_use]
pub fn reads(event: &UsageRated) -> Vec<DocumentKey> {
    let batches = [Some(&event.usage_batch_id), event.corrects_usage_batch_id.as_ref()];
    batches.into_iter().flatten().map(|batch| key(kind::USAGE, batch)).collect()
}

/// # Errors
/// A version out of order, or a batch that is replaced twice; a replaced batch that is not there yet is awaited.
pub fn plan(known: Known<'_>, source: Source<'_, UsageRated>) -> Result<Plan, Failure> {
    let event = source.event;
    let before = known.usage(&event.usage_batch_id).map(|usage| usage.row.entity_version);
    version::first(&event.usage_batch_id, before, event.entity_version)?;
    let mut plan = Plan::default();
    if let Some(replaced) = &event.corrects_usage_batch_id {
        take_back(&mut plan, known, source, replaced)?;
    }
    let row = AnalyticsUsage {
        account_id: source.account(),
        entity_version: event.entity_version,
        occurred_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: source.entity(),
        source_event_id: source.id.to_owned(),
        usage_batch_id: event.usage_batch_id.clone(),
        entry: UsageEntry::Rated,
        replaces_usage_batch_id: event.corrects_usage_batch_id.clone(),
        contract_id: event.contract_id.clone(),
        contract_line_id: event.contract_line_id.clone(),
        product_id: event.product_id.clone(),
        meter: event.meter.clone(),
        period_start_on: event.period.start_on,
        period_end_on: event.period.end_on,
        timezone: event.period.timezone.clone(),
        quantity: event.quantity,
        unit: event.unit.clone(),
        included_quantity: event.included_quantity,
        overage_quantity: event.overage_quantity,
        currency: event.currency.clone(),
        amount_minor: event.amount_minor,
        late_arriving: event.late_arriving,
        rating_version: event.rating_version.clone(),
        ..AnalyticsUsage::default()
    };
    plan.fact(row.clone());
    let usage = Usage { row, replaced_by: None };
    plan.put(kind::USAGE, &event.usage_batch_id, FeedDocument::Usage(Box::new(usage)));
    Ok(plan)
}

fn take_back(plan: &mut Plan, known: Known<'_>, source: Source<'_, UsageRated>, replaced: &str) -> Result<(), Failure> {
    let field = "corrects_usage_batch_id";
    let event = source.event;
    let Some(batch) = known.usage(replaced) else {
        let reason = format!("batch `{replaced}`, which this one replaces, is not there yet");
        return Err(Failure::not_yet("USAGE_NOT_RATED", replaced, reason).at_field(field));
    };
    if let Some(other) = &batch.replaced_by {
        let reason = format!("batch `{replaced}` is replaced by `{other}` already");
        return Err(Failure::contract("FIELD_INVALID", reason).at_field(field));
    }
    plan.fact(AnalyticsUsage {
        entity_version: event.entity_version,
        occurred_at: event.effective_at,
        recorded_at: event.recorded_at,
        source_event_id: source.id.to_owned(),
        entry: UsageEntry::Reversed,
        replaced_by_usage_batch_id: Some(event.usage_batch_id.clone()),
        quantity: -batch.row.quantity,
        included_quantity: -batch.row.included_quantity,
        overage_quantity: -batch.row.overage_quantity,
        amount_minor: negated(batch.row.amount_minor)?,
        ..batch.row.clone()
    });
    let taken = Usage { replaced_by: Some(event.usage_batch_id.clone()), ..batch.clone() };
    plan.put(kind::USAGE, replaced, FeedDocument::Usage(Box::new(taken)));
    Ok(())
}
