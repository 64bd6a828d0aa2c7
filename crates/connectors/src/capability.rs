//! What a service may ask of an ERP, in words of the business. No vendor's field names, no vendor's quirks.
//!
//! All requests are plain data that can be stored before they are sent: amounts in minor units with the currency's exponent,
//! dates as local dates, references to the ERP's master data (items, subsidiaries, terms, tax codes) as the mapping
//! gives them. Each `create` is **create-only**: it never changes a record that is already there. Where the record was made by the same
//! event before, the answer is the same as the first time; where somebody else's record stands in the way, it is an error.

use crate::Error;
use async_trait::async_trait;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The event behind a call: written into the outside record, so that people and look-ups can tell whose it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    pub event_id: String,
    pub correlation_id: Option<String>,
    pub account_id: String,
    /// W3C `traceparent` to pass on with the call.
    pub traceparent: Option<String>,
}

/// A record in the outside system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The outside system's own id.
    pub id: String,
    /// The id under which we made it.
    pub external_id: String,
    /// The number printed on it, where it has one.
    pub number: Option<String>,
    /// Whether it was there before this call.
    pub existed: bool,
    /// The date it is booked on, if that is not the one that was asked for.
    pub redated: Option<Date>,
}

/// Kinds of records that we make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    Customer,
    Order,
    Invoice,
    CreditMemo,
    Payment,
    /// What is recognised when, of one contract.
    RevenuePlan,
    /// Usage of a contract, added up to be billed.
    Charge,
    Refund,
    Journal,
}

impl Object {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Order => "order",
            Self::Invoice => "invoice",
            Self::CreditMemo => "credit_memo",
            Self::Payment => "payment",
            Self::RevenuePlan => "revenue_plan",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Journal => "journal",
        }
    }
}

/// A record of the ERP's master data, by the ERP's own id or by the external id that its administrators gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reference {
    Id(String),
    ExternalId(String),
}

/// A currency as the ERP knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Currency {
    pub reference: Reference,
    /// Decimal places of its minor unit: 0, 2, 3 or 4.
    pub exponent: u32,
}

impl Currency {
    /// The exact decimal of an amount in minor units, always with all its places: `1050` is `10.50` in a currency with two.
    #[must_use]
    pub fn amount(&self, minor: i64) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(minor), self.exponent)
    }
}

/// How to reach a customer. Personal data: masked in `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |field: &Option<String>| field.as_ref().map(|_| "***");
        f.debug_struct("Contact").field("email", &masked(&self.email)).field("phone", &masked(&self.phone)).finish()
    }
}

/// A customer to be created. The name is masked in `Debug`: it may be a person's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCustomer {
    pub account_id: String,
    pub name: String,
    pub contact: Contact,
    pub subsidiary: Reference,
    pub currency: Currency,
    pub terms: Option<Reference>,
    /// Tax registration that tells whether the ERP has the customer under another id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    /// Registrations in further countries; the ERP keeps one, and is searched for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_tax_ids: Vec<String>,
    /// Whether the ERP is searched for the same tax id and name before the customer is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_searched: bool,
}

impl fmt::Debug for NewCustomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCustomer")
            .field("account_id", &self.account_id)
            .field("name", &"***")
            .field("contact", &self.contact)
            .field("subsidiary", &self.subsidiary)
            .field("currency", &self.currency)
            .field("terms", &self.terms)
            .finish()
    }
}

/// New contact data of a customer that exists: the only fields of it that the ERP does not own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactChange {
    pub account_id: String,
    pub contact: Contact,
}

/// Accounting dimensions, as the ERP's ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Reference>,
}

/// Tax of one line, as it was computed upstream: the ERP books it and does not compute it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    /// The ERP's tax code.
    pub code: Reference,
    pub rate_percent: Decimal,
    pub basis_minor: i64,
    pub amount_minor: i64,
}

/// One line of an order or a document. `amount_minor` is without tax and is what is booked; quantity and price explain it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub line_id: String,
    pub item: Reference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub quantity: Decimal,
    /// In the currency's major unit; may have more places than the currency.
    pub unit_price: Decimal,
    pub amount_minor: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<Tax>,
    #[serde(default)]
    pub dimensions: Dimensions,
    /// When the service is delivered: revenue recognition depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Span>,
    /// On an order: nothing more is billed from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_closed: bool,
}

/// Half-open: `end_on` is the day after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub start_on: Date,
    pub end_on: Date,
}

/// What orders, invoices and credit memos have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub account_id: String,
    pub contract_id: Option<String>,
    pub subsidiary: Reference,
    pub currency: Currency,
    /// Date of the document: it decides the accounting period.
    pub dated: Date,
    /// Text for people.
    pub memo: String,
    /// Where the period of `dated` is closed: book it on the first day of the next open one, and say so in the record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_redate: bool,
    /// The same amount in another currency, as it was stated. It is carried and never computed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Foreign>,
}

/// An amount in another currency than the document's, with the rate that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// ISO 4217 code.
    pub currency: String,
    /// In major units, with all places of the currency.
    pub amount: Decimal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_on: Option<Date>,
    /// Who stated it, and of what: `settlement`, `tax`.
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    pub contract_id: String,
    /// The renewal whose term it is for; `None` for the contract's first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_id: Option<String>,
    pub header: Header,
    pub start_on: Date,
    /// The day after the last one.
    pub end_on: Option<Date>,
    pub terms: Option<Reference>,
    pub purchase_order: Option<String>,
    pub lines: Vec<Line>,
}

impl NewOrder {
    /// Our id of it: a contract has one order for each of its terms.
    #[must_use]
    pub fn order_id(&self) -> String {
        order_id(&self.contract_id, self.renewal_id.as_deref())
    }
}

/// Our id of the order of a contract's first or renewed term.
#[must_use]
pub fn order_id(contract_id: &str, renewal_id: Option<&str>) -> String {
    match renewal_id {
        Some(renewal_id) => format!("{contract_id}/{renewal_id}"),
        None => contract_id.to_owned(),
    }
}

/// The whole state of an order after a change: its lines replace those that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderChange {
    /// As [`NewOrder::order_id`].
    pub order_id: String,
    pub account_id: String,
    pub currency: Currency,
    pub start_on: Date,
    /// The day after the last one.
    pub end_on: Option<Date>,
    pub lines: Vec<Line>,
    /// Text for people: what changed it.
    pub memo: String,
    /// How the contract ended, if it did: mode, policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<String>,
}

/// What is recognised when, of one contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevenuePlan {
    pub contract_id: String,
    pub header: Header,
    pub elements: Vec<RevenueElement>,
}

/// One performance obligation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevenueElement {
    /// Unique within the contract.
    pub element_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub standalone_minor: i64,
    /// Its share of the transaction price.
    pub allocated_minor: i64,
    /// The ERP's rule.
    pub rule: String,
    pub start_on: Date,
    /// The day after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_on: Option<Date>,
    pub deferred_account: Reference,
    pub recognised_account: Reference,
    /// Nothing is recognised until it is taken off hold.
    #[serde(default)]
    pub on_hold: bool,
    /// By month, in order. Empty where recognition follows what happens.
    pub schedule: Vec<Recognition>,
}

/// What one month recognises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recognition {
    /// `YYYY-MM`.
    pub period: String,
    pub amount_minor: i64,
}

/// Usage of one contract, meter and month, added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCharge {
    /// Unique for ever: contract, meter, month and number of the posting.
    pub charge_id: String,
    pub header: Header,
    /// The ERP's own id of the order that it is billed with.
    pub order: String,
    pub item: Reference,
    pub quantity: Decimal,
    /// Negative where corrections outweigh what is new.
    pub amount_minor: i64,
    pub delivered: Span,
    pub description: String,
}

/// Where a customer may be sold to, besides where it was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerScope {
    pub account_id: String,
    pub subsidiary: Reference,
    pub currency: Reference,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewInvoice {
    pub invoice_id: String,
    pub number: String,
    pub header: Header,
    pub due_on: Option<Date>,
    pub terms: Option<Reference>,
    pub purchase_order: Option<String>,
    pub lines: Vec<Line>,
}

/// Part of a credit memo or a payment that settles an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The ERP's own id of the invoice.
    pub invoice: String,
    pub amount_minor: i64,
    /// Settled on top, without money: discount taken and differences written off.
    #[serde(default)]
    pub discount_minor: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCreditMemo {
    pub credit_note_id: String,
    pub number: String,
    pub header: Header,
    /// What is credited, as positive amounts.
    pub lines: Vec<Line>,
    /// Empty: the whole credit stands open on the account.
    pub applications: Vec<Application>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPayment {
    pub payment_id: String,
    pub header: Header,
    pub amount_minor: i64,
    /// What they leave over stays unapplied on the account.
    pub applications: Vec<Application>,
}

/// What a payment settles after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentChange {
    pub payment_id: String,
    pub account_id: String,
    pub currency: Currency,
    /// All of it: what is not here is not settled by the payment any more.
    pub applications: Vec<Application>,
}

/// Money that is paid back out of what a payment or credit memo has left over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRefund {
    pub refund_id: String,
    pub header: Header,
    pub amount_minor: i64,
    /// The ERP's own id of the payment or credit memo.
    pub out_of: String,
}

/// A journal entry: Σ debits = Σ credits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJournal {
    pub journal_id: String,
    pub header: Header,
    pub lines: Vec<JournalLine>,
    /// Our id of the entry that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversal_of: Option<String>,
}

/// One side of a journal entry; the other amount is 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    pub account: Reference,
    pub debit_minor: i64,
    pub credit_minor: i64,
}

#[async_trait]
pub trait CreateCustomer: Send + Sync {
    /// Creates the customer of an account; one that is there already is left as it is and answered with `existed`.
    async fn create_customer(&self, cause: &Cause, customer: &NewCustomer) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait UpdateContact: Send + Sync {
    /// Sets contact data, and nothing else, of a customer. Repeating it is harmless.
    async fn update_contact(&self, cause: &Cause, change: &ContactChange) -> Result<Recorded, Error>;

    /// The customer, if it has exactly this contact data by now; `Ok(None)` if it has not.
    async fn find_contact(&self, cause: &Cause, change: &ContactChange) -> Result<Option<Recorded>, Error>;
}

#[async_trait]
pub trait AcceptOrder: Send + Sync {
    async fn accept_order(&self, cause: &Cause, order: &NewOrder) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait PostInvoice: Send + Sync {
    async fn post_invoice(&self, cause: &Cause, invoice: &NewInvoice) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait IssueCreditMemo: Send + Sync {
    async fn issue_credit_memo(&self, cause: &Cause, memo: &NewCreditMemo) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait ApplyPayment: Send + Sync {
    async fn apply_payment(&self, cause: &Cause, payment: &NewPayment) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait ChangeOrder: Send + Sync {
    /// Gives an order the state of `change`; once for each event, whatever happens to the answer.
    async fn change_order(&self, cause: &Cause, change: &OrderChange) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait PlanRevenue: Send + Sync {
    async fn plan_revenue(&self, cause: &Cause, plan: &RevenuePlan) -> Result<Recorded, Error>;

    /// Gives a plan that exists the state of `plan`; once for each event.
    async fn change_revenue(&self, cause: &Cause, plan: &RevenuePlan) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait ChargeUsage: Send + Sync {
    async fn charge_usage(&self, cause: &Cause, charge: &NewCharge) -> Result<Recorded, Error>;

    /// Charges that one call takes.
    fn most_charges(&self) -> usize;

    /// As [`Self::charge_usage`] for many at once; one answer each, in order.
    async fn charge_many(&self, charges: &[(Cause, NewCharge)]) -> Vec<Result<Recorded, Error>>;
}

#[async_trait]
pub trait EnableCustomer: Send + Sync {
    /// Lets a customer be sold to by another subsidiary or in another currency. Repeating it is harmless.
    async fn enable_customer(&self, cause: &Cause, scope: &CustomerScope) -> Result<Recorded, Error>;

    /// The customer, if the event behind `cause` enabled it; `Ok(None)` if it certainly did not.
    async fn find_enabled(&self, cause: &Cause, scope: &CustomerScope) -> Result<Option<Recorded>, Error>;
}

#[async_trait]
pub trait PayBack: Send + Sync {
    /// Changes what a payment settles; once for each event.
    async fn change_payment(&self, cause: &Cause, change: &PaymentChange) -> Result<Recorded, Error>;

    async fn refund(&self, cause: &Cause, refund: &NewRefund) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait PostJournal: Send + Sync {
    async fn post_journal(&self, cause: &Cause, journal: &NewJournal) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait FindByExternalId: Send + Sync {
    /// The record that we made under our id `ours` (an account, contract, invoice, … id).
    ///
    /// `Ok(None)` only if the system answered that there is none; whatever leaves a doubt is an error. A record that another
    /// event made under the same id is [`Error::Taken`]; customers are exempt, because several contracts share one.
    async fn find(&self, cause: &Cause, object: Object, ours: &str) -> Result<Option<Recorded>, Error>;

    /// The record, if the event behind `cause` was the last to change it; `Ok(None)` if it certainly was not.
    async fn find_changed(&self, cause: &Cause, object: Object, ours: &str) -> Result<Option<Recorded>, Error>;
}

/// An ERP with all of it.
pub trait Erp:
    CreateCustomer
    + UpdateContact
    + EnableCustomer
    + AcceptOrder
    + ChangeOrder
    + PlanRevenue
    + ChargeUsage
    + PostInvoice
    + IssueCreditMemo
    + ApplyPayment
    + PayBack
    + PostJournal
    + FindByExternalId
{
    /// Calls at once that the remote account bears right now, over all members.
    fn concurrency(&self) -> usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_in_currencies_with_0_2_3_and_4_decimals() {
        let text =
            |exponent, minor| Currency { reference: Reference::Id("1".into()), exponent }.amount(minor).to_string();
        assert_eq!(text(0, 1050), "1050");
        assert_eq!(text(2, 1050), "10.50");
        assert_eq!(text(2, -5), "-0.05");
        assert_eq!(text(3, 1050), "1.050");
        assert_eq!(text(4, i64::MAX), "922337203685477.5807");
    }

    #[test]
    fn debug_output_shows_no_personal_data() {
        let customer = NewCustomer {
            account_id: "A-1".into(),
            name: "Jane Roe".into(),
            contact: Contact { email: Some("jane@example.com".into()), phone: Some("555 1234".into()) },
            subsidiary: Reference::Id("1".into()),
            currency: Currency { reference: Reference::Id("1".into()), exponent: 2 },
            terms: None,
            tax_id: Some("GB123".into()),
            further_tax_ids: vec!["DE456".into()],
            is_searched: true,
        };
        let shown = format!("{customer:?}");
        assert!(
            !shown.contains("Jane")
                && !shown.contains("GB123")
                && !shown.contains("DE456")
                && !shown.contains("example.com")
                && !shown.contains("555"),
            "{shown}"
        );
    }
}
