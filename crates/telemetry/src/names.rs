//! The one list of metric names. Dashboards, alerts and the reference page are written against it; a name never changes meaning.

/// What a metric is called, what it counts and by which labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The full name, as Prometheus shows it (a histogram's without `_bucket`, `_sum`, `_count`).
    pub name: &'static str,
    pub kind: Kind,
    /// Labels besides `service`, which every series has.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Name {
    Name { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Name {
    Name { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Name {
    Name { name, kind: Kind::Histogram, labels, help }
}

pub const EVENTS: Name =
    counter("throughline_events_total", &["topic", "disposition"], "Records that reached a disposition");
pub const EFFECTS: Name = counter("throughline_effects_total", &["step", "result"], "Effects by what became of them");
pub const STEP_DURATION: Name =
    histogram("throughline_step_duration_seconds", &["step"], "Time of one call to an outside system");
pub const LAG_RECORDS: Name =
    gauge("throughline_lag_records", &["topic", "partition"], "Records between the position and the end");
pub const PARKED_KEYS: Name = gauge("throughline_parked_keys", &["class", "code"], "Sequences set aside");
pub const BLOCKED_EVENTS: Name = gauge("throughline_blocked_events", &[], "Events that wait behind a parked one");
pub const AMBIGUOUS_EFFECTS: Name =
    gauge("throughline_ambiguous_effects", &[], "Effects whose outcome is not known yet");
pub const OPEN_INTENTS: Name =
    gauge("throughline_open_intents", &[], "Effects committed for sending and not yet closed");
pub const OUTBOX_PENDING: Name =
    gauge("throughline_outbox_pending", &[], "Committed outgoing records that the broker has not acknowledged");
pub const DLQ: Name = counter(
    "throughline_dlq_total",
    &["class", "code"],
    "Dead letters made; each counts as dead-lettered once the broker has it",
);
pub const BREAKER_STATE: Name = gauge("throughline_breaker_state", &["dependency"], "0 closed, 1 half open, 2 open");
pub const DEPENDENCY_REQUESTS: Name =
    counter("throughline_dependency_requests_total", &["dependency", "outcome"], "Calls to systems we depend on");
pub const SLICES_OWNED: Name = gauge("throughline_slices_owned", &[], "Slices this member owns");
pub const SLICES_STOPPED: Name =
    gauge("throughline_slices_stopped", &["code"], "Slices of this member that wait for a person");
pub const FENCED_WRITES: Name =
    counter("throughline_fenced_writes_total", &[], "Writes refused because another owner took the slice");
pub const COMMIT_DURATION: Name =
    histogram("throughline_commit_duration_seconds", &[], "Time of one ledger transaction");
pub const BATCH_RECORDS: Name = histogram("throughline_batch_records", &[], "Records in one journal entry");
pub const INFLIGHT_RECORDS: Name = gauge("throughline_inflight_records", &[], "Records read and not yet ended");
pub const INFLIGHT_BYTES: Name = gauge("throughline_inflight_bytes", &[], "Bytes of the records in flight");
pub const BUILD_INFO: Name = gauge("throughline_build_info", &["version"], "Always 1");
pub const POLICIES_REFUSED: Name = counter(
    "throughline_policies_refused_total",
    &[],
    "Changed policy files that were refused; the version before stays",
);
pub const TIME: Name =
    gauge("throughline_time_seconds", &[], "The member's time of day, since the epoch: timers go by it");
pub const RESIDENT_MEMORY: Name = gauge("process_resident_memory_bytes", &[], "Resident memory of the process");

/// Every metric, in the order of the reference page.
pub const ALL: &[Name] = &[
    EVENTS,
    EFFECTS,
    STEP_DURATION,
    LAG_RECORDS,
    PARKED_KEYS,
    BLOCKED_EVENTS,
    AMBIGUOUS_EFFECTS,
    OPEN_INTENTS,
    OUTBOX_PENDING,
    DLQ,
    BREAKER_STATE,
    DEPENDENCY_REQUESTS,
    SLICES_OWNED,
    SLICES_STOPPED,
    FENCED_WRITES,
    COMMIT_DURATION,
    BATCH_RECORDS,
    INFLIGHT_RECORDS,
    INFLIGHT_BYTES,
    BUILD_INFO,
    POLICIES_REFUSED,
    TIME,
    RESIDENT_MEMORY,
];
