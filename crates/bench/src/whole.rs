//! The whole thing: a service as its own process on a real stack, over real or generated events, with its resident memory as its
//! own `/metrics` tells it. No figure unless `verify` proves the run.

use crate::publish::{generated, publish};
use anyhow::{Context as _, Result, ensure};
use devstack::{Kind, Stack, StackConfig};
use events::{Envelope, Event};
use kafka::{ClientConfig, RegistryConfig};
use serde::Serialize;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
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
    /// Resident memory before the first event, and at its highest.
    pub idle_bytes: u64,
    pub peak_bytes: u64,
    /// What `verify` compared, over all its checks.
    pub compared: u64,
}

pub const SERVICES: [&str; 2] = ["erp-sync", "analytics-feed"];
const SAMPLED_EVERY: Duration = Duration::from_millis(200);
/// A run that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Ticks of `/proc/<pid>/stat`, the same on every Linux that we know.
const TICKS_PER_SECOND: f64 = 100.0;

/// Real invoices (where the file is on this machine) and a generated business.
pub async fn measure(service: &str, events: u64, real: bool) -> Result<Vec<Whole>> {
    let mut all = Vec::new();
    match online_retail_file() {
        _ if !real => {}
        Some(file) => {
            let events = retail::Events::open(&file)?.filter_map(|item| item.ok()?.ok());
            all.push(run(service, "real invoices, the whole file", events).await?);
        }
        None => eprintln!("the real invoices are not on this machine: left out"),
    }
    if events > 0 {
        all.push(run(service, &format!("a generated business, {events} events"), generated(events)?).await?);
    }
    Ok(all)
}

async fn run(name: &str, what: &str, events: impl Iterator<Item = (Envelope, Event)>) -> Result<Whole> {
    eprintln!("memory: {name}, {what}");
    let scratch = Scratch::try_new("bench-whole")?;
    let binaries = std::env::current_exe()?.parent().map(PathBuf::from);
    let config = StackConfig { binaries, ..StackConfig::new(Kind::Real, scratch.join("stack")) };
    let stack = Stack::start(config.with_service(name, 1)).await?;
    let endpoints = stack.endpoints();
    let service = endpoints.services.get(name).context("the stack has no such service")?;
    let url = service.http.clone().context("the service has no address")?;
    let peak = Arc::new(AtomicU64::new(0));
    let idle_bytes = resident(&reqwest::get(format!("{url}/metrics")).await?.text().await?).unwrap_or(0);
    let sampler = tokio::spawn(sample(format!("{url}/metrics"), peak.clone()));

    let begun = Instant::now();
    let mut told = Instant::now();
    let mut tell = |busy: &str| {
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            eprintln!("  {:.0} s: {busy}", begun.elapsed().as_secs_f64());
        }
    };
    let published = publish(&endpoints, events, |count| tell(&format!("{count} records published"))).await?;
    let postgres = endpoints.postgres.clone().context("the stack has no PostgreSQL")?;
    let ledger = ledger::Config::new(postgres, name.replace('-', "_"));
    let sources = Sources {
        kafka: ClientConfig::new(&endpoints.kafka),
        registry: RegistryConfig::new(&endpoints.registry),
        service: ServiceSource { name: name.to_owned(), ledger: ledger::open(&ledger).await? },
        outside: if name == "erp-sync" { endpoints.outside(name) } else { Vec::new() },
    };
    verify::wait_until_quiet(&sources, PATIENCE, tell).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_seconds = cpu_of(service.pid).context("the processor time of the service")?;
    sampler.abort();

    let report = verify::verify(&sources).await?;
    ensure!(report.ok, "no figure: verification failed: {report:#?}");
    let compared = report.checks.iter().map(|check| check.counted).sum();
    stack.stop().await?;
    let peak_bytes = peak.load(Ordering::Relaxed);
    ensure!(peak_bytes > 0, "the service told no resident memory");
    Ok(Whole {
        what: format!("`{name}`, {what}"),
        events: published,
        seconds,
        cpu_seconds,
        idle_bytes,
        peak_bytes,
        compared,
    })
}

/// Keeps the highest resident memory that `/metrics` has told.
async fn sample(url: String, peak: Arc<AtomicU64>) {
    let client = reqwest::Client::new();
    loop {
        if let Ok(answer) = client.get(&url).send().await
            && let Ok(text) = answer.text().await
            && let Some(bytes) = resident(&text)
        {
            peak.fetch_max(bytes, Ordering::Relaxed);
        }
        tokio::time::sleep(SAMPLED_EVERY).await;
    }
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
