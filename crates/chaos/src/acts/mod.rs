//! What the cases do, each on a stack of its own.

mod brokers;
mod builds;
mod cut;
mod input;
mod outside;
mod parts;
mod services;
mod topics;
mod ways;

use crate::{
    cases::{Act, Case},
    outcome::{End, Outcome, Verdict},
    stage::{Detour, ERP_SYNC, Setup},
    trial::Trial,
};
use futures::FutureExt as _;
use std::{
    panic::AssertUnwindSafe,
    path::PathBuf,
    time::{Duration, Instant},
};

/// What is given for all cases.
#[derive(Debug, Clone)]
pub struct Given {
    pub seed: u64,
    /// How many services the case `kills` kills.
    pub kills: u64,
    pub revision: String,
    /// Folder of binaries with failpoints.
    pub failpoints: Option<PathBuf>,
    /// Folder of another build, for the upgrade.
    pub older: Option<PathBuf>,
    /// Folder of a build whose ledger has a further migration.
    pub migrated: Option<PathBuf>,
}

/// Between two publications of a few events: so a case's work lasts about as long as its fault.
const PAUSE: Duration = Duration::from_millis(250);
const EVENTS: u64 = 800;
const DEAL_KILLS: u64 = 40;

/// Runs a case once, whatever happens in it.
pub async fn run(case: &Case, given: &Given) -> Outcome {
    let started = Instant::now();
    let mut outcome = Outcome::of(case.name, given.seed, &given.revision);
    let ended = Box::pin(AssertUnwindSafe(try_run(case, given, &mut outcome)).catch_unwind()).await;
    outcome.verdict = match ended {
        Ok(Ok(())) => Verdict::Kept,
        Ok(Err(end)) => end.into(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Verdict::Broken(text.unwrap_or("a panic").to_owned())
        }
    };
    outcome.seconds = started.elapsed().as_secs();
    outcome
}

async fn try_run(case: &Case, given: &Given, outcome: &mut Outcome) -> Result<(), End> {
    let setup = setup(case.act, given)?;
    let trial = Trial::start(case.name, given.seed, setup).await?;
    let done = carry_out(case.act, given, &trial).await;
    let judged = match done {
        Ok(()) => trial.judge(outcome, has_history(case.act)).await,
        Err(end) => Err(end),
    };
    trial.tell(outcome);
    let missed: Vec<&str> = case.needs.iter().copied().filter(|probe| trial.seen(probe) == 0).collect();
    let stopped = trial.stop().await;
    judged?;
    stopped?;
    if missed.is_empty() { Ok(()) } else { Err(End::Void(format!("never seen: {}", missed.join(", ")))) }
}

/// Offsets of a topic that was made anew mean other records than those that the journal tells of.
const fn has_history(act: Act) -> bool {
    !matches!(act, Act::Recreated | Act::Forgotten)
}

fn setup(act: Act, given: &Given) -> Result<Setup, End> {
    let one = Setup { services: vec![(ERP_SYNC, 1)], ..Setup::default() };
    let two = Setup { services: vec![(ERP_SYNC, 2)], ..Setup::default() };
    Ok(match act {
        Act::Cut(service, point) => cut::setup(service, point, given)?,
        Act::Kills => {
            let others = [("crm-sync", 1), ("provisioning", 1), ("analytics-feed", 1)];
            Setup { services: two.services.iter().copied().chain(others).collect(), ..two }
        }
        Act::DealKills => {
            let services = ["order-flow", ERP_SYNC, "provisioning", "crm-sync"].map(|service| (service, 1));
            Setup { services: services.to_vec(), deals: true, ..one }
        }
        Act::Backlog => Setup { batch_records: Some(services::SMALL_BATCH), ..one },
        Act::Asleep { .. } => two,
        Act::Storm { new_protocol } => Setup { services: vec![(ERP_SYNC, 10)], new_protocol, ..one },
        Act::Way(detour, _) => Setup { detour: Some(detour), ..one },
        Act::CommitCut => Setup { detour: Some(Detour::Postgres), ..one },
        Act::DiskFull => Setup { postgres_disk: Some(200), ..one },
        Act::Upgrade => builds::upgrade_setup(given)?,
        Act::Migration => builds::migration_setup(given)?,
        Act::Input(odd) => Setup { faults: Some(input::faults(odd)), ..one },
        Act::Clock => Setup { odd_clock: true, ..two },
        Act::Brokers(_) => Setup { three_brokers: true, ..one },
        Act::Terminate
        | Act::Part(..)
        | Act::Absent(..)
        | Act::BrokerAsleep
        | Act::Contended
        | Act::Recreated
        | Act::Forgotten
        | Act::LettersRefused
        | Act::Outside
        | Act::OutsideSlow
        | Act::Pairs => one,
    })
}

async fn carry_out(act: Act, given: &Given, trial: &Trial) -> Result<(), End> {
    match act {
        Act::Cut(service, point) => cut::die_at(trial, service, point).await,
        Act::Kills => services::kills(trial, given.kills).await,
        Act::DealKills => services::kills(trial, DEAL_KILLS.min(given.kills)).await,
        Act::Backlog => services::backlog(trial).await,
        Act::Terminate => services::terminate(trial).await,
        Act::Asleep { taken_over: false } => services::asleep(trial).await,
        Act::Asleep { taken_over: true } => services::zombie(trial).await,
        Act::Part(part, code) => parts::killed(trial, part, code).await,
        Act::Absent(part, code) => parts::absent(trial, part, code).await,
        Act::CommitCut => ways::commit_cut(trial).await,
        Act::Way(detour, trouble) => ways::trouble(trial, detour, trouble).await,
        Act::BrokerAsleep => parts::broker_asleep(trial).await,
        Act::Recreated => topics::recreated(trial).await,
        Act::Forgotten => topics::forgotten(trial).await,
        Act::LettersRefused => topics::letters_refused(trial).await,
        Act::Outside => outside::misbehaves(trial).await,
        Act::OutsideSlow => input::outside_slow(trial).await,
        Act::Input(odd) => input::odd(trial, odd).await,
        Act::Clock => input::clock(trial).await,
        Act::Brokers(lack) => brokers::lack(trial, lack).await,
        Act::Storm { .. } => services::storm(trial).await,
        Act::DiskFull => parts::disk_full(trial).await,
        Act::Contended => parts::contended(trial).await,
        Act::Upgrade => builds::upgrade(trial, given).await,
        Act::Migration => builds::migration(trial, given).await,
        Act::Pairs => parts::pairs(trial).await,
    }
}
