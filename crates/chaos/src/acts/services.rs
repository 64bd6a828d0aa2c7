//! What happens to services: killed, asked to end, stopped and woken, coming and going.

use super::{EVENTS, PAUSE};
use crate::{
    outcome::End,
    stage::ERP_SYNC,
    trial::{SOON, Trial},
};
use nix::sys::signal::Signal;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use testkit::eventually;

/// Between two kills on average, over all services.
const BETWEEN_KILLS: Duration = Duration::from_millis(2_000);
const EVENTS_PER_KILL: u64 = 40;

/// Those of the case, all of its replicas.
fn members(trial: &Trial) -> Vec<String> {
    let of = |(service, replicas): &(&str, u16)| {
        let service = (*service).to_owned();
        (1..=*replicas).map(move |replica| devstack::Service { service: service.clone(), replica }.name())
    };
    trial.setup.services.iter().flat_map(of).collect()
}

/// Kills random services; only a process that runs and was not killed before counts.
pub async fn kills(trial: &Trial, count: u64) -> Result<(), End> {
    let victims = members(trial);
    let events = (count * EVENTS_PER_KILL).max(EVENTS);
    trial
        .under_load(events, BETWEEN_KILLS / 2, async {
            let mut killed = BTreeSet::new();
            let mut told = Instant::now();
            while (killed.len() as u64) < count {
                tokio::time::sleep(trial.gap(BETWEEN_KILLS)).await;
                let victim = victims[usize::try_from(trial.below(victims.len() as u64)).unwrap_or(0)].as_str();
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

/// Records of the backlog, far more than may be in memory.
const BACKLOG: u64 = 3_000;
/// In one entry: so few that what may be in memory is far less than the backlog.
pub const SMALL_BATCH: usize = 2;

/// Kills a service whose memory is as full of records as it may be. The sampler compares what it held with its bound (I7).
pub async fn backlog(trial: &Trial) -> Result<(), End> {
    trial.hold(ERP_SYNC).await?;
    let slow = serde_json::json!({"path": "/services/rest/record/*", "delay_ms": 200});
    trial.erp.add_fault(&slow).await?;
    trial
        .under_load(BACKLOG, Duration::ZERO, async {
            for round in 0..3 {
                trial.release(ERP_SYNC).await?;
                trial.until_effects(20 * (round + 1)).await?;
                trial.until_held(FULL).await?;
                trial.note("memory was full at a kill", 1);
                let since = Instant::now();
                trial.kill(ERP_SYNC).await?;
                trial.recovered(since).await?;
            }
            Ok(trial.erp.heal().await?)
        })
        .await
}

/// Records in memory that count as full: about half of what may be there.
const FULL: u64 = 120;

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
        let slices = trial.stage.bench.ledger.slices().await.map_err(|error| error.to_string())?;
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
