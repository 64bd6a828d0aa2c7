//! Export, masked and not, and import: line by line, every error named, twice the same as once.

use crate::stage::{SERVICE, Stage, event, id, readable, registry};
use control::Policy;
use ledger::ParkedState;
use serde_json::{Value, json};

async fn stage() -> Stage {
    let policy = Policy { edit_needs_second: true, second_above: 100 };
    let stage = Stage::with(policy, Some(&registry().await)).await;
    stage
        .park_rows(vec![readable("open", ParkedState::DeadLettered), readable("given-up", ParkedState::Discarded)])
        .await;
    stage.broker.create_topic("replay.erp-sync", 1).unwrap();
    stage
}

async fn exported(stage: &Stage) -> Vec<Value> {
    let mut answer = stage.get("operator", "/v1/export?all=true&state=all").await.body;
    let Value::Array(mut letters) = answer["letters"].take() else { panic!("no letters: {answer}") };
    letters.sort_by_key(|letter| letter["id"] != json!(id("open")));
    letters
}

async fn import(stage: &Stage, lines: &[Value]) -> Value {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let body = json!({ "service": SERVICE, "lines": lines, "reason": "mended by finance" });
    let answer = stage.post("steward", "/v1/import", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_changed_is_tried_where_it_waits_and_what_was_mended_is_a_new_event_once() {
    let stage = stage().await;
    let mut lines = exported(&stage).await;
    assert!(lines[0]["body"]["action_required_url"].as_str().unwrap().starts_with("‹masked"));
    lines[1]["body"]["failure_code"] = json!("expired");
    let told = import(&stage, &lines).await;
    assert_eq!((&told["put"], &told["errors"]), (&json!(2), &json!([])), "{told}");
    assert_eq!(
        (&told["lines"][0]["outcome"], &told["lines"][1]["outcome"]),
        (&json!("tried_where_it_waits"), &json!("new_event"))
    );
    assert_eq!(import(&stage, &lines).await["put"], 0, "imported twice, nothing is put twice");
    let records = stage.records("replay.erp-sync").await;
    let original = readable("open", ParkedState::DeadLettered);
    assert_eq!((records.len(), &records[0].value), (2, &original.value), "byte for byte");
    assert_eq!(records[0].headers.text("ce_id"), Some("e-open"));
    let identity = records[1].headers.text("ce_id").unwrap();
    assert!(identity.starts_with("e-given-up#import-"), "{identity}");
    let bytes = records[1].value.as_ref().unwrap();
    assert!(bytes.windows(6).any(|part| part == b"secret"), "what was masked keeps its value");
    let audit = stage.ledger.audit(10).await.unwrap();
    assert_eq!(audit.iter().filter(|row| row.row.action == "letters.import").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_line_is_named_and_then_none_is_taken() {
    let stage = stage().await;
    let good = exported(&stage).await.remove(0);
    let with = |patch: &[(&str, Value)]| {
        let mut line = good.clone();
        patch.iter().for_each(|(name, value)| line[*name] = value.clone());
        line
    };
    let mut mended = event("open");
    mended["failure_code"] = json!("expired");
    let mut broken = event("given-up");
    broken["amount_minor"] = json!("many");
    let lines = [
        good.clone(),
        json!("no object"),
        with(&[("id", json!("x"))]),
        with(&[("id", json!("crm-sync/0/a/1"))]),
        with(&[("topic", json!("invoice.posted.v1"))]),
        with(&[("body", mended)]),
        with(&[("id", json!(id("given-up"))), ("body", broken)]),
        with(&[("id", json!(id("never-was")))]),
    ];
    let told = import(&stage, &lines).await;
    let errors: Vec<(u64, &str)> = told["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["line"].as_u64().unwrap(), error["error"].as_str().unwrap()))
        .collect();
    for (line, said) in [
        (1, "no line of an export"),
        (2, "no id of a letter"),
        (3, "a letter of crm-sync"),
        (4, "not from invoice.posted.v1"),
        (5, "still open"),
        (6, "amount_minor"),
        (7, "does not hold its bytes"),
    ] {
        assert!(errors.iter().any(|(at, error)| *at == line && error.contains(said)), "{line} {said}: {errors:?}");
    }
    assert_eq!((errors.len(), &told["put"]), (7, &json!(0)));
    assert!(stage.records("replay.erp-sync").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_with_personal_data_is_a_right_of_its_own_and_on_the_record() {
    let stage = stage().await;
    let body = json!({ "all": true, "reason": "the bank asks" });
    assert_eq!(stage.post("steward", "/v1/export/unmasked", body.clone()).await.status, 403);
    assert_eq!(
        stage.post("admin", "/v1/export/unmasked", json!({ "all": true })).await.status,
        400,
        "without a reason"
    );
    let answer = stage.post("admin", "/v1/export/unmasked", body).await.body;
    let letter = &answer["letters"][0];
    assert_eq!(letter["body"]["action_required_url"], "https://pay.example/secret");
    assert!(letter["raw"]["value"].is_string());
    let row = stage.ledger.audit(1).await.unwrap().remove(0).row;
    assert_eq!((row.action.as_str(), row.reason.as_str()), ("letters.export.unmasked", "the bank asks"));
    // The line holds all of the letter: it can go to a ledger that never had it.
    let mut line = letter.clone();
    line["id"] = json!(format!("{SERVICE}/0/other/1"));
    assert_eq!(import(&stage, &[line]).await["lines"][0]["outcome"], "new_event");
}
