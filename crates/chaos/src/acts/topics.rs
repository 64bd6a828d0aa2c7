//! What administrators and retention do to topics.

use super::{EVENTS, PAUSE};
use crate::{
    outcome::End,
    stage::ERP_SYNC,
    trial::{PATIENCE, Trial},
};
use e2e::{
    foreign::Publisher,
    topics::{TOPIC, accept, fall_behind, records, until_stopped},
};
use kafka::{Admin, Outgoing};
use ledger::Position;
use std::{collections::BTreeMap, time::Instant};

const LETTERS: &str = "dlq.erp-sync";

async fn administrator() -> Result<Publisher, End> {
    let ready = Publisher::ready().await;
    ready.map_err(|error| End::NotRun(format!("an administrator with a client of somebody else's: {error:#}")))
}

/// Everything is read before the topic is touched.
async fn read_all(trial: &Trial) -> Result<Vec<Outgoing>, End> {
    let thresholds = records(&trial.stage.bench, Some(TOPIC));
    trial.publish(&records(&trial.stage.bench, None)).await?;
    trial.publish(&thresholds[..thresholds.len() / 2]).await?;
    trial.stage.bench.verified(PATIENCE).await?;
    Ok(thresholds[thresholds.len() / 2..].to_vec())
}

pub async fn recreated(trial: &Trial) -> Result<(), End> {
    let administrator = administrator().await?;
    let rest = read_all(trial).await?;
    administrator.administer(&trial.stage.bench.stack.endpoints().kafka, &["recreate", TOPIC]).await?;
    trial.kill(ERP_SYNC).await?;
    let slices: Vec<i32> =
        trial.stage.bench.ledger.slices().await.map_err(anyhow::Error::from)?.iter().map(|s| s.slice).collect();
    until_stopped(&trial.stage.bench, &slices, "TOPIC_RECREATED").await;
    trial.note("slices stopped", slices.len() as u64);
    for slice in slices {
        accept(&trial.stage.bench, slice, 0).await;
    }
    trial.publish(&rest).await
}

pub async fn forgotten(trial: &Trial) -> Result<(), End> {
    let administrator = administrator().await?;
    let rest = read_all(trial).await?;
    let statuses = trial.stage.bench.ledger.slices().await.map_err(anyhow::Error::from)?;
    let read = statuses.iter().flat_map(|status| status.positions.iter().map(|position| (status.slice, position)));
    let longest = read.filter(|(_, position)| position.topic == TOPIC).max_by_key(|(_, position)| position.next_offset);
    let (slice, position) = longest.ok_or_else(|| End::Void("no slice read the topic".to_owned()))?;
    let (position, end) = (position.clone(), position.next_offset);
    let place = [slice.to_string(), end.to_string()];
    let brokers = trial.stage.bench.stack.endpoints().kafka;
    administrator.administer(&brokers, &["forget", TOPIC, &place[0], &place[1]]).await?;
    fall_behind(&trial.stage.bench, slice, Position { next_offset: end - 1, ..position }).await;
    trial.kill(ERP_SYNC).await?;
    until_stopped(&trial.stage.bench, &[slice], "POSITION_BELOW_START").await;
    trial.note("slices stopped", 1);
    accept(&trial.stage.bench, slice, end).await;
    trial.publish(&rest).await
}

pub async fn letters_refused(trial: &Trial) -> Result<(), End> {
    let admin = Admin::connect(trial.stage.bench.kafka()).map_err(anyhow::Error::from)?;
    // A single broker takes records however many replicas a topic asks for, so it is their size that it refuses.
    let most = |bytes: &str| BTreeMap::from([("max.message.bytes".to_owned(), bytes.to_owned())]);
    let poison: Vec<Outgoing> = (0..5)
        .map(|number| Outgoing {
            topic: TOPIC.into(),
            partition: None,
            key: Some(format!("poison-{number}").into()),
            value: Some(vec![0, 1, 2, 3].into()),
            headers: events::Headers::default(),
            timestamp_ms: None,
        })
        .collect();
    trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(50).await?;
            admin.set_settings(LETTERS, &most("1")).await.map_err(anyhow::Error::from)?;
            trial.publish(&poison).await?;
            trial.until_seen("DEAD_LETTER_UNAVAILABLE").await?;
            let since = Instant::now();
            trial.kill(ERP_SYNC).await?;
            admin.set_settings(LETTERS, &most("1048588")).await.map_err(anyhow::Error::from)?;
            trial.recovered(since).await
        })
        .await
}
