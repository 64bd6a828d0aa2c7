//! `publish`, `generate --publish`, `schemas` and `topics ls` against an in-process broker and the dev stack's registry.

mod common;

use common::{Ended, Throughline, throughline};
use devstack::registry::{Config, Registry};
use events::{Record, topics};
use kafka::{ClientConfig, Drain, mock::MockBroker};
use serde_json::{Value, json};
use std::time::Duration;

const PARTITIONS: i32 = 3;

struct Parts {
    broker: MockBroker,
    registry: Registry,
}

impl Parts {
    async fn start() -> Self {
        let broker = MockBroker::start().unwrap();
        for subject in topics::SUBJECTS {
            broker.create_topic(subject.topic, PARTITIONS).unwrap();
        }
        Self { broker, registry: Registry::start(Config::default()).await.unwrap() }
    }

    async fn with_schemas() -> Self {
        let parts = Self::start().await;
        let ended = parts.run(&["schemas", "register", "-o", "json"], "").await;
        assert_eq!(ended.code, 0, "{}", ended.err);
        parts
    }

    fn command(&self, args: &[&str]) -> Throughline {
        let (brokers, registry) = (self.broker.bootstrap().to_owned(), self.registry.url());
        let mut all = args.to_vec();
        all.extend(["--registry", &registry]);
        if args[0] != "schemas" {
            all.extend(["--brokers", &brokers]);
        }
        throughline(&all)
    }

    async fn run(&self, args: &[&str], input: &str) -> Ended {
        let command = self.command(args).input(input);
        tokio::task::spawn_blocking(move || command.run()).await.unwrap()
    }

    async fn records(&self, topic: &str) -> Vec<Record> {
        let mut config = ClientConfig::new(self.broker.bootstrap());
        config.embedded = true;
        Drain::new(config, Duration::from_secs(60)).collect(topic).await.unwrap()
    }
}

fn event(number: u32) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("data/payment_failed.json")).unwrap();
    event["id"] = json!(format!("e-{number}"));
    event["data"]["entity_version"] = json!(number);
    event
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn good_lines_are_published_in_order_and_bad_ones_are_reported_by_number() {
    let parts = Parts::with_schemas().await;
    let mut wrong_currency = event(3);
    wrong_currency["data"]["currency"] = json!("XXQ");
    let input = format!("{}not json\n\n{}{}", lines(&[event(1)]), lines(&[wrong_currency]), lines(&[event(2)]));
    let ended = parts.run(&["publish", "-", "-o", "json"], &input).await;
    assert_eq!(ended.code, 3, "{}", ended.err);
    let counts = ended.json();
    assert_eq!((&counts["v"], &counts["published"], &counts["refused"]), (&json!(1), &json!(2), &json!(2)));
    assert_eq!(counts["by_topic"], json!({ topics::PAYMENT_FAILED: 2 }));
    assert_eq!(counts["refused_by_code"], json!({ "CURRENCY_UNKNOWN": 1, "JSON_INVALID": 1 }));
    let refusals: Vec<_> =
        counts["refusals"].as_array().unwrap().iter().map(|r| (r["line"].clone(), r["code"].clone())).collect();
    assert_eq!(refusals, [(json!(2), json!("JSON_INVALID")), (json!(4), json!("CURRENCY_UNKNOWN"))]);
    let records = parts.records(topics::PAYMENT_FAILED).await;
    let ids: Vec<_> = records.iter().map(|record| record.headers.text("ce_id").unwrap().to_owned()).collect();
    assert_eq!(ids, ["e-1", "e-2"]);
    let partition = events::partition::partition_for_key(b"A-1", PARTITIONS);
    assert!(records.iter().all(|record| record.partition == partition && record.key.as_deref() == Some(b"A-1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_each_refusal_and_the_counts() {
    let parts = Parts::with_schemas().await;
    let ended = parts.run(&["publish"], &format!("{}[]\n", lines(&[event(1)]))).await;
    assert_eq!(ended.code, 3);
    assert!(ended.out.starts_with("line 2: JSON_INVALID: "), "{}", ended.out);
    assert!(ended.out.contains("1 published, 1 refused in "), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_stops_at_the_first_bad_line() {
    let parts = Parts::with_schemas().await;
    let input = format!("{}oops\n{}", lines(&[event(1)]), lines(&[event(2)]));
    let ended = parts.run(&["publish", "--strict", "-o", "json"], &input).await;
    assert_eq!((ended.code, &ended.json()["published"]), (3, &json!(1)));
    assert_eq!(parts.records(topics::PAYMENT_FAILED).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_publishes_nothing_and_rejects_are_kept() {
    let parts = Parts::with_schemas().await;
    let command = parts.command(&["publish", "in.ndjson", "--dry-run", "--rejects", "bad.ndjson", "-o", "json"]);
    command.file("in.ndjson", &format!("{}oops\n", lines(&[event(1)])));
    let (ended, command) = tokio::task::spawn_blocking(move || (command.run(), command)).await.unwrap();
    assert_eq!((ended.code, &ended.json()["published"]), (3, &json!(1)));
    let reject: Value = serde_json::from_str(&command.read("bad.ndjson")).unwrap();
    assert_eq!((&reject["event"], &reject["refusal"]["line"]), (&json!("oops"), &json!(2)));
    assert!(parts.records(topics::PAYMENT_FAILED).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_registered_schemas_publishing_says_what_to_do() {
    let parts = Parts::start().await;
    let ended = parts.run(&["publish"], &lines(&[event(1)])).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("throughline schemas register"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_missing_then_registered_and_compatible() {
    let parts = Parts::start().await;
    let states = async |parts: &Parts| {
        let answer = parts.run(&["schemas", "ls", "-o", "json"], "").await.json();
        let rows = answer["schemas"].as_array().unwrap().clone();
        rows.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(states(&parts).await.iter().all(|state| state == "missing"));
    assert_eq!(parts.run(&["schemas", "check"], "").await.code, 0);
    let first = parts.run(&["schemas", "register", "-o", "json"], "").await.json();
    assert!(first["schemas"].as_array().unwrap().iter().all(|row| row["new"] == true));
    let second = parts.run(&["schemas", "register", "invoice.posted.v1", "-o", "json"], "").await.json();
    assert_eq!(second["schemas"].as_array().unwrap().len(), 1);
    assert_eq!(second["schemas"][0]["new"], false);
    assert!(states(&parts).await.iter().all(|state| state == "registered"));
    assert_eq!(parts.run(&["schemas", "check"], "").await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_faults_reach_the_topics_as_they_are() {
    let parts = Parts::with_schemas().await;
    let faults = ["--poison", "0.2", "--duplicates", "0.2", "--contract-errors", "0.5"];
    let generate = [&["generate", "--accounts", "5", "--seed", "3", "-o", "json"][..], &faults].concat();
    let lines = throughline(&generate).run().out;
    let ended = parts.run(&[&generate[..], &["--publish"]].concat(), "").await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    let published = ended.json()["published"].as_u64().unwrap();
    assert_eq!(published, lines.lines().count() as u64);
    let again = parts.run(&["publish", "--as-is", "-o", "json"], &lines).await;
    assert_eq!((again.code, again.json()["published"].as_u64()), (0, Some(published)), "{}", again.err);
    let checked = parts.run(&["publish", "--dry-run", "-o", "json"], &lines).await;
    assert_eq!(checked.code, 3, "lines that break the rules are refused without --as-is");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_listed_with_what_is_missing() {
    let parts = Parts::start().await;
    let answer = parts.run(&["topics", "ls", "-o", "json"], "").await.json();
    let rows = answer["topics"].as_array().unwrap();
    let state = |topic: &str| rows.iter().find(|row| row["topic"] == topic).unwrap()["state"].clone();
    assert_eq!(state("invoice.posted.v1"), "differs");
    assert_eq!(state("dlq.erp-sync"), "missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_gone_may_come_back() {
    let args = ["topics", "ls", "--brokers", "127.0.0.1:1", "-o", "json"];
    let ended = tokio::task::spawn_blocking(move || throughline(&args).run()).await.unwrap();
    assert_eq!(ended.code, 1);
    let error: Value = serde_json::from_str(ended.err.lines().last().unwrap()).unwrap();
    assert_eq!((&error["error"]["code"], &error["error"]["retryable"]), (&json!("BROKER_UNAVAILABLE"), &json!(true)));
}
