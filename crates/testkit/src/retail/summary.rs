//! What came out of a file, to be held against totals that are known.

use events::Event;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts and sums in pence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub invoices: u64,
    pub invoice_lines: u64,
    pub invoiced_minor: i64,
    pub credit_notes: u64,
    pub credit_note_lines: u64,
    /// Positive: what was credited.
    pub credited_minor: i64,
    /// Credit notes that name the invoice they correct.
    pub credit_notes_with_invoice: u64,
    pub contracts: u64,
    pub skipped_stock_adjustments: u64,
    pub skipped_adjustments: u64,
    /// Documents and stray lines that could not be read.
    pub refused: u64,
    /// What each account owes in the end: invoices less credits.
    #[serde(skip)]
    pub net_by_account: BTreeMap<String, i64>,
}

impl Summary {
    /// Invoices less credits, of all accounts.
    #[must_use]
    pub const fn net_minor(&self) -> i64 {
        self.invoiced_minor - self.credited_minor
    }

    /// Events published.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.contracts + self.invoices + self.credit_notes
    }

    /// The accounts that owe most, most first, at most `n`.
    #[must_use]
    pub fn largest(&self, n: usize) -> Vec<(&str, i64)> {
        let mut accounts: Vec<_> = self.net_by_account.iter().map(|(account, net)| (account.as_str(), *net)).collect();
        accounts.sort_by_key(|(_, net)| std::cmp::Reverse(*net));
        accounts.truncate(n);
        accounts
    }

    /// The account that owes least; it may be owed.
    #[must_use]
    pub fn smallest(&self) -> Option<(&str, i64)> {
        self.net_by_account.iter().min_by_key(|(_, net)| **net).map(|(account, net)| (account.as_str(), *net))
    }

    pub(super) fn count(&mut self, account: &str, event: &Event) {
        let owed = match event {
            Event::InvoicePosted(invoice) => {
                self.invoices += 1;
                self.invoice_lines += invoice.lines.len() as u64;
                self.invoiced_minor += invoice.totals.payable_minor;
                invoice.totals.payable_minor
            }
            Event::CreditNoteIssued(note) => {
                self.credit_notes += 1;
                self.credit_note_lines += note.lines.len() as u64;
                self.credited_minor += note.totals.payable_minor;
                self.credit_notes_with_invoice += u64::from(note.preceding_invoice.is_some());
                -note.totals.payable_minor
            }
            // A file holds only invoices and credit notes.
            _ => 0,
        };
        *self.net_by_account.entry(account.to_owned()).or_default() += owed;
    }
}
