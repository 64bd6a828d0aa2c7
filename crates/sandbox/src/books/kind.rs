//! The record types the stand-in keeps.

use serde::{Deserialize, Serialize};

/// A NetSuite record type; serialised under its REST name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Customer,
    SalesOrder,
    Invoice,
    CreditMemo,
    CustomerPayment,
    /// Gives back what a payment or credit memo left over.
    CustomerRefund,
    JournalEntry,
    /// Performance obligations of a contract, with what is recognised when.
    RevenueArrangement,
    /// A sum that is to be billed.
    Charge,
    ServiceSaleItem,
    Subsidiary,
    Currency,
    Term,
    AccountingPeriod,
    Account,
    Department,
    Classification,
    Location,
    SalesTaxItem,
}

impl Kind {
    /// Every type, in the order the admin state lists them.
    pub const ALL: [Kind; 19] = [
        Kind::Customer,
        Kind::SalesOrder,
        Kind::Invoice,
        Kind::CreditMemo,
        Kind::CustomerPayment,
        Kind::CustomerRefund,
        Kind::JournalEntry,
        Kind::RevenueArrangement,
        Kind::Charge,
        Kind::ServiceSaleItem,
        Kind::Subsidiary,
        Kind::Currency,
        Kind::Term,
        Kind::AccountingPeriod,
        Kind::Account,
        Kind::Department,
        Kind::Classification,
        Kind::Location,
        Kind::SalesTaxItem,
    ];

    /// The name in REST paths, bodies and the effect log.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Customer => "customer",
            Kind::SalesOrder => "salesOrder",
            Kind::Invoice => "invoice",
            Kind::CreditMemo => "creditMemo",
            Kind::CustomerPayment => "customerPayment",
            Kind::CustomerRefund => "customerRefund",
            Kind::JournalEntry => "journalEntry",
            Kind::RevenueArrangement => "revenueArrangement",
            Kind::Charge => "charge",
            Kind::ServiceSaleItem => "serviceSaleItem",
            Kind::Subsidiary => "subsidiary",
            Kind::Currency => "currency",
            Kind::Term => "term",
            Kind::AccountingPeriod => "accountingPeriod",
            Kind::Account => "account",
            Kind::Department => "department",
            Kind::Classification => "classification",
            Kind::Location => "location",
            Kind::SalesTaxItem => "salesTaxItem",
        }
    }

    /// The type with this REST name; names are case-insensitive, as NetSuite's are.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// The code SuiteQL shows in `transaction.type`; `None` for what is no transaction.
    pub fn transaction_code(self) -> Option<&'static str> {
        match self {
            Kind::SalesOrder => Some("SalesOrd"),
            Kind::Invoice => Some("CustInvc"),
            Kind::CreditMemo => Some("CustCred"),
            Kind::CustomerPayment => Some("CustPymt"),
            Kind::CustomerRefund => Some("CustRfnd"),
            Kind::JournalEntry => Some("Journal"),
            Kind::RevenueArrangement => Some("RevArrng"),
            Kind::Charge => Some("Charge"),
            _ => None,
        }
    }

    /// Types with an amount, a date and a customer.
    pub fn is_transaction(self) -> bool {
        self.transaction_code().is_some()
    }

    /// Transactions that touch the general ledger, so that a closed period refuses them. Orders, arrangements and charges do not.
    pub fn is_posting(self) -> bool {
        self.is_receivable() || self == Kind::JournalEntry
    }

    /// Transactions that change what a customer owes.
    pub fn is_receivable(self) -> bool {
        matches!(self, Kind::Invoice | Kind::CreditMemo | Kind::CustomerPayment | Kind::CustomerRefund)
    }

    /// The header field that names the customer.
    pub fn customer_field(self) -> &'static str {
        match self {
            Kind::CustomerPayment | Kind::CustomerRefund => "customer",
            Kind::Charge => "billTo",
            _ => "entity",
        }
    }

    /// Types the integration's role may write; the rest is set up by an administrator.
    pub fn is_writable(self) -> bool {
        self == Kind::Customer || self.is_transaction()
    }

    /// Prefix of automatic numbers.
    pub fn number_prefix(self) -> &'static str {
        match self {
            Kind::Customer => "CUST",
            Kind::SalesOrder => "SO",
            Kind::Invoice => "INV",
            Kind::CreditMemo => "CM",
            Kind::CustomerPayment => "PYMT",
            Kind::CustomerRefund => "RFND",
            Kind::JournalEntry => "JE",
            Kind::RevenueArrangement => "RA",
            Kind::Charge => "CHG",
            _ => "",
        }
    }
}
