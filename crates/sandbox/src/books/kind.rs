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
    pub const ALL: [Kind; 15] = [
        Kind::Customer,
        Kind::SalesOrder,
        Kind::Invoice,
        Kind::CreditMemo,
        Kind::CustomerPayment,
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
            _ => None,
        }
    }

    /// Types with an amount, a date and a customer.
    pub fn is_transaction(self) -> bool {
        self.transaction_code().is_some()
    }

    /// Transactions that touch the general ledger, so that a closed period refuses them. Orders do not.
    pub fn is_posting(self) -> bool {
        matches!(self, Kind::Invoice | Kind::CreditMemo | Kind::CustomerPayment)
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
            _ => "",
        }
    }
}
