//! What happens to services: killed, asked to end, stopped and woken, coming and going, replaced.

use super::{EVENTS, Given, PAUSE};
use crate::{
    outcome::End,
    trial::{ERP_SYNC, SOON, Setup, Trial},
};
use nix::sys::signal::Signal;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};
use testkit::eventually;

/// Between two kills on average, over all services.
const BETWEEN_KILLS: Duration = Duration::from_millis(2_000);
const EVENTS_PER_KILL: u64 = 40;

/// Kills random services; only a process that runs and was not killed before counts.
pub async fn kills(trial: &Trial, count: u64) -> Result<(), End> {
    let victims = [ERP_SYNC, "erp-sync-2", "crm-sync", "analytics-feed"];
    let events = (count * EVENTS_PER_KILL).max(EVENTS);
    trial
        .under_load(events, BETWEEN_KILLS / 2, async {
            let mut killed = BTreeSet::new();
            let mut told = Instant::now();
            while (killed.len() as u64) < count {
                tokio::time::sleep(trial.gap(BETWEEN_KILLS)).await;
                let victim = victims[usize::try_from(trial.below(victims.len() as u64)).unwrap_or(0)];
                let Ok(pid) = trial.pid(victim) else { continue };
                if !killed.insert(pid) {
                    continue;
                }
                trial.kill(victim).await?;
                trial.note("killed", 1);
                if killed.len().is_multiple_of(10) {
                    eprintln!(
                        "       {} of {count} killed, {:.0} s for the last ten",
                        killed.len(),
                        told.elapsed().as_secs_f64()
                    );
                    trial.recovered(told).await?;
                    told = Instant::now();
                }
            }
            let since = Instant::now();
            trial.recovered(since).await
        })
        .await
}

pub async fn terminate(trial: &Trial) -> Result<(), End> {
    trial
        .under_load(EVENTS, PAUSE, async {
            for round in 0..3 {
                trial.until_effects(100 * (round + 1)).await?;
                let since = Instant::now();
                if round == 1 {
                    // The second signal, and then nothing more to wait for.
                    trial.signal(ERP_SYNC, Signal::SIGTERM)?;
                }
                if round == 2 {
                    trial.signal(ERP_SYNC, Signal::SIGTERM)?;
                    tokio::time::sleep(trial.gap(Duration::from_millis(100))).await;
                    trial.kill(ERP_SYNC).await?;
                } else {
                    trial.hold(ERP_SYNC).await?;
                    trial.release(ERP_SYNC).await?;
                }
                trial.note("asked to end", 1);
                trial.recovered(since).await?;
            }
            Ok(())
        })
        .await
}

/// Less than half a session: nobody may take anything over.
const NAP: Duration = Duration::from_millis(2_500);

pub async fn asleep(trial: &Trial) -> Result<(), End> {
    trial
        .under_load(EVENTS, PAUSE, async {
            for round in 0..3 {
                trial.until_effects(60 * (round + 1)).await?;
                let since = Instant::now();
                trial.signal(ERP_SYNC, Signal::SIGSTOP)?;
                tokio::time::sleep(NAP).await;
                trial.signal(ERP_SYNC, Signal::SIGCONT)?;
                trial.note("asleep below the session", 1);
                trial.lose(ERP_SYNC);
                trial.recovered(since).await?;
            }
            Ok(())
        })
        .await
}

async fn until_it_owns(trial: &Trial, pid: u32, some: bool) -> Result<(), End> {
    let so = async || {
        let slices = trial.bench.ledger.slices().await.map_err(|error| error.to_string())?;
        let owned = slices.iter().filter(|slice| slice.owner.ends_with(&format!(":{pid}"))).count();
        if (owned > 0) == some { Ok(()) } else { Err(format!("{owned} of {} slices", slices.len())) }
    };
    let what = if some { "the woken one owns slices" } else { "the other one owns every slice" };
    Ok(eventually(what, SOON, so).await?)
}

pub async fn zombie(trial: &Trial) -> Result<(), End> {
    const ZOMBIE: &str = "erp-sync-2";
    trial
        .under_load(EVENTS * 2, PAUSE * 2, async {
            for round in 0..3 {
                let pid = trial.pid(ZOMBIE)?;
                until_it_owns(trial, pid, true).await?;
                // Calls are under way, and more wait, when it is stopped.
                let slow = serde_json::json!({"path": "/services/rest/record/*", "delay_ms": 300});
                trial.erp.add_fault(&slow).await?;
                trial.until_effects(20 * (round + 1)).await?;
                let since = Instant::now();
                trial.signal(ZOMBIE, Signal::SIGSTOP)?;
                trial.lose(ZOMBIE);
                until_it_owns(trial, pid, false).await?;
                trial.erp.heal().await?;
                trial.recovered(since).await?;
                trial.signal(ZOMBIE, Signal::SIGCONT)?;
                trial.note("woken as a zombie", 1);
            }
            until_it_owns(trial, trial.pid(ZOMBIE)?, true).await
        })
        .await
}

const STORM: Duration = Duration::from_secs(50);

pub async fn storm(trial: &Trial) -> Result<(), End> {
    trial
        .under_load(EVENTS * 2, PAUSE, async {
            let began = Instant::now();
            let mut held = BTreeSet::new();
            while began.elapsed() < STORM {
                let replica = trial.below(10) + 1;
                let name = if replica == 1 { ERP_SYNC.to_owned() } else { format!("{ERP_SYNC}-{replica}") };
                if held.remove(&name) {
                    trial.release(&name).await?;
                } else if trial.below(3) == 0 {
                    trial.kill(&name).await?;
                } else if held.len() < 8 {
                    trial.hold(&name).await?;
                    held.insert(name);
                }
                trial.note("members came or went", 1);
                tokio::time::sleep(trial.gap(Duration::from_secs(1))).await;
            }
            let since = Instant::now();
            for name in held {
                trial.release(&name).await?;
            }
            trial.recovered(since).await
        })
        .await
}

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
