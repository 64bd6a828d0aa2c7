//! The services themselves against ceilings: each run on a stack of its own, with topics that were filled before, so that what is
//! measured is how fast a backlog is worked off.

use crate::{
    job::{Place, Sample, Side},
    publish::{generated, publish},
    rounds::{Measured, Sides, alternate, run},
};
use anyhow::{Context as _, Result};
use devstack::{Kind, Stack, StackConfig};
use testkit::scratch::Scratch;

/// `analytics-feed`, whose outside system is Kafka itself.
pub async fn feed(rounds: u32, events: u64) -> Result<Measured> {
    let sides = Sides {
        ours: ("Kafka → analytics-feed → PostgreSQL and Kafka", &Side::Feed),
        ceiling: ("the same commits and rows, nothing read or decided", &Side::FeedReplay),
    };
    alternate("feed", &sides, rounds, async |side| on_its_own_stack(side, events).await).await
}

/// `erp-sync`, with the stand-in for the ERP as a process beside it.
pub async fn erp(rounds: u32, events: u64) -> Result<Measured> {
    let sides = Sides {
        ours: ("Kafka → erp-sync → PostgreSQL and ERP", &Side::Erp),
        ceiling: ("the same calls by the same connector and nothing else", &Side::ErpCalls),
    };
    alternate("erp", &sides, rounds, async |side| on_its_own_stack(side, events).await).await
}

async fn on_its_own_stack(side: &Side, events: u64) -> Result<Sample> {
    let scratch = Scratch::try_new("bench-service")?;
    let data = scratch.join("stack");
    let binaries = std::env::current_exe()?.parent().map(Into::into);
    let stack = Stack::start(StackConfig { binaries, ..StackConfig::new(Kind::Real, &data) }).await?;
    let endpoints = stack.endpoints();
    let records = publish(&endpoints, generated(events)?, |_| {}).await?;
    let place = Place {
        brokers: endpoints.kafka.clone(),
        registry: endpoints.registry.clone(),
        postgres: endpoints.postgres.clone().context("the stack has no PostgreSQL")?,
        stack: Some(data),
    };
    let sample = run(&place, "every input", records, side).await;
    stack.stop().await?;
    sample
}
