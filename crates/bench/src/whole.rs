//! The whole thing: `erp-sync` as its own process on a real stack, over real or generated events, with its resident memory as its
//! own `/metrics` tells it. No figure unless `verify` proves the run.

use anyhow::{Context as _, Result, ensure};
use devstack::{Kind, Stack, StackConfig};
use events::{Envelope, Event, EventSet as _, wire};
use kafka::{ClientConfig, Outgoing, Producer, ProducerConfig, Registry, RegistryConfig};
use serde::Serialize;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use testkit::{
    business::{self, Item, Options},
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

const SERVICE: &str = "erp-sync";
const CHUNK: usize = 5_000;
const SAMPLED_EVERY: Duration = Duration::from_millis(200);
/// A run that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Ticks of `/proc/<pid>/stat`, the same on every Linux that we know.
const TICKS_PER_SECOND: f64 = 100.0;

/// Real invoices (where the file is on this machine) and a generated business.
pub async fn measure(generated: u64, real: bool) -> Result<Vec<Whole>> {
    let mut all = Vec::new();
    match online_retail_file() {
        _ if !real => {}
        Some(file) => {
            let events = retail::Events::open(&file)?.filter_map(|item| item.ok()?.ok());
            all.push(run("real invoices, the whole file", events).await?);
        }
        None => eprintln!("the real invoices are not on this machine: left out"),
    }
    if generated > 0 {
        let stream = business::stream(&Options::of_events(1, generated))?;
        let events = stream.filter_map(|generated| match generated.item {
            Item::Event { envelope, event } => Some((envelope, event)),
            Item::Raw { .. } => None,
        });
        all.push(run(&format!("a generated business, {generated} events"), events).await?);
    }
    Ok(all)
}

async fn run(what: &str, events: impl Iterator<Item = (Envelope, Event)>) -> Result<Whole> {
    eprintln!("memory: {what}");
    let scratch = Scratch::try_new("bench-whole")?;
    let binaries = std::env::current_exe()?.parent().map(PathBuf::from);
    let config = StackConfig { binaries, ..StackConfig::new(Kind::Real, scratch.join("stack")) };
    let stack = Stack::start(config.with_service(SERVICE, 1)).await?;
    let endpoints = stack.endpoints();
    let service = endpoints.services.get(SERVICE).context("the stack has no erp-sync")?;
    let url = service.http.clone().context("erp-sync has no address")?;
    let peak = Arc::new(AtomicU64::new(0));
    let idle_bytes = resident(&reqwest::get(format!("{url}/metrics")).await?.text().await?).unwrap_or(0);
    let sampler = tokio::spawn(sample(format!("{url}/metrics"), peak.clone()));

    let begun = Instant::now();
    let published = publish(&endpoints, events).await?;
    let ledger = ledger::Config::new(endpoints.postgres.clone().context("the stack has no PostgreSQL")?, "erp_sync");
    let sources = Sources {
        kafka: ClientConfig::new(&endpoints.kafka),
        registry: RegistryConfig::new(&endpoints.registry),
        service: ServiceSource { name: SERVICE.to_owned(), ledger: ledger::open(&ledger).await? },
        outside: Some(endpoints.erp.clone()),
    };
    let mut told = Instant::now();
    let tell = |busy: &str| {
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            eprintln!("  {:.0} s: {busy}", begun.elapsed().as_secs_f64());
        }
    };
    verify::wait_until_quiet(&sources, PATIENCE, tell).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_seconds = cpu_of(service.pid).context("the processor time of erp-sync")?;
    sampler.abort();

    let report = verify::verify(&sources).await?;
    ensure!(report.ok, "no figure: verification failed: {report:#?}");
    let compared = report.checks.iter().map(|check| check.counted).sum();
    stack.stop().await?;
    let peak_bytes = peak.load(Ordering::Relaxed);
    ensure!(peak_bytes > 0, "erp-sync told no resident memory");
    Ok(Whole { what: what.to_owned(), events: published, seconds, cpu_seconds, idle_bytes, peak_bytes, compared })
}

/// Publishes everything; answers how many records the broker has taken.
async fn publish(endpoints: &devstack::Endpoints, events: impl Iterator<Item = (Envelope, Event)>) -> Result<u64> {
    let registry = Registry::connect(RegistryConfig::new(&endpoints.registry))?;
    let mut ids = HashMap::new();
    for subject in events::topics::SUBJECTS {
        let latest = registry.latest(subject.subject).await?.context("a schema is not registered")?;
        ids.insert(subject.topic, latest.id);
    }
    let client = ClientConfig::new(&endpoints.kafka);
    let producer = Producer::start(&ProducerConfig { client, ..ProducerConfig::default() })?;
    let record = |(envelope, event): (Envelope, Event)| Outgoing {
        topic: event.topic().into(),
        partition: None,
        key: Some(event.account_id().to_owned().into()),
        value: Some(wire::frame(ids.get(event.topic()).copied().unwrap_or(0), &event.encode_avro()).into()),
        headers: envelope.to_headers(),
        // That of the publication: a broker forgets by it, and the events lie years back.
        timestamp_ms: None,
    };
    let mut published = 0;
    let mut events = events.map(record).peekable();
    while events.peek().is_some() {
        let chunk: Vec<Outgoing> = events.by_ref().take(CHUNK).collect();
        for ack in producer.send_all(&chunk).await {
            ack.context("publish")?;
        }
        published += chunk.len() as u64;
    }
    Ok(published)
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
