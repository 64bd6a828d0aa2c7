//! What administrators and retention do to topics of a real Kafka: slices stop, nothing resets by itself, and an operator decides.

use devstack::Kind;
use e2e::{Bench, foreign::Publisher, member::Member};
use kafka::Outgoing;
use ledger::{NewAudit, Position, SliceStatus};
use std::{collections::BTreeMap, time::Duration};
use testkit::{
    business::{self, Item, Options},
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(300);
const SLICES: i32 = 12;

fn records(bench: &Bench, topic: Option<&str>) -> Vec<Outgoing> {
    let stream = business::stream(&Options::new(9, 60)).expect("a business");
    let events = stream.filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    });
    let wanted = events.filter(|(_, event)| (event.topic() == TOPIC) == (topic == Some(TOPIC)));
    wanted.map(|(envelope, event)| bench.record(&envelope, &event)).collect()
}

/// Nothing that comes later refers to these events, and they move no money.
const TOPIC: &str = events::topics::USAGE_THRESHOLD_EXCEEDED;

/// Waits until the service says that these slices stopped, for this reason.
async fn until_stopped(bench: &Bench, slices: &[i32], code: &str) {
    eventually(&format!("{} slices stop with {code}", slices.len()), PATIENCE, async || {
        let statuses = bench.ledger.slices().await.map_err(|error| error.to_string())?;
        let stopped: BTreeMap<i32, String> =
            statuses.into_iter().filter_map(|status| Some((status.slice, status.stopped?))).collect();
        let right = stopped.values().all(|reason| reason.starts_with(code) && reason.contains(TOPIC));
        if right && stopped.keys().eq(slices) { Ok(()) } else { Err(format!("{stopped:?}")) }
    })
    .await
    .expect("they stop");
    eventually("the service is not ready and says why", PATIENCE, async || {
        let member = Member::of(&bench.stack, "erp-sync").map_err(|error| error.to_string())?;
        let readiness = member.readiness().await.map_err(|error| error.to_string())?;
        readiness.reason("SLICE_STOPPED").map(drop).ok_or_else(|| format!("{readiness:?}"))
    })
    .await
    .expect("it says so");
}

/// As if the service had been away for longer than the topic keeps its records.
async fn fall_behind(bench: &Bench, slice: i32, position: Position) {
    let [actor, action, subject, reason] = ["test", "test.spoil", "erp-sync", "away for long"].map(str::to_owned);
    let audit = NewAudit { at_ms: 0, actor, action, subject, reason, before: None, after: None };
    bench.ledger.accept_position(slice, &position, &audit).await.expect("set");
}

/// What an operator types to take the topic as it is now.
async fn accept(bench: &Bench, slice: i32, at: i64) {
    let (slice, at) = (slice.to_string(), at.to_string());
    for arguments in [
        &["slice", "accept", "erp-sync", &slice, "--topic", TOPIC, "--at", &at][..],
        &["slice", "resume", "erp-sync", &slice],
    ] {
        let program = e2e::binaries().expect("built").join("throughline");
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).args(["--reason", "nobody needs them any more", "--yes", "--data"]).arg(bench.data());
        let output = command.kill_on_drop(true).output().await.expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_or_shortened_by_retention_stops_its_slices_until_an_operator_accepts() {
    let administrator = Publisher::ready().await.expect("Python 3 with venv, and PyPI or a cached environment");
    let bench = Bench::start(Kind::Real, 1, "topics").await.expect("the stack starts");
    let brokers = bench.stack.endpoints().kafka;
    let thresholds = records(&bench, Some(TOPIC));
    bench.publish(&records(&bench, None)).await.expect("published");
    bench.publish(&thresholds[..thresholds.len() / 2]).await.expect("published");
    bench.verified(PATIENCE).await.expect("verified");

    administrator.administer(&brokers, &["recreate", TOPIC]).await.expect("made anew");
    bench.stack.kill("erp-sync").await.expect("killed");
    let all: Vec<i32> = (0..SLICES).collect();
    until_stopped(&bench, &all, "TOPIC_RECREATED").await;
    for slice in all {
        accept(&bench, slice, 0).await;
    }
    bench.verified(PATIENCE).await.expect("verified");

    bench.publish(&thresholds[thresholds.len() / 2..]).await.expect("published");
    bench.verified(PATIENCE).await.expect("verified");
    let statuses = bench.ledger.slices().await.expect("read");
    let read = |status: &SliceStatus| status.positions.iter().find(|position| position.topic == TOPIC).cloned();
    let positions = statuses.iter().filter_map(|status| Some((status.slice, read(status)?)));
    let (slice, position) = positions.max_by_key(|(_, position)| position.next_offset).expect("some thresholds");
    let end = position.next_offset;
    administrator.administer(&brokers, &["forget", TOPIC, &slice.to_string(), &end.to_string()]).await.expect("gone");
    fall_behind(&bench, slice, Position { next_offset: end - 1, ..position }).await;
    bench.stack.kill("erp-sync").await.expect("killed");
    until_stopped(&bench, &[slice], "POSITION_BELOW_START").await;
    accept(&bench, slice, end).await;
    bench.verified(PATIENCE).await.expect("verified");
    bench.stop().await.expect("stopped");
}
