//! Lives of contracts, documents and customers.

use super::{Books, facts::*};
use events::{
    ContractActivated, ContractCancelled, InvoiceVoided, PaymentDisputed, PaymentRefunded, UsageRated, common::*,
};
use failure::Class;
use jiff::civil::date;
use serde_json::{Value, json};

#[tokio::test]
async fn a_posted_invoice_is_neither_edited_nor_voided() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    books.tell(invoice("INV-1", &[1_000])).await.expect("an invoice");
    let posted = books.only("invoice").await;
    let mut edited = invoice("INV-1", &[900]);
    edited.entity_version = 2;
    assert_eq!(books.tell(edited).await.expect_err("an edit").class, Class::Contract);
    let voided = InvoiceVoided {
        account_id: "A-1".into(),
        entity_version: 2,
        legal_entity_id: "UK".into(),
        invoice_id: "INV-1".into(),
        invoice_number: Some("INV-1".into()),
        timezone: "Europe/London".into(),
        reason: Reason { code: "mistake".into(), text: None },
        currency: "GBP".into(),
        ..InvoiceVoided::default()
    };
    let refused = books.tell(voided).await.expect_err("a void");
    assert_eq!((refused.code.as_ref(), refused.owner.as_deref()), ("INVOICE_POSTED", Some("finance")));
    assert_eq!(books.only("invoice").await, posted, "not a field of it changed");
}

#[tokio::test]
async fn one_customer_of_two_entities_is_enabled_before_each_of_its_orders() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("the first entity's order");
    let german = ContractActivated {
        contract_id: "C-2".into(),
        legal_entity_id: "DE".into(),
        currency: "EUR".into(),
        ..activated()
    };
    books.tell(german).await.expect("the stand-in refuses orders where the customer is not enabled");
    let mut numbered = invoice("DE-1", &[500]);
    (numbered.contract_id, numbered.legal_entity_id, numbered.currency) =
        (Some("C-2".into()), "DE".into(), "EUR".into());
    books.tell(invoice("UK-1", &[1_000])).await.expect("an invoice");
    books.tell(numbered).await.expect("an invoice");
    assert_eq!(books.count("customer").await, 1, "one customer for both");
    let entities = |records: Vec<Value>| -> Vec<Value> {
        records.iter().map(|record| record["subsidiary"]["refName"].clone()).collect()
    };
    assert_eq!(entities(books.records("salesOrder").await), [json!("UK"), json!("DE")]);
    assert_eq!(entities(books.records("invoice").await), [json!("UK"), json!("DE")]);
    assert_eq!((books.total("invoice", "GBP").await, books.total("invoice", "EUR").await), (1_000, 500));
}

#[tokio::test]
async fn a_customer_under_somebody_elses_id_is_for_master_data_and_made_no_second_time() {
    let mut books = Books::open().await;
    let mut other = Books { service: books.service.beside("crm-"), told: 100 };
    other.tell(activated()).await.expect("another application made the customer");
    let mut ours = activated();
    ours.customer.legal_name = "EXAMPLE Ltd.".into();
    let refused = books.tell(ours).await.expect_err("the same company");
    assert_eq!((refused.code.as_ref(), refused.owner.as_deref()), ("CUSTOMER_DUPLICATE", Some("master-data")));
    assert!(refused.reason.contains("crm-customer-A-1"), "it says which: {refused}");
    assert_eq!((books.count("customer").await, books.count("salesOrder").await), (1, 1));
}

#[tokio::test]
async fn an_amendment_waits_for_its_activation_and_a_renewal_after_the_end_is_for_people() {
    let mut books = Books::open().await;
    let dearer = || {
        let mut event = amended(2, AmendmentType::Price, noon(date(2026, 3, 1)));
        let (before, after) = (contract_line("L-1", 12_000), contract_line("L-1", 15_000));
        event.changes = vec![LineChange { contract_line_id: "L-1".into(), before: Some(before), after: Some(after) }];
        event
    };
    let early = books.tell(dearer()).await.expect_err("too early");
    assert_eq!((early.class, early.awaits.as_deref()), (Class::NotYet, Some("C-1")));
    books.tell(activated()).await.expect("an order");
    books.tell(dearer()).await.expect("now it is there");
    let end = ContractCancelled {
        account_id: "A-1".into(),
        entity_version: 3,
        legal_entity_id: "UK".into(),
        contract_id: "C-1".into(),
        mode: CancellationMode::EndOfTerm,
        cancel_on: date(2027, 1, 1),
        timezone: "Europe/London".into(),
        reason: Reason { code: "too_expensive".into(), text: None },
        currency: "GBP".into(),
        ..ContractCancelled::default()
    };
    books.tell(end).await.expect("cancelled");
    let mut renewal = renewed(4);
    for line in renewal.lines_before.iter_mut().chain(&mut renewal.lines_after) {
        line.amount_minor = 15_000;
    }
    let refused = books.tell(renewal).await.expect_err("they crossed");
    assert_eq!((refused.class, refused.code.as_ref()), (Class::Business, "ORDER_CLOSED"));
    assert_eq!(books.count("salesOrder").await, 1);
}

#[tokio::test]
async fn what_failed_after_the_order_goes_forward_and_never_orders_twice() {
    let mut books = Books::open().await;
    let path = "/services/rest/record/v1/revenueArrangement";
    books.service.post_admin("faults", json!({"method": "POST", "path": path, "nth": 1, "status": 503})).await;
    let failed = books.tell(deferred()).await.expect_err("the plan could not be made");
    assert_eq!(failed.class, Class::Dependency);
    assert_eq!((books.count("salesOrder").await, books.count("revenueArrangement").await), (1, 0), "half of it");
    books.again(deferred()).await.expect("forward");
    assert_eq!((books.count("salesOrder").await, books.count("revenueArrangement").await), (1, 1));
}

#[tokio::test]
async fn one_payment_of_two_invoices_with_too_much_a_refund_and_a_dispute_add_up() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    for (id, net) in [("INV-1", 1_000), ("INV-2", 500)] {
        books.tell(invoice(id, &[net])).await.expect("an invoice");
    }
    books.tell(payment("P-1", &[("INV-1", 400)], 0)).await.expect("a part");
    let left = |records: Vec<Value>| -> Vec<Value> {
        records.iter().map(|record| record["amountRemaining"].clone()).collect()
    };
    assert_eq!(left(books.records("invoice").await), [json!(6), json!(5)]);
    books.tell(payment("P-2", &[("INV-1", 600), ("INV-2", 500)], 100)).await.expect("the rest, and too much");
    assert_eq!(left(books.records("invoice").await), [json!(0), json!(0)]);
    let refund = PaymentRefunded {
        account_id: "A-1".into(),
        entity_version: 2,
        legal_entity_id: "UK".into(),
        payment_id: "P-2".into(),
        refund_id: "R-1".into(),
        amount_minor: 100,
        currency: "GBP".into(),
        refunded_on: date(2026, 3, 1),
        timezone: "Europe/London".into(),
        ..PaymentRefunded::default()
    };
    books.tell(refund).await.expect("what was too much goes back");
    assert_eq!(books.total("customerRefund", "GBP").await, 100);
    for (entity_version, status) in [(3, DisputeStatus::Opened), (4, DisputeStatus::Won)] {
        let dispute = PaymentDisputed {
            account_id: "A-1".into(),
            entity_version,
            legal_entity_id: "UK".into(),
            payment_id: "P-2".into(),
            dispute_id: "D-1".into(),
            invoice_id: Some("INV-2".into()),
            status,
            amount_minor: 500,
            currency: "GBP".into(),
            disputed_on: date(2026, 3, 2),
            timezone: "Europe/London".into(),
            ..PaymentDisputed::default()
        };
        books.tell(dispute).await.expect("a dispute");
    }
    assert_eq!(books.count("journalEntry").await, 2, "there and back");
    assert_eq!(left(books.records("invoice").await), [json!(0), json!(0)], "a dispute that was won opens nothing");
    assert_eq!(books.total("customerPayment", "GBP").await, 1_600);
}

#[tokio::test]
async fn usage_that_is_corrected_after_it_was_charged_is_charged_by_the_difference_only() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    books.tell(used("U-1", date(2026, 1, 15), 100)).await.expect("added up");
    let twice = books.tell(used("U-1", date(2026, 1, 15), 100)).await.expect_err("metered twice");
    assert_eq!(twice.code, "STALE_VERSION");
    books.tell(used("U-2", date(2026, 2, 15), 7)).await.expect("January is over");
    assert_eq!(books.total("charge", "GBP").await, 100);
    let mut right = UsageRated { corrects_usage_batch_id: Some("U-1".into()), ..used("U-3", date(2026, 1, 15), 40) };
    right.late_arriving = true;
    right.effective_at = noon(date(2026, 2, 16));
    books.tell(right).await.expect("it was 40 only");
    // What is late waits for the next month that is over.
    books.due(date(2026, 3, 10)).await;
    let charged: Vec<Option<f64>> =
        books.records("charge").await.iter().map(|charge| charge["amount"].as_f64()).collect();
    assert_eq!(charged, [Some(1.0), Some(-0.6), Some(0.07)], "January, its correction, February");
}

#[tokio::test]
async fn an_account_that_forgot_our_certificate_books_nothing_and_loses_nothing() {
    let mut books = Books::open().await;
    let id = books.service.sandbox.credentials().certificate_id.clone();
    books.service.post_admin("settings", json!({"certificates_expire": {id: "2020-01-01T00:00:00Z"}})).await;
    let refused = books.tell(activated()).await.expect_err("a refreshed sandbox has no mapping");
    assert_eq!(
        (refused.class, refused.code.as_ref()),
        (Class::Dependency, "AUTH_FAILED"),
        "it waits, and is no letter"
    );
    assert!(refused.reason.contains("map a new certificate"), "{refused}");
    assert_eq!(books.count("customer").await, 0);
    books.service.post_admin("settings", json!({"certificates_expire": {}})).await;
    let goes_on = async {
        while books.again(activated()).await.is_err() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), goes_on).await.expect("goes on by itself");
    assert_eq!(books.count("salesOrder").await, 1);
}

#[tokio::test]
async fn two_environments_in_one_account_never_touch_each_others_records() {
    let mut live = Books::open().await;
    let mut test = Books { service: live.service.beside("test-"), told: 100 };
    live.tell(activated()).await.expect("an order");
    let mut same = activated();
    same.customer.legal_name = "Somebody Else".into();
    test.tell(same).await.expect("an order of its own");
    test.tell(amended(2, AmendmentType::Suspend, noon(date(2026, 2, 1)))).await.expect("suspended");
    let orders = live.records("salesOrder").await;
    let of = |prefix: &str| {
        let id = json!(format!("{prefix}order-C-1"));
        orders.iter().find(|order| order["externalId"] == id).unwrap_or_else(|| panic!("{id}: {orders:#?}"))
    };
    let is_closed = |order: &Value| order["item"]["items"][0]["isClosed"] == json!(true);
    assert!(is_closed(of("test-")) && !is_closed(of("tl-")), "only the order of its own environment");
}
