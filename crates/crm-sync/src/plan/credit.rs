//! Credit notes: what is credited, against an invoice or to the account.

use super::{Decision, reads_of, receivable, show, subject, version_of};
use crate::document::{Known, key, kind};
use events::{CreditNoteIssued, version};
use failure::Failure;
use ledger::DocumentKey;

/// # Errors
/// A second version, or an account that is not there yet.
pub fn issued(known: Known<'_>, event: &CreditNoteIssued) -> Result<Decision, Failure> {
    let id = &event.credit_note_id;
    version::first(id, version_of(known, kind::CREDIT_NOTE, id), event.entity_version)?;
    let mut receivable = receivable(known, event, &event.currency)?;
    let total_minor = event.totals.payable_minor;
    let to_invoice_minor = match (&event.preceding_invoice, &event.application) {
        (Some(_), Some(application)) => application.to_invoice_minor.min(total_minor),
        (Some(_), None) => total_minor,
        (None, _) => 0,
    };
    if let Some(invoice) = event.preceding_invoice.as_ref().filter(|_| to_invoice_minor != 0) {
        let due_on = known.subject(kind::INVOICE, &invoice.invoice_id).and_then(|invoice| invoice.due_on);
        receivable.open(&invoice.invoice_id, -to_invoice_minor, due_on)?;
    }
    // What is to be paid back stands to the account's credit until it is.
    receivable.credit(total_minor.saturating_sub(to_invoice_minor))?;
    show(Decision::new().put(kind::CREDIT_NOTE, id, subject(event, "issued", None)), receivable)
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &CreditNoteIssued) -> Vec<DocumentKey> {
    let mut keys = reads_of(&event.account_id, &event.currency);
    keys.push(key(kind::CREDIT_NOTE, &event.credit_note_id));
    keys.extend(event.preceding_invoice.iter().map(|invoice| key(kind::INVOICE, &invoice.invoice_id)));
    keys
}

#[cfg(test)]
mod tests {
    use crate::testing::{activated, credited, invoiced, kept, owed};
    use jiff::civil::date;

    #[test]
    fn a_credit_settles_its_invoice_and_the_rest_stands_on_the_account() {
        let state = kept(&[
            activated("a-1", "c-1").into(),
            invoiced("a-1", "i-1", 1_000, date(2026, 3, 1)).into(),
            credited("a-1", "n-1", Some("i-1"), 300, 200).into(),
            credited("a-1", "n-2", None, 50, 0).into(),
        ]);
        let shown = owed(&state, "a-1", "GBP");
        assert_eq!((shown.open_minor, shown.balance_minor), (800, 650));
    }
}
