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
async fn the_audit_is_listed_newest_first_and_exported_page_by_page() {
    let stage = with_rows().await;
    let listed = stage.get("auditor", "/v1/audit?service=erp-sync&limit=2").await.body;
    let numbers: Vec<_> = listed["audit"].as_array().unwrap().iter().map(|row| row["seq"].clone()).collect();
    assert_eq!(numbers, [json!(3), json!(2)]);
    let first = stage.get("auditor", "/v1/audit/export?service=erp-sync&limit=2").await.body;
    let next = first["next"].as_str().unwrap();
    let second = stage.get("auditor", &format!("/v1/audit/export?service=erp-sync&limit=2&cursor={next}")).await.body;
    assert_eq!(second["audit"][0]["seq"], 3);
    assert_eq!(second["next"], json!(null));
    assert_eq!(stage.get("operator", "/v1/audit").await.status, 403);
}
