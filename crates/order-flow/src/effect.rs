//! What order-flow sends to tax engine and billing system, as plain data: what is journalled is what is sent.

use connectors::{
    billing::{BillingCustomer, BillingPlan, ScheduleEnd, ScheduleRef},
    tax::{TaxDocument, TaxQuestion},
};
use serde::{Deserialize, Serialize};

/// Work queue of those who know tax.
pub(crate) const TAX_QUEUE: &str = "tax";

/// A step that an outside system takes. The serde names are stored and told: add, never rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    DetermineTax,
    CommitTax,
    BillingCustomer,
    BillingSchedule,
    CancelSchedule,
    VoidTax,
    ChangeSchedule,
}

impl Work {
    /// In the order of a process.
    pub(crate) const ALL: [Self; 7] = [
        Self::DetermineTax,
        Self::CommitTax,
        Self::BillingCustomer,
        Self::BillingSchedule,
        Self::ChangeSchedule,
        Self::CancelSchedule,
        Self::VoidTax,
    ];

    /// As `compensation.yaml` and `saga.step` name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DetermineTax => "determine_tax",
            Self::CommitTax => "commit_tax",
            Self::BillingCustomer => "billing_customer",
            Self::BillingSchedule => "billing_schedule",
            Self::ChangeSchedule => "change_schedule",
            Self::CancelSchedule => "cancel_schedule",
            Self::VoidTax => "void_tax",
        }
    }

    /// Who mends it where the refusal names nobody.
    #[must_use]
    pub const fn owner(self) -> &'static str {
        match self {
            Self::DetermineTax | Self::CommitTax | Self::VoidTax => TAX_QUEUE,
            Self::BillingCustomer | Self::BillingSchedule | Self::ChangeSchedule | Self::CancelSchedule => {
                "billing-operations"
            }
        }
    }
}

/// The order (of a deal, or that a change of a contract is) an effect is for, and which attempt at its step it is: a refused attempt is over, the next has a key of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct For {
    pub account_id: String,
    pub order_id: String,
    pub attempt: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowEffect {
    #[serde(rename = "for")]
    pub order: For,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", content = "of", rename_all = "snake_case")]
pub enum Change {
    DetermineTax(Box<TaxQuestion>),
    CommitTax(TaxDocument),
    VoidTax(TaxDocument),
    BillingCustomer(BillingCustomer),
    BillingSchedule(Box<BillingPlan>),
    ChangeSchedule(Box<ScheduleChange>),
    CancelSchedule(ScheduleEnd),
}

/// The whole new state of a schedule that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleChange {
    pub schedule: ScheduleRef,
    pub plan: BillingPlan,
}

pub(crate) fn effect_key(work: Work, order_id: &str, attempt: u32) -> String {
    format!("{}:{order_id}:{attempt}", work.as_str())
}

impl FlowEffect {
    #[must_use]
    pub const fn work(&self) -> Work {
        match self.change {
            Change::DetermineTax(_) => Work::DetermineTax,
            Change::CommitTax(_) => Work::CommitTax,
            Change::VoidTax(_) => Work::VoidTax,
            Change::BillingCustomer(_) => Work::BillingCustomer,
            Change::BillingSchedule(_) => Work::BillingSchedule,
            Change::ChangeSchedule(_) => Work::ChangeSchedule,
            Change::CancelSchedule(_) => Work::CancelSchedule,
        }
    }
}

impl consumer::Effect for FlowEffect {
    fn key(&self) -> String {
        effect_key(self.work(), &self.order.order_id, self.order.attempt)
    }

    fn entity(&self) -> String {
        match &self.change {
            Change::DetermineTax(question) => format!("tax:{}", question.document.document_id),
            Change::CommitTax(document) | Change::VoidTax(document) => format!("tax:{}", document.document_id),
            Change::BillingCustomer(customer) => format!("customer:{}", customer.customer_id()),
            Change::BillingSchedule(plan) => format!("schedule:{}", plan.contract_id),
            Change::ChangeSchedule(change) => format!("schedule:{}", change.plan.contract_id),
            Change::CancelSchedule(end) => format!("schedule:{}", end.schedule.contract_id),
        }
    }

    fn collection(&self) -> Option<&'static str> {
        None
    }

    fn reports(&self) -> bool {
        true
    }

    /// A refusal is a step of the process, too: it decides what follows.
    fn answers(&self) -> bool {
        true
    }
}
