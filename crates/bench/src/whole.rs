//! The whole thing: a service as its own process on a real stack, over real or generated events, with its resident memory as its
//! own `/metrics` tells it. No figure unless `verify` proves the run.

use crate::{
    held::{Held, Limits, Watch},
    publish::{generated, publish_with_letters},
};
use anyhow::{Context as _, Result, ensure};
use devstack::{Kind, Stack, StackConfig};
use events::{Envelope, Event};
use kafka::{ClientConfig, RegistryConfig};
use serde::Serialize;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use testkit::{
    retail,
    scratch::{Scratch, online_retail_file},
};
use verify::{ServiceSource, Sources};

/// What one run came to.
#[derive(Debug, Serialize)]
pub struct Whole {
    pub what: String,
    pub events: u64,
    /// From the first event published to the last effect done.
    pub seconds: f64,
    pub cpu_seconds: f64,
    /// Records of these that nobody can read.
    pub unreadable: u64,
    /// Resident memory before the first event.
    pub idle_bytes: u64,
    pub held: Held,
    /// What `verify` compared, over all its checks.
    pub compared: u64,
}

pub const SERVICES: [&str; 2] = ["erp-sync", "analytics-feed"];
/// A run that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(6 * 3_600);
/// Ticks of `/proc/<pid>/stat`, the same on every Linux that we know.
const TICKS_PER_SECOND: f64 = 100.0;

/// What is asked of a run.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Generated events; none if 0.
    pub events: u64,
    /// Also the real invoices.
    pub real: bool,
    /// A record that nobody can read before each so-many-th generated event.
    pub letter_every: Option<u64>,
    /// What no run may go above.
    pub limits: Option<Limits>,
}

/// Real invoices (where the file is on this machine) and a generated business.
pub async fn measure(service: &str, asked: &Asked) -> Result<Vec<Whole>> {
    let mut all = Vec::new();
    match online_retail_file() {
        _ if !asked.real => {}
        Some(file) => {
            let events = retail::Events::open(&file)?.filter_map(|item| item.ok()?.ok());
            all.push(run(service, "real invoices, the whole file", events, None).await?);
        }
        None => eprintln!("the real invoices are not on this machine: left out"),
    }
    let Asked { events, letter_every, .. } = *asked;
    if events > 0 {
        let what = format!("a generated business, {events} events");
        all.push(Box::pin(run(service, &what, generated(events)?, letter_every)).await?);
    }
    if let Some(limits) = &asked.limits {
        for one in &all {
            let over = one.held.over(limits);
            ensure!(over.is_empty(), "{}: {}: {:#?}", one.what, over.join("; "), one);
        }
    }
    Ok(all)
}

async fn run(
    name: &str,
    what: &str,
    events: impl Iterator<Item = (Envelope, Event)>,
    letter_every: Option<u64>,
) -> Result<Whole> {
    eprintln!("memory: {name}, {what}");
    let scratch = Scratch::try_new("bench-whole")?;
    let binaries = std::env::current_exe()?.parent().map(PathBuf::from);
    let config = StackConfig { binaries, ..StackConfig::new(Kind::Real, scratch.join("stack")) };
    let stack = Stack::start(config.with_service(name, 1)).await?;
    let endpoints = stack.endpoints();
    let service = endpoints.services.get(name).context("the stack has no such service")?;
    let url = service.http.clone().context("the service has no address")?;
    let idle_bytes = resident(&reqwest::get(format!("{url}/metrics")).await?.text().await?).unwrap_or(0);
    let postgres = endpoints.postgres.clone().context("the stack has no PostgreSQL")?;
    let schema = ledger::schema_of(name);
    let watch = Watch::start(service.pid, &postgres, &schema).await?;

    let begun = Instant::now();
    let mut told = Instant::now();
    let mut tell = |busy: &str| {
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            let most = watch.held().resident_bytes / 1_000_000;
            eprintln!("  {:.0} s: {busy}; at most {most} MB so far", begun.elapsed().as_secs_f64());
        }
    };
    let progress = |count| tell(&format!("{count} records published"));
    let published = publish_with_letters(&endpoints, events, letter_every, progress).await?;
    let unreadable = letter_every.map_or(0, |every| published / (every + 1));
    // Under another name: our connections are none of the service's.
    let ledger = ledger::Config::new(format!("{postgres}?application_name=bench"), schema);
    let sources = Sources {
        kafka: ClientConfig::new(&endpoints.kafka),
        registry: RegistryConfig::new(&endpoints.registry),
        service: ServiceSource { name: name.to_owned(), ledger: ledger::open(&ledger).await? },
        outside: if name == "erp-sync" { endpoints.outside(name) } else { Vec::new() },
    };
    verify::wait_until_quiet(&sources, PATIENCE, tell).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_seconds = cpu_of(service.pid).context("the processor time of the service")?;
    let held = watch.held();

    let report = verify::verify(&sources).await?;
    ensure!(report.ok, "no figure: verification failed: {report:#?}");
    let compared = report.checks.iter().map(|check| check.counted).sum();
    stack.stop().await?;
    ensure!(held.looks > 0, "nothing was seen of the service");
    Ok(Whole {
        what: format!("`{name}`, {what}"),
        events: published,
        seconds,
        cpu_seconds,
        unreadable,
        idle_bytes,
        held,
        compared,
    })
}

fn resident(metrics: &str) -> Option<u64> {
    let name = telemetry::names::RESIDENT_MEMORY.name;
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn cpu_of(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, so what follows its closing bracket is counted.
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_found_among_the_metrics() {
        let text = "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes{service=\"erp-sync\"} 12345678\n";
        assert_eq!(resident(text), Some(12_345_678));
    }

    #[test]
    fn this_process_has_used_a_processor() {
        assert!(cpu_of(std::process::id()).is_some());
    }
}
