//! The metrics of one service: a field per name, so that a misspelt name does not compile.

use crate::{labels, memory, names};
use prometheus_client::{
    metrics::{counter::Counter, family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Series by label set.
pub type Family<L, M> = family::Family<L, M>;
/// Histograms by label set.
pub type Histograms<L> = family::Family<L, Histogram, fn() -> Histogram>;
/// All metrics of one service, labelled `service`. Cheap to update; hot paths keep the series
/// (`family.get_or_create_owned(..)`) and pay one atomic add.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub events: Family<labels::Event, Counter>,
    pub effects: Family<labels::Effect, Counter>,
    pub step_duration: Histograms<labels::Step>,
    pub lag_records: Family<labels::Partition, Gauge>,
    pub parked_keys: Family<labels::Failure, Gauge>,
    pub blocked_events: Gauge,
    pub ambiguous_effects: Gauge,
    pub open_intents: Gauge,
    pub outbox_pending: Gauge,
    pub dlq: Family<labels::Failure, Counter>,
    pub breaker_state: Family<labels::Dependency, Gauge>,
    pub dependency_requests: Family<labels::Request, Counter>,
    pub slices_owned: Gauge,
    pub slices_stopped: Family<labels::Code, Gauge>,
    pub fenced_writes: Counter,
    pub commit_duration: Histogram,
    pub batch_records: Histogram,
    pub inflight_records: Gauge,
    pub inflight_bytes: Gauge,
    pub policies_refused: Counter,
    time: Gauge,
    resident_memory: Gauge,
}

impl Metrics {
    #[must_use]
    pub fn new(service: &str) -> Self {
        let labels = [("service".into(), service.to_owned().into())];
        let mut registry = Registry::with_labels(labels.into_iter());
        let r = &mut registry;
        let build = register(r, names::BUILD_INFO, Family::<labels::Build, Gauge>::default());
        build.get_or_create(&labels::Build { version: env!("CARGO_PKG_VERSION").to_owned() }).set(1);
        Self {
            events: register(r, names::EVENTS, Family::default()),
            effects: register(r, names::EFFECTS, Family::default()),
            step_duration: register(r, names::STEP_DURATION, Family::new_with_constructor(call_histogram)),
            lag_records: register(r, names::LAG_RECORDS, Family::default()),
            parked_keys: register(r, names::PARKED_KEYS, Family::default()),
            blocked_events: register(r, names::BLOCKED_EVENTS, Gauge::default()),
            ambiguous_effects: register(r, names::AMBIGUOUS_EFFECTS, Gauge::default()),
            open_intents: register(r, names::OPEN_INTENTS, Gauge::default()),
            outbox_pending: register(r, names::OUTBOX_PENDING, Gauge::default()),
            dlq: register(r, names::DLQ, Family::default()),
            breaker_state: register(r, names::BREAKER_STATE, Family::default()),
            dependency_requests: register(r, names::DEPENDENCY_REQUESTS, Family::default()),
            slices_owned: register(r, names::SLICES_OWNED, Gauge::default()),
            slices_stopped: register(r, names::SLICES_STOPPED, Family::default()),
            fenced_writes: register(r, names::FENCED_WRITES, Counter::default()),
            commit_duration: register(r, names::COMMIT_DURATION, call_histogram()),
            batch_records: register(r, names::BATCH_RECORDS, size_histogram()),
            inflight_records: register(r, names::INFLIGHT_RECORDS, Gauge::default()),
            inflight_bytes: register(r, names::INFLIGHT_BYTES, Gauge::default()),
            policies_refused: register(r, names::POLICIES_REFUSED, Counter::default()),
            time: register(r, names::TIME, Gauge::default()),
            resident_memory: register(r, names::RESIDENT_MEMORY, Gauge::default()),
            registry,
        }
    }

    /// The text that `/metrics` answers, in the OpenMetrics form that Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.time.set(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
        if let Some(bytes) = memory::resident_bytes() {
            self.resident_memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: names::Name, metric: M) -> M {
    // The encoder appends `_total` to counters by itself.
    registry.register(name.name.trim_end_matches("_total"), name.help, metric.clone());
    metric
}

/// Seconds of one call: the buckets of the messaging conventions, with finer ones below.
fn call_histogram() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0,
    ])
}

fn size_histogram() -> Histogram {
    Histogram::new([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A family without series is not shown: give each one.
    fn with_a_series_each() -> Metrics {
        let m = Metrics::new("erp-sync");
        let failure = labels::Failure { class: "bug", code: "PANIC".into() };
        let partition = labels::Partition { topic: "t".into(), partition: 0 };
        let dependency = || labels::Value::from("erp");
        m.events.get_or_create_owned(&labels::Event { topic: "t".into(), disposition: "applied" });
        m.effects.get_or_create_owned(&labels::Effect { step: "s".into(), result: "done" });
        m.step_duration.get_or_create_owned(&labels::Step { step: "s".into() });
        m.lag_records.get_or_create_owned(&partition);
        m.parked_keys.get_or_create_owned(&failure);
        m.dlq.get_or_create_owned(&failure);
        m.breaker_state.get_or_create_owned(&labels::Dependency { dependency: dependency() });
        m.dependency_requests.get_or_create_owned(&labels::Request { dependency: dependency(), outcome: "ok" });
        m.slices_stopped.get_or_create_owned(&labels::Code { code: "c".into() });
        m
    }

    #[test]
    fn what_is_registered_is_exactly_the_list_of_names() {
        let text = with_a_series_each().encode();
        let described: BTreeSet<_> =
            text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
        let listed: BTreeSet<_> = names::ALL.iter().map(|name| name.name.trim_end_matches("_total")).collect();
        assert_eq!(described, listed);
    }

    #[test]
    fn every_series_has_the_labels_that_the_list_says() {
        let text = with_a_series_each().encode();
        for name in names::ALL {
            let suffix = if name.kind == names::Kind::Histogram { "_count{" } else { "{" };
            let start = format!("{}{suffix}", name.name);
            let series = text.lines().find_map(|line| line.strip_prefix(&start)).expect(name.name);
            let (set, _) = series.split_once('}').expect("a label set ends with a brace");
            let found: Vec<_> = set.split(',').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
            let listed: Vec<_> = std::iter::once("service").chain(name.labels.iter().copied()).collect();
            assert_eq!(found, listed, "{}", name.name);
        }
    }

    #[test]
    fn a_series_carries_the_service_and_its_labels_under_the_listed_name() {
        let metrics = Metrics::new("erp-sync");
        let labels = labels::Event { topic: "invoice.posted.v1".into(), disposition: "applied" };
        metrics.events.get_or_create(&labels).inc_by(3);
        let text = metrics.encode();
        let line = r#"throughline_events_total{service="erp-sync",topic="invoice.posted.v1",disposition="applied"} 3"#;
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn memory_and_build_are_always_there() {
        let text = Metrics::new("erp-sync").encode();
        assert!(text.contains(r#"throughline_build_info{service="erp-sync",version=""#), "{text}");
        let resident = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes{"));
        let value = resident.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse::<u64>().ok());
        assert!(value.is_some_and(|bytes| bytes > 100_000), "{text}");
    }
}
