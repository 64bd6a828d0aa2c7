//! Whether an invoice had to be corrected. Its posting, credit notes against it, its void and write-offs may be read in any order: whatever
//! the order, the state in the end is the same. There is a row once the posting is known.

use super::{Plan, Source, add};
use crate::document::{Accuracy, FeedDocument, Known, key, kind};
use events::{
    AnalyticsInvoiceAccuracy, CreditNoteIssued, InvoiceMarkedUncollectible, InvoicePosted, InvoiceVoided, Payload,
    common::InvoiceStanding,
};
use failure::Failure;
use jiff::Timestamp;
use ledger::DocumentKey;

#[must_use]
pub fn read(invoice_id: &str) -> DocumentKey {
    key(kind::ACCURACY, invoice_id)
}

/// # Errors
/// Amounts that do not fit.
pub fn posted(plan: &mut Plan, known: Known<'_>, source: Source<'_, InvoicePosted>) -> Result<(), Failure> {
    let event = source.event;
    told(plan, known, source, &event.invoice_id, |accuracy| {
        accuracy.is_posted = true;
        let row = &mut accuracy.row;
        row.legal_entity_id = source.entity();
        row.invoice_number.clone_from(&event.invoice_number);
        row.contract_id.clone_from(&event.contract_id);
        row.issued_on = event.issue_on;
        row.timezone.clone_from(&event.timezone);
        row.currency.clone_from(&event.currency);
        row.payable_minor = event.totals.payable_minor;
        Ok(())
    })
}

/// # Errors
/// Amounts that do not fit.
pub fn credited(plan: &mut Plan, known: Known<'_>, source: Source<'_, CreditNoteIssued>) -> Result<(), Failure> {
    let event = source.event;
    let Some(invoice) = &event.preceding_invoice else { return Ok(()) };
    told(plan, known, source, &invoice.invoice_id, |accuracy| {
        accuracy.row.credit_notes += 1;
        add(accuracy.credited.entry(event.currency.clone()).or_default(), event.totals.payable_minor)?;
        corrected(accuracy, event, &event.reason.code);
        Ok(())
    })
}

/// # Errors
/// None: no amount is added.
pub fn voided(plan: &mut Plan, known: Known<'_>, source: Source<'_, InvoiceVoided>) -> Result<(), Failure> {
    let event = source.event;
    told(plan, known, source, &event.invoice_id, |accuracy| {
        accuracy.is_voided = true;
        corrected(accuracy, event, &event.reason.code);
        Ok(())
    })
}

/// # Errors
/// Amounts that do not fit.
pub fn written_off(
    plan: &mut Plan,
    known: Known<'_>,
    source: Source<'_, InvoiceMarkedUncollectible>,
) -> Result<(), Failure> {
    let event = source.event;
    told(plan, known, source, &event.invoice_id, |accuracy| {
        add(&mut accuracy.row.written_off_minor, event.write_off_minor)
    })
}

fn told<T: Payload>(
    plan: &mut Plan,
    known: Known<'_>,
    source: Source<'_, T>,
    invoice_id: &str,
    change: impl FnOnce(&mut Accuracy) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut accuracy = known.accuracy(invoice_id).cloned().unwrap_or_default();
    change(&mut accuracy)?;
    let row = &mut accuracy.row;
    row.account_id = source.account();
    invoice_id.clone_into(&mut row.invoice_id);
    row.entity_version += 1;
    row.occurred_at = row.occurred_at.max(source.event.effective_at());
    row.recorded_at = row.recorded_at.max(source.event.recorded_at());
    row.is_accurate = !accuracy.is_voided && row.credit_notes == 0;
    row.credited_minor = accuracy.credited.get(&row.currency).copied().unwrap_or_default();
    row.standing = standing(accuracy.is_voided, row);
    if accuracy.is_posted {
        plan.state(row.clone());
    }
    plan.put(kind::ACCURACY, invoice_id, FeedDocument::Accuracy(Box::new(accuracy)));
    Ok(())
}

const fn standing(is_voided: bool, row: &AnalyticsInvoiceAccuracy) -> InvoiceStanding {
    if is_voided {
        InvoiceStanding::Voided
    } else if row.credit_notes > 0 {
        InvoiceStanding::Corrected
    } else if row.written_off_minor > 0 {
        InvoiceStanding::WrittenOff
    } else {
        InvoiceStanding::Posted
    }
}

/// The newest correction gives the reason, the oldest the time; where two are of one time, the order of reading does not matter either.
fn corrected(accuracy: &mut Accuracy, event: &impl Payload, reason: &str) {
    let newest = (event.effective_at(), reason.to_owned());
    let reason = accuracy.newest_reason.take().map_or(newest.clone(), |known: (Timestamp, String)| known.max(newest));
    accuracy.row.reason_code = Some(reason.1.clone());
    accuracy.newest_reason = Some(reason);
    let first = accuracy.row.first_corrected_at;
    accuracy.row.first_corrected_at = Some(first.map_or(event.effective_at(), |known| known.min(event.effective_at())));
}
