//! What happens to the process of an order, told as facts in the transaction of each step.

use crate::{
    document::{Order, TaxState},
    step::Step,
};
use events::{
    SagaStep,
    common::{ExternalId, SagaKind},
};
use std::time::Duration;

/// Steps that no effect of ours takes: other services do, and answer.
pub(crate) mod by_others {
    pub(crate) const ERP_ORDER: &str = "erp_order";
    pub(crate) const ACTIVATION: &str = "activation";
    pub(crate) const PROVISIONING: &str = "provisioning";
    pub(crate) const CANCEL_ORDER: &str = "cancel_order";
    pub(crate) const CANCEL_CONTRACT: &str = "cancel_contract";
}

/// One fact, before it has its place in the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact<'a> {
    kind: SagaKind,
    step: Option<&'a str>,
    attempt: u32,
    reason: Option<&'a str>,
    owner: Option<&'a str>,
    retry_after: Option<Duration>,
}

impl<'a> Fact<'a> {
    /// About the whole process.
    pub(crate) const fn of_all(kind: SagaKind) -> Self {
        Self { kind, step: None, attempt: 1, reason: None, owner: None, retry_after: None }
    }

    pub(crate) const fn succeeded(step: &'a str, attempt: u32) -> Self {
        Self { step: Some(step), attempt, ..Self::of_all(SagaKind::StepSucceeded) }
    }

    pub(crate) const fn failed(step: &'a str, attempt: u32, reason: &'a str) -> Self {
        Self { step: Some(step), attempt, reason: Some(reason), ..Self::of_all(SagaKind::StepFailed) }
    }

    /// It waits for its owner.
    pub(crate) const fn stuck(step: &'a str, reason: &'a str) -> Self {
        Self { step: Some(step), reason: Some(reason), ..Self::of_all(SagaKind::Stuck) }
    }

    pub(crate) const fn compensating(reason: &'a str) -> Self {
        Self { reason: Some(reason), ..Self::of_all(SagaKind::Compensating) }
    }

    pub(crate) const fn owned_by(self, owner: &'a str) -> Self {
        Self { owner: Some(owner), ..self }
    }

    pub(crate) const fn retried(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    pub(crate) fn of(&self, step: &Step<'_>, order: &Order, entity: &str) -> SagaStep {
        let deal = &step.deal;
        SagaStep {
            account_id: deal.account_id.clone(),
            entity_version: order.facts,
            effective_at: step.times.effective_at,
            recorded_at: step.times.recorded_at,
            legal_entity_id: entity.to_owned(),
            process_id: order.order_id.clone(),
            opportunity_id: Some(deal.opportunity_id.clone()),
            order_id: Some(order.order_id.clone()),
            contract_id: Some(order.contract_id().to_owned()),
            kind: self.kind,
            step: self.step.map(str::to_owned),
            attempt: i32::try_from(self.attempt.max(1)).unwrap_or(i32::MAX),
            // Of an order: how long it takes from the deal on is its own measure.
            won_at: deal.won_at.filter(|_| order.followed.is_none()),
            documents: documents(order),
            reason_code: self.reason.map(str::to_owned),
            owner_queue: self.owner.map(str::to_owned),
            retry_after_s: self.retry_after.map(|wait| i64::try_from(wait.as_secs()).unwrap_or(i64::MAX)),
            currency: order.currency.clone(),
            amount_minor: order.total_minor,
            policy_version: deal.verdict.version.clone(),
            correlation_id: step.cause.correlation_id.clone(),
        }
    }
}

/// Everything that was made for an order in other systems, by its id there. What was voided is not there any more.
#[must_use]
pub fn documents(order: &Order) -> Vec<ExternalId> {
    let named = |system: &str, object: &str, id: &str| ExternalId {
        system: system.to_owned(),
        environment: None,
        object: object.to_owned(),
        id: id.to_owned(),
    };
    let outside = &order.outside;
    let tax = outside.tax.as_ref().filter(|tax| tax.state != TaxState::Void);
    let schedule = outside.schedule.as_ref();
    let all = [
        order.erp_order_id.as_ref().map(|id| named("erp", "order", id)),
        tax.map(|tax| named("tax", "document", &tax.id)),
        outside.customer.as_ref().map(|id| named("billing", "customer", id)),
        schedule.map(|schedule| named("billing", "schedule", &schedule.schedule_id)),
        schedule
            .and_then(|schedule| schedule.subscription_id.as_deref())
            .map(|id| named("billing", "subscription", id)),
    ];
    all.into_iter().flatten().collect()
}
