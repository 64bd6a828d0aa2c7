//! Credit notes: the rows of an invoice with the other sign.

use super::{
    Plan, Source, accuracy,
    balance::{Change, book},
    rows::{Sign, rows},
    version,
};
use crate::document::{FeedDocument, Known, Seen, key, kind};
use events::{AnalyticsInvoiceLine, CreditNoteIssued, common::DocumentKind};
use failure::Failure;
use ledger::DocumentKey;

#[must_use]
pub fn reads(event: &CreditNoteIssued) -> Vec<DocumentKey> {
    let mut keys = vec![key(kind::CREDIT_NOTE, &event.credit_note_id), super::balance::read(event, &event.currency)];
    keys.extend(event.preceding_invoice.as_ref().map(|invoice| accuracy::read(&invoice.invoice_id)));
    keys
}

/// The whole credit lowers what is owed; the part of it that is paid out comes back with its `payment.refunded`.
///
/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn plan(known: Known<'_>, source: Source<'_, CreditNoteIssued>) -> Result<Plan, Failure> {
    let event = source.event;
    let before = known.credit_note(&event.credit_note_id).map(|seen| seen.entity_version);
    version::first(&event.credit_note_id, before, event.entity_version)?;
    let document = AnalyticsInvoiceLine {
        account_id: source.account(),
        entity_version: event.entity_version,
        occurred_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: source.entity(),
        source_event_id: source.id.to_owned(),
        document_id: event.credit_note_id.clone(),
        document_kind: DocumentKind::CreditNote,
        document_number: Some(event.credit_note_number.clone()),
        type_code: Some(event.type_code.clone()),
        booked_on: event.issue_on,
        timezone: event.timezone.clone(),
        posting_period: event.posting_period.clone(),
        contract_id: event.contract_id.clone(),
        currency: event.currency.clone(),
        preceding_invoice_id: event.preceding_invoice.as_ref().map(|invoice| invoice.invoice_id.clone()),
        reason_code: Some(event.reason.code.clone()),
        ..AnalyticsInvoiceLine::default()
    };
    let mut plan = Plan::default();
    rows(&document, Sign::Credited, &event.lines, &event.totals)?.into_iter().for_each(|row| plan.fact(row));
    let change = Change { credited: event.totals.payable_minor, ..Change::default() };
    book(&mut plan, known, source, (&event.currency, event.issue_on), change)?;
    let seen = Seen { account_id: source.account(), entity_version: event.entity_version };
    plan.put(kind::CREDIT_NOTE, &event.credit_note_id, FeedDocument::CreditNote(seen));
    accuracy::credited(&mut plan, known, source)?;
    Ok(plan)
}
