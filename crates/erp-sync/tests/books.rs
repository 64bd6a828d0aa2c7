//! A generated business, and its books in a NetSuite stand-in: what was to be booked is booked, to the minor unit, in every currency.

mod common;

use common::Service;
use consumer::Document as _;
use erp_sync::document::ErpDocument;
use events::Event;
use serde_json::Value;
use std::collections::BTreeMap;
use testkit::business::{Fate, Faults, Item, Options, stream};

fn business() -> Options {
    let faults = Faults { business_errors: 0.2, contract_errors: 0.1, ..Faults::NONE };
    Options { seed: 7, accounts: 60, months: 14, start: jiff::civil::date(2025, 1, 1), max_events: None, faults }
}

#[tokio::test]
async fn the_erp_holds_what_the_business_did() {
    let mut service = Service::start().await;
    let mut events = stream(&business()).expect("good options");
    let mut refused = 0;
    for generated in events.by_ref() {
        let Item::Event { envelope, event } = &generated.item else { continue };
        match (generated.fate, service.take(envelope, event).await) {
            // Usage is added up first.
            (Fate::Applied, Ok(had_effect)) => {
                assert!(had_effect || matches!(event, Event::UsageRated(_)), "{event:?}")
            }
            (Fate::Skipped, Ok(had_effect)) => assert!(!had_effect, "{event:?}"),
            (Fate::Refused(class), Err(failure)) if failure.class == class => {
                assert!(failure.owner.is_some() && failure.field.is_some(), "{failure}");
                refused += 1;
            }
            (fate, answer) => panic!("{fate:?} but {answer:?}: {event:?}"),
        }
    }
    let expected = events.expectations();
    assert!(refused > 0 && refused == expected.refused_count());
    let state = service.admin("state").await;
    let totals = &state["totals"];
    let count = |object: &str| totals[object]["count"].as_u64().unwrap_or(0);
    let sum = |field: fn(&testkit::business::Effects) -> u64| expected.effects.values().map(field).sum::<u64>();
    assert_eq!(count("customer"), sum(|effects| effects.customers));
    assert_eq!(count("salesOrder"), sum(|effects| effects.orders));
    assert_eq!(count("revenueArrangement"), sum(|effects| effects.revenue_plans));
    for (currency, effects) in &expected.effects {
        let amount = |object: &str| totals[object]["amount_minor"][currency].as_i64().unwrap_or(0);
        assert_eq!(amount("invoice"), effects.invoiced_minor, "{currency}");
        assert_eq!(amount("creditMemo"), effects.credited_minor, "{currency}");
        assert_eq!(amount("customerPayment"), effects.paid_minor, "{currency}");
        assert_eq!(amount("charge") + waiting(&service, currency), effects.rated_minor, "{currency}");
    }
    assert!(expected.effects.len() >= 4, "currencies of 0, 2 and 3 decimals: {:?}", expected.effects.keys());
    assert_eq!(open_in_documents(&service), open_in_erp(totals));
}

/// Usage that is added up and not charged yet.
fn waiting(service: &Service, currency: &str) -> i64 {
    let usage = service.documents.values().filter_map(|document| match &**document {
        ErpDocument::Usage(usage) if usage.currency == currency => Some(usage.waiting_minor()),
        _ => None,
    });
    usage.sum()
}

/// What our documents say is open, by kind and currency.
fn open_in_documents(service: &Service) -> BTreeMap<(String, String), i64> {
    let mut open = BTreeMap::new();
    for document in service.documents.values() {
        let (object, currency, amount) = match &**document {
            ErpDocument::Invoice(invoice) => ("invoice", &invoice.currency, invoice.open_minor),
            ErpDocument::CreditNote(note) => ("creditMemo", &note.currency, note.unapplied_minor),
            ErpDocument::Payment(payment) => ("customerPayment", &payment.currency, payment.unapplied_minor),
            _ => continue,
        };
        assert!(!document.account_id().is_empty());
        *open.entry((object.to_owned(), currency.clone())).or_default() += amount;
    }
    open.retain(|_, amount| *amount != 0);
    open
}

/// What the ERP says is open.
fn open_in_erp(totals: &Value) -> BTreeMap<(String, String), i64> {
    let mut open = BTreeMap::new();
    for object in ["invoice", "creditMemo", "customerPayment"] {
        for (currency, amount) in totals[object]["open_minor"].as_object().into_iter().flatten() {
            open.insert((object.to_owned(), currency.clone()), amount.as_i64().unwrap_or(0));
        }
    }
    open.retain(|_, amount| *amount != 0);
    open
}
