//! What crm-sync remembers of each thing: enough to keep versions in order and to show whole states. No personal data.

use connectors::{ContractShown, ContractShownStatus, DealCase, IsoCurrency, LastPayment, ReceivableShown};
use consumer::Documents;
use failure::Failure;
use jiff::civil::Date;
use ledger::DocumentKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One document. The serde names are stored: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CrmDocument {
    Account(Account),
    Contract(Contract),
    Receivable(Receivable),
    Subject(Subject),
    Dunning(Dunning),
    Case(Case),
}

/// Kinds of documents, as the ledger keeps them.
pub mod kind {
    pub const ACCOUNT: &str = "account";
    pub const CONTRACT: &str = "contract";
    pub const RECEIVABLE: &str = "receivable";
    pub const INVOICE: &str = "invoice";
    pub const CREDIT_NOTE: &str = "credit_note";
    pub const PAYMENT: &str = "payment";
    pub const THRESHOLD: &str = "threshold";
    pub const DUNNING: &str = "dunning";
    pub const CASE: &str = "case";
}

/// An account that the CRM has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub account_id: String,
}

/// A contract as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    pub entity_version: i64,
    pub shown: ContractShown,
    /// The renewal whose opportunity is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<String>,
    /// The end of the term that is not renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<Date>,
}

/// The newest version of something, and what of it is needed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub account_id: String,
    pub entity_version: i64,
    /// Such as `posted`.
    pub status: String,
    /// Of an invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
}

/// The steps of dunning for which people have a task, of one invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dunning {
    pub account_id: String,
    pub steps: BTreeSet<i32>,
}

/// A deal that cannot go on, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub entity_version: i64,
    pub shown: DealCase,
}

/// What an account owes in one currency. Sums only, so that the order in which topics are read makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receivable {
    pub account_id: String,
    pub currency: IsoCurrency,
    /// Invoices of which something is open; below zero: more came in than was invoiced yet.
    pub invoices: BTreeMap<String, OpenInvoice>,
    /// What stands to the account's credit and settles no invoice.
    pub unapplied_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_payment: Option<Paid>,
    /// Changes so far.
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInvoice {
    pub open_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
}

/// The newest payment by its date; of several of one day, that with the greatest id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Paid {
    pub received_on: Date,
    pub payment_id: String,
    pub amount_minor: i64,
}

impl Receivable {
    #[must_use]
    pub fn new(account_id: &str, currency: IsoCurrency) -> Self {
        Self {
            account_id: account_id.to_owned(),
            currency,
            invoices: BTreeMap::new(),
            unapplied_minor: 0,
            last_payment: None,
            revision: 0,
        }
    }

    /// Changes what is open of an invoice. Its due date is kept as soon as one is known.
    ///
    /// # Errors
    /// An amount that leaves 64 bits.
    pub fn open(&mut self, invoice_id: &str, change_minor: i64, due_on: Option<Date>) -> Result<(), Failure> {
        let empty = OpenInvoice { open_minor: 0, due_on: None };
        let invoice = self.invoices.entry(invoice_id.to_owned()).or_insert(empty);
        invoice.open_minor = invoice.open_minor.checked_add(change_minor).ok_or_else(overflow)?;
        invoice.due_on = invoice.due_on.or(due_on);
        if invoice.open_minor == 0 {
            self.invoices.remove(invoice_id);
        }
        Ok(())
    }

    /// Changes what stands to the account's credit.
    ///
    /// # Errors
    /// An amount that leaves 64 bits.
    pub fn credit(&mut self, change_minor: i64) -> Result<(), Failure> {
        self.unapplied_minor = self.unapplied_minor.checked_add(change_minor).ok_or_else(overflow)?;
        Ok(())
    }

    pub fn paid(&mut self, paid: Paid) {
        self.last_payment = self.last_payment.take().max(Some(paid));
    }

    /// What people see of it.
    ///
    /// # Errors
    /// An amount that leaves 64 bits.
    pub fn shown(&self) -> Result<ReceivableShown, Failure> {
        let all = sum(self.invoices.values().map(|invoice| invoice.open_minor))?;
        let open = || self.invoices.values().filter(|invoice| invoice.open_minor > 0);
        Ok(ReceivableShown {
            account_id: self.account_id.clone(),
            currency: self.currency.clone(),
            balance_minor: all.checked_sub(self.unapplied_minor).ok_or_else(overflow)?,
            open_minor: sum(open().map(|invoice| invoice.open_minor))?,
            open_invoices: open().count() as u64,
            oldest_due_on: open().filter_map(|invoice| invoice.due_on).min(),
            last_payment: self
                .last_payment
                .as_ref()
                .map(|paid| LastPayment { received_on: paid.received_on, amount_minor: paid.amount_minor }),
        })
    }
}

fn sum(mut amounts: impl Iterator<Item = i64>) -> Result<i64, Failure> {
    amounts.try_fold(0, i64::checked_add).ok_or_else(overflow)
}

/// Amounts that leave 64 bits are refused long before this.
fn overflow() -> Failure {
    Failure::contract("FIELD_INVALID", "the amounts do not fit into 64 bits").at_field("amount_minor")
}

impl consumer::Document for CrmDocument {
    fn status(&self) -> &str {
        match self {
            Self::Account(_) => "shown",
            Self::Contract(contract) => match contract.shown.status {
                ContractShownStatus::Active => "active",
                ContractShownStatus::Suspended => "suspended",
                ContractShownStatus::Ending => "ending",
                ContractShownStatus::Cancelled => "cancelled",
            },
            Self::Receivable(receivable) if receivable.invoices.is_empty() => "settled",
            Self::Receivable(_) => "open",
            Self::Subject(subject) => &subject.status,
            Self::Dunning(_) => "dunning",
            Self::Case(case) => case.shown.end.as_deref().unwrap_or("open"),
        }
    }

    fn account_id(&self) -> &str {
        match self {
            Self::Account(account) => &account.account_id,
            Self::Contract(contract) => &contract.shown.account_id,
            Self::Receivable(receivable) => &receivable.account_id,
            Self::Subject(subject) => &subject.account_id,
            Self::Dunning(dunning) => &dunning.account_id,
            Self::Case(case) => &case.shown.account_id,
        }
    }
}

/// The documents of a decision, by what they are.
#[derive(Clone, Copy)]
pub struct Known<'a>(pub &'a Documents<'a, CrmDocument>);

impl<'a> Known<'a> {
    #[must_use]
    pub fn has_account(self, account_id: &str) -> bool {
        self.0.get(kind::ACCOUNT, account_id).is_some()
    }

    #[must_use]
    pub fn contract(self, contract_id: &str) -> Option<&'a Contract> {
        match self.0.get(kind::CONTRACT, contract_id) {
            Some(CrmDocument::Contract(contract)) => Some(contract),
            Some(_) | None => None,
        }
    }

    #[must_use]
    pub fn receivable(self, account_id: &str, currency: &str) -> Option<&'a Receivable> {
        match self.0.get(kind::RECEIVABLE, &receivable_key(account_id, currency)) {
            Some(CrmDocument::Receivable(receivable)) => Some(receivable),
            Some(_) | None => None,
        }
    }

    /// The newest version of an invoice, a credit note, a payment or a threshold.
    #[must_use]
    pub fn subject(self, kind: &str, id: &str) -> Option<&'a Subject> {
        match self.0.get(kind, id) {
            Some(CrmDocument::Subject(subject)) => Some(subject),
            Some(_) | None => None,
        }
    }

    #[must_use]
    pub fn case(self, case_id: &str) -> Option<&'a Case> {
        match self.0.get(kind::CASE, case_id) {
            Some(CrmDocument::Case(case)) => Some(case),
            Some(_) | None => None,
        }
    }

    #[must_use]
    pub fn dunning(self, invoice_id: &str) -> Option<&'a Dunning> {
        match self.0.get(kind::DUNNING, invoice_id) {
            Some(CrmDocument::Dunning(dunning)) => Some(dunning),
            Some(_) | None => None,
        }
    }
}

/// An account has one receivable for each currency.
#[must_use]
pub fn receivable_key(account_id: &str, currency: &str) -> String {
    format!("{account_id}/{currency}")
}

/// Key of a document.
#[must_use]
pub fn key(kind: &str, id: &str) -> DocumentKey {
    DocumentKey::new(kind, id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn pounds() -> Receivable {
        Receivable::new("a-1", IsoCurrency { code: "GBP".into(), exponent: 2 })
    }

    #[test]
    fn the_order_of_changes_makes_no_difference() {
        let (mut one, mut other) = (pounds(), pounds());
        one.open("i-1", 100, Some(date(2026, 2, 1))).expect("fits");
        one.open("i-1", -40, None).expect("fits");
        other.open("i-1", -40, None).expect("fits");
        other.open("i-1", 100, Some(date(2026, 2, 1))).expect("fits");
        let paid = |day, id: &str| Paid { received_on: date(2026, 1, day), payment_id: id.into(), amount_minor: 1 };
        one.paid(paid(3, "p-1"));
        one.paid(paid(2, "p-2"));
        other.paid(paid(2, "p-2"));
        other.paid(paid(3, "p-1"));
        assert_eq!(one, other);
        let shown = one.shown().expect("fits");
        assert_eq!((shown.balance_minor, shown.open_minor, shown.open_invoices), (60, 60, 1));
        assert_eq!(shown.oldest_due_on, Some(date(2026, 2, 1)));
    }

    #[test]
    fn what_is_settled_leaves_and_credit_lowers_the_balance_only() {
        let mut receivable = pounds();
        receivable.open("i-1", 100, None).expect("fits");
        receivable.open("i-2", 50, Some(date(2026, 3, 1))).expect("fits");
        receivable.open("i-1", -100, None).expect("fits");
        receivable.credit(20).expect("fits");
        let shown = receivable.shown().expect("fits");
        assert_eq!((shown.balance_minor, shown.open_minor, shown.open_invoices), (30, 50, 1));
        assert!(receivable.open("i-2", i64::MAX, None).is_err());
    }
}
