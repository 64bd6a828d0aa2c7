//! What happens to the parts that services stand on: killed, away, asleep, full.

use super::{EVENTS, PAUSE};
use crate::{
    outcome::End,
    stage::ERP_SYNC,
    trial::{SOON, Trial},
};
use e2e::activity::Activities;
use nix::sys::signal::Signal;
use std::{
    io::Write as _,
    time::{Duration, Instant},
};
use testkit::eventually;

/// How long a part stays away at least, so that somebody notices.
const AWAY: Duration = Duration::from_secs(4);

/// Sum of the positions, as far as the ledger tells.
async fn positions(trial: &Trial) -> Option<i64> {
    let slices = trial.stage.bench.ledger.slices().await.ok()?;
    Some(slices.iter().flat_map(|slice| &slice.positions).map(|position| position.next_offset).sum())
}

/// Positions stand still while the broker is away, and nobody dies of it.
pub async fn stands_still(trial: &Trial, pid: u32) -> Result<(), End> {
    let still = async || {
        let before = positions(trial).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if before.is_some() && before == positions(trial).await { Ok(()) } else { Err("they move") }
    };
    eventually("positions stand still", SOON, still).await.map_err(|error| End::Void(error.to_string()))?;
    if trial.pid(ERP_SYNC)? != pid {
        return Err(End::Broken("the service died of the broker's absence".to_owned()));
    }
    trial.note("positions stood still", 1);
    Ok(())
}

pub async fn killed(trial: &Trial, part: &str, code: Option<&str>) -> Result<(), End> {
    trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(100).await?;
            let pid = trial.pid(ERP_SYNC)?;
            trial.kill(part).await?;
            trial.hold(part).await?;
            match (part, code) {
                ("kafka", _) => stands_still(trial, pid).await?,
                ("registry", _) => {
                    let before = trial.erp.effect_count().await?;
                    trial.until_effects(before + 30).await?;
                    trial.note("work went on without it", 1);
                }
                (_, Some(code)) => trial.until_seen(code).await?,
                (_, None) => tokio::time::sleep(AWAY).await,
            }
            let since = Instant::now();
            trial.release(part).await?;
            trial.recovered(since).await?;
            // Once more, as it comes back by itself.
            trial.until_effects(200).await?;
            let since = Instant::now();
            trial.kill(part).await?;
            trial.recovered(since).await
        })
        .await
}

pub async fn absent(trial: &Trial, part: &str, code: &str) -> Result<(), End> {
    trial.hold(ERP_SYNC).await?;
    trial
        .under_load(EVENTS, PAUSE / 5, async {
            if part == "registry" {
                // There must be something to decode when it starts.
                tokio::time::sleep(AWAY).await;
            }
            trial.kill(part).await?;
            trial.hold(part).await?;
            trial.release(ERP_SYNC).await?;
            trial.until_seen(code).await?;
            let since = Instant::now();
            trial.release(part).await?;
            trial.recovered(since).await
        })
        .await
}

/// Longer than a session: the group's members are timed out where the broker can.
const BROKER_NAP: Duration = Duration::from_secs(12);

pub async fn broker_asleep(trial: &Trial) -> Result<(), End> {
    trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(100).await?;
            let pid = trial.pid(ERP_SYNC)?;
            trial.signal("kafka", Signal::SIGSTOP)?;
            trial.lose(ERP_SYNC);
            let began = Instant::now();
            let still = stands_still(trial, pid).await;
            tokio::time::sleep(BROKER_NAP.saturating_sub(began.elapsed())).await;
            let since = Instant::now();
            trial.signal("kafka", Signal::SIGCONT)?;
            still?;
            trial.recovered(since).await
        })
        .await
}

/// How often an administrator ends all connections.
const ROUNDS: u64 = 8;

pub async fn contended(trial: &Trial) -> Result<(), End> {
    let postgres = trial.stage.bench.stack.endpoints().postgres.unwrap_or_default();
    let mut administrator = Activities::connect(&postgres).await?;
    trial
        .under_load(EVENTS, PAUSE, async {
            for round in 1..=ROUNDS {
                trial.until_effects(20 * round).await?;
                trial.note("connections terminated", administrator.terminate().await?);
            }
            trial.lose(ERP_SYNC);
            let mut seen = Ok(());
            administrator
                .lock("erp_sync.slice", async { seen = trial.until_seen_anew("LEDGER_UNAVAILABLE").await })
                .await?;
            let since = Instant::now();
            seen?;
            trial.recovered(since).await
        })
        .await
}

pub async fn disk_full(trial: &Trial) -> Result<(), End> {
    let filler = trial.stage.bench.data().join("postgres/filler");
    trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(100).await?;
            let mut file = std::fs::File::create(&filler)?;
            let piece = vec![0_u8; 1 << 16];
            while file.write_all(&piece).is_ok() {}
            // Open, it would keep its place although it is removed.
            drop(file);
            trial.note("disk was full", 1);
            trial.lose(ERP_SYNC);
            let seen = trial.until_seen("LEDGER_UNAVAILABLE").await;
            let since = Instant::now();
            std::fs::remove_file(&filler)?;
            seen?;
            trial.recovered(since).await
        })
        .await
}

pub async fn pairs(trial: &Trial) -> Result<(), End> {
    const PARTS: [&str; 4] = ["kafka", "postgres", "sandbox", "registry"];
    trial
        .under_load(EVENTS, PAUSE, async {
            for round in 0..6 {
                trial.until_effects(60 * (round + 1)).await?;
                let part = PARTS[usize::try_from(trial.below(4)).unwrap_or(0)];
                let other = match trial.below(2) {
                    0 => ERP_SYNC,
                    _ => PARTS[usize::try_from(trial.below(4)).unwrap_or(0)],
                };
                let since = Instant::now();
                let (one, two) = tokio::join!(trial.kill(part), trial.kill(other));
                one?;
                two?;
                trial.note("two killed at once", u64::from(part != other));
                trial.recovered(since).await?;
            }
            Ok(())
        })
        .await
}
