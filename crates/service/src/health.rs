//! What a service says about itself: it lives while its event loop ticks, it is ready while nothing blocks it.
//! An outage of something it depends on only degrades it: restarting the service would not help.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A reason's name, such as `STARTING` or a failure code.
pub type Code = Cow<'static, str>;

/// Shared by the runtime, which reports, and the HTTP server, which answers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    stall: Duration,
    /// Milliseconds from `born` to the last tick, plus one; 0 before the first.
    ticked: AtomicU64,
    started: AtomicBool,
    reasons: Mutex<BTreeMap<Code, Reason>>,
}

/// Something that people should know about a service now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reason {
    pub code: Code,
    /// One sentence, without personal data.
    pub detail: String,
    pub severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The service does not do its work and should get no traffic.
    Blocking,
    /// It works as well as its surroundings allow.
    Degraded,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Readiness {
    pub ready: bool,
    pub reasons: Vec<Reason>,
}

/// Set until [`Health::started`] is called.
const STARTING: Code = Cow::Borrowed("STARTING");

impl Health {
    /// Not ready, for the reason `STARTING`. A loop that has ticked once and then not for `stall` counts as dead.
    #[must_use]
    pub fn new(stall: Duration) -> Self {
        let health = Self(Arc::new(Inner {
            born: Instant::now(),
            stall,
            ticked: AtomicU64::new(0),
            started: AtomicBool::new(false),
            reasons: Mutex::default(),
        }));
        health.block(STARTING, "the service is starting");
        health
    }

    /// Called by the event loop each time round, also when there is nothing to do.
    pub fn tick(&self) {
        self.0.ticked.store(self.millis() + 1, Ordering::Relaxed);
    }

    /// Start-up is over: `/startupz` answers 200, and `STARTING` no longer keeps the service from being ready.
    pub fn started(&self) {
        self.0.started.store(true, Ordering::Relaxed);
        self.clear("STARTING");
    }

    /// Sets or replaces a reason that makes the service not ready.
    pub fn block(&self, code: impl Into<Code>, detail: impl Into<String>) {
        self.set(code.into(), detail.into(), Severity::Blocking);
    }

    /// Sets or replaces a reason that people see, but that does not make the service not ready.
    pub fn degrade(&self, code: impl Into<Code>, detail: impl Into<String>) {
        self.set(code.into(), detail.into(), Severity::Degraded);
    }

    /// Takes a reason back; one that is not set is no error.
    pub fn clear(&self, code: &str) {
        self.reasons().remove(code);
    }

    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let reasons: Vec<_> = self.reasons().values().cloned().collect();
        let ready = self.is_started() && !reasons.iter().any(|reason| reason.severity == Severity::Blocking);
        Readiness { ready, reasons }
    }

    #[must_use]
    pub fn is_started(&self) -> bool {
        self.0.started.load(Ordering::Relaxed)
    }

    /// Whether the event loop ticks.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let ticked = self.0.ticked.load(Ordering::Relaxed);
        ticked == 0 || self.millis().saturating_sub(ticked - 1) <= millis(self.0.stall)
    }

    fn set(&self, code: Code, detail: String, severity: Severity) {
        self.reasons().insert(code.clone(), Reason { code, detail, severity });
    }

    fn reasons(&self) -> MutexGuard<'_, BTreeMap<Code, Reason>> {
        // A panic while the map was held cannot have left it half changed.
        self.0.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self) -> u64 {
        millis(self.0.born.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_once_started_and_while_nothing_blocks_it() {
        let health = Health::new(Duration::from_secs(30));
        assert!(!health.readiness().ready);
        assert_eq!(health.readiness().reasons[0].code, "STARTING");
        health.started();
        assert_eq!(health.readiness(), Readiness { ready: true, reasons: vec![] });
        health.block("DRAINING", "shutting down");
        assert!(!health.readiness().ready);
        health.clear("DRAINING");
        assert!(health.readiness().ready);
    }

    #[test]
    fn an_outage_is_shown_and_does_not_make_a_service_unready() {
        let health = Health::new(Duration::from_secs(30));
        health.started();
        health.degrade("ERP_UNAVAILABLE", "paused");
        let readiness = health.readiness();
        assert!(readiness.ready);
        let shown = serde_json::to_value(&readiness).unwrap();
        let expected = serde_json::json!({"ready": true, "reasons": [
            {"code": "ERP_UNAVAILABLE", "detail": "paused", "severity": "degraded"}]});
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_loop_that_stops_ticking_is_not_live() {
        let health = Health::new(Duration::from_secs(30));
        assert!(health.is_live());
        health.tick();
        assert!(health.is_live());
        let stalled = Health::new(Duration::ZERO);
        stalled.tick();
        while stalled.millis() < 2 {
            std::thread::yield_now();
        }
        assert!(!stalled.is_live());
    }
}
