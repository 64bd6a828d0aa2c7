//! What happens on the way between services and parts, by the proxy.

use super::{EVENTS, PAUSE, parts::stands_still};
use crate::{
    cases::Trouble,
    outcome::End,
    proxy::{Mode, Proxy},
    stage::{Detour, ERP_SYNC},
    trial::{SOON, Trial},
};
use std::time::{Duration, Instant};
use testkit::eventually;

fn proxy(trial: &Trial) -> Result<&Proxy, End> {
    trial.stage.proxy.as_ref().ok_or_else(|| End::Void("there is no proxy".to_owned()))
}

async fn until_hits(proxy: &Proxy, count: u64) -> Result<(), End> {
    let enough = async || if proxy.hits() >= count { Ok(()) } else { Err(format!("{} hits", proxy.hits())) };
    let hit = eventually(&format!("{count} hits of the proxy"), SOON, enough).await;
    hit.map_err(|error| End::Void(error.to_string()))
}

pub async fn commit_cut(trial: &Trial) -> Result<(), End> {
    let proxy = proxy(trial)?;
    trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(50).await?;
            proxy.set(Mode::CutAtCommit(3 + trial.below(5)));
            until_hits(proxy, 20).await?;
            let since = Instant::now();
            proxy.set(Mode::Pass);
            trial.note("answer to COMMIT swallowed", proxy.hits());
            trial.recovered(since).await
        })
        .await
}

/// Bytes of answers that pass before the cut: so that some work is done between two of them.
const fn passes(detour: Detour) -> u64 {
    match detour {
        Detour::Postgres | Detour::Registry | Detour::Erp => 60,
        Detour::Kafka => 40_000,
    }
}

/// Somebody says what is away, or nothing moves.
async fn until_noticed(trial: &Trial, detour: Detour, pid: u32) -> Result<(), End> {
    match detour {
        Detour::Postgres => trial.until_seen("LEDGER_UNAVAILABLE").await,
        Detour::Registry => trial.until_seen("REGISTRY_UNAVAILABLE").await,
        Detour::Erp => trial.until_seen("ERP_UNAVAILABLE").await,
        // Torn, it still works on between two cuts.
        Detour::Kafka if proxy(trial)?.mode() != Mode::Down => Ok(()),
        Detour::Kafka => stands_still(trial, pid).await,
    }
}

/// How long nothing passes.
const SILENCE: Duration = Duration::from_secs(10);

pub async fn trouble(trial: &Trial, detour: Detour, trouble: Trouble) -> Result<(), End> {
    let proxy = proxy(trial)?;
    let pid = trial.pid(ERP_SYNC)?;
    trial
        .under_load(EVENTS, PAUSE, async {
            match trouble {
                Trouble::Slow => {
                    proxy.set(Mode::Slow(Duration::from_millis(25)));
                    trial.until_effects(300).await?;
                    trial.note("pieces delayed", proxy.hits());
                }
                Trouble::Silent => {
                    trial.until_effects(100).await?;
                    proxy.set(Mode::Silent);
                    tokio::time::sleep(SILENCE).await;
                    trial.note("pieces held", proxy.hits());
                    proxy.cut();
                }
                Trouble::OneWay => {
                    trial.until_effects(100).await?;
                    proxy.set(Mode::OneWay);
                    tokio::time::sleep(SILENCE).await;
                    trial.note("answers held", proxy.hits());
                    proxy.cut();
                }
                Trouble::Down => {
                    trial.until_effects(100).await?;
                    proxy.set(Mode::Down);
                    until_noticed(trial, detour, pid).await?;
                    trial.note("connections refused", proxy.hits());
                }
                Trouble::CutAmid => {
                    // From the start on: a registry is asked for each schema once.
                    proxy.set(Mode::CutAfter(usize::try_from(passes(detour) + trial.below(40)).unwrap_or(60)));
                    proxy.cut();
                    until_hits(proxy, 10).await?;
                    until_noticed(trial, detour, pid).await?;
                    trial.note("connections cut amid an answer", proxy.hits());
                }
            }
            let since = Instant::now();
            proxy.set(Mode::Pass);
            trial.recovered(since).await
        })
        .await
}
