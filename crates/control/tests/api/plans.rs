//! From a plan to a job: frozen, reviewed, applied once, refused when stale. No service runs, so jobs stay queued.

use crate::stage::{Stage, closed, id, poison};
use control::Policy;
use serde_json::{Value, json};

async fn plan(stage: &Stage, who: &str, verb: &str, selection: Value) -> Value {
    let answer = stage.post(who, &format!("/v1/plan/{verb}"), selection).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    json!({ "plan": answer.body["plan"], "sha256": answer.body["sha256"] })
}

fn apply(plan: &Value) -> Value {
    json!({ "plan": plan, "reason": "period reopened", "ticket": "FIN-7" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_freezes_letters_and_applying_it_twice_is_one_job() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed()), ("b", closed()), ("p", poison())]).await;
    let file =
        plan(&stage, "operator", "retry", json!({ "code": "PERIOD_CLOSED", "rate": 1, "stop_percent": 5 })).await;
    let made = &file["plan"];
    assert_eq!((&made["items"][0]["id"], &made["items"][1]["id"]), (&json!(id("a")), &json!(id("b"))));
    assert_eq!(made["predicted"], json!({ "unpredicted": 2 }), "no service is there to tell");
    assert_eq!((&made["estimate_seconds"], &made["by_code"]), (&json!(2), &json!({ "PERIOD_CLOSED": 2 })));
    let first = stage.post("operator", "/v1/apply/retry", apply(&file)).await;
    let job = &first.body["job"];
    assert_eq!((first.status, &job["state"], &job["counts"]["total"]), (200, &json!("queued"), &json!(2)));
    assert_eq!(
        (&job["who"], &job["ticket"], &job["stop"]["percent"]),
        (&json!("operator"), &json!("FIN-7"), &json!(5))
    );
    let second = stage.post("operator", "/v1/apply/retry", apply(&file)).await;
    assert_eq!(second.body["job"]["id"], job["id"]);
    assert_eq!(stage.get("viewer", "/v1/jobs").await.body["jobs"].as_array().unwrap().len(), 1);
    let items = stage.get("viewer", &format!("/v1/jobs/{}/items?limit=1", job["id"].as_str().unwrap())).await.body;
    assert!(items["items"][0]["state"] == "pending" && items["next"].is_string(), "{items}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_a_forged_and_a_mistaken_plan_are_refused() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed()), ("p", poison())]).await;
    let file = plan(&stage, "operator", "retry", json!({ "key": "a" })).await;
    let mut changed = file.clone();
    changed["plan"]["items"][0]["id"] = json!(id("p"));
    let answer = stage.post("operator", "/v1/apply/retry", apply(&changed)).await;
    assert_eq!((answer.status, answer.code()), (409, "PLAN_CHANGED"));
    // Whoever recomputes the hash still did not make the plan here.
    let forged: control::plan::Plan = serde_json::from_value(changed["plan"].clone()).unwrap();
    let answer = stage.post("operator", "/v1/apply/retry", apply(&forged.sealed())).await;
    assert_eq!((answer.status, answer.code()), (409, "PLAN_UNKNOWN"));
    let answer = stage.post("steward", "/v1/apply/discard", apply(&file)).await;
    assert_eq!(answer.status, 400, "a plan to retry cannot discard: {answer:?}");
    assert!(stage.get("viewer", "/v1/jobs").await.body["jobs"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_cannot_hold_one_letter_and_a_cancelled_one_lets_go() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed()), ("b", closed())]).await;
    let first = plan(&stage, "operator", "retry", json!({ "key": "a" })).await;
    let second = plan(&stage, "steward", "retry", json!({ "all": true })).await;
    let job = stage.post("operator", "/v1/apply/retry", apply(&first)).await.body["job"].take();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let held = stage.post("steward", "/v1/apply/retry", apply(&second)).await;
    assert_eq!((held.status, held.code()), (422, "HELD"));
    assert!(held.body["error"]["message"].as_str().unwrap().contains(job["id"].as_str().unwrap()));
    for (action, state) in [("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")] {
        let answer = stage.post("operator", &format!("{path}/{action}"), json!({ "reason": "test" })).await;
        assert_eq!(answer.body["job"]["state"], state, "{action}: {answer:?}");
    }
    let over = stage.post("operator", &format!("{path}/pause"), json!({ "reason": "test" })).await;
    assert_eq!((over.status, over.code()), (409, "JOB_OVER"));
    assert_eq!(stage.post("steward", "/v1/apply/retry", apply(&second)).await.status, 200);
    let actions: Vec<String> = stage.ledger.audit(20).await.unwrap().into_iter().map(|row| row.row.action).collect();
    assert_eq!(actions, ["job.retry", "job.pause", "job.resume", "job.cancel", "job.retry"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_stale_when_a_letter_has_moved_on_unless_changed_ones_are_left_out() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed()), ("b", closed())]).await;
    let file = plan(&stage, "operator", "retry", json!({ "all": true })).await;
    let database = rusqlite::Connection::open(stage.path_of("erp-sync")).unwrap();
    database.execute("UPDATE parked_record SET version = 9 WHERE sequence = 'a'", []).unwrap();
    let stale = stage.post("operator", "/v1/apply/retry", apply(&file)).await;
    assert_eq!((stale.status, stale.code()), (409, "PLAN_STALE"));
    assert!(stale.body["error"]["message"].as_str().unwrap().contains(&id("a")));
    let mut body = apply(&file);
    body["skip_changed"] = json!(true);
    let answer = stage.post("operator", "/v1/apply/retry", body).await.body;
    assert_eq!((&answer["skipped"], &answer["job"]["counts"]["total"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_limit_another_person_applies() {
    let stage = Stage::with(Policy { edit_needs_second: true, second_above: 1 }, None).await;
    stage.park(&[("a", closed()), ("b", closed())]).await;
    let file = plan(&stage, "admin", "retry", json!({ "all": true })).await;
    let alone = stage.post("admin", "/v1/apply/retry", apply(&file)).await;
    assert_eq!((alone.status, alone.code()), (422, "NEEDS_SECOND"));
    let job = stage.post("second", "/v1/apply/retry", apply(&file)).await.body["job"].take();
    assert_eq!((&job["who"], &job["approver"]), (&json!("admin"), &json!("second")));
    let too_many = stage.post("admin", "/v1/plan/discard", json!({ "all": true, "max": 1 })).await;
    assert_eq!((too_many.status, too_many.code()), (422, "TOO_MANY"));
}
