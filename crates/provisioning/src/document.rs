//! What provisioning remembers: of an account all that decides its access, as dated facts; of invoices and payments what has come in. No
//! personal data.

use connectors::{EntitlementState, TenantState};
use consumer::Documents;
use events::common::EntitlementReason;
use ledger::{DocumentKey, Millis};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One document. The serde names are stored: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccessDocument {
    Account(Box<Account>),
    Invoice(Invoice),
    Payment(Payment),
}

/// Kinds of documents, as the ledger keeps them.
pub mod kind {
    pub const ACCOUNT: &str = "account";
    pub const INVOICE: &str = "invoice";
    pub const PAYMENT: &str = "payment";
}

/// An account: its contracts as dated changes, its invoices in dunning, and what the platforms were told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub account_id: String,
    pub contracts: BTreeMap<String, Contract>,
    /// By invoice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dunning: BTreeMap<String, Suspension>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantState>,
    /// By entitlement, as they were set last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, EntitlementState>,
    /// Whether its first user was made.
    #[serde(default)]
    pub has_admin: bool,
    /// The newest dated change that has been carried out: time never runs backwards from it.
    #[serde(default)]
    pub as_of_ms: Millis,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer_ms: Option<Millis>,
}

/// A contract: everything that was ever said of it, by when it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    pub legal_entity_id: String,
    pub entity_version: i64,
    /// First instant of the term.
    pub valid_from_ms: Millis,
    /// It was cancelled before it could be carried out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_given_up: bool,
    pub changes: Vec<Dated>,
    /// The flow that the contract came of: what becomes of its access later, also by itself, belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// A change of a contract, in force from `at_ms`. Of two at one instant the one of the greater version holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dated {
    pub at_ms: Millis,
    pub version: i64,
    pub reason: EntitlementReason,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// What lines give from now on, by line; `None`: the line is gone.
    Lines(BTreeMap<String, Option<Line>>),
    /// The first instant after the term; `None`: it has no end, or renews by itself.
    Term(Option<Millis>),
    Suspend,
    Resume,
    /// Cancelled; access ends then.
    End(Millis),
}

/// What a line gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Feature → how much; `None`: no limit.
    pub features: BTreeMap<String, Option<Decimal>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_tier: Option<String>,
}

/// Access is suspended from then on, until the invoice was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    pub from_ms: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_ms: Option<Millis>,
}

/// An invoice: what failed and what came in. Sums and dates only, so that the order in which topics are read makes no difference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    pub account_id: String,
    /// By payment and attempt.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<String, Failed>,
    /// What settles it, by payment or credit note.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settled: BTreeMap<String, Settled>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub at_ms: Millis,
    pub step: i32,
    pub amount_minor: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub at_ms: Millis,
    pub amount_minor: i64,
}

/// The newest version of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub account_id: String,
    pub entity_version: i64,
}

impl consumer::Document for AccessDocument {
    fn status(&self) -> &str {
        match self {
            Self::Account(account) if !account.dunning.is_empty() => "dunning",
            Self::Account(_) => "known",
            Self::Invoice(invoice) if invoice.failures.is_empty() => "settled",
            Self::Invoice(_) => "failed",
            Self::Payment(_) => "known",
        }
    }

    fn account_id(&self) -> &str {
        match self {
            Self::Account(account) => &account.account_id,
            Self::Invoice(invoice) => &invoice.account_id,
            Self::Payment(payment) => &payment.account_id,
        }
    }
}

/// The documents of a decision, by what they are.
#[derive(Clone, Copy)]
pub struct Known<'a>(pub &'a Documents<'a, AccessDocument>);

impl Known<'_> {
    /// The account, empty where nothing is known of it.
    #[must_use]
    pub fn account(self, account_id: &str) -> Account {
        match self.0.get(kind::ACCOUNT, account_id) {
            Some(AccessDocument::Account(account)) => (**account).clone(),
            Some(_) | None => Account { account_id: account_id.to_owned(), ..Account::default() },
        }
    }

    #[must_use]
    pub fn invoice(self, account_id: &str, invoice_id: &str) -> Invoice {
        match self.0.get(kind::INVOICE, invoice_id) {
            Some(AccessDocument::Invoice(invoice)) => invoice.clone(),
            Some(_) | None => Invoice { account_id: account_id.to_owned(), ..Invoice::default() },
        }
    }

    #[must_use]
    pub fn payment_version(self, payment_id: &str) -> Option<i64> {
        match self.0.get(kind::PAYMENT, payment_id) {
            Some(AccessDocument::Payment(payment)) => Some(payment.entity_version),
            Some(_) | None => None,
        }
    }
}

/// Key of a document.
#[must_use]
pub fn key(kind: &str, id: &str) -> DocumentKey {
    DocumentKey::new(kind, id)
}
