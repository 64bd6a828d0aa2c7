//! The changes erp-sync makes in the ERP, as plain data: what is journalled is what is sent.

use connectors::{ContactChange, NewCreditMemo, NewCustomer, NewInvoice, NewOrder, NewPayment};
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
    AcceptOrder {
        order: NewOrder,
        version: i64,
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
}

impl ErpEffect {
    /// The account it belongs to.
    #[must_use]
    pub fn account_id(&self) -> &str {
        match self {
            Self::CreateCustomer { customer } => &customer.account_id,
            Self::UpdateContact { change, .. } => &change.account_id,
            Self::AcceptOrder { order, .. } => &order.header.account_id,
            Self::PostInvoice { invoice, .. } => &invoice.header.account_id,
            Self::IssueCreditMemo { credit_memo, .. } => &credit_memo.header.account_id,
            Self::ApplyPayment { payment, .. } => &payment.header.account_id,
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
    pub fn invoice(invoice_id: &str, version: i64) -> String {
        format!("invoice:{invoice_id}:v{version}:create")
    }

    #[must_use]
    pub fn credit_memo(credit_note_id: &str, version: i64) -> String {
        format!("credit_memo:{credit_note_id}:v{version}:create")
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
            Self::AcceptOrder { order, version } => key::order(&order.contract_id, *version),
            Self::PostInvoice { invoice, version } => key::invoice(&invoice.invoice_id, *version),
            Self::IssueCreditMemo { credit_memo, version } => key::credit_memo(&credit_memo.credit_note_id, *version),
            Self::ApplyPayment { payment, version } => key::payment(&payment.payment_id, *version),
        }
    }

    fn entity(&self) -> String {
        match self {
            Self::CreateCustomer { customer } => format!("customer:{}", customer.account_id),
            Self::UpdateContact { change, .. } => format!("customer:{}", change.account_id),
            Self::AcceptOrder { order, .. } => format!("order:{}", order.contract_id),
            Self::PostInvoice { invoice, .. } => format!("invoice:{}", invoice.invoice_id),
            Self::IssueCreditMemo { credit_memo, .. } => format!("credit_memo:{}", credit_memo.credit_note_id),
            Self::ApplyPayment { payment, .. } => format!("payment:{}", payment.payment_id),
        }
    }

    /// The ERP's ids go into the documents.
    fn reports(&self) -> bool {
        match self {
            Self::UpdateContact { .. } => false,
            Self::CreateCustomer { .. }
            | Self::AcceptOrder { .. }
            | Self::PostInvoice { .. }
            | Self::IssueCreditMemo { .. }
            | Self::ApplyPayment { .. } => true,
        }
    }
}
