//! One case on one stack: what is published while it is broken, what is counted, and the judgement at the end.

use crate::{
    history, load,
    outcome::{End, Outcome},
    sampler::Sampler,
    stage::{ERP_SYNC, Setup, Stage},
};
use anyhow::{Context as _, Result, ensure};
use e2e::{books::Books, erp::Erp};
use kafka::Outgoing;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use testkit::eventually;

/// For one named thing to come about.
pub const SOON: Duration = Duration::from_secs(150);
/// For everything to be done.
pub const PATIENCE: Duration = Duration::from_secs(900);

#[derive(Default)]
struct Notes {
    probes: BTreeMap<String, u64>,
    faults: u64,
    in_flight: u64,
    recovered: Option<Duration>,
    published: Vec<Outgoing>,
    /// Published otherwise.
    further: u64,
    expected: Option<Books>,
}

pub struct Trial {
    pub erp: Erp,
    pub stage: Stage,
    pub setup: Setup,
    sampler: Sampler,
    rng: Mutex<ChaCha8Rng>,
    notes: Mutex<Notes>,
    seed: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trial {
    /// # Errors
    /// If the stack does not start.
    pub async fn start(name: &str, seed: u64, setup: Setup) -> Result<Self, End> {
        let stage = Stage::build(name, &setup).await?;
        let erp = Erp::of(&stage.bench.stack);
        let sampler = Sampler::start(stage.bench.data(), setup.batch_records);
        let rng = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Ok(Self { stage, erp, setup, sampler, rng, notes: Mutex::default(), seed })
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

    /// The same, whatever was seen of it before.
    ///
    /// # Errors
    /// Void if nobody does.
    pub async fn until_seen_anew(&self, probe: &str) -> Result<(), End> {
        let before = self.seen(probe);
        let seen = async || if self.seen(probe) > before { Ok(()) } else { Err("not seen") };
        eventually(probe, SOON, seen).await.map_err(|error| End::Void(error.to_string()))
    }

    /// Publishes a business of so many events, or deals that come to about as many, with a pause after some while `fault` goes on. `Err`
    /// of the fault ends it.
    ///
    /// # Errors
    /// What the fault says; broken if a record cannot be published.
    pub async fn under_load(
        &self,
        events: u64,
        pause: Duration,
        fault: impl Future<Output = Result<(), End>>,
    ) -> Result<(), End> {
        let load = match self.setup.deals {
            true => load::deals(&self.stage.bench, events),
            false => load::business(&self.stage.bench, self.seed, events, self.setup.faults.clone()),
        };
        {
            let mut notes = locked(&self.notes);
            notes.published.extend(load.records.iter().cloned());
            notes.expected = Some(load.expected);
        }
        let publish = async {
            for chunk in load.records.chunks(load.at_once) {
                self.stage.bench.publish(chunk).await?;
                tokio::time::sleep(pause).await;
            }
            Ok(())
        };
        tokio::try_join!(publish, fault).map(|_| ())
    }

    /// Publishes everything once more, when nothing is left to do.
    ///
    /// # Errors
    /// If it does not come to rest before, or they are not taken.
    pub async fn publish_again(&self) -> Result<u64, End> {
        self.stage.bench.verified(PATIENCE).await?;
        let published = locked(&self.notes).published.clone();
        self.publish(&published).await?;
        Ok(published.len() as u64)
    }

    /// Publishes records that no business has, such as ones that nobody can read.
    ///
    /// # Errors
    /// If they are not taken.
    pub async fn publish(&self, records: &[Outgoing]) -> Result<(), End> {
        locked(&self.notes).further += records.len() as u64;
        Ok(self.stage.bench.publish(records).await?)
    }

    /// Waits until some process holds so many records undecided.
    ///
    /// # Errors
    /// Void if none does.
    pub async fn until_held(&self, count: u64) -> Result<(), End> {
        let full = async || match self.sampler.seen().in_flight.values().copied().max().unwrap_or(0) {
            held if held >= count => Ok(()),
            held => Err(format!("{held} records")),
        };
        let filled = eventually(&format!("{count} records in memory"), SOON, full).await;
        filled.map_err(|error| End::Void(error.to_string()))
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
        Ok(self.stage.bench.stack.kill(name).await.map_err(anyhow::Error::from)?)
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
        Ok(self.stage.bench.stack.hold(name).await.map_err(anyhow::Error::from)?)
    }

    /// # Errors
    /// If there is no such process.
    pub async fn release(&self, name: &str) -> Result<(), End> {
        Ok(self.stage.bench.stack.release(name).await.map_err(anyhow::Error::from)?)
    }

    /// The process of a service or part, as it runs now.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pid(&self, name: &str) -> Result<u32, End> {
        let endpoints = self.stage.bench.stack.endpoints();
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
        Ok(self.stage.bench.ledger.slices().await?.iter().map(|slice| slice.next_entry).sum())
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
        outcome.records = notes.published.len() as u64 + notes.further;
        outcome.faults = notes.faults;
        outcome.in_flight = notes.in_flight;
        outcome.recovered_ms = notes.recovered.and_then(|took| u64::try_from(took.as_millis()).ok());
        (outcome.resident, outcome.files) = (seen.resident, seen.files);
        (outcome.connections, outcome.transaction_ms) = (seen.connections, seen.transaction_ms);
        (outcome.held, outcome.held_limit) = (seen.held, seen.held_limit);
    }

    /// Waits until nothing is left to do, then compares topics, ledgers and the effect log.
    ///
    /// # Errors
    /// Broken, with what does not hold.
    pub async fn judge(&self, outcome: &mut Outcome, by_history: bool) -> Result<(), End> {
        for (service, _) in &self.setup.services {
            let report = match *service {
                ERP_SYNC => self.stage.bench.verified(PATIENCE).await?,
                _ => self.stage.bench.verified_of(service, PATIENCE).await?,
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
        if self.setup.deals {
            *outcome.compared.entry("I8".to_owned()).or_default() += load::contracts(&self.stage.bench).await?;
        }
        self.judge_bounds(outcome)?;
        if by_history {
            history::judge(&self.stage.bench, &self.erp, outcome).await?;
        }
        Ok(())
    }

    /// What services held, at every look at them.
    fn judge_bounds(&self, outcome: &mut Outcome) -> Result<(), End> {
        let seen = self.sampler.seen();
        *outcome.compared.entry("I7".to_owned()).or_default() += seen.looks;
        if let Some(over) = seen.over {
            return Err(End::Broken(format!("I7: {over}")));
        }
        Ok(())
    }

    /// # Errors
    /// If something does not end.
    pub async fn stop(self) -> Result<(), End> {
        drop(self.sampler);
        Ok(self.stage.bench.stop().await?)
    }
}
