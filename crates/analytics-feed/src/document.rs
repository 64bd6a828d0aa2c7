//! What analytics-feed remembers of each thing: versions, what a later event may take back, and the states it has published. No
//! personal data: states hold pseudonyms.

use consumer::Documents;
use events::{
    AnalyticsAccountBalance, AnalyticsContract, AnalyticsInvoiceAccuracy, AnalyticsSubscription, AnalyticsUsage,
    common::DealType,
};
use jiff::Timestamp;
use ledger::{DocumentKey, Millis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    Accuracy(Box<Accuracy>),
    Deal(Deal),
    Journey(Box<Journey>),
}

/// What is known of an invoice's corrections, perhaps before it is posted itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    pub is_posted: bool,
    #[serde(default)]
    pub is_voided: bool,
    /// By currency: that of the invoice may not be known yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credited: BTreeMap<String, i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_reason: Option<(Timestamp, String)>,
    pub row: AnalyticsInvoiceAccuracy,
}

/// When a deal was won and reopened, by version, and which contracts came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    pub account_id: String,
    #[serde(default, with = "by_version")]
    pub won: BTreeMap<i64, Won>,
    /// With the timestamps of the records.
    #[serde(default, with = "by_version")]
    pub reopened: BTreeMap<i64, Millis>,
    /// With the timestamps of the activations.
    #[serde(default)]
    pub contracts: BTreeMap<String, Millis>,
}

/// As pairs: keys of a JSON object are texts, and those of a tagged document are not read back as numbers.
mod by_version {
    use super::BTreeMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(map: &BTreeMap<i64, T>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<BTreeMap<i64, T>, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(i64, T)>::deserialize(from)?.into_iter().collect())
    }
}

/// How a deal was won.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Won {
    pub deal_type: DealType,
    pub closed_won_at: Timestamp,
    pub received_ms: Millis,
}

/// The way of a contract from its deal to its first use, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    pub account_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub won: Option<Won>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_ms: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitled_ms: Option<Millis>,
}

/// The activation of a contract that came of a deal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    pub opportunity_id: String,
    pub order_id: Option<String>,
    pub legal_entity_id: String,
    pub holds_at: Timestamp,
    pub activated_ms: Millis,
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
    pub const ACCURACY: &str = "accuracy";
    pub const DEAL: &str = "deal";
    pub const JOURNEY: &str = "journey";
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
            Self::Accuracy(accuracy) => accuracy.row.standing.as_str(),
            Self::Deal(deal) if deal.won.is_empty() => "unknown",
            Self::Deal(_) => "won",
            Self::Journey(journey) if journey.entitled_ms.is_some() => "used",
            Self::Journey(journey) if journey.activation.is_some() => "active",
            Self::Journey(_) => "ordered",
        }
    }

    fn account_id(&self) -> &str {
        match self {
            Self::Invoice(invoice) => &invoice.account_id,
            Self::CreditNote(seen) | Self::Payment(seen) => &seen.account_id,
            Self::Usage(usage) => &usage.row.account_id,
            Self::Contract(contract) => &contract.row.account_id,
            Self::Balance(balance) => &balance.account_id,
            Self::Accuracy(accuracy) => &accuracy.row.account_id,
            Self::Deal(deal) => &deal.account_id,
            Self::Journey(journey) => &journey.account_id,
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
    accuracy: Accuracy(Accuracy) of ACCURACY,
    deal: Deal(Deal) of DEAL,
    journey: Journey(Journey) of JOURNEY,
}

/// Key of a document.
#[must_use]
pub fn key(kind: &str, id: &str) -> DocumentKey {
    DocumentKey::new(kind, id)
}
