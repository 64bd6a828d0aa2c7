//! What cannot be meant is refused with what is wrong and what to do, and changes nothing.

use crate::stage::{Stage, closed, path_id, token};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_bad_input_is_named() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    for (path, status, said) in [
        ("/v1/letters?colour=red", 400, "there is no `colour` here"),
        ("/v1/letters?limit=0", 400, "`limit` is not a whole number from 1 to 1000"),
        ("/v1/letters?limit=1001", 400, "`limit`"),
        ("/v1/letters?cursor=%25", 400, "`cursor` is none of ours"),
        ("/v1/letters?where=1%20%2B", 400, "--where"),
        ("/v1/letters?where=nobody%20==%201", 400, "there is no `nobody`"),
        ("/v1/letters?attempts=many", 400, "`attempts`"),
        ("/v1/letters?service=nobody", 404, "there is no service `nobody`"),
        ("/v1/letters?class=odd", 400, "`class` is not one of"),
        ("/v1/letters/x", 400, "`x` is no id of a letter"),
        ("/v1/letters/erp-sync%2F0%2Fnobody%2F1", 404, "there is no letter erp-sync/0/nobody/1"),
        ("/v1/jobs/j-0", 404, "there is no job j-0"),
        ("/v1/foreign?topic=no.such.topic", 404, "no.such.topic"),
        ("/v1/stats", 400, "`by` is missing"),
        ("/v1/export", 400, "nothing is selected"),
        ("/v1/audit/export", 400, "`service` is missing"),
        ("/v1/nowhere", 404, "there is no such path"),
    ] {
        let answer = stage.get("admin", path).await;
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(answer.status == status && message.contains(said), "{path}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_requests_are_refused() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    for (path, body, status, said) in [
        ("/v1/plan/retry", json!({}), 400, "nothing is selected"),
        ("/v1/plan/retry", json!({ "state": "open" }), 400, "nothing is selected"),
        ("/v1/plan/retry", json!({ "all": true, "rate": 0 }), 400, "`rate`"),
        ("/v1/plan/retry", json!({ "all": true, "max": 1, "colour": 1 }), 400, "there is no `colour`"),
        ("/v1/plan/retry", json!({ "code": "NO_SUCH" }), 404, "no letter matches"),
        ("/v1/plan/retry", json!({ "ids": ["x"] }), 400, "no id of a letter"),
        ("/v1/plan/retry", json!({ "ids": vec!["e"; 100_001] }), 400, "a list of at most 100000"),
        ("/v1/plan/retry", json!({ "all": true, "ramp": ["x"] }), 400, "`ramp`"),
        ("/v1/apply/retry", json!({ "plan": {}, "reason": "x" }), 400, "this is no plan"),
        ("/v1/apply/retry", json!({ "plan": 7, "reason": "x" }), 400, "`plan` is not a JSON object"),
        ("/v1/apply/retry", json!({ "reason": "x" }), 400, "`plan` is missing"),
        (
            "/v1/groups/state",
            json!({ "fingerprint": "v1:0", "service": "erp-sync", "state": "resolved", "reason": "x" }),
            404,
            "has no group v1:0",
        ),
        ("/v1/jobs/j-0/cancel", json!({ "reason": "x" }), 404, "there is no job"),
        ("/v1/jobs/j-0/cancel", json!({}), 400, "`reason` is missing"),
        ("/v1/jobs/j-0/cancel", json!([]), 400, "no JSON object"),
    ] {
        let answer = stage.post("admin", path, body.clone()).await;
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(
            answer.status == status && message.contains(said),
            "{path} {}: {answer:?}",
            body.to_string().chars().take(80).collect::<String>()
        );
    }
    let edit = format!("/v1/plan/edit/{}", path_id("a"));
    let unreadable = stage.post("admin", &edit, json!({ "patch": { "a": 1 }, "reason": "x" })).await;
    assert_eq!((unreadable.status, unreadable.code()), (400, "UNREADABLE"));
    assert!(stage.ledger.jobs(&ledger::JobFilter { limit: 10, ..Default::default() }).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_or_that_is_no_json_is_refused() {
    let stage = Stage::set_up().await;
    let admin = format!("Bearer {}", token("admin"));
    let large = stage.raw("/v1/plan/retry", Some(&admin), Some(vec![b' '; control::MAX_BODY + 1])).await;
    assert_eq!((large.status, large.code()), (413, "BODY_TOO_LARGE"));
    let broken = stage.raw("/v1/plan/retry", Some(&admin), Some(b"{\"all\":\n tru".to_vec())).await;
    let message = broken.body["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(broken.status == 400 && message.contains("line 2"), "{message}");
    assert_eq!(broken.body["v"], Value::from(1));
}
