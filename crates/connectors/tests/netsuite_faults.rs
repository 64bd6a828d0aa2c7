//! What becomes of a call when the network or the vendor fails: certain, or unknown, and never twice.

mod common;

use common::*;
use connectors::{Error, FindByExternalId, NewInvoice, Object, PostInvoice, netsuite::NetSuite};
use failure::Class;
use sandbox::Settings;
use serde_json::json;
use std::time::Duration;

const INVOICES: &str = "/services/rest/record/v1/invoice";
const TOKENS: &str = "POST /services/rest/auth/oauth2/v1/token";

async fn post(erp: &Erp, invoice: &NewInvoice) -> Result<connectors::Recorded, Error> {
    erp.netsuite.post_invoice(&cause("E-1"), invoice).await
}

#[tokio::test]
async fn an_answer_dropped_after_commit_is_unknown_and_found_by_a_look_up() {
    let erp = Erp::start().await.with_customer().await;
    erp.fault(json!({"method": "POST", "path": INVOICES, "nth": 1, "drop_after_commit": true}));
    let failure = failure(post(&erp, &invoice("INV-1")).await);
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Unknown, "OUTCOME_UNKNOWN"));
    let found = erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await.expect("an answer");
    assert!(found.is_some_and(|found| found.number.as_deref() == Some("INV-1")));
    assert_eq!(erp.effects("invoice").await.len(), 1);
    assert_eq!(erp.requests(&format!("POST {INVOICES}")).await, 1, "no second call");
}

#[tokio::test]
async fn a_call_cut_before_it_took_effect_is_unknown_and_certainly_absent() {
    let erp = Erp::start().await.with_customer().await;
    erp.fault(json!({"method": "POST", "path": INVOICES, "nth": 1, "drop_before": true}));
    assert_eq!(failure(post(&erp, &invoice("INV-1")).await).class, Class::Unknown);
    assert_eq!(erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await, Ok(None));
    post(&erp, &invoice("INV-1")).await.expect("the second call makes it");
    assert_eq!(erp.effects("invoice").await.len(), 1);
}

#[tokio::test]
async fn a_first_call_that_commits_late_makes_the_second_one_the_same_success() {
    let erp = Erp::start().await.with_customer().await;
    erp.fault(json!({"method": "POST", "path": INVOICES, "nth": 1, "late_commit_ms": 60_000}));
    assert_eq!(failure(post(&erp, &invoice("INV-1")).await).class, Class::Unknown);
    assert_eq!(erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await, Ok(None), "too early");
    erp.post_admin("clock", json!({"advance_ms": 61_000})).await;
    let made = post(&erp, &invoice("INV-1")).await.expect("the first call's success");
    assert!(made.existed);
    assert_eq!(erp.effects("invoice").await.len(), 1);
}

#[tokio::test]
async fn a_duplicate_that_cannot_be_seen_yet_stays_unknown() {
    let erp = Erp::start().await.with_customer().await;
    erp.fault(json!({"method": "POST", "path": INVOICES, "nth": 1, "visibility_ms": 60_000}));
    post(&erp, &invoice("INV-1")).await.expect("an invoice");
    let failure = failure(post(&erp, &invoice("INV-1")).await);
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Unknown, "OUTCOME_UNKNOWN"), "{failure}");
    erp.post_admin("clock", json!({"advance_ms": 61_000})).await;
    assert!(post(&erp, &invoice("INV-1")).await.expect("visible by now").existed);
    assert_eq!(erp.effects("invoice").await.len(), 1);
}

#[tokio::test]
async fn no_answer_in_time_after_the_commit_is_unknown_and_found_by_a_look_up() {
    let short =
        |options: &mut connectors::netsuite::Options| options.bounds.request_timeout = Duration::from_millis(300);
    let erp = Erp::with(Settings::default(), short).await.with_customer().await;
    erp.fault(json!({"method": "POST", "path": INVOICES, "nth": 1, "delay_ms": 3_000}));
    let failure = failure(post(&erp, &invoice("INV-1")).await);
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Unknown, "OUTCOME_UNKNOWN"));
    let found = erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await.expect("an answer");
    assert!(found.is_some_and(|found| found.existed), "it had been booked");
    assert_eq!(erp.effects("invoice").await.len(), 1);
}

#[tokio::test]
async fn a_system_that_is_down_is_a_dependency_for_look_ups_and_before_sending() {
    let erp = Erp::start().await.with_customer().await;
    erp.fault(json!({"down": true, "status": 503}));
    let failure_of = failure(post(&erp, &invoice("INV-1")).await);
    assert_eq!((failure_of.class, failure_of.code.as_ref()), (Class::Dependency, "ERP_UNAVAILABLE"));
    erp.sandbox.clear_faults();
    erp.fault(json!({"down": true}));
    let looked_up = erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await;
    assert_eq!(failure(looked_up).class, Class::Dependency);

    let Erp { sandbox, netsuite, .. } = erp;
    sandbox.stop().await.expect("stopped");
    let nobody = netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await;
    assert!(matches!(&nobody, Err(Error::Unreachable { .. })), "{nobody:?}");
}

#[tokio::test]
async fn server_errors_after_commit_are_unknown_and_found() {
    let erp = Erp::start().await.with_customer().await;
    for (number, status) in [("INV-500", 500), ("INV-502", 502), ("INV-504", 504)] {
        erp.fault(json!({"method": "POST", "path": INVOICES, "times": 1, "status": status, "after_commit": true}));
        assert_eq!(failure(post(&erp, &invoice(number)).await).class, Class::Unknown, "{status}");
        assert!(erp.netsuite.find(&cause("E-1"), Object::Invoice, number).await.expect("an answer").is_some());
    }
    assert_eq!(erp.effects("invoice").await.len(), 3);
}

#[tokio::test]
async fn an_answer_to_a_look_up_that_cannot_be_read_is_no_none() {
    let erp = Erp::start().await.with_customer().await;
    erp.fault(json!({"method": "GET", "path": INVOICES, "status": 200, "body": "{\"id\":"}));
    let looked_up = erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await;
    assert_eq!(failure(looked_up).class, Class::Dependency);
    erp.sandbox.clear_faults();
    erp.fault(json!({"method": "GET", "path": INVOICES, "status": 404, "body": "<html>no such host here</html>"}));
    let looked_up = erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await;
    assert_eq!(failure(looked_up).class, Class::Dependency);
}

#[tokio::test]
async fn a_limit_slows_down_and_asks_for_fewer_calls_at_once() {
    use connectors::Erp as _;
    let erp = Erp::start().await.with_customer().await;
    assert_eq!(erp.netsuite.concurrency(), 4);
    erp.fault(json!({"method": "POST", "path": INVOICES, "times": 1, "status": 429, "headers": {"Retry-After": "2"}}));
    let failure = failure(post(&erp, &invoice("INV-1")).await);
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Dependency, "RATE_LIMITED"));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(2)));
    assert_eq!(erp.netsuite.concurrency(), 2);
    post(&erp, &invoice("INV-1")).await.expect("it goes on");
    post(&erp, &invoice("INV-2")).await.expect("it goes on");
    assert_eq!(erp.netsuite.concurrency(), 3, "and recovers");
}

#[tokio::test]
async fn a_record_changed_by_somebody_else_is_tried_again() {
    let erp = Erp::start().await.with_customer().await;
    erp.fault(json!({"method": "POST", "path": INVOICES, "times": 2, "error": "RCRD_HAS_BEEN_CHANGED"}));
    post(&erp, &invoice("INV-1")).await.expect("the third try");
    erp.fault(json!({"method": "POST", "path": INVOICES, "error": "RCRD_HAS_BEEN_CHANGED"}));
    assert_eq!(failure(post(&erp, &invoice("INV-2")).await).class, Class::Dependency);
}

#[tokio::test]
async fn a_location_that_got_lost_is_replaced_by_a_look_up() {
    let erp = Erp::start().await.with_customer().await;
    erp.fault(json!({"method": "POST", "path": INVOICES, "times": 1, "status": 204, "after_commit": true}));
    let made = post(&erp, &invoice("INV-1")).await.expect("made");
    assert!(!made.id.is_empty());
    assert_eq!(erp.effects("invoice").await.len(), 1);
}

#[tokio::test]
async fn one_token_serves_everybody_who_asks_at_once() {
    let erp = Erp::start().await.with_customer().await;
    let numbers: Vec<String> = (0..12).map(|n| format!("INV-{n}")).collect();
    let fresh = NetSuite::try_new(options(erp.sandbox.url(), &erp.key_folder().join("erp-private-key.pem")))
        .expect("good options");
    let before = erp.requests(TOKENS).await;
    let causes = cause("E-1");
    let mut calls = tokio::task::JoinSet::new();
    let fresh = std::sync::Arc::new(fresh);
    for number in numbers {
        let (fresh, causes) = (fresh.clone(), causes.clone());
        calls.spawn(async move { fresh.post_invoice(&causes, &invoice(&number)).await });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("no panic").expect("an invoice");
    }
    assert_eq!(erp.requests(TOKENS).await - before, 1);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once_and_the_call_repeated() {
    let erp = Erp::start().await.with_customer().await;
    let before = erp.requests(TOKENS).await;
    erp.post_admin("clock", json!({"advance_ms": 4_000_000})).await;
    post(&erp, &invoice("INV-1")).await.expect("with a new token");
    assert_eq!(erp.requests(TOKENS).await - before, 1);
    erp.fault(json!({"method": "POST", "path": INVOICES, "status": 401}));
    let failure = failure(post(&erp, &invoice("INV-2")).await);
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Dependency, "AUTH_FAILED"));
}

#[tokio::test]
async fn a_key_is_rotated_by_replacing_its_files() {
    let erp = Erp::start().await.with_customer().await;
    let (key, id) = (erp.key_folder().join("rotating.pem"), erp.key_folder().join("rotating.id"));
    let good = std::fs::read_to_string(erp.key_folder().join("erp-private-key.pem")).expect("the good key");
    let stranger =
        sandbox::dev_credentials().expect("another key pair").save(&tempdir(&erp, "stranger")).expect("saved");
    std::fs::copy(stranger, &key).expect("the old key");
    std::fs::write(&id, "withdrawn-certificate\n").expect("the old id");
    let mut options = options(erp.sandbox.url(), &key);
    options.credentials.certificate_id = connectors::netsuite::CertificateId::File(id.clone());
    let netsuite = NetSuite::try_new(options).expect("good options");
    let call = || async { netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await };
    assert_eq!(failure(call().await).code, "AUTH_FAILED");

    std::fs::write(&key, good).expect("the new key");
    std::fs::write(&id, "throughline-dev-certificate\n").expect("the new id");
    // A refusal is remembered for a moment, so that a crowd of callers does not storm the token endpoint.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while let Err(error) = call().await {
        assert!(tokio::time::Instant::now() < deadline, "never signed in: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn tempdir(erp: &Erp, name: &str) -> std::path::PathBuf {
    let folder = erp.key_folder().join(name);
    std::fs::create_dir(&folder).expect("a folder");
    folder
}

#[test]
fn every_option_that_cannot_be_used_is_named() {
    let mut options = options("http://erp.example:80".into(), std::path::Path::new("/key.pem"));
    options.external_id_prefix = "tl:".into();
    options.concurrency = 0;
    let problems = NetSuite::try_new(options).expect_err("bad options").join("\n");
    for expected in ["plain http", "external_id_prefix", "concurrency"] {
        assert!(problems.contains(expected), "{problems}");
    }
}
