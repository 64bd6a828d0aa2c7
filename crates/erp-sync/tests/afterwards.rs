//! What happens to invoices and payments after they were booked, in the stand-in's books: refunds, disputes and write-offs of a generated
//! business. Plans, connector and the vendor's rules agree to the minor unit.

mod common;

use common::Service;
use erp_sync::document::{ErpDocument, Payment, PaymentState};
use events::{
    Envelope, Event, EventSet as _, InvoiceMarkedUncollectible, PaymentDisputed, PaymentReceived, PaymentRefunded,
    common::{DisputeStatus, Reason},
};
use testkit::business::{Faults, Item, Options, stream};

fn business() -> Options {
    let start = jiff::civil::date(2025, 1, 1);
    Options { seed: 3, accounts: 12, months: 5, start, max_events: None, faults: Faults::NONE }
}

async fn booked() -> (Service, Vec<PaymentReceived>, Envelope) {
    let mut service = Service::start().await;
    let (mut payments, mut last) = (Vec::new(), None);
    for generated in stream(&business()).expect("good options") {
        let Item::Event { envelope, event } = generated.item else { continue };
        service.take(&envelope, &event).await.expect("everything can be booked");
        if let Event::PaymentReceived(payment) = event {
            payments.push(*payment);
        }
        last = Some(envelope);
    }
    (service, payments, last.expect("events"))
}

fn named(template: &Envelope, id: &str, event: &Event) -> Envelope {
    Envelope { id: id.to_owned(), subject: Some(event.subject().to_owned()), ..template.clone() }
}

fn document(service: &Service, payment: &PaymentReceived) -> Payment {
    match service.documents.get(&ledger_key("payment", &payment.payment_id)).map(AsRef::as_ref) {
        Some(ErpDocument::Payment(found)) => found.clone(),
        other => panic!("the payment was booked: {other:?}"),
    }
}

fn ledger_key(kind: &str, id: &str) -> ledger::DocumentKey {
    ledger::DocumentKey::new(kind, id)
}

fn reason() -> Reason {
    Reason { code: "requested_by_customer".into(), text: None }
}

fn refund(payment: &PaymentReceived, version: i64, amount_minor: i64) -> Event {
    PaymentRefunded {
        account_id: payment.account_id.clone(),
        entity_version: version,
        legal_entity_id: payment.legal_entity_id.clone(),
        payment_id: payment.payment_id.clone(),
        refund_id: format!("R-{}", payment.payment_id),
        invoice_id: payment.allocations.first().map(|allocation| allocation.invoice_id.clone()),
        amount_minor,
        currency: payment.currency.clone(),
        refunded_on: payment.received_on,
        timezone: payment.timezone.clone(),
        reason: reason(),
        ..PaymentRefunded::default()
    }
    .into()
}

fn dispute(payment: &PaymentReceived, version: i64, status: DisputeStatus, amount_minor: i64) -> Event {
    PaymentDisputed {
        account_id: payment.account_id.clone(),
        entity_version: version,
        legal_entity_id: payment.legal_entity_id.clone(),
        payment_id: payment.payment_id.clone(),
        dispute_id: format!("D-{}", payment.payment_id),
        invoice_id: payment.allocations.first().map(|allocation| allocation.invoice_id.clone()),
        status,
        amount_minor,
        currency: payment.currency.clone(),
        disputed_on: payment.received_on,
        timezone: payment.timezone.clone(),
        reason: reason(),
        ..PaymentDisputed::default()
    }
    .into()
}

#[tokio::test]
async fn what_goes_back_and_what_is_written_off_agrees_with_the_erp_to_the_unit() {
    let (mut service, payments, template) = booked().await;
    let applied = |service: &Service, payment: &PaymentReceived| {
        let invoice = &payment.allocations[0].invoice_id;
        let found = document(service, payment);
        // What the business itself sent back is left to it.
        let is_untouched = found.entity_version == payment.entity_version;
        found
            .applications
            .get(invoice)
            .map(|of| of.amount_minor)
            .filter(|_| is_untouched && found.state == PaymentState::Received)
    };
    let mut number = 0;
    let mut moved = 0;
    for payment in &payments {
        let Some(amount) = applied(&service, payment).filter(|amount| *amount > 1) else { continue };
        number += 1;
        let version = payment.entity_version;
        let steps = match number % 3 {
            0 => vec![refund(payment, version + 1, amount / 2)],
            1 => vec![
                dispute(payment, version + 1, DisputeStatus::Opened, amount),
                dispute(payment, version + 2, DisputeStatus::Won, amount),
            ],
            _ => vec![
                dispute(payment, version + 1, DisputeStatus::Opened, amount),
                dispute(payment, version + 2, DisputeStatus::Lost, amount),
                uncollectible(payment, &service, amount),
            ],
        };
        for (step, event) in steps.into_iter().enumerate() {
            let envelope = named(&template, &format!("after-{number}-{step}"), &event);
            service.take(&envelope, &event).await.unwrap_or_else(|failure| panic!("{failure}: {event:?}"));
            moved += 1;
        }
    }
    assert!(moved > 20, "{moved} steps");
    let totals = service.admin("state").await["totals"].clone();
    for currency in ["USD", "GBP", "EUR"] {
        for (object, open) in
            [("invoice", open(&service, "invoice", currency)), ("customerPayment", open(&service, "payment", currency))]
        {
            assert_eq!(totals[object]["open_minor"][currency].as_i64().unwrap_or(0), open, "{object} {currency}");
        }
    }
    assert!(totals["customerRefund"]["count"].as_u64() > Some(5) && totals["journalEntry"]["count"].as_u64() > Some(5));
}

fn uncollectible(payment: &PaymentReceived, service: &Service, amount_minor: i64) -> Event {
    let invoice_id = payment.allocations[0].invoice_id.clone();
    let version = match service.documents.get(&ledger_key("invoice", &invoice_id)).map(AsRef::as_ref) {
        Some(ErpDocument::Invoice(invoice)) => invoice.entity_version + 1,
        other => panic!("{other:?}"),
    };
    InvoiceMarkedUncollectible {
        account_id: payment.account_id.clone(),
        entity_version: version,
        legal_entity_id: payment.legal_entity_id.clone(),
        invoice_id,
        marked_on: payment.received_on,
        timezone: payment.timezone.clone(),
        reason: reason(),
        currency: payment.currency.clone(),
        write_off_minor: amount_minor,
        ..InvoiceMarkedUncollectible::default()
    }
    .into()
}

fn open(service: &Service, kind: &str, currency: &str) -> i64 {
    let amounts = service.documents.values().map(|document| match (&**document, kind) {
        (ErpDocument::Invoice(invoice), "invoice") if invoice.currency == currency => invoice.open_minor,
        (ErpDocument::Payment(payment), "payment") if payment.currency == currency => payment.unapplied_minor,
        _ => 0,
    });
    amounts.sum()
}
