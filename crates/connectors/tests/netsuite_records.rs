//! What the connector makes in a NetSuite stand-in, and how its refusals read.

mod common;

use common::*;
use connectors::{
    AcceptOrder, Application, ApplyPayment, Contact, ContactChange, CreateCustomer, FindByExternalId, IssueCreditMemo,
    Object, PostInvoice, Reference, UpdateContact,
};
use failure::Class;
use serde_json::json;

#[tokio::test]
async fn every_kind_of_record_is_made_with_its_amount_and_our_marks() {
    let erp = Erp::start().await.with_customer().await;
    erp.netsuite.accept_order(&cause("E-order"), &order()).await.expect("an order");
    let posted = erp.netsuite.post_invoice(&cause("E-invoice"), &invoice("INV-1")).await.expect("an invoice");
    let apply =
        |amount_minor, discount_minor| vec![Application { invoice: posted.id.clone(), amount_minor, discount_minor }];
    let memo = connectors::NewCreditMemo { applications: apply(100, 0), ..credit_memo("CN-1") };
    erp.netsuite.issue_credit_memo(&cause("E-credit"), &memo).await.expect("a credit memo");
    let paid = connectors::NewPayment { applications: apply(500, 20), ..payment("P-1", 700) };
    erp.netsuite.apply_payment(&cause("E-payment"), &paid).await.expect("a payment");

    for (object, event_id, amount) in [
        ("salesOrder", "E-order", 1000),
        ("invoice", "E-invoice", 1120),
        ("creditMemo", "E-credit", 600),
        ("customerPayment", "E-payment", 700),
    ] {
        let effects = erp.effects(object).await;
        assert_eq!(effects.len(), 1, "{object}");
        assert_eq!(effects[0]["event_id"], event_id, "{object}");
        assert_eq!(effects[0]["correlation_id"], "CORR-1", "{object}");
        assert_eq!(effects[0]["account_id"], ACCOUNT, "{object}");
        assert_eq!(effects[0]["amount_minor"], amount, "{object}");
        assert_eq!(effects[0]["currency"], "GBP", "{object}");
    }
    let effects = erp.effects("customer").await;
    assert_eq!(effects[0]["external_id"], "tl-customer-walk-in_3AUnited_20Kingdom");
    assert_eq!(effects[0]["account_id"], ACCOUNT);
}

#[tokio::test]
async fn the_receipt_is_the_same_from_the_call_and_from_every_look_up() {
    let erp = Erp::start().await.with_customer().await;
    let made = erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await.expect("an invoice");
    let again = erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await.expect("the same invoice");
    let found = erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await.expect("an answer").expect("found");
    for other in [&again, &found] {
        assert_eq!((&other.id, &other.external_id, &other.number), (&made.id, &made.external_id, &made.number));
    }
    assert!(!made.existed && again.existed && found.existed);
    assert_eq!(erp.effects("invoice").await.len(), 1);
    assert_eq!(erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-2").await, Ok(None));
}

#[tokio::test]
async fn a_customer_that_exists_is_left_alone() {
    let erp = Erp::start().await.with_customer().await;
    let other = connectors::NewCustomer { name: "Somebody else".into(), ..customer() };
    let answer = erp.netsuite.create_customer(&cause("E-2"), &other).await.expect("the one that is there");
    assert!(answer.existed);
    assert_eq!(erp.effects("customer").await.len(), 1);
    assert!(!erp.admin("state?records=true").await.contains("Somebody else"));
}

#[tokio::test]
async fn an_update_of_contact_data_touches_nothing_else() {
    let erp = Erp::start().await.with_customer().await;
    let contact = Contact { email: Some("new@example.com".into()), phone: None };
    let change = ContactChange { account_id: ACCOUNT.into(), contact };
    assert_eq!(erp.netsuite.find_contact(&cause("E-2"), &change).await, Ok(None));
    erp.netsuite.update_contact(&cause("E-2"), &change).await.expect("an update");
    assert!(erp.netsuite.find_contact(&cause("E-2"), &change).await.expect("an answer").is_some());
    let state = erp.admin("state?records=true").await;
    assert!(state.contains("new@example.com") && state.contains("Walk-in customers"), "{state}");
}

#[tokio::test]
async fn another_event_with_our_external_id_is_never_taken_for_ours() {
    let erp = Erp::start().await.with_customer().await;
    erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await.expect("an invoice");
    let failure = failure(erp.netsuite.post_invoice(&cause("E-2"), &invoice("INV-1")).await);
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Business, "DOCUMENT_NUMBER_TAKEN"));
    assert!(failure.reason.contains("E-1"), "{failure}");
}

#[tokio::test]
async fn a_number_that_another_document_has_is_for_finance() {
    let erp = Erp::start().await.with_customer().await;
    erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await.expect("an invoice");
    let other = connectors::NewInvoice { invoice_id: "other".into(), ..invoice("INV-1") };
    let failure = failure(erp.netsuite.post_invoice(&cause("E-2"), &other).await);
    assert_eq!((failure.code.as_ref(), failure.owner.as_deref()), ("DOCUMENT_NUMBER_TAKEN", Some("finance")));
    assert_eq!(failure.field.as_deref(), Some("tranId"));
    assert_eq!(erp.effects("invoice").await.len(), 1);
}

#[tokio::test]
async fn rules_of_the_erp_come_back_with_field_reason_and_owner() {
    let erp = Erp::start().await.with_customer().await;
    erp.post_admin("periods/2026-02", json!({"closed": true})).await;
    let failure_of = failure(erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await);
    assert_eq!((failure_of.code.as_ref(), failure_of.owner.as_deref()), ("PERIOD_CLOSED", Some("finance")));
    assert_eq!(failure_of.field.as_deref(), Some("tranDate"));
    erp.post_admin("periods/2026-02", json!({"closed": false})).await;

    let hold = "holds/tl-customer-walk-in_3AUnited_20Kingdom";
    erp.post_admin(hold, json!({})).await;
    let failure_of = failure(erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await);
    assert_eq!((failure_of.code.as_ref(), failure_of.owner.as_deref()), ("CREDIT_HOLD", Some("credit-control")));
}

#[tokio::test]
async fn unknown_master_data_names_the_line() {
    let erp = Erp::start().await.with_customer().await;
    let mut wrong = invoice("INV-1");
    wrong.lines[1].item = Reference::ExternalId("NO-SUCH-ITEM".into());
    let failure_of = failure(erp.netsuite.post_invoice(&cause("E-1"), &wrong).await);
    assert_eq!((failure_of.class, failure_of.code.as_ref()), (Class::Business, "ITEM_UNKNOWN"));
    assert!(failure_of.field.as_deref().is_some_and(|field| field.starts_with("item.items[1].item")), "{failure_of:?}");

    let mut wrong = invoice("INV-1");
    wrong.terms = Some(Reference::Id("999".into()));
    let failure_of = failure(erp.netsuite.post_invoice(&cause("E-1"), &wrong).await);
    assert_eq!((failure_of.class, failure_of.code.as_ref()), (Class::Business, "REFERENCE_UNKNOWN"));
}

#[tokio::test]
async fn amounts_of_0_and_3_decimals_arrive_to_the_minor_unit() {
    let erp = Erp::start().await;
    for (code, exponent, account) in [("JPY", 0, "A-JP"), ("KWD", 3, "A-KW")] {
        let currency = connectors::Currency { reference: Reference::ExternalId(code.into()), exponent };
        let customer = connectors::NewCustomer { account_id: account.into(), currency: currency.clone(), ..customer() };
        erp.netsuite.create_customer(&cause("E-c"), &customer).await.expect("a customer");
        let mut invoice = invoice(account);
        invoice.header.account_id = account.into();
        invoice.header.currency = currency;
        erp.netsuite.post_invoice(&cause(account), &invoice).await.expect("an invoice");
        let effects = erp.effects("invoice").await;
        let effect = effects.iter().find(|effect| effect["account_id"] == account).expect("the invoice");
        assert_eq!((effect["amount_minor"].as_i64(), effect["currency"].as_str()), (Some(1120), Some(code)));
    }
}

#[tokio::test]
async fn an_over_application_is_refused_by_the_erp_and_books_nothing() {
    let erp = Erp::start().await.with_customer().await;
    let posted = erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await.expect("an invoice");
    let applications = vec![Application { invoice: posted.id, amount_minor: 9_999, discount_minor: 0 }];
    let paid = connectors::NewPayment { applications, ..payment("P-1", 9_999) };
    let failure = failure(erp.netsuite.apply_payment(&cause("E-2"), &paid).await);
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Business, "REFUSED_BY_ERP"));
    assert!(erp.effects("customerPayment").await.is_empty());
}
