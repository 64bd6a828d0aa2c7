//! Replicas that are replaced by another build while they work.

use super::{EVENTS, Given, PAUSE};
use crate::{
    outcome::End,
    stage::{ERP_SYNC, Setup},
    trial::Trial,
};
use std::{path::PathBuf, time::Instant};

/// The folder whose `erp-sync` is replaced while it runs.
fn swap_folder() -> PathBuf {
    std::env::temp_dir().join(format!("throughline-chaos-swap-{}", std::process::id()))
}

fn other_build(given: &Given) -> Result<PathBuf, End> {
    let without = "another build is needed: `make chaos` takes the one with failpoints, --older DIR any other";
    given.older.clone().or_else(|| given.failpoints.clone()).ok_or_else(|| End::NotRun(without.to_owned()))
}

pub fn upgrade_setup(given: &Given) -> Result<Setup, End> {
    let (folder, usual) = (swap_folder(), e2e::binaries()?);
    std::fs::create_dir_all(&folder)?;
    for name in ["throughline-registry", "throughline-sandbox"] {
        std::fs::copy(usual.join(name), folder.join(name))?;
    }
    replace(&folder, &other_build(given)?)?;
    Ok(Setup { services: vec![(ERP_SYNC, 2)], binaries: Some(folder), ..Setup::default() })
}

/// The running process keeps the file it was started from.
fn replace(folder: &std::path::Path, build: &std::path::Path) -> Result<(), End> {
    let new = folder.join("erp-sync.new");
    std::fs::copy(build.join(ERP_SYNC), &new)?;
    Ok(std::fs::rename(&new, folder.join(ERP_SYNC))?)
}

/// From the usual build to one that knows a further migration of the ledger, and not back: an older build refuses newer tables.
pub fn migration_setup(given: &Given) -> Result<Setup, End> {
    let without = "a build with a further migration is needed: `make chaos` makes one";
    given.migrated.clone().ok_or_else(|| End::NotRun(without.to_owned()))?;
    let folder = swap_folder();
    let setup = upgrade_setup(given)?;
    replace(&folder, &e2e::binaries()?)?;
    Ok(setup)
}

pub async fn migration(trial: &Trial, given: &Given) -> Result<(), End> {
    let (folder, newer) = (swap_folder(), given.migrated.clone().unwrap_or_default());
    let done = trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(60).await?;
            replace(&folder, &newer)?;
            let old = trial.pid("erp-sync-2")?;
            for replica in [ERP_SYNC, "erp-sync-2"] {
                let since = Instant::now();
                trial.hold(replica).await?;
                trial.release(replica).await?;
                trial.note("replicas replaced", 1);
                trial.recovered(since).await?;
                let before = trial.erp.effect_count().await?;
                trial.until_effects(before + 60).await?;
                // The first round leaves one of the build before at work on the new tables.
                let works_on = replica == ERP_SYNC && trial.pid("erp-sync-2")? == old;
                trial.note("both builds on the new tables", u64::from(works_on));
            }
            Ok(())
        })
        .await;
    std::fs::remove_dir_all(&folder).ok();
    done
}

pub async fn upgrade(trial: &Trial, given: &Given) -> Result<(), End> {
    let (older, usual, folder) = (other_build(given)?, e2e::binaries()?, swap_folder());
    let done = trial
        .under_load(EVENTS, PAUSE, async {
            for (round, build) in (1..).zip([&usual, &older, &usual]) {
                trial.until_effects(60 * round).await?;
                replace(&folder, build)?;
                for replica in [ERP_SYNC, "erp-sync-2"] {
                    let since = Instant::now();
                    trial.hold(replica).await?;
                    trial.release(replica).await?;
                    trial.note("replicas replaced", 1);
                    trial.recovered(since).await?;
                }
            }
            Ok(())
        })
        .await;
    std::fs::remove_dir_all(&folder).ok();
    done
}
