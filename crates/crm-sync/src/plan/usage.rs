//! Usage that crossed a threshold.

use super::{Decision, account, subject, version_of};
use crate::{
    document::{Known, key, kind},
    effect::CrmEffect,
};
use connectors::UsageShown;
use events::{UsageThresholdExceeded, version};
use failure::Failure;
use ledger::DocumentKey;

/// # Errors
/// A version out of order, or an account that is not there yet.
pub fn crossed(known: Known<'_>, event: &UsageThresholdExceeded) -> Result<Decision, Failure> {
    let id = &event.threshold_id;
    version::next(id, version_of(known, kind::THRESHOLD, id), event.entity_version)?;
    account(known, event)?;
    let usage = UsageShown {
        threshold_id: id.clone(),
        account_id: event.account_id.clone(),
        contract_id: event.contract_id.clone(),
        meter: event.meter.clone(),
        unit: event.unit.clone(),
        period_start_on: event.period.start_on,
        period_end_on: event.period.end_on,
        observed: event.observed_value,
        threshold: event.threshold_value,
        threshold_type: event.threshold_type.to_string(),
        action: event.action.to_string(),
        first_crossed_at: event.first_crossed_at,
    };
    Ok(Decision::new().effect(CrmEffect::ShowUsage { usage, version: event.entity_version }).put(
        kind::THRESHOLD,
        id,
        subject(event, "crossed", None),
    ))
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &UsageThresholdExceeded) -> Vec<DocumentKey> {
    vec![key(kind::ACCOUNT, &event.account_id), key(kind::THRESHOLD, &event.threshold_id)]
}
