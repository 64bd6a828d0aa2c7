//! The changes erp-sync makes in the ERP, as plain data: what is journalled is what is sent.

use connectors::{
    ContactChange, CustomerScope, NewCharge, NewCreditMemo, NewCustomer, NewInvoice, NewJournal, NewOrder, NewPayment,
    NewRefund, OrderChange, PaymentChange, RevenuePlan,
};
use serde::{Deserialize, Serialize};

/// One change. The serde names are stored in the journal: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum ErpEffect {
    CreateCustomer {
        customer: NewCustomer,
    },
    /// `contract_id` and `version` name the event that brought the new data.
    UpdateContact {
        change: ContactChange,
        contract_id: String,
        version: i64,
    },
    /// `of` names the document that needs it.
    EnableCustomer {
        scope: CustomerScope,
        of: String,
    },
    AcceptOrder {
        order: NewOrder,
        version: i64,
    },
    ChangeOrder {
        change: OrderChange,
        version: i64,
    },
    PlanRevenue {
        plan: RevenuePlan,
        version: i64,
    },
    ChangeRevenue {
        plan: RevenuePlan,
        version: i64,
    },
    ChargeUsage {
        charge: NewCharge,
    },
    PostInvoice {
        invoice: NewInvoice,
        version: i64,
    },
    IssueCreditMemo {
        credit_memo: NewCreditMemo,
        version: i64,
    },
    ApplyPayment {
        payment: NewPayment,
        version: i64,
    },
    ChangePayment {
        change: PaymentChange,
        version: i64,
    },
    Refund {
        refund: NewRefund,
        version: i64,
    },
    PostJournal {
        journal: NewJournal,
        version: i64,
    },
}

impl ErpEffect {
    /// The account it belongs to.
    #[must_use]
    pub fn account_id(&self) -> &str {
        match self {
            Self::CreateCustomer { customer } => &customer.account_id,
            Self::UpdateContact { change, .. } => &change.account_id,
            Self::EnableCustomer { scope, .. } => &scope.account_id,
            Self::AcceptOrder { order, .. } => &order.header.account_id,
            Self::ChangeOrder { change, .. } => &change.account_id,
            Self::PlanRevenue { plan, .. } | Self::ChangeRevenue { plan, .. } => &plan.header.account_id,
            Self::ChargeUsage { charge } => &charge.header.account_id,
            Self::PostInvoice { invoice, .. } => &invoice.header.account_id,
            Self::IssueCreditMemo { credit_memo, .. } => &credit_memo.header.account_id,
            Self::ApplyPayment { payment, .. } => &payment.header.account_id,
            Self::ChangePayment { change, .. } => &change.account_id,
            Self::Refund { refund, .. } => &refund.header.account_id,
            Self::PostJournal { journal, .. } => &journal.header.account_id,
        }
    }
}

/// Deterministic keys, shared with the reading of receipts.
pub mod key {
    #[must_use]
    pub fn customer(account_id: &str) -> String {
        format!("customer:{account_id}:create")
    }

    #[must_use]
    pub fn order(contract_id: &str, version: i64) -> String {
        format!("order:{contract_id}:v{version}:create")
    }

    #[must_use]
    pub fn revenue(contract_id: &str, version: i64) -> String {
        format!("revenue_plan:{contract_id}:v{version}:create")
    }

    #[must_use]
    pub fn invoice(invoice_id: &str, version: i64) -> String {
        format!("invoice:{invoice_id}:v{version}:create")
    }

    #[must_use]
    pub fn credit_memo(credit_note_id: &str, version: i64) -> String {
        format!("credit_memo:{credit_note_id}:v{version}:create")
    }

    #[must_use]
    pub fn journal(journal_id: &str, version: i64) -> String {
        format!("journal:{journal_id}:v{version}:create")
    }

    #[must_use]
    pub fn payment(payment_id: &str, version: i64) -> String {
        format!("payment:{payment_id}:v{version}:create")
    }
}

impl consumer::Effect for ErpEffect {
    fn key(&self) -> String {
        match self {
            Self::CreateCustomer { customer } => key::customer(&customer.account_id),
            Self::UpdateContact { change, contract_id, version } => {
                format!("customer:{}:contact:{contract_id}:v{version}:update", change.account_id)
            }
            Self::EnableCustomer { scope, of } => format!("customer:{}:enable:{of}", scope.account_id),
            Self::AcceptOrder { order, version } => key::order(&order.contract_id, *version),
            Self::ChangeOrder { change, version } => format!("order:{}:v{version}:change", change.order_id),
            Self::PlanRevenue { plan, version } => key::revenue(&plan.contract_id, *version),
            Self::ChangeRevenue { plan, version } => format!("revenue_plan:{}:v{version}:change", plan.contract_id),
            Self::ChargeUsage { charge } => format!("charge:{}:create", charge.charge_id),
            Self::PostInvoice { invoice, version } => key::invoice(&invoice.invoice_id, *version),
            Self::IssueCreditMemo { credit_memo, version } => key::credit_memo(&credit_memo.credit_note_id, *version),
            Self::ApplyPayment { payment, version } => key::payment(&payment.payment_id, *version),
            Self::ChangePayment { change, version } => format!("payment:{}:v{version}:change", change.payment_id),
            Self::Refund { refund, version } => format!("refund:{}:v{version}:create", refund.refund_id),
            Self::PostJournal { journal, version } => key::journal(&journal.journal_id, *version),
        }
    }

    fn entity(&self) -> String {
        match self {
            Self::CreateCustomer { customer } => format!("customer:{}", customer.account_id),
            Self::UpdateContact { change, .. } => format!("customer:{}", change.account_id),
            Self::EnableCustomer { scope, .. } => format!("customer:{}", scope.account_id),
            Self::AcceptOrder { order, .. } => format!("order:{}", order.order_id()),
            Self::ChangeOrder { change, .. } => format!("order:{}", change.order_id),
            Self::PlanRevenue { plan, .. } | Self::ChangeRevenue { plan, .. } => {
                format!("revenue_plan:{}", plan.contract_id)
            }
            Self::ChargeUsage { charge } => format!("charge:{}", charge.charge_id),
            Self::PostInvoice { invoice, .. } => format!("invoice:{}", invoice.invoice_id),
            Self::IssueCreditMemo { credit_memo, .. } => format!("credit_memo:{}", credit_memo.credit_note_id),
            Self::ApplyPayment { payment, .. } => format!("payment:{}", payment.payment_id),
            Self::ChangePayment { change, .. } => format!("payment:{}", change.payment_id),
            Self::Refund { refund, .. } => format!("refund:{}", refund.refund_id),
            Self::PostJournal { journal, .. } => format!("journal:{}", journal.journal_id),
        }
    }

    /// Usage comes in bulk and posts nothing by itself, so charges that wait go out together. Documents go alone: a period that is
    /// closed for one of them is nothing to the others.
    fn collection(&self) -> Option<&'static str> {
        matches!(self, Self::ChargeUsage { .. }).then_some("charge")
    }

    /// The ERP's ids go into the documents.
    fn reports(&self) -> bool {
        match self {
            Self::UpdateContact { .. }
            | Self::EnableCustomer { .. }
            | Self::ChangeOrder { .. }
            | Self::ChangeRevenue { .. }
            | Self::ChargeUsage { .. }
            | Self::ChangePayment { .. }
            | Self::Refund { .. } => false,
            Self::CreateCustomer { .. }
            | Self::AcceptOrder { .. }
            | Self::PlanRevenue { .. }
            | Self::PostInvoice { .. }
            | Self::IssueCreditMemo { .. }
            | Self::ApplyPayment { .. }
            | Self::PostJournal { .. } => true,
        }
    }
}
