//! Lists, groups and their states, paging, letters of other tools.

use crate::stage::{NOW_MS, SERVICE, Stage, closed, id, path_id, poison};
use kafka::{ClientConfig, Outgoing, Producer, ProducerConfig};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::atomic::Ordering};

fn count(answer: &Value, name: &str) -> usize {
    answer[name].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn selections_join_by_and_and_pages_hold_each_letter_once() {
    let stage = Stage::set_up().await;
    let names: Vec<String> = (0..25).map(|i| format!("a{i:02}")).collect();
    let heads: Vec<_> = names.iter().map(|name| (name.as_str(), closed())).chain([("p", poison())]).collect();
    stage.park(&heads).await;
    for (query, expected) in [
        ("limit=1000", 26),
        ("class=poison", 1),
        ("code=PERIOD_CLOSED&limit=1000", 25),
        ("code=PERIOD_CLOSED&key=a03", 1),
        ("key=a03&class=poison", 0),
        ("step=read", 1),
        ("step=send&limit=1000", 25),
        ("step=decide", 0),
        ("where=error.step%20==%20'read'", 1),
        ("state=ended", 0),
        ("state=blocked", 0),
        ("since=30s", 0),
        ("since=2h&until=30s&limit=1000", 26),
        ("attempts=>=2", 0),
        ("attempts=1&limit=1000", 26),
        ("where=error.class%20==%20'poison'%20%26%26%20key%20==%20'p'", 1),
        ("where=headers.ce_id%20==%20'e-a07'", 1),
        ("topic=payment.failed.v1&sample=5", 5),
    ] {
        let answer = stage.get("viewer", &format!("/v1/letters?{query}")).await;
        assert_eq!(count(&answer.body, "letters"), expected, "{query}: {answer:?}");
    }
    // What an event names is part of its body, so the right to read bodies goes with the question.
    assert_eq!(stage.get("viewer", "/v1/letters?order=order-a07").await.status, 403);
    assert_eq!(count(&stage.get("operator", "/v1/letters?order=order-a07").await.body, "letters"), 1);
    let (mut seen, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = stage.get("viewer", &format!("/v1/letters?limit=10{cursor}")).await.body;
        for letter in page["letters"].as_array().unwrap() {
            assert!(seen.insert(letter["id"].to_string()), "{letter} came twice");
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_tells_why_what_it_means_and_what_to_do() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    let letter = stage.get("operator", &format!("/v1/letters/{}", path_id("a"))).await.body["letter"].take();
    assert_eq!(
        (&letter["id"], &letter["kind"], &letter["owner"]),
        (&json!(id("a")), &json!("business exception"), &json!("finance"))
    );
    assert!(letter["explain"]["action"].as_str().is_some_and(|action| action.contains("Finance")));
    assert!(letter["next"].to_string().contains("throughline dlq retry --id erp-sync/0/a/1"));
    assert!(letter["body"]["unreadable"].is_string() && letter["raw"].is_null());
    assert_eq!((&letter["state"], &letter["version"]), (&json!("open"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_through_its_states_and_regresses_when_it_comes_back() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed()), ("b", closed()), ("p", poison())]).await;
    let groups = stage.get("viewer", "/v1/groups").await.body;
    assert_eq!(count(&groups, "groups"), 2);
    let group =
        groups["groups"].as_array().unwrap().iter().find(|group| group["code"] == "PERIOD_CLOSED").unwrap().clone();
    assert_eq!((&group["count"], &group["keys"], &group["state"]), (&json!(2), &json!(2), &json!("new")));
    let fingerprint = group["fingerprint"].as_str().unwrap();
    let state = async || {
        let groups = stage.get("viewer", "/v1/groups?all=true&code=PERIOD_CLOSED").await.body;
        groups["groups"][0]["state"].as_str().unwrap_or("-").to_owned()
    };
    let mark = async |word: &str, until: Option<&str>| {
        let body =
            json!({ "fingerprint": fingerprint, "service": SERVICE, "state": word, "until": until, "reason": "test" });
        stage.post("operator", "/v1/groups/state", body).await.status
    };
    assert_eq!(mark("acknowledged", None).await, 200);
    assert_eq!(state().await, "acknowledged");
    assert_eq!(mark("archived", None).await, 400, "nothing is archived for ever");
    assert_eq!(mark("archived", Some("2001-01-01T00:00:00Z")).await, 400, "nor until a time that is over");
    assert_eq!(mark("archived", Some("2100-01-01T00:00:00Z")).await, 200);
    assert_eq!(state().await, "archived");
    assert_eq!(count(&stage.get("viewer", "/v1/groups").await.body, "groups"), 1, "archived ones are out of the way");
    // Resolved before the letters were parked: they have come back.
    stage.clock.store(NOW_MS - 3_600_000, Ordering::SeqCst);
    assert_eq!(mark("resolved", None).await, 200);
    stage.clock.store(NOW_MS, Ordering::SeqCst);
    assert_eq!(state().await, "regressed");
    assert_eq!(mark("resolved", None).await, 200);
    assert_eq!(state().await, "resolved");
    let row = stage.ledger.audit(1).await.unwrap().remove(0).row;
    assert!(row.action == "group.state" && row.before.is_some() && row.after.is_some(), "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_other_tools_are_listed_and_shown_with_what_their_headers_claim() {
    let stage = Stage::set_up().await;
    stage.broker.create_topic("orders.DLT", 2).unwrap();
    let client = ClientConfig { embedded: true, ..ClientConfig::new(stage.broker.bootstrap()) };
    let producer = Producer::start(&ProducerConfig { client, ..ProducerConfig::default() }).unwrap();
    for partition in [0, 0, 1] {
        let mut headers = events::Headers::default();
        headers.push("kafka_dlt-original-topic", "payment.failed.v1");
        headers.push("kafka_dlt-original-partition", 3_i32.to_be_bytes().to_vec());
        headers.push("kafka_dlt-original-offset", 42_i64.to_be_bytes().to_vec());
        headers.push("kafka_dlt-exception-message", "no such order");
        let (topic, key, value) = ("orders.DLT".into(), Some("k".into()), Some("secret".into()));
        let record = Outgoing { topic, partition: Some(partition), key, value, headers, timestamp_ms: None };
        producer.send(&record).await.unwrap();
    }
    let first = stage.get("viewer", "/v1/foreign?topic=orders.DLT&limit=2").await.body;
    assert_eq!(count(&first, "letters"), 2);
    assert_eq!(first["letters"][0]["origin"]["family"], "spring-dead-letter");
    assert_eq!(first["letters"][0]["origin"]["offset"], 42);
    let next = first["next"].as_str().unwrap();
    let rest = stage.get("viewer", &format!("/v1/foreign?topic=orders.DLT&limit=2&cursor={next}")).await.body;
    assert_eq!((count(&rest, "letters"), &rest["letters"][0]["partition"]), (1, &json!(1)));
    let one = "/v1/foreign/letter?topic=orders.DLT&partition=0&offset=1";
    assert_eq!(stage.get("viewer", one).await.status, 403, "headers and bodies are for those who may read them");
    let shown = stage.get("operator", one).await.body;
    assert!(shown["letter"]["body"]["unreadable"].is_string() && !shown.to_string().contains("secret"), "{shown}");
    for missing in ["partition=9&offset=0", "partition=0&offset=99"] {
        assert_eq!(stage.get("operator", &format!("/v1/foreign/letter?topic=orders.DLT&{missing}")).await.status, 404);
    }
}
