//! `slice`, `status` and `trace` on a ledger in a file and an in-process broker, with no service running.

mod common;

use common::{Ended, throughline};
use events::topics;
use kafka::mock::MockBroker;
use ledger::{Ledger, NewAudit, Position};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};

const TOPIC: &str = topics::PAYMENT_FAILED;

struct Parts {
    broker: MockBroker,
    ledger: Arc<dyn Ledger>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Parts {
    /// Slice 0 was stopped because its topic ends before its position.
    async fn with_a_stopped_slice() -> Self {
        let broker = MockBroker::start().unwrap();
        topics::SUBJECTS.iter().for_each(|subject| broker.create_topic(subject.topic, 1).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger =
            ledger::open(&ledger::Config::new(format!("sqlite://{}", path.display()), "erp_sync")).await.unwrap();
        ledger.take_over(0, "test").await.unwrap();
        let position = Position { topic: TOPIC.to_owned(), topic_id: None, next_offset: 40 };
        ledger.accept_position(0, &position, &audit()).await.unwrap();
        ledger.set_stopped(0, Some("POSITION_BEYOND_END: the topic ends at 0"), &audit()).await.unwrap();
        Self { broker, ledger, path, _folder: folder }
    }

    async fn run(&self, args: &[&str]) -> Ended {
        let (brokers, ledger) = (self.broker.bootstrap(), self.path.display().to_string());
        // The in-process broker answers no administrator; the clients must know.
        let config = self.path.with_file_name("kafka.toml");
        std::fs::write(&config, "embedded = true\n").unwrap();
        let config = config.display().to_string();
        let stack = ["--brokers", brokers, "--kafka-config", &config, "--ledger", &ledger];
        let command = throughline(&[args, &stack].concat());
        tokio::task::spawn_blocking(move || command.run()).await.unwrap()
    }

    async fn slice(&self) -> ledger::SliceStatus {
        self.ledger.slices().await.unwrap().remove(0)
    }
}

fn audit() -> NewAudit {
    let text = |text: &str| text.to_owned();
    let (actor, action, subject, reason) = (text("test"), text("set up"), text("0"), text("test"));
    NewAudit { at_ms: 0, actor, action, subject, reason, before: None, after: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_slice_goes_on_only_when_told_twice_and_with_a_reason_on_the_record() {
    let parts = Parts::with_a_stopped_slice().await;
    let resume = ["slice", "resume", "erp-sync", "0", "--reason", "topic mended"];
    let shown = parts.run(&resume).await;
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("nothing was changed; add --yes"), "{}", shown.out);
    assert!(parts.slice().await.stopped.is_some());
    let done = parts.run(&[&resume[..], &["--yes", "-o", "json"]].concat()).await.json();
    assert_eq!(done["changed"], true);
    assert_eq!(parts.slice().await.stopped, None);
    let last = parts.ledger.audit(1).await.unwrap().remove(0).row;
    assert_eq!((last.action.as_str(), last.reason.as_str()), ("slice.resume", "topic mended"));
    assert!(last.before.is_some_and(|before| before.contains("POSITION_BEYOND_END")));
    let again = parts.run(&[&resume[..], &["--yes"]].concat()).await;
    assert_eq!((again.code, again.out.as_str()), (0, "slice 0 is not stopped\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_start_is_accepted_with_before_and_after_and_raises_the_epoch() {
    let parts = Parts::with_a_stopped_slice().await;
    let epoch = parts.slice().await.epoch;
    let accept =
        |at| ["slice", "accept", "erp-sync", "0", "--topic", TOPIC, "--at", at, "--reason", "recreated", "--yes"];
    let wrong = parts.run(&accept("7")).await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("offset 7 is not in payment.failed.v1/0: it holds 0 to 0"), "{}", wrong.err);
    let done = parts.run(&[&accept("start")[..], &["-o", "json"]].concat()).await.json();
    assert_eq!((&done["before"]["next_offset"], &done["after"]["next_offset"]), (&json!(40), &json!(0)));
    let slice = parts.slice().await;
    assert_eq!(slice.positions[0].next_offset, 0);
    assert!(slice.epoch > epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_or_topic_that_does_not_exist_is_refused() {
    let parts = Parts::with_a_stopped_slice().await;
    let slice = parts.run(&["slice", "resume", "erp-sync", "9", "--reason", "x"]).await;
    assert_eq!(slice.code, 1);
    assert!(slice.err.contains("erp-sync has no slice 9") && slice.err.contains("slices: 0"), "{}", slice.err);
    let topic =
        parts.run(&["slice", "accept", "erp-sync", "0", "--topic", "no.such.v1", "--at", "end", "--reason", "x"]).await;
    assert_eq!(topic.code, 1);
    assert!(topic.err.contains("throughline topics apply"), "{}", topic.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_stopped_slices_positions_and_waits_no_longer_than_told() {
    let parts = Parts::with_a_stopped_slice().await;
    let answer = parts.run(&["status", "-o", "json"]).await.json();
    let slice = &answer["slices"][0];
    assert_eq!((&slice["slice"], &slice["lag"], &slice["effects"]), (&json!(0), &json!(0), &json!(0)));
    assert!(slice["stopped"].as_str().is_some_and(|reason| reason.starts_with("POSITION_BEYOND_END")));
    assert_eq!(answer["services"][0]["totals"]["stopped_slices"], 1);
    let rows = parts.run(&["status", "--topics", "-o", "json"]).await.json();
    let row = rows["positions"].as_array().unwrap().iter().find(|row| row["topic"] == TOPIC).unwrap().clone();
    assert_eq!((&row["position"], &row["end"]), (&json!(40), &json!(0)));
    let shown = parts.run(&["status"]).await.out;
    assert!(shown.starts_with("erp-sync: lag 0, 0 effects open"), "{shown}");
    assert!(shown.contains("\nSERVICE   SLICE  OWNER"), "{shown}");
    assert_eq!(parts.run(&["status", "--wait", "10s"]).await.code, 0, "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_8_when_work_is_left() {
    let parts = Parts::with_a_stopped_slice().await;
    let position = Position { topic: TOPIC.to_owned(), topic_id: None, next_offset: 0 };
    parts.ledger.accept_position(0, &position, &audit()).await.unwrap();
    let producer = kafka::Producer::start(&kafka::ProducerConfig {
        client: kafka::ClientConfig::new(parts.broker.bootstrap()),
        ..Default::default()
    });
    let mut headers = events::Headers::default();
    headers.push("ce_id", "e-1");
    headers.push("ce_source", "urn:test");
    let record = kafka::Outgoing {
        topic: TOPIC.into(),
        partition: Some(0),
        key: Some("A-1".into()),
        value: Some("x".into()),
        headers,
        timestamp_ms: None,
    };
    producer.unwrap().send(&record).await.unwrap();
    assert_eq!(parts.run(&["status", "--wait", "0s"]).await.code, 8);
    let trace: Value = parts.run(&["trace", "A-1", "-o", "json"]).await.json();
    assert_eq!((&trace["records"][0]["id"], &trace["records"][0]["offset"]), (&json!("e-1"), &json!(0)));
    assert_eq!(trace["records"][0]["services"][0]["disposition"], Value::Null);
    let nothing = parts.run(&["trace", "A-2", "--fail-if-empty"]).await;
    assert_eq!(nothing.code, 5);
    assert!(nothing.err.contains("no record of `A-2`"), "{}", nothing.err);
    assert_eq!(parts.run(&["trace", "A-2", "-o", "json"]).await.json()["records"], json!([]));
}
