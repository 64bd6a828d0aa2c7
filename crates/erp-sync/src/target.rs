//! Carries effects out over the connector. What may be sent twice and what must be looked up first is the runtime's business; here
//! each effect becomes one call of one capability.

use crate::{
    effect::ErpEffect,
    plan::{DATED, EXTERNAL_ID, NUMBER},
};
use async_trait::async_trait;
use connectors::{Cause, Erp, NewCharge, Object, Recorded};
use consumer::{Intent, Limits, Receipt, Target};
use failure::Failure;
use futures::future::join_all;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The ERP as the runtime sees it.
pub struct ErpTarget {
    erp: Arc<dyn Erp>,
    visibility: Duration,
}

impl ErpTarget {
    /// `visibility`: how long a record may stay invisible to a look-up after the call that made it.
    #[must_use]
    pub fn new(erp: Arc<dyn Erp>, visibility: Duration) -> Self {
        Self { erp, visibility }
    }

    async fn apply_one(&self, intent: &Intent<ErpEffect>) -> Result<Receipt, Failure> {
        let cause = cause(intent);
        let recorded = match &intent.effect {
            ErpEffect::CreateCustomer { customer } => self.erp.create_customer(&cause, customer).await,
            ErpEffect::UpdateContact { change, .. } => self.erp.update_contact(&cause, change).await,
            ErpEffect::EnableCustomer { scope, .. } => self.erp.enable_customer(&cause, scope).await,
            ErpEffect::AcceptOrder { order, .. } => self.erp.accept_order(&cause, order).await,
            ErpEffect::ChangeOrder { change, .. } => self.erp.change_order(&cause, change).await,
            ErpEffect::PlanRevenue { plan, .. } => self.erp.plan_revenue(&cause, plan).await,
            ErpEffect::ChangeRevenue { plan, .. } => self.erp.change_revenue(&cause, plan).await,
            ErpEffect::ChargeUsage { charge } => self.erp.charge_usage(&cause, charge).await,
            ErpEffect::PostInvoice { invoice, .. } => self.erp.post_invoice(&cause, invoice).await,
            ErpEffect::IssueCreditMemo { credit_memo, .. } => self.erp.issue_credit_memo(&cause, credit_memo).await,
            ErpEffect::ApplyPayment { payment, .. } => self.erp.apply_payment(&cause, payment).await,
            ErpEffect::ChangePayment { change, .. } => self.erp.change_payment(&cause, change).await,
            ErpEffect::Refund { refund, .. } => self.erp.refund(&cause, refund).await,
            ErpEffect::PostJournal { journal, .. } => self.erp.post_journal(&cause, journal).await,
        };
        recorded.map(receipt).map_err(Failure::from)
    }
}

#[async_trait]
impl Target<ErpEffect> for ErpTarget {
    async fn apply(&self, intents: &[Intent<ErpEffect>]) -> Vec<Result<Receipt, Failure>> {
        if let Some(charges) = charges(intents) {
            let answers = self.erp.charge_many(&charges).await;
            return answers.into_iter().map(|answer| answer.map(receipt).map_err(Failure::from)).collect();
        }
        join_all(intents.iter().map(|intent| self.apply_one(intent))).await
    }

    async fn look_up(&self, intent: &Intent<ErpEffect>) -> Result<Option<Receipt>, Failure> {
        let cause = cause(intent);
        let find = |object, ours| self.erp.find(&cause, object, ours);
        let found = match &intent.effect {
            ErpEffect::CreateCustomer { customer } => find(Object::Customer, &customer.account_id).await,
            ErpEffect::UpdateContact { change, .. } => self.erp.find_contact(&cause, change).await,
            ErpEffect::EnableCustomer { scope, .. } => self.erp.find_enabled(&cause, scope).await,
            ErpEffect::AcceptOrder { order, .. } => find(Object::Order, &order.order_id()).await,
            ErpEffect::ChangeOrder { change, .. } => {
                self.erp.find_changed(&cause, Object::Order, &change.order_id).await
            }
            ErpEffect::PlanRevenue { plan, .. } => find(Object::RevenuePlan, &plan.contract_id).await,
            ErpEffect::ChangeRevenue { plan, .. } => {
                self.erp.find_changed(&cause, Object::RevenuePlan, &plan.contract_id).await
            }
            ErpEffect::ChargeUsage { charge } => find(Object::Charge, &charge.charge_id).await,
            ErpEffect::PostInvoice { invoice, .. } => find(Object::Invoice, &invoice.invoice_id).await,
            ErpEffect::IssueCreditMemo { credit_memo, .. } => {
                find(Object::CreditMemo, &credit_memo.credit_note_id).await
            }
            ErpEffect::ApplyPayment { payment, .. } => find(Object::Payment, &payment.payment_id).await,
            ErpEffect::ChangePayment { change, .. } => {
                self.erp.find_changed(&cause, Object::Payment, &change.payment_id).await
            }
            ErpEffect::Refund { refund, .. } => find(Object::Refund, &refund.refund_id).await,
            ErpEffect::PostJournal { journal, .. } => find(Object::Journal, &journal.journal_id).await,
        };
        found.map(|found| found.map(receipt)).map_err(Failure::from)
    }

    fn limits(&self) -> Limits {
        Limits {
            batch: self.erp.most_charges(),
            concurrency: self.erp.concurrency(),
            per_second: None,
            visibility_ms: i64::try_from(self.visibility.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// Several charges, which the ERP takes as one collection.
fn charges(intents: &[Intent<ErpEffect>]) -> Option<Vec<(Cause, NewCharge)>> {
    let charge = |intent: &Intent<ErpEffect>| match &intent.effect {
        ErpEffect::ChargeUsage { charge } => Some((cause(intent), charge.clone())),
        _ => None,
    };
    if intents.len() < 2 { None } else { intents.iter().map(charge).collect() }
}

fn cause(intent: &Intent<ErpEffect>) -> Cause {
    Cause {
        event_id: intent.event_id.clone(),
        correlation_id: intent.correlation_id.clone(),
        account_id: intent.effect.account_id().to_owned(),
        traceparent: intent.traceparent.clone(),
    }
}

/// The same for the call that made the record and for every look-up of it.
fn receipt(recorded: Recorded) -> Receipt {
    let mut details = BTreeMap::from([(EXTERNAL_ID.to_owned(), recorded.external_id)]);
    details.extend(recorded.number.map(|number| (NUMBER.to_owned(), number)));
    details.extend(recorded.redated.map(|dated| (DATED.to_owned(), dated.to_string())));
    Receipt { external_id: recorded.id, details }
}
