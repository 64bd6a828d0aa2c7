//! Money that comes and goes: what is still owed, and when something was paid last.

use super::{Decision, reads_of, receivable, show, subject, version_of};
use crate::document::{Known, Paid, key, kind};
use events::{Payload, PaymentDisputed, PaymentReceived, PaymentRefunded, common::DisputeStatus, version};
use failure::Failure;
use ledger::DocumentKey;

/// # Errors
/// A version out of order, or an account that is not there yet.
pub fn received(known: Known<'_>, event: &PaymentReceived) -> Result<Decision, Failure> {
    version::next(&event.payment_id, version_of(known, kind::PAYMENT, &event.payment_id), event.entity_version)?;
    let mut receivable = receivable(known, event, &event.currency)?;
    let mut allocated_minor = 0_i64;
    for allocation in &event.allocations {
        let settled = allocation.amount_minor.saturating_add(allocation.discount_minor);
        let settled = settled.saturating_add(allocation.write_off_minor);
        receivable.open(&allocation.invoice_id, -settled, due_on(known, &allocation.invoice_id))?;
        allocated_minor = allocated_minor.saturating_add(allocation.amount_minor);
    }
    receivable.credit(event.amount_minor.saturating_sub(allocated_minor))?;
    receivable.paid(Paid {
        received_on: event.received_on,
        payment_id: event.payment_id.clone(),
        amount_minor: event.amount_minor,
    });
    show(Decision::new().put(kind::PAYMENT, &event.payment_id, subject(event, "received", None)), receivable)
}

/// What was paid goes back: its invoice is open again, or less stands to the account's credit.
///
/// # Errors
/// A version out of order, or an account that is not there yet.
pub fn refunded(known: Known<'_>, event: &PaymentRefunded) -> Result<Decision, Failure> {
    version::next(&event.payment_id, version_of(known, kind::PAYMENT, &event.payment_id), event.entity_version)?;
    let invoice_id = event.invoice_id.as_deref().filter(|_| event.credit_note_id.is_none());
    let decision = Decision::new().put(kind::PAYMENT, &event.payment_id, subject(event, "refunded", None));
    given_back(known, decision, event, (invoice_id, event.amount_minor, &event.currency))
}

/// Only a dispute that is lost takes money away.
///
/// # Errors
/// A version out of order, or an account that is not there yet.
pub fn disputed(known: Known<'_>, event: &PaymentDisputed) -> Result<Decision, Failure> {
    version::next(&event.payment_id, version_of(known, kind::PAYMENT, &event.payment_id), event.entity_version)?;
    let document = |status| subject(event, status, None);
    match event.status {
        DisputeStatus::Lost => {
            let decision = Decision::new().put(kind::PAYMENT, &event.payment_id, document("charged_back"));
            given_back(known, decision, event, (event.invoice_id.as_deref(), event.amount_minor, &event.currency))
        }
        DisputeStatus::Opened | DisputeStatus::UnderReview | DisputeStatus::Won | DisputeStatus::Unknown => {
            let rule = "a dispute changes what is owed only when it is lost";
            Ok(Decision::skip(rule).put(kind::PAYMENT, &event.payment_id, document("disputed")))
        }
    }
}

fn given_back(
    known: Known<'_>,
    decision: Decision,
    event: &impl Payload,
    (invoice_id, amount_minor, currency): (Option<&str>, i64, &str),
) -> Result<Decision, Failure> {
    let mut receivable = receivable(known, event, currency)?;
    match invoice_id {
        Some(invoice_id) => receivable.open(invoice_id, amount_minor, due_on(known, invoice_id))?,
        None => receivable.credit(-amount_minor)?,
    }
    show(decision, receivable)
}

fn due_on(known: Known<'_>, invoice_id: &str) -> Option<jiff::civil::Date> {
    known.subject(kind::INVOICE, invoice_id).and_then(|invoice| invoice.due_on)
}

/// The documents that the plan of a received payment looks at.
#[must_use]
pub fn reads_of_received(event: &PaymentReceived) -> Vec<DocumentKey> {
    let mut keys = reads(event, &event.payment_id, &event.currency, None);
    keys.extend(event.allocations.iter().map(|allocation| key(kind::INVOICE, &allocation.invoice_id)));
    keys
}

/// The documents that the other plans look at.
#[must_use]
pub fn reads(event: &impl Payload, payment_id: &str, currency: &str, invoice_id: Option<&str>) -> Vec<DocumentKey> {
    let mut keys = reads_of(event.account_id(), currency);
    keys.push(key(kind::PAYMENT, payment_id));
    keys.extend(invoice_id.map(|id| key(kind::INVOICE, id)));
    keys
}

#[cfg(test)]
mod tests {
    use crate::testing::{activated, invoiced, kept, owed, paid, refunded};
    use jiff::civil::date;

    #[test]
    fn a_payment_settles_and_a_refund_opens_again_with_the_old_due_date() {
        let mut events = vec![
            activated("a-1", "c-1").into(),
            invoiced("a-1", "i-1", 1_000, date(2026, 3, 1)).into(),
            paid("a-1", "p-1", 1_200, "i-1", 1_000, date(2026, 2, 10)).into(),
        ];
        let shown = owed(&kept(&events), "a-1", "GBP");
        assert_eq!((shown.balance_minor, shown.open_invoices, shown.oldest_due_on), (-200, 0, None));
        let last = shown.last_payment.expect("paid");
        assert_eq!((last.amount_minor, last.received_on), (1_200, date(2026, 2, 10)));
        events.push(refunded("a-1", "p-1", 2, Some("i-1"), 1_000).into());
        let shown = owed(&kept(&events), "a-1", "GBP");
        assert_eq!((shown.balance_minor, shown.open_minor), (800, 1_000));
        assert_eq!(shown.oldest_due_on, Some(date(2026, 3, 1)));
    }
}
