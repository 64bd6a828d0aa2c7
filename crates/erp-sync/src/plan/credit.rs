//! `credit_note.issued`: a credit memo, set against its invoice as far as that is open, the rest open on the account.

use super::{
    Decision, Place, amendment, erp_id, invoice::after_its_order, lines, posting_period, revenue, same_currency, scope,
    version,
};
use crate::{
    document::{self, CreditNote, ErpDocument, Invoice, Known, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{Application, NewCreditMemo};
use events::{CreditNoteIssued, common::InvoiceRef};
use failure::Failure;

/// # Errors
/// A version out of order, an invoice or customer that is not there yet, anything that the mapping does not name.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &CreditNoteIssued) -> Result<Decision, Failure> {
    let issued = known.credit_note(&event.credit_note_id);
    version::first(&event.credit_note_id, issued.map(|note| note.entity_version), event.entity_version)?;
    let corrected = corrected(known, event)?;
    let document = format!("credit note `{}`", event.credit_note_id);
    after_its_order(known, &document, &event.account_id, event.contract_id.as_deref())?;
    posting_period(event.posting_period.as_deref(), event.issue_on)?;
    let mut credit_memo = request(mapping, event)?;
    let total_minor = lines::total(&credit_memo.lines)?;
    let (account, place) = (known.account(&event.account_id), (&*event.legal_entity_id, &*event.currency));
    let decision = scope::enabled(mapping, Decision::new(), account, &event.credit_note_id, place)?;
    let mut decision = less_billed(decision, known, event);
    let mut applied_minor = 0;
    if let Some((invoice_id, invoice)) = corrected {
        applied_minor = against_invoice(event, total_minor).min(invoice.open_minor).max(0);
        if applied_minor > 0 {
            credit_memo.applications = vec![Application {
                invoice: erp_id("invoice", invoice_id, invoice.erp.as_ref())?.to_owned(),
                amount_minor: applied_minor,
                discount_minor: 0,
            }];
            let settled = Invoice { open_minor: invoice.open_minor - applied_minor, ..invoice.clone() };
            decision = decision.put(kind::INVOICE, invoice_id, ErpDocument::Invoice(settled));
        }
    }
    let document = CreditNote {
        account_id: event.account_id.clone(),
        entity_version: event.entity_version,
        currency: event.currency.clone(),
        total_minor,
        unapplied_minor: total_minor - applied_minor,
        erp: None,
    };
    Ok(decision.effect(ErpEffect::IssueCreditMemo { credit_memo, version: event.entity_version }).put(
        kind::CREDIT_NOTE,
        &event.credit_note_id,
        ErpDocument::CreditNote(document),
    ))
}

/// What is credited of a contract whose revenue is planned was billed and is not any more.
fn less_billed(decision: Decision, known: Known<'_>, event: &CreditNoteIssued) -> Decision {
    let Some(contract_id) = event.contract_id.as_deref() else { return decision };
    match known.revenue(contract_id).and_then(|plan| revenue::billed(plan, &event.lines, -1)) {
        Some(plan) => decision.put(kind::REVENUE, contract_id, ErpDocument::Revenue(plan)),
        None => decision,
    }
}

/// The invoice that is corrected, if the note names one.
fn corrected<'a>(known: Known<'a>, event: &'a CreditNoteIssued) -> Result<Option<(&'a str, &'a Invoice)>, Failure> {
    let Some(InvoiceRef { invoice_id, .. }) = &event.preceding_invoice else { return Ok(None) };
    let invoice = known.invoice(invoice_id).ok_or_else(|| {
        let reason = format!("invoice `{invoice_id}` of credit note `{}` is not posted yet", event.credit_note_id);
        Failure::not_yet("INVOICE_NOT_POSTED", invoice_id, reason).at_field("preceding_invoice.invoice_id")
    })?;
    same_currency("currency", invoice_id, &invoice.currency, &event.currency)?;
    Ok(Some((invoice_id, invoice)))
}

/// How much of the credit is meant for the invoice. What is to be refunded stays open until the refund is booked.
fn against_invoice(event: &CreditNoteIssued, total_minor: i64) -> i64 {
    event.application.as_ref().map_or(total_minor, |application| application.to_invoice_minor.min(total_minor))
}

fn request(mapping: &Mapping, event: &CreditNoteIssued) -> Result<NewCreditMemo, Failure> {
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let memo = format!("Credit note {} ({})", event.credit_note_number, event.reason.code);
    Ok(NewCreditMemo {
        credit_note_id: event.credit_note_id.clone(),
        number: event.credit_note_number.clone(),
        header: place.header(&event.account_id, event.contract_id.as_deref(), event.issue_on, memo),
        lines: lines::of_document(&place, &event.lines, &event.tax_breakdown, &event.totals)?,
        applications: Vec::new(),
    })
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &CreditNoteIssued) -> Vec<ledger::DocumentKey> {
    let mut keys =
        vec![document::key(kind::ACCOUNT, &event.account_id), document::key(kind::CREDIT_NOTE, &event.credit_note_id)];
    keys.extend(event.contract_id.iter().flat_map(|contract_id| amendment::reads(contract_id)));
    keys.extend(event.preceding_invoice.iter().map(|invoice| document::key(kind::INVOICE, &invoice.invoice_id)));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, credited, invoiced, kept, mapping, state};
    use failure::Class;

    fn memo(decision: &Decision) -> &NewCreditMemo {
        match decision.effects.as_slice() {
            [ErpEffect::IssueCreditMemo { credit_memo, .. }] => credit_memo,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_credit_is_set_against_its_invoice_and_lowers_what_is_open() {
        let state = kept(
            &mapping(),
            &[
                activated("A-1", "C-1").into(),
                invoiced("A-1", "INV-1", &[1000]).into(),
                credited("A-1", "CN-1", Some("INV-1"), 400).into(),
            ],
        );
        let documents = state.documents();
        assert_eq!(Known(&documents).invoice("INV-1").map(|invoice| invoice.open_minor), Some(1200 - 480));
        assert_eq!(Known(&documents).credit_note("CN-1").map(|note| note.unapplied_minor), Some(0));
    }

    #[test]
    fn what_is_more_than_the_invoice_is_open_for_stays_on_the_account() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into(), invoiced("A-1", "INV-1", &[100]).into()]);
        let decision =
            plan(&mapping(), Known(&state.documents()), &credited("A-1", "CN-1", Some("INV-1"), 400)).expect("a plan");
        assert_eq!(memo(&decision).applications[0].amount_minor, 120);
    }

    #[test]
    fn a_credit_without_invoice_stands_on_the_account() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
        let decision =
            plan(&mapping(), Known(&state.documents()), &credited("A-1", "CN-1", None, 400)).expect("a plan");
        assert!(memo(&decision).applications.is_empty());
        assert_eq!(lines::total(&memo(&decision).lines), Ok(480));
    }

    #[test]
    fn a_credit_waits_for_its_invoice() {
        let event = credited("A-1", "CN-1", Some("INV-9"), 400);
        let failure = plan(&mapping(), Known(&state(&[]).documents()), &event).err().expect("too early");
        assert_eq!((failure.class, failure.awaits.as_deref()), (Class::NotYet, Some("INV-9")));
    }

    #[test]
    fn a_credit_of_a_contract_waits_for_its_order_so_that_its_revenue_plan_knows_it() {
        let state = kept(&mapping(), &[activated("A-1", "C-9").into()]);
        let event = CreditNoteIssued { contract_id: Some("C-1".into()), ..credited("A-1", "CN-1", None, 400) };
        let failure = plan(&mapping(), Known(&state.documents()), &event).err().expect("too early");
        assert_eq!((failure.code.as_ref(), failure.awaits.as_deref()), ("CONTRACT_NOT_ACTIVE", Some("C-1")));
    }

    #[test]
    fn a_credit_in_another_currency_than_its_invoice_is_for_finance() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into(), invoiced("A-1", "INV-1", &[100]).into()]);
        let event = CreditNoteIssued { currency: "USD".into(), ..credited("A-1", "CN-1", Some("INV-1"), 50) };
        let failure = plan(&mapping(), Known(&state.documents()), &event).err().expect("refused");
        assert_eq!((failure.class, failure.code.as_ref()), (Class::Business, "CURRENCY_DIFFERS"));
    }
}
