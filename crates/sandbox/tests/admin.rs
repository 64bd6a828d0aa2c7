//! The administrator's side: effects, state, set-up, and what survives a restart.

mod common;

use std::net::SocketAddr;

use common::{Erp, customer, invoice, payment, start};
use reqwest::Method;
use sandbox::{Config, Error};
use serde_json::{Value, json};

#[tokio::test]
async fn every_committed_write_is_one_effect_with_its_event_and_money() {
    let erp = start().await;
    erp.customer("A").await;
    let id = erp.invoice("A", "INV-1").await;
    erp.post("/customerPayment", payment("A", 50.0, Some((&id, 50.0)))).await.id();
    erp.put("/customer/eid:A", json!({ "phone": "1234567" })).await.id();
    let refused = erp.put("/invoice/eid:INV-2", json!({})).await;
    assert_eq!(refused.status, 400);
    let effects = erp.effects_from(1).await;
    let short: Vec<Value> = effects
        .iter()
        .map(|effect| {
            json!([effect["seq"], effect["operation"], effect["object"], effect["event_id"], effect["amount_minor"]])
        })
        .collect();
    let expected = [
        json!([1, "create", "customer", "event-of-A", null]),
        json!([2, "create", "invoice", "event-of-INV-1", 12_000]),
        json!([3, "create", "customerPayment", "event-of-payment", 5_000]),
        json!([4, "update", "customer", null, null]),
    ];
    assert_eq!(short, expected);
    let invoice = &effects[1];
    assert_eq!((&invoice["external_id"], &invoice["account_id"]), (&json!("INV-1"), &json!("A")));
    assert_eq!((&invoice["currency"], &invoice["correlation_id"]), (&json!("GBP"), &json!("correlation")));
    assert_eq!(effects[2]["account_id"], "A", "taken from the customer where the payment does not say");
    assert!(invoice["at"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
    assert_eq!(erp.effects_from(4).await.len(), 1);
    assert_eq!(erp.effects_from(5).await.len(), 0);
}

#[tokio::test]
async fn the_state_counts_and_adds_up_by_type_currency_and_account() {
    let erp = start().await;
    for account in ["A", "B"] {
        erp.customer(account).await;
        let id = erp.invoice(account, &format!("INV-{account}")).await;
        erp.post("/customerPayment", payment(account, 50.0, Some((&id, 50.0)))).await.id();
    }
    let state = erp.state().await;
    assert_eq!(
        state["totals"]["invoice"],
        json!({ "count": 2, "amount_minor": { "GBP": 24_000 }, "open_minor": { "GBP": 14_000 } })
    );
    assert_eq!(state["accounts"]["A"]["customerPayment"]["amount_minor"]["GBP"], 5_000);
    assert!(state.get("records").is_none());
    let totals = erp.admin(Method::GET, "/state?accounts=false", json!({})).await.body;
    assert_eq!((totals.get("accounts"), &totals["totals"]), (None, &state["totals"]));
    let full = erp.admin(Method::GET, "/state?records=true", json!({})).await.body;
    assert_eq!(full["records"]["invoice"][0]["item"]["items"][0]["amount"], 100.0);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_listed_newest_first_without_secrets() {
    let erp = start().await;
    erp.customer("A").await;
    erp.get("/customer/eid:A").await;
    erp.get("/customer/17").await;
    let journal = erp.admin(Method::GET, "/requests?limit=2", json!({})).await;
    let counts = &journal.body["counts"];
    assert_eq!(counts["PUT /services/rest/record/v1/customer/eid:*"], json!({ "204": 1 }));
    assert_eq!(counts["GET /services/rest/record/v1/customer/*"], json!({ "404": 1 }));
    assert_eq!(journal.body["requests"].as_array().map(Vec::len), Some(2));
    assert_eq!(journal.body["requests"][0]["path"], "/services/rest/record/v1/customer/17");
    assert!(!journal.body.to_string().contains(&erp.token));
}

#[tokio::test]
async fn set_up_can_be_added_and_everything_forgotten() {
    let erp = start().await;
    erp.customer("A").await;
    let seed = json!({
        "subsidiaries": [{ "id": "9", "externalId": "FR", "name": "Example SARL", "country": "FR", "currency": "EUR" }],
        "items": [{ "id": "150", "externalId": "NEW-*", "name": "New" }],
    });
    assert_eq!(erp.admin(Method::POST, "/seed", seed).await.status, 204);
    let mut french = customer("F");
    french["subsidiary"] = json!({ "externalId": "FR" });
    french["currency"] = Value::Null;
    erp.put("/customer/eid:F", french).await.id();
    assert_eq!(erp.get("/customer/eid:F").await.body["currency"]["refName"], "EUR");
    assert_eq!(erp.get("/serviceSaleItem/eid:NEW-THING").await.status, 200);
    let wrong = erp.admin(Method::POST, "/seed", json!({ "items": [{ "id": "x" }] })).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(erp.admin(Method::POST, "/reset", json!({})).await.status, 204);
    let erp = Erp::sign_in(erp.sandbox).await;
    assert_eq!(erp.state().await["totals"]["customer"]["count"], 0);
    assert_eq!(erp.effects_from(1).await.len(), 0);
    assert_eq!(erp.get("/subsidiary/eid:FR").await.status, 404);
    assert_eq!(erp.get("/subsidiary/eid:UK").await.status, 200);
}

async fn start_in(data: &std::path::Path) -> Erp {
    let config = Config { data: Some(data.to_owned()), ..Config::default() };
    Erp::sign_in(sandbox::start(config).await.expect("it starts")).await
}

/// State and effects, without what the time of asking and the port say.
async fn picture(erp: &Erp) -> (Value, Vec<Value>) {
    let mut state = erp.state().await;
    state["now"] = Value::Null;
    (state, erp.effects_from(1).await)
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let erp = start_in(folder.path()).await;
    erp.customer("A").await;
    let id = erp.invoice("A", "INV-1").await;
    erp.post("/customerPayment", payment("A", 50.0, Some((&id, 50.0)))).await.id();
    erp.invoice("A", "INV-2").await;
    assert_eq!(erp.delete("/invoice/eid:INV-2").await.status, 204);
    erp.admin(Method::POST, "/periods/2024-04", json!({ "closed": true })).await;
    erp.admin(Method::POST, "/holds/B", json!({})).await;
    erp.admin(Method::POST, "/clock", json!({ "advance_ms": 86_400_000 })).await;
    let before = picture(&erp).await;
    let client = erp.sandbox.credentials().certificate_id.clone();
    erp.sandbox.stop().await.expect("it stops");

    let erp = start_in(folder.path()).await;
    assert_eq!(picture(&erp).await, before);
    assert_eq!(erp.sandbox.credentials().certificate_id, client);
    let clock = erp.admin(Method::GET, "/clock", json!({})).await.body;
    assert_eq!(clock["offset_ms"], 86_400_000);
    let mut april = invoice("A", "INV-3");
    april["tranDate"] = json!("2024-04-01");
    assert!(erp.put("/invoice/eid:INV-3", april).await.detail().contains("closed"));
    erp.customer("B").await;
    assert!(erp.put("/invoice/eid:INV-4", invoice("B", "INV-4")).await.detail().contains("credit hold"));
    let next = erp.invoice("A", "INV-5").await;
    assert!(next.parse::<u64>().expect("a number") > id.parse::<u64>().expect("a number"), "ids are not given twice");
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_a_broken_one_before_it_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let erp = start_in(folder.path()).await;
    erp.customer("A").await;
    erp.customer("B").await;
    erp.sandbox.stop().await.expect("it stops");
    let log = folder.path().join("changes.ndjson");
    let whole = std::fs::read(&log).expect("the log");
    std::fs::write(&log, &whole[..whole.len() - 10]).expect("a torn line");

    let erp = start_in(folder.path()).await;
    assert_eq!(erp.effects_from(1).await.len(), 1, "the torn write was never answered");
    erp.customer("C").await;
    assert_eq!(erp.effects_from(1).await.len(), 2);
    erp.sandbox.stop().await.expect("it stops");

    std::fs::write(&log, [&whole[..100], b"\n", &whole[100..]].concat()).expect("a broken line");
    let config = Config { data: Some(folder.path().to_owned()), ..Config::default() };
    let error = sandbox::start(config).await.expect_err("it must not start");
    assert!(matches!(error, Error::Log { line: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn two_sandboxes_do_not_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = start_in(folder.path()).await;
    let config = Config { data: Some(folder.path().to_owned()), ..Config::default() };
    assert!(matches!(sandbox::start(config).await, Err(Error::InUse(_))));
    first.sandbox.stop().await.expect("it stops");
}

#[tokio::test]
async fn beyond_loopback_it_wants_an_admin_token_and_asks_for_it() {
    let listen: SocketAddr = "0.0.0.0:0".parse().expect("an address");
    let refused = sandbox::start(Config { listen, ..Config::default() }).await;
    assert!(matches!(refused, Err(Error::NotLoopback(_))));
    let config = Config { admin_token: Some("secret".to_owned().into()), ..Config::default() };
    let erp = Erp::sign_in(sandbox::start(config).await.expect("it starts")).await;
    assert_eq!(erp.admin(Method::POST, "/reset", json!({})).await.status, 401);
    let url = format!("{}/__admin/state", erp.sandbox.url());
    assert_eq!(erp.http.get(url).bearer_auth("secret").send().await.expect("an answer").status(), 200);
}
