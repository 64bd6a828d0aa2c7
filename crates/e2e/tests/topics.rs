//! What administrators and retention do to topics of a real Kafka: slices stop, nothing resets by itself, and an operator decides.

use devstack::Kind;
use e2e::{
    Bench,
    foreign::Publisher,
    topics::{TOPIC, accept, fall_behind, records, until_stopped},
};
use ledger::{Position, SliceStatus};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);
const SLICES: i32 = 12;

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
