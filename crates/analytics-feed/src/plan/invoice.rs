//! Invoices, and what ends them: voids and write-offs.

use super::{
    Plan, Source, accuracy,
    balance::{Change, book},
    negated,
    rows::{Sign, rows},
    version,
};
use crate::document::{FeedDocument, Invoice, Known, key, kind};
use events::{
    AnalyticsInvoiceLine, AnalyticsPayment, InvoiceMarkedUncollectible, InvoicePosted, InvoiceVoided,
    common::{DocumentKind, LineKind, PaymentEntry},
};
use failure::Failure;
use ledger::DocumentKey;

#[must_use]
pub fn reads(event: &impl events::Payload, currency: &str) -> Vec<DocumentKey> {
    vec![key(kind::INVOICE, event.subject()), super::balance::read(event, currency), accuracy::read(event.subject())]
}

/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn posted(known: Known<'_>, source: Source<'_, InvoicePosted>) -> Result<Plan, Failure> {
    let event = source.event;
    let before = known.invoice(&event.invoice_id);
    version::first(&event.invoice_id, before.map(|invoice| invoice.entity_version), event.entity_version)?;
    let document = AnalyticsInvoiceLine {
        account_id: source.account(),
        entity_version: event.entity_version,
        occurred_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: source.entity(),
        source_event_id: source.id.to_owned(),
        document_id: event.invoice_id.clone(),
        document_kind: DocumentKind::Invoice,
        document_number: Some(event.invoice_number.clone()),
        type_code: Some(event.type_code.clone()),
        booked_on: event.issue_on,
        due_on: event.due_on,
        timezone: event.timezone.clone(),
        posting_period: event.posting_period.clone(),
        contract_id: event.contract_id.clone(),
        currency: event.currency.clone(),
        ..AnalyticsInvoiceLine::default()
    };
    let mut plan = Plan::default();
    rows(&document, Sign::Owed, &event.lines, &event.totals)?.into_iter().for_each(|row| plan.fact(row));
    let invoiced = event.totals.payable_minor;
    let change = Change { invoiced, ..Change::default() };
    book(&mut plan, known, source, (&event.currency, event.issue_on), change)?;
    let invoice = Invoice {
        account_id: source.account(),
        entity_version: event.entity_version,
        currency: event.currency.clone(),
        net_minor: event.totals.tax_exclusive_minor,
        tax_minor: event.totals.tax_minor,
        payable_minor: event.totals.payable_minor,
        voided: false,
    };
    plan.put(kind::INVOICE, &event.invoice_id, FeedDocument::Invoice(invoice));
    accuracy::posted(&mut plan, known, source)?;
    Ok(plan)
}

/// The invoice that an event goes on about, with the version of the event.
fn known_invoice(known: Known<'_>, event: &impl events::Payload) -> Result<Invoice, Failure> {
    let found = known.invoice(event.subject());
    version::next(event.subject(), found.map(|invoice| invoice.entity_version), event.entity_version())?;
    let Some(invoice) = found else {
        let reason = format!("the first event of `{}` must be its invoice.posted", event.subject());
        return Err(Failure::contract("FIELD_INVALID", reason).at_field("entity_version"));
    };
    if invoice.voided {
        let reason = format!("`{}` is voided: nothing is left of it", event.subject());
        return Err(Failure::contract("FIELD_INVALID", reason).at_field("invoice_id"));
    }
    Ok(Invoice { entity_version: event.entity_version(), ..invoice.clone() })
}

fn in_currency(invoice: &Invoice, invoice_id: &str, currency: &str) -> Result<(), Failure> {
    if invoice.currency == currency {
        return Ok(());
    }
    let reason = format!("`{invoice_id}` is in {}, not in {currency}", invoice.currency);
    Err(Failure::contract("FIELD_INVALID", reason).at_field("currency"))
}

/// Takes the whole invoice back: one row of its totals, on the day of the void. A draft, voided before it was ever posted, leaves no row.
///
/// # Errors
/// A version out of order, or a void that does not fit its invoice.
pub fn voided(known: Known<'_>, source: Source<'_, InvoiceVoided>) -> Result<Plan, Failure> {
    let event = source.event;
    if event.entity_version == 1 && known.invoice(&event.invoice_id).is_none() {
        return Ok(draft(source));
    }
    let invoice = known_invoice(known, event)?;
    in_currency(&invoice, &event.invoice_id, &event.currency)?;
    if event.payable_minor != invoice.payable_minor {
        let reason = format!("is {}, but the invoice's total is {}", event.payable_minor, invoice.payable_minor);
        return Err(Failure::contract("SUM_MISMATCH", reason).at_field("payable_minor"));
    }
    let mut plan = Plan::default();
    plan.fact(AnalyticsInvoiceLine {
        account_id: source.account(),
        entity_version: event.entity_version,
        occurred_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: source.entity(),
        source_event_id: source.id.to_owned(),
        document_id: event.invoice_id.clone(),
        document_kind: DocumentKind::Void,
        document_number: event.invoice_number.clone(),
        line_kind: LineKind::Void,
        line_no: 1,
        line_count: 1,
        booked_on: event.voided_on,
        timezone: event.timezone.clone(),
        contract_id: event.contract_id.clone(),
        currency: event.currency.clone(),
        net_minor: negated(invoice.net_minor)?,
        tax_minor: negated(invoice.tax_minor)?,
        gross_minor: negated(invoice.payable_minor)?,
        reason_code: Some(event.reason.code.clone()),
        ..AnalyticsInvoiceLine::default()
    });
    let change = Change { invoiced: negated(invoice.payable_minor)?, ..Change::default() };
    book(&mut plan, known, source, (&event.currency, event.voided_on), change)?;
    plan.put(kind::INVOICE, &event.invoice_id, FeedDocument::Invoice(Invoice { voided: true, ..invoice }));
    accuracy::voided(&mut plan, known, source)?;
    Ok(plan)
}

/// Only its version is kept, so that nothing is posted under its id any more.
fn draft(source: Source<'_, InvoiceVoided>) -> Plan {
    let event = source.event;
    let invoice = Invoice {
        account_id: source.account(),
        entity_version: event.entity_version,
        currency: event.currency.clone(),
        net_minor: 0,
        tax_minor: 0,
        payable_minor: 0,
        voided: true,
    };
    let mut plan = Plan::default();
    plan.put(kind::INVOICE, &event.invoice_id, FeedDocument::Invoice(invoice));
    plan
}

/// Nobody expects it to be paid: no money moves, and nothing is owed any more.
///
/// # Errors
/// A version out of order, or a write-off in another currency.
pub fn uncollectible(known: Known<'_>, source: Source<'_, InvoiceMarkedUncollectible>) -> Result<Plan, Failure> {
    let event = source.event;
    let invoice = known_invoice(known, event)?;
    in_currency(&invoice, &event.invoice_id, &event.currency)?;
    let mut plan = Plan::default();
    plan.fact(AnalyticsPayment {
        account_id: source.account(),
        entity_version: event.entity_version,
        occurred_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: source.entity(),
        source_event_id: source.id.to_owned(),
        document_id: event.invoice_id.clone(),
        entry: PaymentEntry::WrittenOff,
        invoice_id: Some(event.invoice_id.clone()),
        line_no: 1,
        line_count: 1,
        booked_on: event.marked_on,
        timezone: event.timezone.clone(),
        currency: event.currency.clone(),
        settled_minor: event.write_off_minor,
        write_off_minor: event.write_off_minor,
        stated_minor: event.write_off_minor,
        reason_code: Some(event.reason.code.clone()),
        ..AnalyticsPayment::default()
    });
    let change = Change { written_off: event.write_off_minor, ..Change::default() };
    book(&mut plan, known, source, (&event.currency, event.marked_on), change)?;
    plan.put(kind::INVOICE, &event.invoice_id, FeedDocument::Invoice(invoice));
    accuracy::written_off(&mut plan, known, source)?;
    Ok(plan)
}
