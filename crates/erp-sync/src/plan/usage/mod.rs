//! `usage.rated`: added up here, charged in the ERP as often as the policy says.
//!
//! A million events become one charge a contract, meter and month: when the month is over for the days of grace and usage of a later
//! month shows it, when the clock does, or when as many events wait as the policy allows. What comes after a month was charged waits
//! for the clock, and becomes a further charge of that month. Σ charged + Σ waiting is Σ of the events, at any moment.

mod month;
mod post;

pub use post::timer;

use super::{Decision, Place, day_in, version};
use crate::{
    document::{self, Contract, ErpDocument, Known, Usage, UsageBatch, kind},
    mapping::Mapping,
};
use events::UsageRated;
use failure::Failure;
use ledger::DocumentKey;
use month::{Addition, add};

/// The document that usage of this kind is added up in.
fn bucket(event: &UsageRated) -> String {
    format!("{}|{}|{}", event.contract_id, event.meter, event.product_id)
}

/// # Errors
/// A version out of order, a contract without order, a batch to be corrected that is not there or was corrected before, anything that the
/// mapping does not name.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &UsageRated, now_ms: i64) -> Result<Decision, Failure> {
    let batch = known.usage_batch(&event.usage_batch_id);
    version::next(&event.usage_batch_id, batch.map(|batch| batch.entity_version), event.entity_version)?;
    let contract = ordered(known, event)?;
    mappable(mapping, event)?;
    let corrected = corrected(known, event)?;
    let key = bucket(event);
    let mut usage = known.usage(&key).cloned().unwrap_or_else(|| new(event));
    same_currency(&usage.currency, event)?;
    let before = batch.or(corrected.map(|(_, batch)| batch));
    let addition = Addition {
        events: 1,
        quantity: event.overage_quantity - before.map(|batch| batch.quantity).unwrap_or_default(),
        amount_minor: event.amount_minor - before.map_or(0, |batch| batch.amount_minor),
    };
    add(&mut usage, event.period.start_on, &addition);
    let mut decision = Decision::new();
    if let Some((id, old)) = corrected {
        let replaced = UsageBatch { replaced_by: Some(event.usage_batch_id.clone()), ..old.clone() };
        decision = decision.put(kind::USAGE_BATCH, id, ErpDocument::UsageBatch(replaced));
    }
    decision = post::due_by_event(
        mapping,
        decision,
        &mut usage,
        contract,
        event,
        day_in(event.effective_at, &event.period.timezone),
    )?;
    decision = post::watch(mapping, decision, &key, &mut usage, now_ms);
    let batch = UsageBatch {
        account_id: event.account_id.clone(),
        entity_version: event.entity_version,
        currency: event.currency.clone(),
        quantity: event.overage_quantity,
        amount_minor: event.amount_minor,
        replaced_by: None,
    };
    Ok(decision.put(kind::USAGE, key, ErpDocument::Usage(usage)).put(
        kind::USAGE_BATCH,
        &event.usage_batch_id,
        ErpDocument::UsageBatch(batch),
    ))
}

fn new(event: &UsageRated) -> Usage {
    Usage {
        account_id: event.account_id.clone(),
        contract_id: event.contract_id.clone(),
        legal_entity_id: event.legal_entity_id.clone(),
        meter: event.meter.clone(),
        product_id: event.product_id.clone(),
        currency: event.currency.clone(),
        months: std::collections::BTreeMap::new(),
        is_watched: false,
    }
}

/// A charge is billed with its order, so the order is there first.
fn ordered<'a>(known: Known<'a>, event: &UsageRated) -> Result<&'a Contract, Failure> {
    known.contract(&event.contract_id).filter(|contract| contract.erp.is_some()).ok_or_else(|| {
        let reason = format!("contract `{}` of usage `{}` has no order yet", event.contract_id, event.usage_batch_id);
        Failure::not_yet("CONTRACT_NOT_ACTIVE", &event.contract_id, reason).at_field("contract_id")
    })
}

/// What cannot be mapped is refused with the event that brings it, not with the charge weeks later.
fn mappable(mapping: &Mapping, event: &UsageRated) -> Result<(), Failure> {
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    mapping
        .item("usage", place.entity, &event.product_id, None)
        .map(drop)
        .map_err(|failure| failure.at_field("product_id"))
}

fn same_currency(there: &str, event: &UsageRated) -> Result<(), Failure> {
    if there == event.currency {
        return Ok(());
    }
    let reason =
        format!("usage of contract `{}` is charged in {there}, this is in {}", event.contract_id, event.currency);
    Err(Failure::business("CURRENCY_DIFFERS", connectors::queue::FINANCE, reason).at_field("currency"))
}

/// The batch that this one replaces. Each is replaced once: two corrections of one batch would be counted twice.
fn corrected<'a>(known: Known<'a>, event: &'a UsageRated) -> Result<Option<(&'a str, &'a UsageBatch)>, Failure> {
    const FIELD: &str = "corrects_usage_batch_id";
    let Some(id) = event.corrects_usage_batch_id.as_deref() else { return Ok(None) };
    let batch = known.usage_batch(id).ok_or_else(|| {
        let reason = format!("usage `{id}` that `{}` corrects is not there yet", event.usage_batch_id);
        Failure::not_yet("USAGE_NOT_RATED", id, reason).at_field(FIELD)
    })?;
    match &batch.replaced_by {
        Some(other) if *other != event.usage_batch_id => {
            let reason = format!("usage `{id}` was corrected by `{other}` already: correct that one");
            Err(Failure::contract("FIELD_INVALID", reason).at_field(FIELD))
        }
        // A later version of the correction replaces the correction itself.
        Some(_) => Ok(None),
        None => {
            same_currency(&batch.currency, event)?;
            Ok(Some((id, batch)))
        }
    }
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &UsageRated) -> Vec<DocumentKey> {
    let mut keys = vec![
        document::key(kind::CONTRACT, &event.contract_id),
        document::key(kind::USAGE, &bucket(event)),
        document::key(kind::USAGE_BATCH, &event.usage_batch_id),
    ];
    keys.extend(event.corrects_usage_batch_id.iter().map(|id| document::key(kind::USAGE_BATCH, id)));
    keys
}

/// As [`reads`], for a timer.
#[must_use]
pub fn reads_of_timer(payload: &serde_json::Value) -> Vec<DocumentKey> {
    let text = |name: &str| payload.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    vec![document::key(kind::USAGE, text("usage")), document::key(kind::CONTRACT, text("contract"))]
}

#[cfg(test)]
mod tests;
