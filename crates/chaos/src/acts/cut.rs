//! `kill -9` at a cut point, by the process itself.

use super::{EVENTS, Given, PAUSE};
use crate::{
    outcome::End,
    stage::{ERP_SYNC, Setup},
    trial::{SOON, Trial},
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{path::PathBuf, time::Instant};
use testkit::eventually;

/// Made by the process just before it dies.
fn mark(given: &Given, point: &str) -> PathBuf {
    std::env::temp_dir().join(format!("throughline-chaos-{}-{point}-{}", std::process::id(), given.seed))
}

/// How often the point is passed before: so that it is amid the work.
fn nth(service: &str, point: &str, seed: u64) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    match point {
        // The others have less to do than the ERP's.
        _ if service != ERP_SYNC => rng.random_range(2..8),
        // Two members share the slices from the start: the first rebalance is over when the work begins.
        "c13" => 2,
        "c14" => 1,
        "c12" => rng.random_range(2..10),
        "c9" | "c10" | "c11" => rng.random_range(2..12),
        _ => rng.random_range(5..40),
    }
}

pub fn setup(service: &'static str, point: &str, given: &Given) -> Result<Setup, End> {
    let without = "the services were built without failpoints: `make chaos` builds them with";
    let binaries = given.failpoints.clone().ok_or_else(|| End::NotRun(without.to_owned()))?;
    let mark = mark(given, point);
    std::fs::remove_file(&mark).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let environment = vec![
        ("THROUGHLINE_FAILPOINT".to_owned(), format!("{point}:kill:{}", nth(service, point, given.seed))),
        ("THROUGHLINE_FAILPOINT_ONCE".to_owned(), mark.display().to_string()),
    ];
    let replicas = if point == "c13" { 2 } else { 1 };
    let mut services = vec![(ERP_SYNC, replicas)];
    services.extend((service != ERP_SYNC).then_some((service, 1)));
    let (environment_of, deals) = (Some(service), service == "order-flow");
    let (binaries, mark) = (Some(binaries), Some(mark));
    Ok(Setup { services, environment, environment_of, binaries, mark, deals, ..Setup::default() })
}

pub async fn die_at(trial: &Trial, service: &str, point: &str) -> Result<(), End> {
    let mark = trial.setup.mark.clone().ok_or_else(|| End::Void("the process has no mark to make".to_owned()))?;
    trial
        .under_load(EVENTS, PAUSE, async {
            let member = match point {
                "c13" => Some("erp-sync-2"),
                "c14" => Some(ERP_SYNC),
                _ => None,
            };
            if let Some(member) = member {
                trial.until_effects(50).await?;
                trial.hold(member).await?;
                trial.release(member).await?;
            }
            let dead = async || if mark.exists() { Ok(()) } else { Err("it lives") };
            let died = eventually("the process reaches the point", SOON, dead).await;
            died.map_err(|error| End::Void(error.to_string()))?;
            let since = Instant::now();
            trial.note("died at the point", 1);
            trial.lose(service);
            trial.recovered(since).await
        })
        .await?;
    Ok(std::fs::remove_file(&mark)?)
}
