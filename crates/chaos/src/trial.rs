//! One case on one stack: what is published while it is broken, what is counted, and the judgement at the end.

use crate::{
    history,
    outcome::{End, Outcome},
    proxy::Proxy,
    sampler::Sampler,
};
use anyhow::{Context as _, Result, ensure};
use devstack::{Kind, Service, StackConfig};
use e2e::{Bench, books::Books, erp::Erp};
use kafka::Outgoing;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use testkit::{
    business::{self, Faults, Item, Options},
    eventually,
};

/// For one named thing to come about.
pub const SOON: Duration = Duration::from_secs(150);
/// For everything to be done.
pub const PATIENCE: Duration = Duration::from_secs(900);
pub const ERP_SYNC: &str = "erp-sync";

/// Which of the services' connections go through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detour {
    Postgres,
    Registry,
}

/// The stack that a case wants.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    pub services: Vec<(&'static str, u16)>,
    pub environment: Vec<(String, String)>,
    pub new_protocol: bool,
    /// Folder of the services' binaries, where they are not the usual ones.
    pub binaries: Option<PathBuf>,
    pub detour: Option<Detour>,
    /// PostgreSQL on a disk of so many megabytes.
    pub postgres_disk: Option<u32>,
    /// The file that a process makes before it dies at its point.
    pub mark: Option<PathBuf>,
}

#[derive(Default)]
struct Notes {
    probes: BTreeMap<String, u64>,
    faults: u64,
    in_flight: u64,
    recovered: Option<Duration>,
    records: u64,
    expected: Option<Books>,
}

pub struct Trial {
    pub bench: Bench,
    pub erp: Erp,
    pub proxy: Option<Proxy>,
    pub services: Vec<(&'static str, u16)>,
    pub mark: Option<PathBuf>,
    sampler: Sampler,
    rng: Mutex<ChaCha8Rng>,
    notes: Mutex<Notes>,
    seed: u64,
    /// Goes after the stack that lies on it.
    _disk: Option<Disk>,
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trial {
    /// # Errors
    /// If the stack does not start.
    pub async fn start(name: &str, seed: u64, setup: Setup) -> Result<Self, End> {
        let mut disk = None;
        let mut config = None;
        let at_once: &[(&str, u16)] = if setup.detour.is_some() { &[] } else { &setup.services };
        let mut mounting = Ok(());
        let change = |stack: StackConfig| {
            let binaries = setup.binaries.clone().or(stack.binaries);
            let (environment, new_group_protocol) = (setup.environment.clone(), setup.new_protocol);
            let stack = StackConfig { binaries, environment, new_group_protocol, ..stack };
            if let Some(megabytes) = setup.postgres_disk {
                match Disk::mount(&stack.data.join("postgres"), megabytes) {
                    Ok(mounted) => disk = Some(mounted),
                    Err(end) => mounting = Err(end),
                }
            }
            config = Some(stack.clone());
            stack
        };
        let started = Bench::start_with(Kind::Real, at_once, &format!("chaos-{name}"), change).await;
        mounting?;
        let mut bench = started?;
        let config = config.context("the stack was configured")?;
        let mut proxy = None;
        if let Some(detour) = setup.detour {
            let (between, config) = detoured(&bench, detour, config).await?;
            for (service, replicas) in &setup.services {
                for replica in 1..=*replicas {
                    let service = Service { service: (*service).to_owned(), replica };
                    bench.stack.start_service(&service, &config).await.context("a service")?;
                }
            }
            proxy = Some(between);
        }
        let (erp, sampler) = (Erp::of(&bench.stack), Sampler::start(bench.data()));
        let rng = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        let (services, mark, notes) = (setup.services, setup.mark, Mutex::default());
        Ok(Self { bench, erp, proxy, services, mark, sampler, rng, notes, seed, _disk: disk })
    }

    /// A repeatable choice below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        locked(&self.rng).random_range(0..bound)
    }

    /// A pause of the mean length, as between accidents.
    pub fn gap(&self, mean: Duration) -> Duration {
        let chance: f64 = locked(&self.rng).random_range(0.05..1.0);
        mean.mul_f64(-chance.ln())
    }

    /// The window was hit so often.
    pub fn note(&self, probe: &str, count: u64) {
        *locked(&self.notes).probes.entry(probe.to_owned()).or_default() += count;
    }

    /// How often a probe was seen, those of the sampler among them.
    #[must_use]
    pub fn seen(&self, probe: &str) -> u64 {
        let noted = locked(&self.notes).probes.get(probe).copied().unwrap_or(0);
        noted + self.sampler.seen().probes.get(probe).copied().unwrap_or(0)
    }

    /// Waits until a service tells this reason, or a metric this mechanism.
    ///
    /// # Errors
    /// Void if nobody does.
    pub async fn until_seen(&self, probe: &str) -> Result<(), End> {
        let seen = async || if self.seen(probe) > 0 { Ok(()) } else { Err("not seen") };
        eventually(probe, SOON, seen).await.map_err(|error| End::Void(error.to_string()))
    }

    /// A business of so many events and what the ERP must hold after it.
    fn business(&self, events: u64) -> (Vec<Outgoing>, Books) {
        let faults = Faults { duplicates: 0.02, disorder: 0.05, ..Faults::NONE };
        let mut stream =
            business::stream(&Options::of_events(self.seed, events).with_faults(faults)).expect("good options");
        let records = stream.by_ref().filter_map(|generated| match generated.item {
            Item::Event { envelope, event } => Some(self.bench.record(&envelope, &event)),
            Item::Raw { .. } => None,
        });
        let records = records.collect();
        (records, Books::expected(stream.expectations()))
    }

    /// Publishes a business, some events after each pause, while `fault` goes on. `Err` of the fault ends it.
    ///
    /// # Errors
    /// What the fault says; broken if a record cannot be published.
    pub async fn under_load(
        &self,
        events: u64,
        pause: Duration,
        fault: impl Future<Output = Result<(), End>>,
    ) -> Result<(), End> {
        const AT_ONCE: usize = 25;
        let (records, expected) = self.business(events);
        {
            let mut notes = locked(&self.notes);
            notes.records += records.len() as u64;
            notes.expected = Some(expected);
        }
        let publish = async {
            for chunk in records.chunks(AT_ONCE) {
                self.bench.publish(chunk).await?;
                tokio::time::sleep(pause).await;
            }
            Ok(())
        };
        tokio::try_join!(publish, fault).map(|_| ())
    }

    /// Publishes records that no business has, such as ones that nobody can read.
    ///
    /// # Errors
    /// If they are not taken.
    pub async fn publish(&self, records: &[Outgoing]) -> Result<(), End> {
        locked(&self.notes).records += records.len() as u64;
        Ok(self.bench.publish(records).await?)
    }

    /// Waits until the ERP holds so many records.
    ///
    /// # Errors
    /// If it does not get there.
    pub async fn until_effects(&self, count: u64) -> Result<(), End> {
        let enough = async || match self.erp.effect_count().await {
            Ok(seen) if seen >= count => Ok(()),
            Ok(seen) => Err(format!("{seen} effects")),
            Err(error) => Err(error.to_string()),
        };
        Ok(eventually(&format!("{count} effects"), PATIENCE, enough).await?)
    }

    /// `kill -9`; it comes back by itself. What it held is counted.
    ///
    /// # Errors
    /// If there is no such process.
    pub async fn kill(&self, name: &str) -> Result<(), End> {
        self.lose(name);
        Ok(self.bench.stack.kill(name).await.map_err(anyhow::Error::from)?)
    }

    /// A fault that was not made by [`Trial::kill`].
    pub fn lose(&self, name: &str) {
        let held = self.sampler.seen().in_flight.get(name).copied().unwrap_or(0);
        let mut notes = locked(&self.notes);
        notes.faults += 1;
        notes.in_flight += held;
    }

    /// # Errors
    /// If there is no such process.
    pub async fn hold(&self, name: &str) -> Result<(), End> {
        Ok(self.bench.stack.hold(name).await.map_err(anyhow::Error::from)?)
    }

    /// # Errors
    /// If there is no such process.
    pub async fn release(&self, name: &str) -> Result<(), End> {
        Ok(self.bench.stack.release(name).await.map_err(anyhow::Error::from)?)
    }

    /// The process of a service or part, as it runs now.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pid(&self, name: &str) -> Result<u32, End> {
        let endpoints = self.bench.stack.endpoints();
        let running = endpoints.services.get(name).or_else(|| endpoints.parts.get(name));
        Ok(running.with_context(|| format!("`{name}` does not run"))?.pid)
    }

    /// # Errors
    /// If it does not run.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<(), End> {
        let pid = i32::try_from(self.pid(name)?).unwrap_or(i32::MAX);
        kill(Pid::from_raw(pid), signal).map_err(|error| anyhow::anyhow!("signal {name}: {error}"))?;
        Ok(())
    }

    /// Entries of all journals of erp-sync.
    async fn entries(&self) -> Result<i64> {
        Ok(self.bench.ledger.slices().await?.iter().map(|slice| slice.next_entry).sum())
    }

    /// Waits until a new entry is committed after a fault, or nothing is left to commit; keeps the longest wait.
    ///
    /// # Errors
    /// If neither comes about.
    pub async fn recovered(&self, since: Instant) -> Result<(), End> {
        let mut before = None;
        let expected = locked(&self.notes).expected.as_ref().map_or(u64::MAX, Books::count);
        let done = async || -> Result<bool> {
            let entries = self.entries().await?;
            if entries > *before.get_or_insert(entries) {
                return Ok(true);
            }
            ensure!(self.erp.effect_count().await? >= expected, "{entries} entries, none of them new");
            Ok(false)
        };
        if eventually("a new entry after the fault", SOON, done).await? {
            let mut notes = locked(&self.notes);
            notes.recovered = notes.recovered.max(Some(since.elapsed()));
        }
        Ok(())
    }

    /// What was counted, for the state file.
    pub fn tell(&self, outcome: &mut Outcome) {
        let (notes, seen) = (locked(&self.notes), self.sampler.seen());
        outcome.probes.extend(seen.probes);
        for (probe, count) in &notes.probes {
            *outcome.probes.entry(probe.clone()).or_default() += count;
        }
        outcome.records = notes.records;
        outcome.faults = notes.faults;
        outcome.in_flight = notes.in_flight;
        outcome.recovered_ms = notes.recovered.and_then(|took| u64::try_from(took.as_millis()).ok());
        (outcome.resident, outcome.files) = (seen.resident, seen.files);
    }

    /// Waits until nothing is left to do, then compares topics, ledgers and the effect log.
    ///
    /// # Errors
    /// Broken, with what does not hold.
    pub async fn judge(&self, outcome: &mut Outcome, by_history: bool) -> Result<(), End> {
        for (service, _) in &self.services {
            let report = match *service {
                ERP_SYNC => self.bench.verified(PATIENCE).await?,
                _ => self.bench.verified_of(service, PATIENCE).await?,
            };
            for check in report.checks {
                *outcome.compared.entry(check.id.to_owned()).or_default() += check.counted;
            }
        }
        let created = self.erp.created().await?;
        outcome.effects = created.values().sum();
        if let Some((twice, times)) = created.iter().find(|(_, times)| **times != 1) {
            return Err(End::Broken(format!("I2: {twice:?} was made {times} times")));
        }
        let expected = locked(&self.notes).expected.clone();
        if let Some(expected) = expected {
            let books = self.erp.books().await?;
            if books != expected {
                return Err(End::Broken(format!(
                    "I11: the books differ: {books:?}, a run without faults: {expected:?}"
                )));
            }
            *outcome.compared.entry("I11".to_owned()).or_default() += expected.count();
        }
        if by_history {
            history::judge(&self.bench, &self.erp, outcome).await?;
        }
        Ok(())
    }

    /// # Errors
    /// If something does not end.
    pub async fn stop(self) -> Result<(), End> {
        drop(self.sampler);
        Ok(self.bench.stop().await?)
    }
}

/// A proxy in front of a part, and a configuration whose services go through it.
async fn detoured(bench: &Bench, detour: Detour, config: StackConfig) -> Result<(Proxy, StackConfig)> {
    let endpoints = bench.stack.endpoints();
    let (variable, url) = match detour {
        Detour::Postgres => ("THROUGHLINE_LEDGER_URL", endpoints.postgres.context("a PostgreSQL server")?),
        Detour::Registry => ("THROUGHLINE_REGISTRY_URL", endpoints.registry),
    };
    let mut url: url::Url = url.parse()?;
    let upstream = format!("127.0.0.1:{}", url.port().context("a port")?).parse()?;
    let proxy = Proxy::start(upstream).await?;
    ensure!(url.set_port(Some(proxy.address().port())).is_ok(), "{url} takes a port");
    let environment = vec![(variable.to_owned(), url.to_string())];
    Ok((proxy, StackConfig { environment, ..config }))
}
