//! Misbehaviour on command: what the client sees, and what was committed all the same.

mod common;

use std::time::{Duration, Instant};

use common::{Erp, customer, invoice, payment, send, start};
use reqwest::Method;
use serde_json::{Value, json};

const INVOICES: &str = "/services/rest/record/v1/invoice/*";

async fn with_customer() -> Erp {
    let erp = start().await;
    erp.customer("A").await;
    erp
}

async fn put_invoice(erp: &Erp, id: &str) -> Result<common::Answer, reqwest::Error> {
    erp.try_write(Method::PUT, &format!("/invoice/eid:{id}"), invoice("A", id)).await
}

async fn invoices(erp: &Erp) -> Value {
    erp.state().await["totals"]["invoice"]["count"].clone()
}

#[tokio::test]
async fn an_answer_dropped_after_commit_leaves_the_record_and_its_effect() {
    let erp = with_customer().await;
    erp.fault(json!({ "id": "drop", "method": "PUT", "path": INVOICES, "nth": 1, "drop_after_commit": true })).await;
    assert!(put_invoice(&erp, "I").await.is_err(), "the connection closes without an answer");
    assert_eq!(erp.get("/invoice/eid:I").await.status, 200);
    let effects = erp.effects_from(1).await;
    assert_eq!(effects.iter().filter(|effect| effect["object"] == "invoice").count(), 1);
    let rules = erp.admin(Method::GET, "/faults", json!({})).await.body;
    assert_eq!((&rules[0]["id"], &rules[0]["matched"], &rules[0]["hits"]), (&json!("drop"), &json!(1), &json!(1)));
    let journal = erp.admin(Method::GET, "/requests", json!({})).await.body;
    assert_eq!(journal["counts"]["PUT /services/rest/record/v1/invoice/eid:*"]["cut"], 1);
}

#[tokio::test]
async fn a_connection_cut_before_commit_leaves_nothing() {
    let erp = with_customer().await;
    erp.fault(json!({ "path": INVOICES, "times": 1, "drop_before": true })).await;
    assert!(put_invoice(&erp, "I").await.is_err());
    assert_eq!(invoices(&erp).await, 0);
    put_invoice(&erp, "I").await.expect("the rule is used up").id();
}

#[tokio::test]
async fn a_late_commit_happens_when_the_virtual_time_has_come() {
    let erp = with_customer().await;
    erp.fault(json!({ "path": INVOICES, "method": "PUT", "nth": 1, "late_commit_ms": 3_600_000 })).await;
    assert!(put_invoice(&erp, "I").await.is_err());
    assert_eq!(erp.get("/invoice/eid:I").await.status, 404);
    erp.admin(Method::POST, "/clock", json!({ "advance_ms": 3_600_000 })).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while invoices(&erp).await != 1 {
        assert!(Instant::now() < deadline, "the late commit did not come");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_record_can_stay_invisible_to_reads_but_not_to_writes() {
    let erp = with_customer().await;
    erp.fault(json!({ "method": "PUT", "path": INVOICES, "visibility_ms": 60_000 })).await;
    let id = put_invoice(&erp, "I").await.expect("an answer").id();
    assert_eq!(erp.get("/invoice/eid:I").await.error().1, "NONEXISTENT_ID");
    assert_eq!(erp.get(&format!("/invoice/{id}")).await.status, 404);
    assert_eq!(erp.sql("SELECT id FROM invoice WHERE externalid = 'I'").await.body["count"], 0);
    assert_eq!(erp.get("/invoice?q=externalId%20IS%20%22I%22").await.body["count"], 0);
    let mut twin = invoice("A", "other");
    twin["externalId"] = json!("I");
    assert_eq!(erp.post("/invoice", twin).await.error().1, "DUP_RCRD");
    erp.post("/customerPayment", payment("A", 120.0, Some((&id, 120.0)))).await.id();
    erp.admin(Method::POST, "/clock", json!({ "advance_ms": 60_000 })).await;
    assert_eq!(erp.get("/invoice/eid:I").await.body["amountRemaining"], 0);
}

#[tokio::test]
async fn error_answers_carry_the_vendors_body_and_the_rules_headers() {
    let erp = with_customer().await;
    erp.fault(json!({ "id": "1", "path": INVOICES, "status": 429, "headers": { "Retry-After": "7" } })).await;
    let limited = put_invoice(&erp, "I").await.expect("an answer");
    assert_eq!(limited.error(), (429, "CONCURRENCY_LIMIT_EXCEEDED", ""));
    assert_eq!(limited.header("retry-after"), "7");
    erp.fault(json!({ "id": "1", "path": INVOICES, "error": "RCRD_HAS_BEEN_CHANGED" })).await;
    assert_eq!(put_invoice(&erp, "I").await.expect("an answer").error(), (400, "RCRD_HAS_BEEN_CHANGED", ""));
    erp.fault(json!({ "id": "1", "path": INVOICES, "status": 502, "body": "<html>bad gateway" })).await;
    let gateway = put_invoice(&erp, "I").await.expect("an answer");
    assert_eq!((gateway.status, gateway.body), (502, json!("<html>bad gateway")));
    assert_eq!(invoices(&erp).await, 0);
}

#[tokio::test]
async fn an_error_or_nonsense_can_be_answered_after_the_commit() {
    let erp = with_customer().await;
    erp.fault(json!({ "path": INVOICES, "nth": 1, "status": 500, "after_commit": true })).await;
    assert_eq!(put_invoice(&erp, "I").await.expect("an answer").error().0, 500);
    assert_eq!(invoices(&erp).await, 1);
    erp.admin(Method::DELETE, "/faults", json!({})).await;
    erp.fault(json!({ "path": INVOICES, "broken_json": true })).await;
    let broken = put_invoice(&erp, "J").await.expect("an answer");
    assert_eq!((broken.status, broken.body.is_string()), (200, true));
    assert_eq!(invoices(&erp).await, 2);
}

#[tokio::test]
async fn a_held_back_answer_comes_after_the_commit() {
    let erp = with_customer().await;
    erp.fault(json!({ "method": "PUT", "path": INVOICES, "delay_ms": 60_000 })).await;
    let request = erp.request(Method::PUT, "/record/v1/invoice/eid:I").json(&invoice("A", "I"));
    let hanging = tokio::spawn(send(request));
    let deadline = Instant::now() + Duration::from_secs(10);
    while invoices(&erp).await != 1 {
        assert!(Instant::now() < deadline, "the commit did not come");
        tokio::task::yield_now().await;
    }
    assert!(!hanging.is_finished(), "the answer is held back");
    hanging.abort();
}

#[tokio::test]
async fn an_outage_cuts_every_connection_but_the_administrators() {
    let erp = with_customer().await;
    erp.fault(json!({ "id": "outage", "down": true })).await;
    assert!(send(erp.request(Method::GET, "/record/v1/customer")).await.is_err());
    let token = send(erp.http.post(format!("{}/services/rest/auth/oauth2/v1/token", erp.sandbox.url()))).await;
    assert!(token.is_err(), "sign-in is away too");
    assert_eq!(erp.admin(Method::DELETE, "/faults/outage", json!({})).await.status, 204);
    assert_eq!(erp.get("/customer").await.status, 200);
    erp.fault(json!({ "down": true, "status": 503 })).await;
    assert_eq!(erp.get("/customer").await.error(), (503, "SERVICE_UNAVAILABLE", ""));
}

#[tokio::test]
async fn rules_can_pick_requests_by_their_body_and_wrong_rules_are_refused() {
    let erp = with_customer().await;
    erp.fault(json!({ "body_contains": "company poison", "status": 500 })).await;
    let mut poison = customer("P");
    poison["companyName"] = json!("company poison");
    assert_eq!(erp.put("/customer/eid:P", poison).await.status, 500);
    erp.customer("B").await;
    for (rule, reason) in
        [(json!({ "statsu": 500 }), "statsu"), (json!({ "status": 500, "every": 0 }), "count from 1"), (json!([1]), "")]
    {
        let refused = erp.admin(Method::POST, "/faults", rule).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body["error"].as_str().is_some_and(|error| error.contains(reason)), "{refused:?}");
    }
    assert_eq!(erp.admin(Method::DELETE, "/faults/none", json!({})).await.status, 404);
}
