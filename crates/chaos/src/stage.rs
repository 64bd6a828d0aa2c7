//! The stack that a case is played on: which services, on what parts, by which ways, at what time of day.

use crate::{clock::Clock, outcome::End, proxy::Proxy};
use anyhow::{Context as _, Result, ensure};
use devstack::{Endpoints, Kind, Service, StackConfig};
use e2e::Bench;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};
use testkit::business::Faults;

pub const ERP_SYNC: &str = "erp-sync";

/// Which of the services' connections go through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detour {
    Postgres,
    Registry,
    Erp,
    Kafka,
}

/// The stack that a case wants.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    pub services: Vec<(&'static str, u16)>,
    pub environment: Vec<(String, String)>,
    /// The only service that the environment is for; without, it is for all.
    pub environment_of: Option<&'static str>,
    pub new_protocol: bool,
    /// Records in one journal entry, where that matters: what may be in memory follows from it.
    pub batch_records: Option<usize>,
    /// Folder of the services' binaries, where they are not the usual ones.
    pub binaries: Option<PathBuf>,
    pub detour: Option<Detour>,
    /// The first replica of each service takes the time of day from a file.
    pub odd_clock: bool,
    /// Three brokers, not one.
    pub three_brokers: bool,
    /// Deals are published, not the events of a business.
    pub deals: bool,
    /// What is odd about the events of the business.
    pub faults: Option<Faults>,
    /// PostgreSQL on a disk of so many megabytes.
    pub postgres_disk: Option<u32>,
    /// The file that a process makes before it dies at its point.
    pub mark: Option<PathBuf>,
}

/// What was started. The disk goes after the stack that lies on it.
pub struct Stage {
    pub bench: Bench,
    pub proxy: Option<Proxy>,
    pub clock: Option<Clock>,
    _disk: Option<Disk>,
}

impl Stage {
    /// # Errors
    /// If the stack does not start, or this machine lacks what the case needs.
    pub async fn build(name: &str, setup: &Setup) -> Result<Self, End> {
        let clock = setup.odd_clock.then(|| Clock::install(name)).transpose()?;
        let way_to_kafka = match setup.detour {
            Some(Detour::Kafka) => Some(before_kafka().await?),
            _ => None,
        };
        let (mut disk, mut config, mut mounting) = (None, None, Ok(()));
        let change = |stack: StackConfig| {
            let stack = StackConfig {
                binaries: setup.binaries.clone().or(stack.binaries),
                brokers: if setup.three_brokers { 3 } else { 1 },
                kafka_detour: way_to_kafka.as_ref().map(|(_, detour)| *detour),
                new_group_protocol: setup.new_protocol,
                ..stack
            };
            if let Some(megabytes) = setup.postgres_disk {
                match Disk::mount(&stack.data.join("postgres"), megabytes) {
                    Ok(mounted) => disk = Some(mounted),
                    Err(end) => mounting = Err(end),
                }
            }
            config = Some(stack.clone());
            stack
        };
        let started = Bench::start_with(Kind::Real, &[], &format!("chaos-{name}"), change).await;
        mounting?;
        let mut bench = started?;
        let config = config.context("the stack was configured")?;
        let (proxy, way) = match (setup.detour, way_to_kafka) {
            (Some(Detour::Kafka), Some((proxy, _))) => {
                let way = ("THROUGHLINE_KAFKA_BROKERS".to_owned(), proxy.address().to_string());
                (Some(proxy), Some(way))
            }
            (Some(detour), _) => {
                let (proxy, way) = before(&bench.stack.endpoints(), detour).await?;
                (Some(proxy), Some(way))
            }
            (None, _) => (None, None),
        };
        for (service, replicas) in &setup.services {
            for replica in 1..=*replicas {
                let mut environment: Vec<(String, String)> = way.iter().cloned().collect();
                if setup.environment_of.is_none_or(|only| only == *service) {
                    environment.extend(setup.environment.clone());
                }
                let batch = setup.batch_records.map(|records| records.to_string());
                environment.extend(batch.map(|records| ("THROUGHLINE_RUNTIME_BATCH_RECORDS".to_owned(), records)));
                environment.extend(clock.iter().filter(|_| replica == 1).flat_map(Clock::environment));
                let service = Service { service: (*service).to_owned(), replica };
                let config = StackConfig { environment, ..config.clone() };
                bench.stack.start_service(&service, &config).await.context("a service")?;
            }
        }
        Ok(Self { bench, proxy, clock, _disk: disk })
    }
}

/// A proxy in front of a part, and the setting that leads services through it.
async fn before(endpoints: &Endpoints, detour: Detour) -> Result<(Proxy, (String, String))> {
    let (variable, url) = match detour {
        Detour::Postgres => ("THROUGHLINE_LEDGER_URL", endpoints.postgres.clone().context("a PostgreSQL server")?),
        Detour::Registry => ("THROUGHLINE_REGISTRY_URL", endpoints.registry.clone()),
        Detour::Erp => ("THROUGHLINE_ERP_BASE_URL", endpoints.erp.clone()),
        Detour::Kafka => anyhow::bail!("the broker must know its proxy before it starts"),
    };
    let mut url: url::Url = url.parse()?;
    let upstream = format!("127.0.0.1:{}", url.port().context("a port")?).parse()?;
    let proxy = Proxy::start(upstream).await?;
    ensure!(url.set_port(Some(proxy.address().port())).is_ok(), "{url} takes a port");
    Ok((proxy, (variable.to_owned(), url.as_str().trim_end_matches('/').to_owned())))
}

/// A broker tells clients where it is, so it must know its proxy, and the proxy where it will be.
async fn before_kafka() -> Result<(Proxy, devstack::Detour)> {
    let listens = devstack::free_port()?;
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], listens))).await?;
    let detour = devstack::Detour { listens, advertised: proxy.address().port() };
    Ok((proxy, detour))
}

/// A small disk in memory, gone when it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: &Path, megabytes: u32) -> Result<Self, End> {
        std::fs::create_dir_all(path)?;
        let size = format!("size={megabytes}m");
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(path.to_owned())),
            Ok(output) => Err(End::NotRun(format!(
                "a disk that can be filled needs the right to mount one: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
            Err(error) => Err(End::NotRun(format!("mount: {error}"))),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server that lies on it may take a moment to be gone.
        std::process::Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}
