//! What analytics-feed remembers of each thing: versions, what a later event may take back, and the states it has published. No
//! personal data: states hold pseudonyms.

use consumer::Documents;
use events::{AnalyticsAccountBalance, AnalyticsContract, AnalyticsSubscription, AnalyticsUsage};
use ledger::DocumentKey;
use serde::{Deserialize, Serialize};

/// One document. The serde names are stored: add, never rename.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeedDocument {
    Invoice(Invoice),
    CreditNote(Seen),
    Payment(Seen),
    Usage(Box<Usage>),
    Contract(Box<Contract>),
    Balance(Box<AnalyticsAccountBalance>),
}

/// A thing of which only the version matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub account_id: String,
    pub entity_version: i64,
}

/// Enough of an invoice to take it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    pub account_id: String,
    pub entity_version: i64,
    pub currency: String,
    pub net_minor: i64,
    pub tax_minor: i64,
    pub payable_minor: i64,
    #[serde(default)]
    pub voided: bool,
}

/// A rated batch, as it was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    pub row: AnalyticsUsage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

/// A contract and its recurring lines, as they were published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    pub row: AnalyticsContract,
    pub lines: Vec<AnalyticsSubscription>,
    /// Recurring revenue that amendments brought without naming lines.
    #[serde(default)]
    pub unlined_mrr_minor: i64,
    #[serde(default)]
    pub suspended: bool,
    /// Whether it ever had recurring revenue.
    #[serde(default)]
    pub had_mrr: bool,
    /// Whether its end has come: its subscriptions are deleted.
    #[serde(default)]
    pub ended: bool,
}

pub mod kind {
    pub const INVOICE: &str = "invoice";
    pub const CREDIT_NOTE: &str = "credit_note";
    pub const PAYMENT: &str = "payment";
    pub const USAGE: &str = "usage";
    pub const CONTRACT: &str = "contract";
    pub const BALANCE: &str = "balance";
}

impl consumer::Document for FeedDocument {
    fn status(&self) -> &str {
        match self {
            Self::Invoice(invoice) if invoice.voided => "voided",
            Self::Invoice(_) | Self::CreditNote(_) | Self::Payment(_) => "published",
            Self::Usage(usage) if usage.replaced_by.is_some() => "replaced",
            Self::Usage(_) => "rated",
            Self::Contract(contract) if contract.ended => "ended",
            Self::Contract(contract) => contract.row.status.as_str(),
            Self::Balance(balance) if balance.balance_minor == 0 => "settled",
            Self::Balance(balance) if balance.balance_minor < 0 => "in_credit",
            Self::Balance(_) => "open",
        }
    }

    fn account_id(&self) -> &str {
        match self {
            Self::Invoice(invoice) => &invoice.account_id,
            Self::CreditNote(seen) | Self::Payment(seen) => &seen.account_id,
            Self::Usage(usage) => &usage.row.account_id,
            Self::Contract(contract) => &contract.row.account_id,
            Self::Balance(balance) => &balance.account_id,
        }
    }
}

/// The documents of a decision, by what they are.
#[derive(Clone, Copy)]
pub struct Known<'a>(pub &'a Documents<'a, FeedDocument>);

macro_rules! known {
    ($($name:ident: $variant:ident($type:ty) of $kind:ident,)*) => {
        impl<'a> Known<'a> {
            $(#[must_use]
            pub fn $name(self, key: &str) -> Option<&'a $type> {
                match self.0.get(kind::$kind, key) {
                    Some(FeedDocument::$variant(found)) => Some(found),
                    Some(_) | None => None,
                }
            })*
        }
    };
}

known! {
    invoice: Invoice(Invoice) of INVOICE,
    credit_note: CreditNote(Seen) of CREDIT_NOTE,
    payment: Payment(Seen) of PAYMENT,
    usage: Usage(Usage) of USAGE,
    contract: Contract(Contract) of CONTRACT,
    balance: Balance(AnalyticsAccountBalance) of BALANCE,
}

/// Key of a document.
#[must_use]
pub fn key(kind: &str, id: &str) -> DocumentKey {
    DocumentKey::new(kind, id)
}
