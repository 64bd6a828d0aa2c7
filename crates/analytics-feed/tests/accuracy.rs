//! The invoice accuracy (D10.07): what a row says of an invoice, whatever the order in which its events are read.

mod common;

use common::Service;
use events::{
    AnalyticsInvoiceAccuracy, CreditNoteIssued, Dataset, Envelope, Event, EventSet as _, InvoiceMarkedUncollectible,
    InvoicePosted, InvoiceVoided,
    common::{InvoiceRef, InvoiceStanding, Reason, Totals},
    topics::ANALYTICS_INVOICE_ACCURACY,
};
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn reason(code: &str) -> Reason {
    Reason { code: code.into(), text: None }
}

fn posted(id: &str, payable_minor: i64) -> Event {
    let totals = Totals { payable_minor, ..Totals::default() };
    InvoicePosted {
        account_id: "A-1".into(),
        entity_version: 1,
        effective_at: at(100),
        recorded_at: at(100),
        legal_entity_id: "UK".into(),
        invoice_id: id.into(),
        invoice_number: id.into(),
        timezone: "Europe/London".into(),
        currency: "GBP".into(),
        totals,
        ..InvoicePosted::default()
    }
    .into()
}

fn credited(id: &str, second: i64, invoice: Option<&str>, currency: &str, payable_minor: i64, why: &str) -> Event {
    let preceding = |id: &str| InvoiceRef { invoice_id: id.into(), invoice_number: None, issue_on: None };
    CreditNoteIssued {
        account_id: "A-1".into(),
        entity_version: 1,
        effective_at: at(second),
        recorded_at: at(second),
        credit_note_id: id.into(),
        preceding_invoice: invoice.map(preceding),
        timezone: "Europe/London".into(),
        currency: currency.into(),
        totals: Totals { payable_minor, ..Totals::default() },
        reason: reason(why),
        ..CreditNoteIssued::default()
    }
    .into()
}

fn voided(id: &str, version: i64, payable_minor: i64) -> Event {
    InvoiceVoided {
        account_id: "A-1".into(),
        entity_version: version,
        effective_at: at(300),
        invoice_id: id.into(),
        timezone: "Europe/London".into(),
        currency: "GBP".into(),
        payable_minor,
        reason: reason("wrong_customer"),
        ..InvoiceVoided::default()
    }
    .into()
}

fn given_up(id: &str, write_off_minor: i64) -> Event {
    InvoiceMarkedUncollectible {
        account_id: "A-1".into(),
        entity_version: 2,
        effective_at: at(400),
        invoice_id: id.into(),
        timezone: "Europe/London".into(),
        currency: "GBP".into(),
        write_off_minor,
        reason: reason("insolvent"),
        ..InvoiceMarkedUncollectible::default()
    }
    .into()
}

/// Five invoices: one stands, one is credited twice, one is voided, one is given up, one is a draft.
fn story() -> Vec<Event> {
    vec![
        posted("I-1", 100),
        posted("I-2", 200),
        credited("C-1", 200, Some("I-2"), "GBP", 50, "price_error"),
        credited("C-2", 250, Some("I-2"), "GBP", 30, "goodwill"),
        credited("C-3", 260, None, "GBP", 10, "goodwill"),
        posted("I-3", 300),
        voided("I-3", 2, 300),
        posted("I-4", 400),
        given_up("I-4", 400),
        voided("I-5", 1, 500),
    ]
}

fn rows(events: &[Event]) -> BTreeMap<String, AnalyticsInvoiceAccuracy> {
    let mut service = Service::new();
    let mut waiting: Vec<&Event> = events.iter().collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|event| {
            let id = format!("{}/{}/{:?}", event.topic(), event.subject(), event.entity_version());
            let envelope = Envelope { id, source: "urn:test".into(), ..Envelope::default() };
            service.decide(&envelope, &(*event).clone().into()).is_err()
        });
        assert!(waiting.len() < before, "nothing goes on: {waiting:?}");
    }
    let row = |(key, row): (&str, &Dataset)| match row {
        Dataset::AnalyticsInvoiceAccuracy(row) => (key.to_owned(), (**row).clone()),
        other => panic!("{other:?}"),
    };
    service.states(ANALYTICS_INVOICE_ACCURACY).into_iter().map(row).collect()
}

#[test]
fn each_invoice_says_what_became_of_it_and_a_write_off_is_no_correction() {
    let rows = rows(&story());
    let told = rows.iter().map(|(id, row)| (id.as_str(), row.standing, row.is_accurate));
    let expected = [
        ("I-1", InvoiceStanding::Posted, true),
        ("I-2", InvoiceStanding::Corrected, false),
        ("I-3", InvoiceStanding::Voided, false),
        ("I-4", InvoiceStanding::WrittenOff, true),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected, "the draft was never posted");
    let credited = &rows["I-2"];
    assert_eq!((credited.credit_notes, credited.credited_minor, credited.entity_version), (2, 80, 3));
    assert_eq!((credited.reason_code.as_deref(), credited.first_corrected_at), (Some("goodwill"), Some(at(200))));
    assert_eq!((rows["I-4"].written_off_minor, rows["I-4"].reason_code.as_deref()), (400, None));
}

#[test]
fn a_credit_in_another_currency_corrects_the_invoice_and_adds_up_to_nothing_in_its_own() {
    let rows = rows(&[credited("C-1", 200, Some("I-1"), "EUR", 50, "price_error"), posted("I-1", 100)]);
    assert_eq!((rows["I-1"].standing, rows["I-1"].credited_minor), (InvoiceStanding::Corrected, 0));
}

proptest! {
    /// Events of one invoice wait for their turn; credit notes may come before the invoice they correct.
    #[test]
    fn in_any_order_the_rows_are_the_same(events in Just(without_the_draft()).prop_shuffle()) {
        prop_assert_eq!(rows(&events), rows(&without_the_draft()));
    }
}

/// A draft's void is its first event: it is in order alone.
fn without_the_draft() -> Vec<Event> {
    story().into_iter().filter(|event| event.subject() != "I-5").collect()
}
