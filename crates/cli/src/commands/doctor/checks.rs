//! The checks. Each answers, whatever happens: a doctor that dies of an illness helps nobody.

use super::{Check, State};
use crate::{
    commands,
    exit::Trouble,
    registry::Registry,
    stack::{self, Stack, broker_trouble},
};
use events::topics::SUBJECTS;
use serde::Deserialize;
use std::{collections::BTreeSet, fs};

/// More than this and tokens, certificates and time-outs go wrong.
const SKEW_SECONDS: i64 = 5;
/// A service has a connection to each broker, the database and the outside systems; below this it is tight.
const FEW_FILES: u64 = 1_024;

pub(super) fn version() -> Check {
    Check::ok("version", concat!("throughline ", env!("CARGO_PKG_VERSION")))
}

pub(super) fn binaries() -> Check {
    let missing: Vec<_> = commands::SERVICES.iter().filter_map(|service| commands::binary_of(service).err()).collect();
    match missing.first() {
        None => Check::ok("binaries", "every service's binary is beside this one"),
        Some(Trouble { message, hint, .. }) => Check::new("binaries", State::Warn, message, hint),
    }
}

pub(super) fn files() -> Check {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()) {
        None => Check::new("open files", State::Skipped, "the system does not tell the limit", ""),
        Some(limit) if limit < FEW_FILES => {
            Check::new("open files", State::Warn, format!("only {limit} may be open"), "raise it: ulimit -n 4096")
        }
        Some(limit) => Check::ok("open files", format!("{limit} may be open")),
    }
}

fn failed(check: &'static str, trouble: Trouble) -> Check {
    // Not knowing where something is, is no illness of it.
    let state = if trouble.code == "USAGE" { State::Skipped } else { State::Fail };
    Check::new(check, state, trouble.message, trouble.hint)
}

pub(super) async fn broker(stack: &Stack) -> Vec<Check> {
    let config = match stack.kafka() {
        Ok(config) => config,
        Err(trouble) => return vec![failed("broker", trouble)],
    };
    let asked = match kafka::Admin::connect(&config) {
        Ok(admin) => admin.list().await,
        Err(error) => Err(error),
    };
    let topics = match asked {
        Ok(topics) => topics,
        Err(error) => return vec![failed("broker", broker_trouble(&error))],
    };
    let broker = Check::ok("broker", format!("{} answers, {} topics", config.brokers, topics.len()));
    let missing: Vec<_> = SUBJECTS.iter().map(|s| s.topic).filter(|topic| !topics.contains_key(*topic)).collect();
    let counts: BTreeSet<i32> = SUBJECTS.iter().filter_map(|s| topics.get(s.topic)).copied().collect();
    let fix = "throughline topics apply";
    let inputs = if !missing.is_empty() {
        Check::new("topics", State::Fail, format!("missing: {}", missing.join(", ")), fix)
    } else if counts.len() > 1 {
        let detail = format!("partition counts differ: {counts:?}; order per key needs the same number");
        Check::new("topics", State::Fail, detail, "throughline topics diff")
    } else {
        let partitions = counts.first().copied().unwrap_or(0);
        Check::ok("topics", format!("all {} there, {partitions} partitions each", SUBJECTS.len()))
    };
    vec![broker, inputs]
}

pub(super) async fn registry(stack: &Stack) -> Vec<Check> {
    let registry = match stack.registry().and_then(Registry::new) {
        Ok(registry) => registry,
        Err(trouble) => return vec![failed("registry", trouble)],
    };
    let skew = match registry.clock_skew(jiff::Timestamp::now()).await {
        Ok(skew) => skew,
        Err(trouble) => return vec![failed("registry", trouble)],
    };
    let mut checks = vec![match registry.subjects().await {
        Ok(subjects) => Check::ok("registry", format!("answers, {} subjects", subjects.len())),
        Err(trouble) => return vec![failed("registry", trouble)],
    }];
    checks.push(match skew {
        None => Check::new("clock", State::Skipped, "the registry's answers carry no date", ""),
        Some(skew) if skew.abs() > SKEW_SECONDS => {
            let detail = format!("this machine and the registry's differ by {skew} s");
            Check::new("clock", State::Warn, detail, "synchronise both with NTP")
        }
        Some(_) => Check::ok("clock", "agrees with the registry's"),
    });
    checks.push(schemas(&registry).await.unwrap_or_else(|trouble| failed("schemas", trouble)));
    checks
}

async fn schemas(registry: &Registry) -> crate::exit::Result<Check> {
    let mut missing = Vec::new();
    for subject in SUBJECTS {
        if registry.look_up(subject).await?.is_none() {
            missing.push(subject.subject);
        }
    }
    Ok(if missing.is_empty() {
        Check::ok("schemas", format!("all {} registered", SUBJECTS.len()))
    } else {
        let detail = format!("not registered as this program writes them: {}", missing.join(", "));
        Check::new("schemas", State::Fail, detail, "throughline schemas register")
    })
}

pub(super) async fn ledger(stack: &Stack) -> Vec<Check> {
    let mut checks = Vec::new();
    for service in commands::services(&[], stack).unwrap_or_default() {
        let slices = match stack.ledger(service).await {
            Ok(ledger) => ledger.slices().await.map_err(|error| stack::ledger_trouble(&error)),
            Err(trouble) => Err(trouble),
        };
        checks.push(match slices {
            Err(trouble) => failed("ledger", trouble),
            Ok(slices) => match slices.iter().find_map(|slice| Some((slice.slice, slice.stopped.as_ref()?))) {
                None => Check::ok("ledger", format!("{service}: {} slices, none stopped", slices.len())),
                Some((slice, reason)) => {
                    let fix = "throughline slice accept|resume, see `throughline help slice`";
                    Check::new("ledger", State::Fail, format!("slice {slice} of {service} stopped: {reason}"), fix)
                }
            },
        });
    }
    checks
}

/// What a service answers at `/readyz`.
#[derive(Deserialize)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    detail: String,
}

pub(super) async fn services(stack: &Stack) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, endpoint) in &stack.parts().services {
        let Some(url) = &endpoint.http else {
            checks.push(Check::new(
                "service",
                State::Fail,
                format!("{name} is not up"),
                "see its log in the data folder",
            ));
            continue;
        };
        checks.push(match Readiness::ask(url).await {
            Ok(readiness) => of_readiness(name, &readiness),
            Err(reason) => {
                let detail = format!("{name} at {url}: {reason}");
                Check::new("service", State::Fail, detail, "see its log in the data folder")
            }
        });
    }
    checks
}

fn of_readiness(name: &str, readiness: &Readiness) -> Check {
    let said = readiness.said().join("; ");
    let fix =
        readiness.reasons.first().map(|reason| format!("throughline explain {}", reason.code)).unwrap_or_default();
    match (readiness.ready, said.is_empty()) {
        (true, true) => Check::ok("service", format!("{name} is ready")),
        (true, false) => Check::new("service", State::Warn, format!("{name} is ready, but {said}"), fix),
        (false, _) => Check::new("service", State::Fail, format!("{name} is not ready: {said}"), fix),
    }
}

impl Readiness {
    pub(crate) async fn ask(url: &str) -> Result<Self, String> {
        let client = stack::http(None).map_err(|trouble| trouble.message)?;
        let answer = client.get(format!("{url}/readyz")).send().await;
        let answer = answer.map_err(|_| "does not answer".to_owned())?;
        answer.json().await.map_err(|_| "does not answer like a service".to_owned())
    }

    /// Its reasons, one sentence each.
    pub(crate) fn said(&self) -> Vec<String> {
        self.reasons.iter().map(|reason| format!("{}: {}", reason.code, reason.detail)).collect()
    }
}
