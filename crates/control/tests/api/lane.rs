//! Records of a topic to one service again: the topic's own history, and dead letters that other tools wrote.

use crate::stage::{SERVICE, Stage, TOPIC, readable, written};
use bytes::Bytes;
use events::{Headers, Uid};
use ledger::{Disposition, ParkedState};
use serde_json::{Value, json};

const LANE: &str = "replay.erp-sync";

fn uid(id: &str) -> Option<Uid> {
    Some(Uid::derive("urn:test", id))
}

async fn plan(stage: &Stage, topic: &str, more: Value) -> Value {
    let mut body = json!({ "service": SERVICE, "topic": topic });
    more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
    let answer = stage.post("operator", "/v1/replay/plan", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    json!({ "plan": answer.body["plan"], "sha256": answer.body["sha256"] })
}

fn apply(file: &Value) -> Value {
    json!({ "plan": file, "reason": "the service was new then" })
}

/// Five records of which the service applied one, has one as a letter, gave one up, never saw one and has not come to the last.
async fn with_history() -> Stage {
    let stage = Stage::set_up().await;
    stage.broker.create_topic(LANE, 1).unwrap();
    let names = ["done", "letter", "given-up", "never-seen", "to-come"];
    let record = |name: &&'static str| {
        let (value, headers) = written(name, &format!("e-{name}"));
        (*name, Some(value), headers)
    };
    let records: Vec<(&str, Option<Bytes>, Headers)> = names.iter().map(record).collect();
    stage.publish(TOPIC, &records).await;
    let place = |name: &str, state, offset| ledger::ParkedRecord { offset, ..readable(name, state) };
    stage
        .park_rows(vec![place("letter", ParkedState::DeadLettered, 1), place("given-up", ParkedState::Discarded, 2)])
        .await;
    let decided = [
        (0, uid("e-done"), Disposition::Applied),
        (1, uid("e-letter"), Disposition::Parked),
        (2, uid("e-given-up"), Disposition::Parked),
    ];
    stage.decide(TOPIC, &decided, 4).await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_says_what_became_of_each_record_and_puts_only_what_had_no_effect() {
    let stage = with_history().await;
    let file = plan(&stage, TOPIC, json!({ "all": true })).await;
    let expected =
        json!({ "already_applied": 1, "dead_letter": 1, "discarded": 1, "would_apply": 1, "not_yet_read": 1 });
    assert_eq!((&file["plan"]["predicted"], &file["plan"]["items"]), (&expected, &json!([[0, 3]])));
    let first = stage.post("operator", "/v1/replay/apply", apply(&file)).await.body;
    assert_eq!((&first["replay"]["put"], &first["replay"]["done"]), (&json!(1), &json!(1)), "{first}");
    let second = stage.post("operator", "/v1/replay/apply", apply(&file)).await.body;
    assert_eq!(
        (&second["replay"]["put"], &second["replay"]["done"]),
        (&json!(0), &json!(1)),
        "applied again, nothing is put again"
    );
    let copies = stage.records(LANE).await;
    assert_eq!((copies.len(), copies[0].key.as_deref()), (1, Some(&b"never-seen"[..])));
    assert_eq!(copies[0].headers.text("dlq.original.offset"), Some("3"));
    let outcome = format!("/v1/replay/outcome?service={SERVICE}&plan={}", file["sha256"].as_str().unwrap());
    assert_eq!(stage.get("viewer", &outcome).await.body["outcome"]["by_disposition"], json!({ "waiting": 1 }));
    // The service takes the copy.
    stage.decide(LANE, &[(0, uid("e-never-seen"), Disposition::Applied)], 1).await;
    assert_eq!(stage.get("viewer", &outcome).await.body["outcome"]["by_disposition"], json!({ "applied": 1 }));
    let after = plan(&stage, TOPIC, json!({ "all": true })).await;
    assert_eq!((&after["plan"]["predicted"]["already_applied"], &after["plan"]["items"]), (&json!(2), &json!([])));
    let row = stage.ledger.audit(1).await.unwrap().remove(0).row;
    assert!(row.action == "replay.put" && row.subject.contains(LANE), "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_a_changed_and_an_unknown_replay_plan_put_nothing() {
    let stage = with_history().await;
    let file = plan(&stage, TOPIC, json!({ "key": "never-seen" })).await;
    assert_eq!(file["plan"]["read"], 1);
    let mut changed = file.clone();
    changed["plan"]["items"] = json!([[0, 0]]);
    let answer = stage.post("operator", "/v1/replay/apply", apply(&changed)).await;
    assert_eq!((answer.status, answer.code()), (409, "PLAN_CHANGED"));
    let forged: control::lane::LanePlan = serde_json::from_value(changed["plan"].clone()).unwrap();
    let answer = stage.post("operator", "/v1/replay/apply", apply(&forged.sealed())).await;
    assert_eq!((answer.status, answer.code()), (409, "PLAN_UNKNOWN"));
    for body in [json!({ "plan": {} }), json!({ "plan": { "plan": { "v": 1 } } })] {
        let body = json!({ "plan": body["plan"], "reason": "x" });
        assert_eq!(stage.post("operator", "/v1/replay/apply", body).await.code(), "PLAN_INVALID");
    }
    // Somebody else has brought the event meanwhile.
    stage.decide(LANE, &[(0, uid("e-never-seen"), Disposition::Applied)], 1).await;
    let stale = stage.post("operator", "/v1/replay/apply", apply(&file)).await;
    assert_eq!((stale.status, stale.code()), (409, "PLAN_STALE"));
    assert!(stage.records(LANE).await.is_empty());
    let empty = stage.post("operator", "/v1/replay/plan", json!({ "service": SERVICE, "topic": TOPIC })).await;
    assert_eq!((empty.status, empty.code()), (400, "EMPTY_SELECTION"));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_another_tool_go_to_the_service_that_their_headers_prove_and_those_that_lie_do_not() {
    let stage = with_history().await;
    let letter = |name: &str, topic: &str, value: Option<Bytes>| {
        let (own, mut headers) = written(name, &format!("e-{name}"));
        headers.push("kafka_dlt-original-topic", topic.to_owned());
        headers.push("kafka_dlt-original-offset", 42_i64.to_be_bytes().to_vec());
        (value.or(Some(own)), headers)
    };
    let named = |name: &'static str, topic: &str, value: Option<Bytes>| {
        let (value, headers) = letter(name, topic, value);
        (name, value, headers)
    };
    let records = [
        named("fresh", TOPIC, None),
        named("done", TOPIC, None),
        named("letter", TOPIC, None),
        named("liar", "payroll.v1", None),
        named("broken", TOPIC, Some(Bytes::from_static(b"{"))),
        ("bare", Some(Bytes::from_static(b"x")), Headers::default()),
    ];
    stage.publish("orders.DLT", &records).await;
    let file = plan(&stage, "orders.DLT", json!({ "all": true })).await;
    let expected = json!({ "would_apply": 1, "already_applied": 1, "dead_letter": 1, "refused": 3 });
    assert_eq!((&file["plan"]["predicted"], &file["plan"]["items"]), (&expected, &json!([[0, 0], [0, 2]])), "{file}");
    let why = file["plan"]["refused"].to_string();
    assert!(why.contains("`payroll.v1`, which erp-sync does not read") && why.contains("no header says"), "{why}");
    for put in [2, 0] {
        let answer = stage.post("operator", "/v1/replay/apply", apply(&file)).await.body;
        assert_eq!(answer["replay"]["put"], put, "{answer}");
    }
    let copies = stage.records(LANE).await;
    assert_eq!(
        (copies[0].headers.text("dlq.original.topic"), copies[0].headers.text("dlq.copy.of")),
        (Some(TOPIC), Some("orders.DLT/0@0"))
    );
    assert_eq!(copies[0].value, records[0].1);
    let one = plan(&stage, "orders.DLT", json!({ "partition": 0, "offset": 3 })).await;
    assert_eq!((&one["plan"]["read"], &one["plan"]["items"]), (&json!(1), &json!([])));
}
