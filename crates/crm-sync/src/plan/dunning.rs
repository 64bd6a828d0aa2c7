//! Payments that fail: one task for people at each step of dunning, whatever else is tried or repeated.

use super::{Decision, account, currency, day, subject, version_of};
use crate::{
    document::{CrmDocument, Dunning, Known, key, kind},
    effect::CrmEffect,
};
use connectors::CollectionTask;
use events::{PaymentFailed, version};
use failure::Failure;
use ledger::DocumentKey;
use std::collections::BTreeSet;

/// # Errors
/// A version out of order, or an account that is not there yet.
pub fn failed(known: Known<'_>, event: &PaymentFailed) -> Result<Decision, Failure> {
    version::next(&event.payment_id, version_of(known, kind::PAYMENT, &event.payment_id), event.entity_version)?;
    account(known, event)?;
    let payment = subject(event, "failed", None);
    let Some(step) = event.dunning_step else {
        return Ok(Decision::skip("no step of dunning has begun").put(kind::PAYMENT, &event.payment_id, payment));
    };
    let mut steps = known.dunning(&event.invoice_id).map_or_else(BTreeSet::new, |dunning| dunning.steps.clone());
    if !steps.insert(step) {
        let rule = "there is one task for each step of dunning";
        return Ok(Decision::skip(rule).put(kind::PAYMENT, &event.payment_id, payment));
    }
    let task = CollectionTask {
        account_id: event.account_id.clone(),
        invoice_id: event.invoice_id.clone(),
        dunning_step: step,
        currency: currency(&event.currency)?,
        amount_minor: event.amount_minor,
        next_attempt_on: event.next_attempt_at.map(|at| day(at, "UTC")),
        failure_code: event.failure_code.clone(),
    };
    let dunning = CrmDocument::Dunning(Dunning { account_id: event.account_id.clone(), steps });
    Ok(Decision::new().effect(CrmEffect::OpenTask { task }).put(kind::PAYMENT, &event.payment_id, payment).put(
        kind::DUNNING,
        &event.invoice_id,
        dunning,
    ))
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &PaymentFailed) -> Vec<DocumentKey> {
    vec![
        key(kind::ACCOUNT, &event.account_id),
        key(kind::PAYMENT, &event.payment_id),
        key(kind::DUNNING, &event.invoice_id),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{activated, failed, kept, sent};

    #[test]
    fn each_step_of_dunning_makes_one_task_however_often_the_payment_fails() {
        let mut events = vec![activated("a-1", "c-1").into()];
        let attempts =
            [failed("a-1", "p-1", 1, Some(1)), failed("a-1", "p-1", 2, Some(1)), failed("a-1", "p-1", 3, Some(2))];
        let mut tasks = Vec::new();
        for attempt in attempts {
            tasks.extend(sent(&kept(&events), &attempt.clone().into()));
            events.push(attempt.into());
        }
        let ids: Vec<String> = tasks.iter().map(consumer::Effect::key).collect();
        assert_eq!(ids, ["task:i-1/step-1:open", "task:i-1/step-2:open"]);
        assert!(sent(&kept(&events), &failed("a-1", "p-1", 4, None).into()).is_empty());
    }
}
