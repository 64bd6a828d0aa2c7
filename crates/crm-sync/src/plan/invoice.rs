//! Invoices: what an account owes, and since when.

use super::{Decision, reads_of, receivable, show, subject, version_of};
use crate::document::{Known, key, kind};
use events::{InvoiceMarkedUncollectible, InvoicePosted, InvoiceVoided, version};
use failure::Failure;
use ledger::DocumentKey;

/// # Errors
/// A second version, or an account that is not there yet.
pub fn posted(known: Known<'_>, event: &InvoicePosted) -> Result<Decision, Failure> {
    version::first(&event.invoice_id, version_of(known, kind::INVOICE, &event.invoice_id), event.entity_version)?;
    let mut receivable = receivable(known, event, &event.currency)?;
    receivable.open(&event.invoice_id, event.totals.payable_minor, event.due_on)?;
    let document = subject(event, "posted", event.due_on);
    show(Decision::new().put(kind::INVOICE, &event.invoice_id, document), receivable)
}

/// A draft owed nothing. One that was posted and is voided all the same is a matter for the ERP's people; what is owed does not change here.
///
/// # Errors
/// A version out of order.
pub fn voided(known: Known<'_>, event: &InvoiceVoided) -> Result<Decision, Failure> {
    let before = known.subject(kind::INVOICE, &event.invoice_id);
    version::next(&event.invoice_id, before.map(|invoice| invoice.entity_version), event.entity_version)?;
    let document = subject(event, "voided", before.and_then(|invoice| invoice.due_on));
    let rule = "a voided draft never was a receivable";
    Ok(Decision::skip(rule).put(kind::INVOICE, &event.invoice_id, document))
}

/// # Errors
/// A version out of order, or an account that is not there yet.
pub fn written_off(known: Known<'_>, event: &InvoiceMarkedUncollectible) -> Result<Decision, Failure> {
    let before = known.subject(kind::INVOICE, &event.invoice_id);
    version::next(&event.invoice_id, before.map(|invoice| invoice.entity_version), event.entity_version)?;
    let due_on = before.and_then(|invoice| invoice.due_on);
    let mut receivable = receivable(known, event, &event.currency)?;
    receivable.open(&event.invoice_id, -event.write_off_minor, due_on)?;
    let document = subject(event, "written_off", due_on);
    show(Decision::new().put(kind::INVOICE, &event.invoice_id, document), receivable)
}

/// The documents that the plans look at.
#[must_use]
pub fn reads(account_id: &str, invoice_id: &str, currency: &str) -> Vec<DocumentKey> {
    let mut keys = reads_of(account_id, currency);
    keys.push(key(kind::INVOICE, invoice_id));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, invoiced, kept, owed, sent};
    use failure::Class;
    use jiff::civil::date;

    #[test]
    fn invoices_add_up_by_currency_with_the_oldest_due_date() {
        let state = kept(&[
            activated("a-1", "c-1").into(),
            invoiced("a-1", "i-1", 1_000, date(2026, 3, 1)).into(),
            invoiced("a-1", "i-2", 500, date(2026, 2, 1)).into(),
        ]);
        let shown = owed(&state, "a-1", "GBP");
        assert_eq!((shown.balance_minor, shown.open_minor, shown.open_invoices), (1_500, 1_500, 2));
        assert_eq!(shown.oldest_due_on, Some(date(2026, 2, 1)));
    }

    #[test]
    fn an_invoice_before_any_contract_of_its_account_waits_for_the_account() {
        let event = invoiced("a-1", "i-1", 1_000, date(2026, 3, 1));
        let failure = posted(Known(&kept(&[]).documents()), &event).err().expect("waits");
        let seen = (failure.class, failure.code.as_ref(), failure.awaits.as_deref());
        assert_eq!(seen, (Class::NotYet, "CUSTOMER_NOT_CREATED", Some("a-1")));
    }

    #[test]
    fn a_write_off_takes_what_nobody_will_pay() {
        let mut events = vec![activated("a-1", "c-1").into(), invoiced("a-1", "i-1", 1_000, date(2026, 3, 1)).into()];
        let event = InvoiceMarkedUncollectible {
            account_id: "a-1".into(),
            invoice_id: "i-1".into(),
            entity_version: 2,
            currency: "GBP".into(),
            write_off_minor: 1_000,
            ..InvoiceMarkedUncollectible::default()
        };
        assert_eq!(sent(&kept(&events), &event.clone().into()).len(), 1);
        events.push(event.into());
        assert_eq!(owed(&kept(&events), "a-1", "GBP").open_invoices, 0);
    }
}
