//! Every role against every route.

use crate::stage::{Stage, closed, path_id, token};
use control::{
    rights::{Right, Role},
    routes::{Method, ROUTES, Route},
};
use serde_json::{Value, json};

/// A request that fails for every other reason than its rights, if those are there.
async fn ask(stage: &Stage, who: &str, route: &Route) -> u16 {
    let path = route.path.replace("{id}", &path_id("a"));
    match route.method {
        Method::Get => stage.get(who, &path).await.status,
        Method::Post => stage.post(who, &path, json!({})).await.status,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_reaches_exactly_the_routes_that_its_rights_open() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    for route in ROUTES {
        for role in Role::ALL {
            let status = ask(&stage, role.as_str(), route).await;
            let may = role.allows(route.right);
            assert_eq!(status != 403, may, "{} {} as {role:?}: {status}", route.path, route.right);
            assert!(status != 401 && status < 500, "{} as {role:?}: {status}", route.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_known_reaches_nothing() {
    let stage = Stage::set_up().await;
    for route in ROUTES {
        let path = route.path.replace("{id}", "x");
        let body = (route.method == Method::Post).then(|| b"{}".to_vec());
        for authorization in
            [None, Some("Bearer "), Some("Bearer wrong-token-0123456789"), Some("Basic YTpi"), Some("x")]
        {
            let answer = stage.raw(&path, authorization, body.clone()).await;
            assert_eq!((answer.status, answer.code()), (401, "UNAUTHENTICATED"), "{} {authorization:?}", route.path);
        }
    }
    assert!(stage.own().await.audit(10).await.unwrap().is_empty(), "strangers fill no audit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_attempt_changes_nothing_and_is_on_the_record() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    let discard = stage.post("viewer", "/v1/plan/discard", json!({ "all": true })).await;
    assert_eq!((discard.status, discard.code()), (403, "FORBIDDEN"));
    let error = &discard.body["error"];
    assert!(error["message"].as_str().unwrap().contains("viewer may not dlq.discard"), "{error}");
    assert!(error["request_id"].as_str().is_some_and(|id| id.len() == 32) && error["retryable"] == false);
    let row = stage.own().await.audit(1).await.unwrap().remove(0).row;
    assert_eq!((row.actor.as_str(), row.action.as_str()), ("viewer", "refused"));
    assert!(row.subject.contains("/v1/plan/discard") && row.reason.contains(Right::DlqDiscard.as_str()), "{row:?}");
    assert!(stage.ledger.jobs(&ledger::JobFilter { limit: 10, ..Default::default() }).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_for_one_service_opens_no_other() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    let one = stage.get("elsewhere", &format!("/v1/letters/{}", path_id("a"))).await;
    assert_eq!((one.status, one.code()), (403, "FORBIDDEN"));
    let all = stage.get("elsewhere", "/v1/letters").await;
    assert_eq!(all.body["letters"], json!([]), "letters of services without a right are not listed");
    let named = stage.get("elsewhere", "/v1/letters?service=erp-sync").await;
    assert_eq!(named.status, 403);
    let planned = stage.post("elsewhere", "/v1/plan/retry", json!({ "all": true })).await;
    assert_eq!(planned.code(), "NOTHING_MATCHES");
    let own = stage.own().await.audit(10).await.unwrap();
    assert_eq!(own.len(), 2, "both refusals are on the record: {own:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_for_those_who_may_read_them_and_unmasking_is_on_the_record_first() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    let path = format!("/v1/letters/{}", path_id("a"));
    let viewer = stage.get("viewer", &path).await.body;
    assert!(viewer["letter"]["body"]["hidden"].is_string() && viewer["letter"]["headers"].is_null(), "{viewer}");
    let operator = stage.get("operator", &path).await.body;
    assert!(operator["letter"]["headers"].is_array() && operator["letter"]["raw"].is_null(), "{operator}");
    let unmask = format!("{path}/unmasked");
    assert_eq!(stage.post("steward", &unmask, json!({ "reason": "curious" })).await.status, 403);
    let without_reason = stage.post("admin", &unmask, json!({})).await;
    assert_eq!(without_reason.status, 400);
    let seen = stage.post("admin", &unmask, json!({ "reason": "customer asked" })).await.body;
    assert_eq!(seen["letter"]["raw"]["value"], "bm90IEF2cm8=");
    let row = stage.ledger.audit(1).await.unwrap().remove(0).row;
    assert_eq!(
        (row.action.as_str(), row.reason.as_str(), row.actor.as_str()),
        ("letter.unmask", "customer asked", "admin")
    );
    let condition = stage.get("viewer", "/v1/letters?where=value.currency=='EUR'").await;
    assert_eq!(condition.status, 403, "asking about a body is reading it");
}

#[test]
fn every_mutating_route_asks_for_more_than_reading() {
    for route in ROUTES.iter().filter(|route| route.mutates) {
        assert!(!Role::Viewer.allows(route.right) && !Role::Auditor.allows(route.right), "{}", route.path);
    }
    let tokens: Vec<Value> = Role::ALL.iter().map(|role| json!(token(role.as_str()))).collect();
    assert_eq!(tokens.len(), 5);
}
