//! Edits: two people at once, the same one twice, one that breaks the schema, a letter that has gone on.

use crate::stage::{Stage, id, path_id, readable, registry};
use control::Policy;
use ledger::ParkedState;
use serde_json::{Value, json};

async fn stage() -> Stage {
    let stage = Stage::with(Policy { edit_needs_second: false, second_above: 100 }, Some(&registry().await)).await;
    stage.park_rows(vec![readable("a", ParkedState::DeadLettered), readable("gone", ParkedState::Superseded)]).await;
    stage
}

async fn edit(stage: &Stage, who: &str, patch: Value) -> Value {
    let body = json!({ "patch": patch, "reason": "the bank told" });
    let answer = stage.post(who, &format!("/v1/plan/edit/{}", path_id("a")), body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    json!({ "plan": { "plan": answer.body["plan"], "sha256": answer.body["sha256"] }, "reason": "the bank told" })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_who_edit_one_letter_the_second_is_told_that_it_changed() {
    let stage = stage().await;
    let first = edit(&stage, "steward", json!({ "failure_code": "expired" })).await;
    let second = edit(&stage, "admin", json!({ "failure_code": "stolen" })).await;
    assert_eq!(stage.post("steward", "/v1/apply/edit", first.clone()).await.status, 200);
    let late = stage.post("admin", "/v1/apply/edit", second.clone()).await;
    assert_eq!((late.status, late.code()), (409, "EDITED_MEANWHILE"), "while the first is under way");
    // The service has put the first edit in place.
    let job = stage.get("viewer", "/v1/jobs").await.body["jobs"][0]["id"].as_str().unwrap().to_owned();
    stage.post("admin", &format!("/v1/jobs/{job}/cancel"), json!({ "reason": "stands in for its end" })).await;
    let database = rusqlite::Connection::open(stage.path_of("erp-sync")).unwrap();
    database.execute("UPDATE parked_record SET version = 2 WHERE sequence = 'a'", []).unwrap();
    let late = stage.post("admin", "/v1/apply/edit", second).await;
    assert_eq!((late.status, late.code()), (409, "PLAN_STALE"), "and when it is done");
    let again = stage.post("steward", "/v1/apply/edit", first).await;
    assert_eq!(again.body["job"]["id"], json!(job), "the same edit submitted twice is one job");
    assert_eq!(stage.ledger.jobs(&ledger::JobFilter { limit: 10, ..Default::default() }).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_breaks_the_schema_or_the_key_or_comes_too_late_is_refused_and_changes_nothing() {
    let stage = stage().await;
    for (name, patch, status, said) in [
        ("a", json!({ "amount_minor": "many" }), 400, "amount_minor"),
        ("a", json!({ "no_such_field": 1 }), 400, "no_such_field"),
        ("a", json!({ "account_id": "somebody-else" }), 400, "account_id"),
        ("a", json!({ "currency": null }), 400, "currency"),
        ("a", json!({ "failure_code": "declined" }), 400, "changes nothing"),
        ("gone", json!({ "failure_code": "x" }), 409, "has ended: superseded"),
        ("nobody", json!({ "failure_code": "x" }), 404, "there is no letter"),
    ] {
        let body = json!({ "patch": patch, "reason": "test" });
        let answer = stage.post("admin", &format!("/v1/plan/edit/{}", path_id(name)), body).await;
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(answer.status == status && message.contains(said), "{name} {patch}: {answer:?}");
    }
    let gone = stage.post("admin", "/v1/plan/retry", json!({ "ids": [id("gone")] })).await;
    assert_eq!((gone.status, gone.code()), (404, "NOTHING_MATCHES"), "what has ended is not retried");
    assert!(stage.ledger.jobs(&ledger::JobFilter { limit: 10, ..Default::default() }).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_applied_by_its_kind_of_plan_alone_and_personal_data_does_not_show_in_its_diff() {
    let stage = stage().await;
    let body = edit(&stage, "steward", json!({ "action_required_url": "https://pay.example/other" })).await;
    let diff = &body["plan"]["plan"]["edit"]["diff"];
    assert!(diff[0]["field"] == "action_required_url" && !diff.to_string().contains("pay.example"), "{diff}");
    let answer = stage.post("steward", "/v1/apply/retry", body).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}
