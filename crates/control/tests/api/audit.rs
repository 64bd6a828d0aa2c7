//! The audit, read and proved through the API.

use crate::stage::{Stage, closed, path_id, reason};
use serde_json::json;

/// Three rows in the audit of the service.
async fn with_rows() -> Stage {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    for _ in 0..3 {
        let path = format!("/v1/letters/{}/unmasked", path_id("a"));
        assert_eq!(stage.post("admin", &path, reason()).await.status, 200);
    }
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_behind_the_ledgers_back_is_found_and_named() {
    let stage = with_rows().await;
    let before = stage.get("auditor", "/v1/audit/verify").await.body;
    assert_eq!(before["ok"], true);
    let database = rusqlite::Connection::open(stage.path_of("erp-sync")).unwrap();
    assert_eq!(database.execute("UPDATE audit SET actor = 'somebody else' WHERE seq = 2", []).unwrap(), 1);
    let after = stage.get("auditor", "/v1/audit/verify").await.body;
    assert_eq!(after["ok"], false);
    let ledger = after["ledgers"].as_array().unwrap().iter().find(|ledger| ledger["service"] == "erp-sync").unwrap();
    assert_eq!((&ledger["ok"], &ledger["broken_at"]), (&json!(false), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_removed_is_found() {
    let stage = with_rows().await;
    let database = rusqlite::Connection::open(stage.path_of("erp-sync")).unwrap();
    database.execute("DELETE FROM audit WHERE seq = 1", []).unwrap();
    let after = stage.get("auditor", "/v1/audit/verify?service=erp-sync").await.body;
    assert_eq!(after["ok"], false, "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_over_all_ledgers_hold_each_row_once() {
    let stage = with_rows().await;
    // Refused by control itself: its own ledger has rows, too.
    for _ in 0..3 {
        assert_eq!(stage.post("viewer", "/v1/plan/retry", json!({ "all": true })).await.status, 403);
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/audit?limit=2".to_owned());
    loop {
        let page = stage.get("admin", &path).await.body;
        let rows = page["audit"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| (row["at"].to_string(), row["service"].to_string(), row["seq"].to_string())));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/audit?limit=2&cursor={next}");
    }
    assert!(seen.len() >= 6, "{seen:?}");
    assert!(seen.windows(2).all(|two| two[0].0 >= two[1].0), "newest first: {seen:?}");
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_listed_newest_first_and_exported_page_by_page() {
    let stage = with_rows().await;
    let listed = stage.get("auditor", "/v1/audit?service=erp-sync&limit=2").await.body;
    let numbers: Vec<_> = listed["audit"].as_array().unwrap().iter().map(|row| row["seq"].clone()).collect();
    assert_eq!(numbers, [json!(3), json!(2)]);
    let next = listed["next"].as_str().unwrap();
    let older = stage.get("auditor", &format!("/v1/audit?service=erp-sync&limit=2&cursor={next}")).await.body;
    assert_eq!((&older["audit"][0]["seq"], older["audit"].as_array().unwrap().len()), (&json!(1), 1));
    assert_eq!(older["next"], json!(null));
    let wrong = stage.get("auditor", "/v1/audit?cursor=e30x").await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    let first = stage.get("auditor", "/v1/audit/export?service=erp-sync&limit=2").await.body;
    let next = first["next"].as_str().unwrap();
    let second = stage.get("auditor", &format!("/v1/audit/export?service=erp-sync&limit=2&cursor={next}")).await.body;
    assert_eq!(second["audit"][0]["seq"], 3);
    assert_eq!(second["next"], json!(null));
    assert_eq!(stage.get("operator", "/v1/audit").await.status, 403);
}
