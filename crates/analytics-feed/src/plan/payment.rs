//! Money: what arrived, what failed, what went back, what is disputed.

use super::{
    Plan, Source, add,
    balance::{Change, book},
    count, negated, version,
};
use crate::{
    document::{FeedDocument, Known, Seen, key, kind},
    mask::Pseudonyms,
};
use events::{
    AnalyticsPayment, Payload, PaymentDisputed, PaymentFailed, PaymentReceived, PaymentRefunded,
    common::{DisputeStatus, PaymentEntry},
};
use failure::Failure;
use ledger::DocumentKey;

#[must_use]
pub fn reads(event: &impl Payload, currency: &str) -> Vec<DocumentKey> {
    vec![key(kind::PAYMENT, event.subject()), super::balance::read(event, currency)]
}

/// What the rows of an event share. Its version is checked and noted.
fn begin<T: Payload>(
    plan: &mut Plan,
    known: Known<'_>,
    source: Source<'_, T>,
    entry: PaymentEntry,
) -> Result<AnalyticsPayment, Failure> {
    let (event, payment_id) = (source.event, source.event.subject());
    version::next(payment_id, known.payment(payment_id).map(|seen| seen.entity_version), event.entity_version())?;
    let seen = Seen { account_id: source.account(), entity_version: event.entity_version() };
    plan.put(kind::PAYMENT, payment_id, FeedDocument::Payment(seen));
    Ok(AnalyticsPayment {
        account_id: source.account(),
        entity_version: event.entity_version(),
        occurred_at: event.effective_at(),
        recorded_at: event.recorded_at(),
        legal_entity_id: source.entity(),
        source_event_id: source.id.to_owned(),
        document_id: payment_id.to_owned(),
        entry,
        payment_id: Some(payment_id.to_owned()),
        line_no: 1,
        line_count: 1,
        ..AnalyticsPayment::default()
    })
}

/// One row for each invoice that is paid, and one for what is left over.
///
/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn received(masks: &Pseudonyms, known: Known<'_>, source: Source<'_, PaymentReceived>) -> Result<Plan, Failure> {
    let event = source.event;
    let mut plan = Plan::default();
    let payment = AnalyticsPayment {
        booked_on: event.received_on,
        timezone: event.timezone.clone(),
        currency: event.currency.clone(),
        method: event.method,
        bank_reference_token: masks.optional("bank_reference", event.bank_reference.as_ref()),
        ..begin(&mut plan, known, source, PaymentEntry::Received)?
    };
    let mut change = Change { paid: event.amount_minor, ..Change::default() };
    let mut rows = Vec::with_capacity(event.allocations.len() + 1);
    for part in &event.allocations {
        let mut settled_minor = part.amount_minor;
        add(&mut settled_minor, part.discount_minor)?;
        add(&mut settled_minor, part.write_off_minor)?;
        add(&mut change.discount, part.discount_minor)?;
        add(&mut change.written_off, part.write_off_minor)?;
        rows.push(AnalyticsPayment {
            invoice_id: Some(part.invoice_id.clone()),
            amount_minor: part.amount_minor,
            settled_minor,
            discount_minor: part.discount_minor,
            write_off_minor: part.write_off_minor,
            stated_minor: part.amount_minor,
            ..payment.clone()
        });
    }
    if event.unapplied_minor != 0 || rows.is_empty() {
        let left = event.unapplied_minor;
        rows.push(AnalyticsPayment { amount_minor: left, settled_minor: left, stated_minor: left, ..payment });
    }
    let line_count = count(rows.len());
    for (mut row, line_no) in rows.into_iter().zip(1..) {
        (row.line_no, row.line_count) = (line_no, line_count);
        if line_no == 1 {
            row.fees_minor = event.fees_minor;
            row.settlement_minor = event.settlement.as_ref().map(|settlement| settlement.amount.amount_minor);
            row.settlement_currency = event.settlement.as_ref().map(|settlement| settlement.amount.currency.clone());
        }
        plan.fact(row);
    }
    book(&mut plan, known, source, (&event.currency, event.received_on), change)?;
    Ok(plan)
}

/// No money moved.
///
/// # Errors
/// A version out of order.
pub fn failed(known: Known<'_>, source: Source<'_, PaymentFailed>) -> Result<Plan, Failure> {
    let event = source.event;
    let mut plan = Plan::default();
    let row = AnalyticsPayment {
        invoice_id: Some(event.invoice_id.clone()),
        // The event names no zone: the day is that of UTC.
        booked_on: super::day(event.effective_at, UTC),
        timezone: UTC.to_owned(),
        currency: event.currency.clone(),
        stated_minor: event.amount_minor,
        method: event.method,
        attempt_no: Some(event.attempt_no),
        failure_code: Some(event.failure_code.clone()),
        failure_category: Some(event.category),
        next_attempt_at: event.next_attempt_at,
        ..begin(&mut plan, known, source, PaymentEntry::Failed)?
    };
    plan.fact(row);
    Ok(plan)
}

const UTC: &str = "UTC";

/// Money went back.
///
/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn refunded(masks: &Pseudonyms, known: Known<'_>, source: Source<'_, PaymentRefunded>) -> Result<Plan, Failure> {
    let event = source.event;
    let mut plan = Plan::default();
    let back = negated(event.amount_minor)?;
    let row = AnalyticsPayment {
        refund_id: Some(event.refund_id.clone()),
        invoice_id: event.invoice_id.clone(),
        credit_note_id: event.credit_note_id.clone(),
        booked_on: event.refunded_on,
        timezone: event.timezone.clone(),
        currency: event.currency.clone(),
        amount_minor: back,
        settled_minor: back,
        stated_minor: event.amount_minor,
        fees_minor: event.fees_minor,
        method: event.method,
        reason_code: Some(event.reason.code.clone()),
        bank_reference_token: masks.optional("bank_reference", event.bank_reference.as_ref()),
        ..begin(&mut plan, known, source, PaymentEntry::Refunded)?
    };
    plan.fact(row);
    let change = Change { refunded: event.amount_minor, ..Change::default() };
    book(&mut plan, known, source, (&event.currency, event.refunded_on), change)?;
    Ok(plan)
}

/// Only a lost dispute takes the money back.
///
/// # Errors
/// A version out of order, or amounts that do not fit.
pub fn disputed(known: Known<'_>, source: Source<'_, PaymentDisputed>) -> Result<Plan, Failure> {
    let event = source.event;
    let mut plan = Plan::default();
    let lost = event.status == DisputeStatus::Lost;
    let back = if lost { negated(event.amount_minor)? } else { 0 };
    let row = AnalyticsPayment {
        dispute_id: Some(event.dispute_id.clone()),
        dispute_status: Some(event.status),
        invoice_id: event.invoice_id.clone(),
        booked_on: event.disputed_on,
        timezone: event.timezone.clone(),
        currency: event.currency.clone(),
        amount_minor: back,
        settled_minor: back,
        stated_minor: event.amount_minor,
        fees_minor: event.fees_minor,
        reason_code: Some(event.reason.code.clone()),
        ..begin(&mut plan, known, source, PaymentEntry::Disputed)?
    };
    plan.fact(row);
    if lost {
        let change = Change { refunded: event.amount_minor, ..Change::default() };
        book(&mut plan, known, source, (&event.currency, event.disputed_on), change)?;
    }
    Ok(plan)
}
