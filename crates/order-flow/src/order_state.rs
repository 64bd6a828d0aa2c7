//! What order-flow remembers of an order: its stage, what it asked for, what was made for it in other systems.

use crate::{course::Parts, document::OpenCase, effect::Work, follow::Followed, saga::by_others};
use connectors::{
    billing::BillingPlan,
    tax::{LineTax, TaxDocument},
};
use events::{OrderRequested, common::UsageTerms};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStage {
    /// Its tax is being determined; the ERP was not asked yet.
    Pricing,
    /// The ERP was asked.
    #[default]
    Requested,
    /// The ERP refused it; it may still take it after somebody has mended the cause.
    Rejected,
    /// The ERP took it; tax is being committed, and billing made.
    Accepted,
    /// Its contract is active.
    Active,
    /// It is being taken back.
    Cancelling,
    Cancelled,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub order_id: String,
    pub stage: OrderStage,
    /// Systems that take part in it: those that there were when it began.
    #[serde(default)]
    pub parts: Parts,
    pub currency: String,
    pub total_minor: i64,
    /// What was asked for, until the contract is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<OrderRequested>>,
    /// How usage of lines is charged, until the contract is active.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, UsageTerms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp_order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp_order_no: Option<String>,
    /// When the ERP took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<AcceptedAt>,
    /// The customer has access to what the contract says.
    #[serde(default)]
    pub provisioned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<OpenCase>,
    #[serde(default)]
    pub outside: Outside,
    /// The step that the outside system refused last, until it succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedStep>,
    /// Attempts that were made at each step: each has an effect key of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts: BTreeMap<Work, u32>,
    /// Facts that were told of the process.
    #[serde(default)]
    pub facts: i64,
    #[serde(default)]
    pub taken_back: TakenBack,
    /// The ERP was asked to close it.
    #[serde(default)]
    pub cancel_asked: bool,
    /// It is no order of a deal, but what a change of its contract does outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<Box<Followed>>,
}

/// Whether what was begun is taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenBack {
    #[default]
    No,
    Begun,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedAt {
    pub effective_at: Timestamp,
    pub recorded_at: Timestamp,
}

/// What was made for an order in tax engine and billing system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// The billing system's id of the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    pub document: TaxDocument,
    /// The engine's id of it.
    pub id: String,
    pub lines: Vec<LineTax>,
    pub total_tax_minor: i64,
    pub state: TaxState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxState {
    Determined,
    Committed,
    Void,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The billing system's ids.
    pub schedule_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    pub revision: u64,
    pub zone: String,
    /// What bills: a change of it is the whole plan anew. Schedules of earlier versions of this program kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<BillingPlan>>,
    /// The contract was cancelled for this day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_on: Option<Date>,
    /// It was told to end.
    #[serde(default)]
    pub is_ended: bool,
}

/// A step that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStep {
    pub step: Work,
    pub code: String,
    /// Attempts since somebody last looked after it.
    pub attempts: u32,
    /// Whether it is tried again by itself.
    pub is_retried: bool,
}

/// Where a step of an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Done,
    Now,
    Failed,
    ToCome,
}

impl Order {
    /// The steps of an order in their order, each with where it stands. `bills`: the deal has a billing schedule.
    #[must_use]
    pub fn steps(&self, bills: bool) -> Vec<(&'static str, StepState)> {
        let outside = &self.outside;
        let tax = |state| outside.tax.as_ref().is_some_and(|tax| tax.state == state);
        let is_over = matches!(self.stage, OrderStage::Cancelling | OrderStage::Cancelled);
        let bills = bills && self.parts.billing;
        let forward = [
            (self.parts.tax, Work::DetermineTax.as_str(), outside.tax.is_some()),
            (true, by_others::ERP_ORDER, self.erp_order_id.is_some()),
            (self.parts.tax, Work::CommitTax.as_str(), tax(TaxState::Committed)),
            (bills, Work::BillingCustomer.as_str(), outside.customer.is_some()),
            (bills, Work::BillingSchedule.as_str(), outside.schedule.is_some()),
            (true, by_others::ACTIVATION, self.stage == OrderStage::Active),
            (true, by_others::PROVISIONING, self.provisioned),
        ];
        let backward = [
            (outside.schedule.is_some(), Work::CancelSchedule.as_str(), self.is_schedule_ended()),
            (outside.tax.is_some(), Work::VoidTax.as_str(), tax(TaxState::Void)),
            (self.cancel_asked, by_others::CANCEL_ORDER, self.stage == OrderStage::Cancelled),
        ];
        let steps: Vec<_> = match &self.followed {
            Some(change) => self.steps_of_change(change),
            None if is_over => backward.into(),
            None => forward.into(),
        };
        let failed = self.failed.as_ref().map(|failed| failed.step.as_str());
        let failed = failed.or((self.stage == OrderStage::Rejected).then_some(by_others::ERP_ORDER));
        let mut is_first = true;
        let taken = steps.into_iter().filter(|(is_taken, ..)| *is_taken).map(|(_, step, is_done)| {
            let state = match (is_done, failed == Some(step), std::mem::take(&mut is_first)) {
                (true, ..) => {
                    is_first = true;
                    StepState::Done
                }
                (false, true, _) => StepState::Failed,
                (false, false, true) => StepState::Now,
                (false, false, false) => StepState::ToCome,
            };
            (step, state)
        });
        taken.collect()
    }

    fn steps_of_change(&self, change: &Followed) -> Vec<(bool, &'static str, bool)> {
        let tax = self.outside.tax.as_ref();
        let is_done = self.stage == OrderStage::Active;
        if matches!(self.stage, OrderStage::Cancelling | OrderStage::Cancelled) {
            let is_void = tax.is_some_and(|tax| tax.state == TaxState::Void);
            return vec![(tax.is_some(), Work::VoidTax.as_str(), is_void)];
        }
        let is_committed = tax.is_some_and(|tax| tax.state == TaxState::Committed);
        vec![
            (change.is_renewal(), by_others::ERP_ORDER, self.stage != OrderStage::Requested),
            (self.parts.tax, Work::DetermineTax.as_str(), tax.is_some()),
            (self.parts.tax, Work::CommitTax.as_str(), is_committed),
            (self.parts.billing, Work::ChangeSchedule.as_str(), change.is_billed || is_done),
        ]
    }

    /// The contract that comes of it, or that it changes.
    #[must_use]
    pub fn contract_id(&self) -> &str {
        self.followed.as_ref().map_or(&self.order_id, |change| &change.contract_id)
    }

    fn is_schedule_ended(&self) -> bool {
        self.outside.schedule.as_ref().is_none_or(|schedule| schedule.is_ended)
    }

    /// Whether nothing is left outside of what was made for it.
    pub(crate) fn is_undone(&self) -> bool {
        let void = self.outside.tax.as_ref().is_none_or(|tax| tax.state == TaxState::Void);
        void && self.is_schedule_ended()
    }
}
