//! What administrators and retention do to topics, and what an operator does about it.

use crate::{Bench, member::Member};
use kafka::Outgoing;
use ledger::{NewAudit, Position};
use std::{collections::BTreeMap, time::Duration};
use testkit::{
    business::{self, Item, Options},
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(300);

pub fn records(bench: &Bench, topic: Option<&str>) -> Vec<Outgoing> {
    let stream = business::stream(&Options::new(9, 60)).expect("a business");
    let events = stream.filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    });
    let wanted = events.filter(|(_, event)| (event.topic() == TOPIC) == (topic == Some(TOPIC)));
    wanted.map(|(envelope, event)| bench.record(&envelope, &event)).collect()
}

/// Nothing that comes later refers to these events, and they move no money.
pub const TOPIC: &str = events::topics::USAGE_THRESHOLD_EXCEEDED;

/// Waits until the service says that these slices stopped, for this reason.
pub async fn until_stopped(bench: &Bench, slices: &[i32], code: &str) {
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
pub async fn fall_behind(bench: &Bench, slice: i32, position: Position) {
    let [actor, action, subject, reason] = ["test", "test.spoil", "erp-sync", "away for long"].map(str::to_owned);
    let audit = NewAudit { at_ms: 0, actor, action, subject, reason, before: None, after: None };
    bench.ledger.accept_position(slice, &position, &audit).await.expect("set");
}

/// What an operator types to take the topic as it is now.
pub async fn accept(bench: &Bench, slice: i32, at: i64) {
    let (slice, at) = (slice.to_string(), at.to_string());
    for arguments in [
        &["slice", "accept", "erp-sync", &slice, "--topic", TOPIC, "--at", &at][..],
        &["slice", "resume", "erp-sync", &slice],
    ] {
        let why = ["--reason", "nobody needs them any more", "--yes"];
        bench.throughline(&[arguments, &why].concat()).await.expect("done");
    }
}
