//! Runs a service on the real runtime until everything in the topic is committed, and checks that it is.

use crate::{
    handlers::FirstDecision,
    job::Job,
    usage::{self, Moment},
    watched::{Done, Watched},
};
use anyhow::{Context as _, Result, bail, ensure};
use consumer::{
    Handler, Target,
    runtime::{Observer, RuntimeConfig, Service, run_on},
};
use ledger::Disposition;
use service::{Health, config, shutdown};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use telemetry::Metrics;

/// What a run must have done.
pub struct Checked {
    pub records: u64,
    pub first: FirstDecision,
}

/// A run that takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_secs(300);

/// From the first decision to the last commit.
pub async fn measure<H: Handler, T: Target<H::Effect>>(
    job: &Job,
    handler: H,
    target: T,
    watched: Arc<Watched>,
    checked: Checked,
    enough: impl Fn(&Done) -> bool,
) -> Result<(Moment, Moment)> {
    let (trigger, shutdown) = shutdown::channel();
    let observer = Observer::new(Arc::new(Metrics::new(handler.name())), Health::new(PATIENCE), "nobody");
    let service = Service { handler, target, config: settings(job)?, observer, shutdown };
    usage::reset_peak();
    let mut running = tokio::spawn(run_on(service, watched.clone()));
    tokio::select! {
        () = watched.until(enough) => {}
        ended = &mut running => {
            ended?.context("the service ended by itself")?;
            bail!("the service ended before its work was done");
        }
        () = tokio::time::sleep(PATIENCE) => bail!("not done in {PATIENCE:?}: {:?}", watched.done()),
    }
    let ended = Moment::now();
    trigger.drain(Duration::from_secs(10));
    running.await?.context("the service did not end well")?;
    check(&watched, checked.records)?;
    let begun = checked.first.get().copied().context("nothing was decided")?;
    Ok((begun, ended))
}

/// The defaults of every service, or what the environment says (`THROUGHLINE_RUNTIME_…`); only the addresses are ours.
fn settings(job: &Job) -> Result<RuntimeConfig> {
    let settings = [
        ("kafka.brokers", job.place.brokers.as_str()),
        ("registry.url", &job.place.registry),
        ("ledger.url", &job.place.postgres),
    ];
    let mut source = config::Source::with_env(None);
    source.env.extend(settings.into_iter().map(|(path, value)| (config::env_name(path), value.to_owned())));
    let loaded = config::load(&source).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    Ok(loaded.config)
}

/// No figure without this: every record has exactly one disposition, the one it should have, and no offset was passed over.
fn check(watched: &Watched, records: u64) -> Result<()> {
    let dispositions = watched.dispositions();
    let applied = BTreeMap::from([(Disposition::Applied, records)]);
    ensure!(dispositions == applied, "of {records} records came {dispositions:?}");
    let passed = watched.done().passed;
    ensure!(u64::try_from(passed) == Ok(records), "positions are at {passed} in all, {records} records were published");
    Ok(())
}
