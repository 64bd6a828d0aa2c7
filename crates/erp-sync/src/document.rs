//! What erp-sync remembers of each thing: enough to keep versions in order, to refer to the ERP's records, and to know how much
//! of an invoice is still open. No personal data.

use connectors::{Application, Line, RevenueElement};
use consumer::Documents;
use jiff::civil::Date;
use ledger::DocumentKey;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One document. The serde names are stored: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ErpDocument {
    Account(Account),
    Contract(Contract),
    Invoice(Invoice),
    CreditNote(CreditNote),
    Payment(Payment),
    Revenue(Revenue),
    Usage(Usage),
    UsageBatch(UsageBatch),
}

/// The ERP's record of a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErpRecord {
    /// The ERP's own id.
    pub id: String,
    /// The id under which we made it.
    pub external_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The date it is booked on, where that is not its own: its period was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dated: Option<String>,
}

/// A customer of the ERP. Created once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub account_id: String,
    /// Fingerprint of the contact data sent last, so that a change is seen without keeping the data.
    pub contact_digest: String,
    /// Fingerprints of the fields that the ERP owns since it has the customer, by their path in the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub protected: BTreeMap<String, String>,
    /// `<legal entity>/<currency>` that the customer is enabled for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp: Option<ErpRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractState {
    /// Events of it were seen, but not its activation.
    Announced,
    /// Its order is in the ERP, it is not active yet.
    Ordered,
    Active,
    Suspended,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    pub account_id: String,
    pub entity_version: i64,
    pub state: ContractState,
    /// The sales order of the first term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp: Option<ErpRecord>,
    /// One for each term, oldest first. Empty where the order is older than this field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Order>,
}

/// A sales order as the ERP has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub order_id: String,
    pub legal_entity_id: String,
    pub currency: String,
    /// IANA zone in which the term's dates are meant.
    #[serde(default)]
    pub timezone: String,
    pub start_on: Date,
    /// The day after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_on: Option<Date>,
    pub lines: Vec<OrderLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp: Option<ErpRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    pub line: Line,
    /// The performance obligation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obligation_id: Option<String>,
    /// Taken out of the contract: it stays closed, whatever happens to the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_removed: bool,
}

/// What of a contract is recognised when, and how much of it was billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revenue {
    pub account_id: String,
    pub currency: String,
    pub legal_entity_id: String,
    pub dated: Date,
    pub obligations: Vec<Obligation>,
    /// Σ of invoiced less credited lines of these obligations, without tax.
    pub billed_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp: Option<ErpRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    StraightLineDaily,
    StraightLineEven,
    PointInTime,
    /// As usage or progress is reported: nothing is planned ahead.
    AsReported,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    pub method: Method,
    /// The obligation's own id: the element's carries the renewal, too.
    pub obligation_id: String,
    /// Contract lines that it is made of.
    pub lines: Vec<String>,
    pub element: RevenueElement,
}

impl Revenue {
    /// What is recognised up to the end of `period` (`YYYY-MM`), in minor units.
    #[must_use]
    pub fn recognised_minor(&self, period: &str) -> i64 {
        let slots = self.obligations.iter().flat_map(|of| &of.element.schedule);
        slots.filter(|slot| slot.period.as_str() <= period).map(|slot| slot.amount_minor).sum()
    }

    /// Billed and not recognised by the end of `period`; below zero, recognised before it was billed.
    #[must_use]
    pub fn deferred_minor(&self, period: &str) -> i64 {
        self.billed_minor - self.recognised_minor(period)
    }

    #[must_use]
    pub fn allocated_minor(&self) -> i64 {
        self.obligations.iter().map(|of| of.element.allocated_minor).sum()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    pub account_id: String,
    pub entity_version: i64,
    pub currency: String,
    /// What was posted, with tax.
    pub total_minor: i64,
    /// What payments and credits have not settled yet.
    pub open_minor: i64,
    /// Taken back before it was posted: it has no record in the ERP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_voided: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp: Option<ErpRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditNote {
    pub account_id: String,
    pub entity_version: i64,
    pub currency: String,
    pub total_minor: i64,
    /// What is not set against an invoice.
    pub unapplied_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp: Option<ErpRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    Failed,
    Received,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// What stands on the account of disputes until it is decided.
    pub amount_minor: i64,
    pub is_decided: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub account_id: String,
    pub entity_version: i64,
    pub state: PaymentState,
    pub currency: String,
    pub amount_minor: i64,
    /// What is left over on the account.
    pub unapplied_minor: i64,
    /// What it settles, by our id of the invoice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub applications: BTreeMap<String, Application>,
    /// By their id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: BTreeMap<String, Dispute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erp: Option<ErpRecord>,
}

/// Usage of one contract, meter and product, added up until it is charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub account_id: String,
    pub contract_id: String,
    pub legal_entity_id: String,
    pub meter: String,
    pub product_id: String,
    pub currency: String,
    /// By `YYYY-MM`.
    pub months: BTreeMap<String, UsageMonth>,
    /// Whether a timer is set.
    pub is_watched: bool,
}

/// `events`, `quantity` and `amount_minor` wait; what was charged is a number and a sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageMonth {
    pub events: u64,
    pub quantity: Decimal,
    pub amount_minor: i64,
    pub charges: u32,
    pub charged_minor: i64,
}

impl Usage {
    /// What is rated and not charged yet, in minor units.
    #[must_use]
    pub fn waiting_minor(&self) -> i64 {
        self.months.values().map(|month| month.amount_minor).sum()
    }
}

/// What a batch of usage counts for, so that a correction of it charges the difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageBatch {
    pub account_id: String,
    pub entity_version: i64,
    pub currency: String,
    pub quantity: Decimal,
    pub amount_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

pub mod kind {
    pub const ACCOUNT: &str = "account";
    pub const CONTRACT: &str = "contract";
    pub const INVOICE: &str = "invoice";
    pub const CREDIT_NOTE: &str = "credit_note";
    pub const PAYMENT: &str = "payment";
    pub const REVENUE: &str = "revenue";
    pub const USAGE: &str = "usage";
    pub const USAGE_BATCH: &str = "usage_batch";
}

impl Contract {
    /// Notes the ERP's record of the order that has none yet.
    fn ordered(&mut self, record: ErpRecord) {
        if let Some(order) = self.orders.iter_mut().find(|order| order.erp.is_none()) {
            order.erp = Some(record.clone());
        }
        self.erp.get_or_insert(record);
    }
}

impl ErpDocument {
    /// Notes the ERP's record of the thing.
    #[must_use]
    pub fn recorded(mut self, record: ErpRecord) -> Self {
        let erp = match &mut self {
            Self::Account(account) => &mut account.erp,
            Self::Contract(contract) => {
                contract.ordered(record);
                return self;
            }
            Self::Invoice(invoice) => &mut invoice.erp,
            Self::CreditNote(credit_note) => &mut credit_note.erp,
            Self::Payment(payment) => &mut payment.erp,
            Self::Revenue(revenue) => &mut revenue.erp,
            // Charges have records, what is added up has none.
            Self::Usage(_) | Self::UsageBatch(_) => return self,
        };
        *erp = Some(record);
        self
    }
}

impl consumer::Document for ErpDocument {
    fn status(&self) -> &str {
        match self {
            Self::Account(_) => "created",
            Self::Contract(contract) => match contract.state {
                ContractState::Announced => "announced",
                ContractState::Ordered => "ordered",
                ContractState::Active => "active",
                ContractState::Suspended => "suspended",
                ContractState::Cancelled => "cancelled",
            },
            Self::Invoice(invoice) if invoice.is_voided => "voided",
            Self::Invoice(invoice) if invoice.open_minor <= 0 => "settled",
            Self::Invoice(invoice) if invoice.open_minor < invoice.total_minor => "partly_settled",
            Self::Invoice(_) => "posted",
            Self::CreditNote(credit_note) if credit_note.unapplied_minor > 0 => "open",
            Self::CreditNote(_) => "applied",
            Self::Payment(payment) => match payment.state {
                PaymentState::Failed => "failed",
                PaymentState::Received if payment.unapplied_minor > 0 => "partly_applied",
                PaymentState::Received => "applied",
            },
            Self::Revenue(_) => "planned",
            Self::Usage(usage) if usage.months.values().any(|month| month.events > 0) => "waiting",
            Self::Usage(_) => "charged",
            Self::UsageBatch(batch) if batch.replaced_by.is_some() => "replaced",
            Self::UsageBatch(_) => "added",
        }
    }

    fn account_id(&self) -> &str {
        match self {
            Self::Account(account) => &account.account_id,
            Self::Contract(contract) => &contract.account_id,
            Self::Invoice(invoice) => &invoice.account_id,
            Self::CreditNote(credit_note) => &credit_note.account_id,
            Self::Payment(payment) => &payment.account_id,
            Self::Revenue(revenue) => &revenue.account_id,
            Self::Usage(usage) => &usage.account_id,
            Self::UsageBatch(batch) => &batch.account_id,
        }
    }
}

/// The documents of a decision, by what they are.
#[derive(Clone, Copy)]
pub struct Known<'a>(pub &'a Documents<'a, ErpDocument>);

macro_rules! known {
    ($($name:ident: $variant:ident of $kind:ident,)*) => {
        impl<'a> Known<'a> {
            $(#[must_use]
            pub fn $name(self, key: &str) -> Option<&'a $variant> {
                match self.0.get(kind::$kind, key) {
                    Some(ErpDocument::$variant(found)) => Some(found),
                    Some(_) | None => None,
                }
            })*
        }
    };
}

known! {
    account: Account of ACCOUNT,
    contract: Contract of CONTRACT,
    invoice: Invoice of INVOICE,
    credit_note: CreditNote of CREDIT_NOTE,
    payment: Payment of PAYMENT,
    revenue: Revenue of REVENUE,
    usage: Usage of USAGE,
    usage_batch: UsageBatch of USAGE_BATCH,
}

/// Key of a document.
#[must_use]
pub fn key(kind: &str, id: &str) -> DocumentKey {
    DocumentKey::new(kind, id)
}
