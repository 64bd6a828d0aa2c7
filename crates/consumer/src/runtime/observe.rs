//! What the runtime tells people: metrics from what was committed and called, reasons in `/readyz`. One place, one list of names.

use crate::machine::{CallResult, Gauges};
use failure::Class;
use ledger::{CommitOutcome, Disposition, ParkedChange, ParkedState, SliceCommit};
use service::health::Health;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use telemetry::{Metrics, labels};

/// The outside system of a service that has none.
pub const NOBODY: &str = "none";

/// Cheap to clone; shared by all tasks of a member.
#[derive(Clone)]
pub struct Observer {
    metrics: Arc<Metrics>,
    health: Health,
    dependency: &'static str,
    slices: Arc<Mutex<HashMap<i32, SliceView>>>,
}

/// Parked sequences by class and code.
pub type ParkedBy = BTreeMap<(Class, String), i64>;

#[derive(Debug, Clone, Default)]
struct SliceView {
    gauges: Gauges,
    parked: ParkedBy,
    stopped: Option<String>,
}

impl Observer {
    /// `dependency`: the name of the outside system, such as `erp`; [`NOBODY`] for a service without.
    pub fn new(metrics: Arc<Metrics>, health: Health, dependency: &'static str) -> Self {
        Self { metrics, health, dependency, slices: Arc::default() }
    }

    /// The outside system, if there is one.
    pub fn outside_system(&self) -> Option<&'static str> {
        Some(self.dependency).filter(|name| *name != NOBODY)
    }

    pub const fn health(&self) -> &Health {
        &self.health
    }

    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub fn committed(&self, commits: &[SliceCommit], outcomes: &[CommitOutcome], took: Duration) {
        self.metrics.commit_duration.observe(took.as_secs_f64());
        for (commit, outcome) in commits.iter().zip(outcomes) {
            match outcome {
                CommitOutcome::Committed => self.count(commit),
                CommitOutcome::Fenced => {
                    self.metrics.fenced_writes.inc();
                    let (slice, epoch) = (commit.slice, commit.epoch);
                    tracing::warn!(
                        slice,
                        epoch,
                        entry = commit.entry,
                        "write refused: another owner has taken the slice"
                    );
                }
            }
        }
    }

    fn count(&self, commit: &SliceCommit) {
        self.metrics.batch_records.observe(commit.body.records.len() as f64);
        let mut counts: BTreeMap<(u16, Disposition), u64> = BTreeMap::new();
        for record in &commit.body.records {
            *counts.entry((record.topic, record.disposition)).or_default() += 1;
        }
        for ((topic, disposition), count) in counts {
            let Some(topic) = commit.body.topics.get(usize::from(topic)) else { continue };
            let labels = labels::Event { topic: topic.as_str().into(), disposition: disposition.as_str() };
            self.metrics.events.get_or_create(&labels).inc_by(count);
        }
        for change in &commit.parked {
            self.count_letter(change);
        }
    }

    fn count_letter(&self, change: &ParkedChange) {
        let fate = match change {
            ParkedChange::Insert(row) => &row.fate,
            ParkedChange::Update { fate, .. } => fate,
        };
        if let (ParkedState::LetterPending, Some(failure)) = (fate.state, &fate.failure) {
            let labels = labels::Failure { class: failure.class.as_str(), code: failure.code.clone() };
            self.metrics.dlq.get_or_create(&labels).inc();
            tracing::warn!(class = %failure.class, code = %failure.code, reason = failure.reason, "dead letter");
        }
    }

    /// A call came back. The step is the part of the effect key before its first colon: a small closed set.
    pub fn call(&self, effect_key: &str, result: &CallResult, took: Duration) {
        let step: String = effect_key.split(':').next().unwrap_or_default().to_owned();
        let (effect, request) = match result {
            CallResult::Applied(Ok(_)) => ("done", "ok"),
            CallResult::LookedUp(Ok(Some(_))) => ("found", "ok"),
            CallResult::LookedUp(Ok(None)) => ("not_found", "ok"),
            CallResult::Applied(Err(failure)) | CallResult::LookedUp(Err(failure)) => match failure.class {
                Class::Dependency if failure.code == "RATE_LIMITED" => ("retried", "rate_limited"),
                Class::Dependency => ("retried", "unavailable"),
                Class::Unknown => ("unknown", "unknown"),
                Class::Business | Class::NotYet | Class::Poison | Class::Contract | Class::Bug => {
                    ("refused", "refused")
                }
            },
        };
        self.metrics.effects.get_or_create(&labels::Effect { step: step.clone().into(), result: effect }).inc();
        self.metrics.step_duration.get_or_create(&labels::Step { step: step.into() }).observe(took.as_secs_f64());
        self.request(self.dependency, request);
    }

    fn request(&self, dependency: &'static str, outcome: &'static str) {
        let labels = labels::Request { dependency: dependency.into(), outcome };
        self.metrics.dependency_requests.get_or_create(&labels).inc();
    }

    pub fn breaker(&self, level: i64) {
        let labels = labels::Dependency { dependency: self.dependency.into() };
        self.metrics.breaker_state.get_or_create(&labels).set(level);
    }

    pub fn outside(&self, out_of_order: bool) {
        let code = format!("{}_UNAVAILABLE", self.dependency.to_uppercase());
        if out_of_order {
            self.health.degrade(code, "the outside system is out of order; positions stand still and nothing is lost");
        } else {
            self.health.clear(&code);
        }
    }

    pub fn ledger(&self, trouble: Option<&str>) {
        self.dependency_state("LEDGER_UNAVAILABLE", "ledger", trouble);
    }

    pub fn registry(&self, trouble: Option<&str>) {
        self.dependency_state("REGISTRY_UNAVAILABLE", "registry", trouble);
    }

    pub fn broker(&self, trouble: Option<&str>) {
        self.dependency_state("BROKER_UNAVAILABLE", "broker", trouble);
    }

    fn dependency_state(&self, code: &'static str, dependency: &'static str, trouble: Option<&str>) {
        match trouble {
            Some(reason) => {
                self.request(dependency, "unavailable");
                self.health.degrade(code, reason.to_owned());
            }
            None => self.health.clear(code),
        }
    }

    /// A slice changed; the totals of all slices are what is shown.
    pub fn slice(&self, slice: i32, gauges: Gauges) {
        self.with_slices(|slices| slices.entry(slice).or_default().gauges = gauges);
    }

    /// Parked sequences of a slice by cause; told now and then, because counting looks at all of them.
    pub fn parked(&self, slice: i32, parked: ParkedBy) {
        self.with_slices(|slices| {
            slices.entry(slice).or_default().parked = parked;
            self.show_causes(slices);
        });
    }

    /// Bytes of delivered records that are still held.
    pub fn held_bytes(&self, bytes: usize) {
        self.metrics.inflight_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub fn slice_stopped(&self, slice: i32, reason: Option<&str>) {
        match reason {
            Some(reason) => tracing::error!(slice, reason, "the slice stops until an operator acts"),
            None => tracing::info!(slice, "the slice goes on"),
        }
        self.with_slices(|slices| {
            slices.entry(slice).or_default().stopped = reason.map(str::to_owned);
            self.show_causes(slices);
        });
    }

    pub fn slice_gone(&self, slice: i32) {
        self.with_slices(|slices| {
            slices.remove(&slice);
            self.show_causes(slices);
        });
    }

    fn with_slices(&self, change: impl FnOnce(&mut HashMap<i32, SliceView>)) {
        let mut slices = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut slices);
        let sum = |read: fn(&Gauges) -> usize| -> i64 {
            slices.values().map(|view| i64::try_from(read(&view.gauges)).unwrap_or(i64::MAX)).sum()
        };
        self.metrics.slices_owned.set(i64::try_from(slices.len()).unwrap_or(i64::MAX));
        self.metrics.inflight_records.set(sum(|gauges| gauges.undecided));
        self.metrics.open_intents.set(sum(|gauges| gauges.open_steps));
        self.metrics.outbox_pending.set(sum(|gauges| gauges.outbox));
        self.metrics.ambiguous_effects.set(sum(|gauges| gauges.unknown));
        self.metrics.blocked_events.set(sum(|gauges| gauges.parked_records));
        let stopped: Vec<String> = slices
            .iter()
            .filter_map(|(slice, view)| Some(format!("slice {slice}: {}", view.stopped.as_ref()?)))
            .collect();
        if stopped.is_empty() {
            self.health.clear("SLICE_STOPPED");
        } else {
            self.health.block("SLICE_STOPPED", stopped.join("; "));
        }
    }

    fn show_causes(&self, slices: &HashMap<i32, SliceView>) {
        let mut parked = ParkedBy::new();
        let mut stopped: BTreeMap<String, i64> = BTreeMap::new();
        for view in slices.values() {
            for (cause, count) in &view.parked {
                *parked.entry(cause.clone()).or_default() += count;
            }
            if let Some(reason) = &view.stopped {
                let code = reason.split(':').next().unwrap_or_default().to_owned();
                *stopped.entry(code).or_default() += 1;
            }
        }
        self.metrics.parked_keys.clear();
        for ((class, code), count) in parked {
            let labels = labels::Failure { class: class.as_str(), code: code.into() };
            self.metrics.parked_keys.get_or_create(&labels).set(count);
        }
        self.metrics.slices_stopped.clear();
        for (code, count) in stopped {
            self.metrics.slices_stopped.get_or_create(&labels::Code { code: code.into() }).set(count);
        }
    }
}
