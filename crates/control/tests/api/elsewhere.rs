//! Letters put on another topic, or shown once more to all readers of their own; letters that were tried too often.

use crate::stage::{SERVICE, Stage, TOPIC, id, readable};
use ledger::{ParkedState, Verb};
use serde_json::{Value, json};

async fn stage() -> Stage {
    let stage = Stage::set_up().await;
    stage.park_rows(vec![readable("a", ParkedState::DeadLettered), readable("b", ParkedState::DeadLettered)]).await;
    for topic in ["quarantine", TOPIC] {
        stage.broker.create_topic(topic, 1).unwrap();
    }
    stage
}

async fn plan(stage: &Stage, kind: &str, mut selection: Value) -> Value {
    if kind == "move" {
        selection["to"] = json!("quarantine");
    }
    let answer = stage.post("admin", &format!("/v1/plan/{kind}"), selection).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    json!({ "plan": { "plan": answer.body["plan"], "sha256": answer.body["sha256"] }, "reason": "the auditors want them" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_letter_is_on_its_topic_byte_for_byte_before_it_is_closed_and_never_twice() {
    let stage = stage().await;
    let body = plan(&stage, "move", json!({ "all": true })).await;
    let job = stage.post("admin", "/v1/apply/move", body.clone()).await.body["job"].take();
    assert_eq!((&job["verb"], &job["total"]), (&json!("move"), &json!(2)));
    let copies = stage.records("quarantine").await;
    let original = readable("a", ParkedState::DeadLettered);
    let copy = copies.iter().find(|copy| copy.headers.text("dlq.id") == Some(&id("a"))).unwrap();
    assert_eq!((&copy.key, &copy.value), (&original.key, &original.value));
    assert_eq!(copy.headers.0[..original.headers.0.len()], original.headers.0[..]);
    for (name, value) in [
        ("dlq.original.topic", TOPIC),
        ("dlq.consumer", SERVICE),
        ("dlq.moved.by", "admin"),
        ("dlq.code", "PERIOD_CLOSED"),
    ] {
        assert_eq!(copy.headers.text(name), Some(value), "{name}");
    }
    stage.post("admin", "/v1/apply/move", body.clone()).await;
    assert_eq!(stage.records("quarantine").await.len(), 2, "applied again, nothing is copied again");
    // A first try that broke off before its job was there.
    let database = rusqlite::Connection::open(stage.path_of(SERVICE)).unwrap();
    database.execute_batch("DELETE FROM job_item; DELETE FROM job;").unwrap();
    assert_eq!(stage.post("admin", "/v1/apply/move", body).await.status, 200);
    assert_eq!(stage.records("quarantine").await.len(), 2, "what is there already is not put again");
    let jobs = stage.ledger.jobs(&ledger::JobFilter { limit: 10, ..Default::default() }).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].spec.verb), (1, Verb::Move));
    let audit = stage.ledger.audit(10).await.unwrap();
    assert!(audit.iter().any(|row| row.row.action == "letters.copied" && row.row.reason == "the auditors want them"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_cannot_be_meant_or_is_stale_puts_nothing_anywhere() {
    let stage = stage().await;
    for (to, status) in
        [(TOPIC, 400), ("dlq.erp-sync", 400), ("__consumer_offsets", 400), ("replay.erp-sync", 400), ("nowhere", 404)]
    {
        let answer = stage.post("admin", "/v1/plan/move", json!({ "all": true, "to": to })).await;
        assert_eq!(answer.status, status, "{to}: {answer:?}");
    }
    let body = plan(&stage, "move", json!({ "all": true })).await;
    let database = rusqlite::Connection::open(stage.path_of(SERVICE)).unwrap();
    database.execute("UPDATE parked_record SET version = 9 WHERE sequence = 'a'", []).unwrap();
    let stale = stage.post("admin", "/v1/apply/move", body.clone()).await;
    assert_eq!((stale.status, stale.code()), (409, "PLAN_STALE"));
    assert!(stage.records("quarantine").await.is_empty());
    let mut rest = body;
    rest["skip_changed"] = json!(true);
    let job = stage.post("admin", "/v1/apply/move", rest).await.body;
    assert_eq!((&job["skipped"], stage.records("quarantine").await.len()), (&json!(1), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn showing_letters_to_all_readers_is_a_right_of_its_own_and_says_that_groups_are_not_known_here() {
    let stage = stage().await;
    assert_eq!(stage.post("steward", "/v1/plan/original", json!({ "all": true })).await.status, 403);
    let body = plan(&stage, "original", json!({ "key": "a" })).await;
    let target = &body["plan"]["plan"]["target"];
    // The in-process broker does not tell who reads a topic.
    assert_eq!((&target["to"], &target["groups_are_known"]), (&json!("original"), &json!(false)));
    let as_retry = stage.post("admin", "/v1/apply/retry", body.clone()).await;
    assert_eq!(as_retry.status, 400, "it cannot pass for a quiet retry: {as_retry:?}");
    for _ in 0..2 {
        let job = stage.post("admin", "/v1/apply/original", body.clone()).await.body["job"].take();
        assert_eq!((&job["verb"], &job["total"]), (&json!("retry"), &json!(1)));
    }
    let copies = stage.records(TOPIC).await;
    let original = readable("a", ParkedState::DeadLettered);
    assert_eq!(copies.len(), 1);
    assert_eq!((&copies[0].value, copies[0].headers.text("dlq.id")), (&original.value, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_were_tried_too_often_stay_out_of_a_retry() {
    let stage = stage().await;
    let database = rusqlite::Connection::open(stage.path_of(SERVICE)).unwrap();
    database.execute("UPDATE parked_record SET attempts = 4 WHERE sequence = 'a'", []).unwrap();
    let plan =
        stage.post("operator", "/v1/plan/retry", json!({ "all": true, "max_replays": 3 })).await.body["plan"].take();
    assert_eq!((&plan["left_out"], plan["items"].as_array().unwrap().len()), (&json!(1), 1));
    let none = stage.post("operator", "/v1/plan/retry", json!({ "key": "a", "max_replays": 3 })).await;
    assert_eq!((none.status, none.code()), (422, "REPLAY_LIMIT"));
}
