//! What happens on the way between services and parts, by the proxy.

use super::{EVENTS, PAUSE};
use crate::{
    cases::Trouble,
    outcome::End,
    proxy::{Mode, Proxy},
    trial::{Detour, SOON, Trial},
};
use std::time::{Duration, Instant};
use testkit::eventually;

fn proxy(trial: &Trial) -> Result<&Proxy, End> {
    trial.proxy.as_ref().ok_or_else(|| End::Void("there is no proxy".to_owned()))
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

/// How long nothing passes.
const SILENCE: Duration = Duration::from_secs(10);

pub async fn trouble(trial: &Trial, detour: Detour, trouble: Trouble) -> Result<(), End> {
    let proxy = proxy(trial)?;
    let code = match detour {
        Detour::Postgres => "LEDGER_UNAVAILABLE",
        Detour::Registry => "REGISTRY_UNAVAILABLE",
    };
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
                Trouble::Down => {
                    trial.until_effects(100).await?;
                    proxy.set(Mode::Down);
                    trial.until_seen(code).await?;
                    trial.note("connections refused", proxy.hits());
                }
                Trouble::CutAmid => {
                    // From the start on: a registry is asked for each schema once.
                    proxy.set(Mode::CutAfter(usize::try_from(60 + trial.below(40)).unwrap_or(60)));
                    proxy.cut();
                    until_hits(proxy, 10).await?;
                    trial.until_seen(code).await?;
                    trial.note("connections cut amid an answer", proxy.hits());
                }
            }
            let since = Instant::now();
            proxy.set(Mode::Pass);
            trial.recovered(since).await
        })
        .await
}
