//! Carries effects out over the connectors. What may be sent twice and what must be looked up first is the runtime's business.

use crate::effect::{Change, FlowEffect};
use async_trait::async_trait;
use connectors::{
    Cause, Error, Recorded,
    billing::{Billing, Scheduled},
    tax::{TaxAnswer, TaxEngine},
};
use consumer::{Effect as _, Intent, Limits, Receipt, Target};
use failure::Failure;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Where a receipt keeps the tax of each line.
pub(crate) const ANSWER: &str = "answer";
/// Where a receipt keeps what bills, if it does already.
pub(crate) const SUBSCRIPTION: &str = "subscription";

/// Tax engine and billing system as the runtime sees them.
pub struct OutsideTarget {
    tax: Option<Arc<dyn TaxEngine>>,
    billing: Option<Arc<dyn Billing>>,
    visibility: Duration,
}

impl OutsideTarget {
    /// `visibility`: how long a change may stay invisible to a look-up after the call that made it.
    #[must_use]
    pub fn new(tax: Option<Arc<dyn TaxEngine>>, billing: Option<Arc<dyn Billing>>, visibility: Duration) -> Self {
        Self { tax, billing, visibility }
    }

    // What was begun before a system was switched off waits until it is switched on again: nothing is left half done silently.
    fn tax(&self) -> Result<&dyn TaxEngine, Failure> {
        let reason = "a tax document is to be changed, and no tax engine is configured; set [tax] enabled = true";
        self.tax.as_deref().ok_or_else(|| Failure::dependency("TAX_UNAVAILABLE", reason))
    }

    fn billing(&self) -> Result<&dyn Billing, Failure> {
        let reason = "billing is to be changed, and no billing system is configured; set [billing] enabled = true";
        self.billing.as_deref().ok_or_else(|| Failure::dependency("BILLING_UNAVAILABLE", reason))
    }

    async fn send(&self, intent: &Intent<FlowEffect>) -> Result<Receipt, Failure> {
        let (cause, key) = (cause(intent), intent.effect.key());
        match &intent.effect.change {
            Change::DetermineTax(question) => {
                determined(self.tax()?.determine_tax(&cause, &key, question).await.map_err(Failure::from)?)
            }
            Change::CommitTax(document) => plain(self.tax()?.commit_tax(&cause, &key, document).await),
            Change::VoidTax(document) => {
                let voided = self.tax()?.void_tax(&cause, &key, document).await;
                plain(voided.map(|id| id.unwrap_or_else(|| document.document_id.clone())))
            }
            Change::BillingCustomer(customer) => {
                let made = self.billing()?.ensure_customer(&cause, customer).await;
                made.map(recorded).map_err(Failure::from)
            }
            Change::BillingSchedule(plan) => {
                let made = self.billing()?.create_schedule(&cause, &key, plan).await;
                made.map(scheduled).map_err(Failure::from)
            }
            Change::ChangeSchedule(change) => {
                let made = self.billing()?.change_schedule(&cause, &key, &change.schedule, &change.plan).await;
                made.map(scheduled).map_err(Failure::from)
            }
            Change::CancelSchedule(end) => {
                let ended = self.billing()?.cancel_schedule(&cause, &key, end).await;
                ended.map(scheduled).map_err(Failure::from)
            }
        }
    }

    async fn find(&self, intent: &Intent<FlowEffect>) -> Result<Option<Receipt>, Failure> {
        let cause = cause(intent);
        match &intent.effect.change {
            Change::DetermineTax(question) => {
                let found = self.tax()?.find_determined(&cause, question).await.map_err(Failure::from)?;
                found.map(determined).transpose()
            }
            Change::CommitTax(document) => perhaps(self.tax()?.find_committed(&cause, document).await, bare),
            Change::VoidTax(document) => perhaps(self.tax()?.find_voided(&cause, document).await, bare),
            Change::BillingCustomer(customer) => {
                perhaps(self.billing()?.find_customer(&cause, customer).await, recorded)
            }
            Change::BillingSchedule(plan) => perhaps(self.billing()?.find_schedule(&cause, plan).await, scheduled),
            Change::ChangeSchedule(change) => {
                perhaps(self.billing()?.find_schedule(&cause, &change.plan).await, scheduled)
            }
            Change::CancelSchedule(end) => perhaps(self.billing()?.find_end(&cause, end).await, scheduled),
        }
    }
}

#[async_trait]
impl Target<FlowEffect> for OutsideTarget {
    async fn apply(&self, intents: &[Intent<FlowEffect>]) -> Vec<Result<Receipt, Failure>> {
        let mut answers = Vec::with_capacity(intents.len());
        for intent in intents {
            answers.push(self.send(intent).await);
        }
        answers
    }

    async fn look_up(&self, intent: &Intent<FlowEffect>) -> Result<Option<Receipt>, Failure> {
        self.find(intent).await
    }

    fn limits(&self) -> Limits {
        let tax = self.tax.as_deref().map(|tax| tax.concurrency());
        let billing = self.billing.as_deref().map(|billing| billing.concurrency());
        Limits {
            batch: 1,
            concurrency: tax.into_iter().chain(billing).min().unwrap_or(1),
            per_second: None,
            visibility_ms: i64::try_from(self.visibility.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

fn cause(intent: &Intent<FlowEffect>) -> Cause {
    Cause {
        event_id: intent.event_id.clone(),
        correlation_id: intent.correlation_id.clone(),
        account_id: intent.effect.order.account_id.clone(),
        traceparent: intent.traceparent.clone(),
    }
}

fn bare(external_id: String) -> Receipt {
    Receipt { external_id, details: BTreeMap::new() }
}

fn plain(id: Result<String, Error>) -> Result<Receipt, Failure> {
    id.map(bare).map_err(Failure::from)
}

fn perhaps<T>(found: Result<Option<T>, Error>, receipt: fn(T) -> Receipt) -> Result<Option<Receipt>, Failure> {
    found.map(|found| found.map(receipt)).map_err(Failure::from)
}

fn recorded(made: Recorded) -> Receipt {
    bare(made.id)
}

fn scheduled(made: Scheduled) -> Receipt {
    let subscription = made.subscription_id.map(|id| (SUBSCRIPTION.to_owned(), id));
    Receipt { external_id: made.schedule_id, details: subscription.into_iter().collect() }
}

fn determined(answer: TaxAnswer) -> Result<Receipt, Failure> {
    let text = serde_json::to_string(&answer)
        .map_err(|error| Failure::bug("INVARIANT_BROKEN", format!("a tax answer does not serialise: {error}")))?;
    Ok(Receipt { external_id: answer.id, details: BTreeMap::from([(ANSWER.to_owned(), text)]) })
}
