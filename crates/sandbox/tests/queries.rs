//! Lists, SuiteQL, paging, jobs, limits.

mod common;

use std::time::{Duration, Instant};

use common::{customer, invoice, send, start, start_with};
use reqwest::Method;
use sandbox::Settings;
use serde_json::json;

#[tokio::test]
async fn lists_have_ids_and_links_only_and_come_in_pages() {
    let erp = start().await;
    for account in ["A", "B", "C"] {
        erp.customer(account).await;
    }
    let page = erp.get("/customer?limit=2").await;
    assert_eq!(page.header("content-type"), "application/vnd.oracle.resource+json; type=collection");
    let body = &page.body;
    assert_eq!((&body["count"], &body["hasMore"], &body["totalResults"]), (&json!(2), &json!(true), &json!(3)));
    let item = body["items"][0].as_object().expect("an item");
    assert_eq!(item.keys().collect::<Vec<_>>(), ["id", "links"]);
    let last = erp.get("/customer?limit=2&offset=2").await.body;
    assert_eq!((&last["count"], &last["hasMore"], &last["offset"]), (&json!(1), &json!(false), &json!(2)));
    for wrong in ["limit=0", "limit=1001", "limit=2&offset=1", "limit=x", "q=total"] {
        assert_eq!(erp.get(&format!("/customer?{wrong}")).await.error().1, "INVALID_PARAMETER", "{wrong}");
    }
    let found = erp.get("/customer?q=companyName%20CONTAIN%20%22Company%20B%22").await.body;
    assert_eq!(found["totalResults"], 1);
}

#[tokio::test]
async fn suiteql_finds_records_by_external_id_and_number() {
    let erp = start().await;
    erp.customer("A").await;
    let id = erp.invoice("A", "INV-1").await;
    erp.invoice("A", "INV-2").await;
    let by_id = erp
        .sql("SELECT id, externalid, foreigntotal, custbody_tl_event_id FROM invoice WHERE externalid = 'INV-1'")
        .await;
    let row = &by_id.body["items"][0];
    assert_eq!((&row["id"], &row["foreigntotal"]), (&json!(id), &json!("120")));
    assert_eq!(row["custbody_tl_event_id"], "event-of-INV-1");
    let both = erp.sql("SELECT id FROM transaction WHERE type = 'CustInvc' AND externalid IN ('INV-1','INV-2','INV-3') ORDER BY id DESC").await;
    assert_eq!((&both.body["count"], &both.body["items"][1]["id"]), (&json!(2), &json!(id)));
    let by_number = erp.sql("SELECT id, tranid FROM transaction WHERE type = 'CustInvc' AND tranid = 'INV-1'").await;
    assert_eq!(by_number.body["items"][0]["id"], id.as_str());
    let other_type = erp.sql("SELECT id FROM transaction WHERE type = 'CustCred' AND tranid = 'INV-1'").await;
    assert_eq!(other_type.body["totalResults"], 0);
    let count = erp.sql("SELECT COUNT(*) AS n FROM transaction WHERE foreigntotal > 100").await;
    assert_eq!(count.body["items"][0]["n"], "2");
}

#[tokio::test]
async fn suiteql_needs_its_prefer_header_and_a_query_it_understands() {
    let erp = start().await;
    let request = erp.request(Method::POST, "/query/v1/suiteql").json(&json!({ "q": "SELECT id FROM customer" }));
    assert_eq!(send(request).await.expect("an answer").error().1, "INVALID_HEADER");
    let wrong = erp.sql("SELECT id FROM customer WHERE a = 1 OR b = 2").await;
    assert_eq!(wrong.error().1, "INVALID_PARAMETER");
    assert!(erp.sql("SELECT id FROM nothing").await.detail().contains("nothing"));
}

#[tokio::test]
async fn an_asynchronous_write_is_a_job_to_poll_with_the_result_of_a_synchronous_one() {
    let erp = start_with(Settings { async_ms: 5_000, ..Settings::default() }).await;
    let request = erp.request(Method::PUT, "/record/v1/customer/eid:A").header("Prefer", "respond-async");
    let accepted = send(request.json(&customer("A"))).await.expect("an answer");
    assert_eq!((accepted.status, accepted.header("preference-applied")), (202, "respond-async"));
    let job = accepted.header("location").to_owned();
    let poll =
        async |path: &str| send(erp.http.get(format!("{job}{path}")).bearer_auth(&erp.token)).await.expect("an answer");
    let pending = poll("").await.body;
    assert_eq!((&pending["completed"], &pending["progress"]), (&json!(false), &json!("pending")));
    assert_eq!(poll("/task/1/result").await.error().0, 404);
    erp.admin(Method::POST, "/clock", json!({ "advance_ms": 5_000 })).await;
    assert_eq!(poll("").await.body["progress"], "succeeded");
    let result = poll("/task/1/result").await;
    assert_eq!(result.id(), erp.get("/customer/eid:A").await.body["id"].as_str().expect("an id"));
}

#[tokio::test]
async fn a_repeated_idempotency_key_is_a_400_that_points_to_the_first_job() {
    let erp = start().await;
    let submit = async |key: &str| {
        let request = erp.request(Method::POST, "/record/v1/customer").header("Prefer", "respond-async");
        send(request.header("X-NetSuite-Idempotency-Key", key).json(&customer("A"))).await.expect("an answer")
    };
    let key = "7f8f4e0a-5b4e-4f6e-9a43-6f6ab1b0c001";
    let first = submit(key).await;
    let second = submit(key).await;
    assert_eq!(second.error(), (400, "IDEMPOTENCY_ERROR", ""));
    assert_eq!(second.body["title"], "Conflict");
    assert_eq!(second.header("location"), first.header("location"));
    assert_eq!(erp.state().await["totals"]["customer"]["count"], 1);
    assert_eq!(submit("not-a-uuid").await.error().1, "INVALID_HEADER");
    erp.admin(Method::POST, "/settings", json!({ "idempotency_seconds": 60 })).await;
    erp.admin(Method::POST, "/clock", json!({ "advance_ms": 61_000 })).await;
    let forgotten = submit(key).await;
    assert_eq!(forgotten.status, 202, "a key that is forgotten protects from nothing");
    assert_ne!(forgotten.header("location"), first.header("location"));
}

#[tokio::test]
async fn a_batch_does_each_record_by_itself_and_has_at_most_100() {
    let erp = start().await;
    let submit = async |items: Vec<serde_json::Value>| {
        let request = erp.request(Method::POST, "/record/v1/customer").header("Prefer", "respond-async");
        let request = request.header("Content-Type", "application/vnd.oracle.resource+json; type=collection");
        send(request.body(json!({ "items": items }).to_string())).await.expect("an answer")
    };
    let named = |id: &str| {
        let mut body = customer(id);
        body["externalId"] = json!(id);
        body
    };
    let accepted = submit(vec![named("A"), json!({}), named("B")]).await;
    let url = format!("{}/task/1/result", accepted.header("location"));
    let result = send(erp.http.get(url).bearer_auth(&erp.token)).await.expect("an answer").body;
    let statuses: Vec<_> =
        result["items"].as_array().expect("items").iter().map(|item| item["status"].clone()).collect();
    assert_eq!(statuses, [204, 400, 204]);
    for batch in 0..30 {
        let full = (0..100).map(|index| named(&format!("{batch}-{index}"))).collect();
        assert_eq!(submit(full).await.status, 202);
    }
    let effects = erp.effects_from(1).await;
    assert_eq!(effects.len(), 3_002, "the effect log streams what no longer fits in one piece");
    assert!(effects.iter().zip(1..).all(|(effect, seq)| effect["seq"] == seq));
    let many = (0..101).map(|index| named(&index.to_string())).collect();
    assert_eq!(submit(many).await.error(), (400, "INVALID_CONTENT", "items"));
}

#[tokio::test]
async fn one_request_more_than_the_limit_is_refused_and_nothing_of_it_is_done() {
    let erp = start_with(Settings { concurrency_limit: 2, ..Settings::default() }).await;
    let limits = send(erp.request(Method::GET, "/system/v1/governanceLimits")).await.expect("an answer");
    assert_eq!(limits.body["accountConcurrencyLimit"], 2);
    erp.admin(Method::POST, "/settings", json!({ "latency_ms": 600_000 })).await;
    let mut holding = Vec::new();
    for (id, in_progress) in [("A", 1), ("B", 2)] {
        let request = erp.request(Method::PUT, &format!("/record/v1/customer/eid:{id}"));
        holding.push(tokio::spawn(send(request.json(&customer(id)))));
        let deadline = Instant::now() + Duration::from_secs(10);
        while erp.state().await["in_progress"] != in_progress {
            assert!(Instant::now() < deadline, "request {id} did not arrive");
        }
    }
    let refused = erp.put("/customer/eid:C", customer("C")).await;
    assert_eq!(refused.error(), (429, "CONCURRENCY_LIMIT_EXCEEDED", ""));
    holding.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(erp.state().await["totals"]["customer"]["count"], 0);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let erp = start_with(Settings { max_body_bytes: 1_000, ..Settings::default() }).await;
    let mut body = invoice("A", "I");
    body["memo"] = json!("x".repeat(1_000));
    assert_eq!(erp.put("/invoice/eid:I", body).await.error(), (413, "REQUEST_ENTITY_TOO_LARGE", ""));
}
