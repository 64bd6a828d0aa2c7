//! The files that a plan is made from. A mistake in one names its place.

use crate::exit::{Result, Trouble};
use serde::{Deserialize, de::DeserializeOwned};
use std::{collections::BTreeMap, path::Path};

/// What must be kept up with.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) v: u32,
    pub(super) events_per_day: f64,
    pub(super) peak_events_per_second: f64,
    pub(super) keep_days: f64,
    /// Of a replica and of a quota, at the peak.
    pub(super) use_at_most: f64,
    pub(super) services: BTreeMap<String, Demand>,
}

/// What one service has to do.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Demand {
    pub(super) share: f64,
    #[serde(default)]
    pub(super) calls_per_event: f64,
    pub(super) account: Option<Account>,
}

/// What a remote account allows; what is absent has no limit.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) concurrent_calls: Option<f64>,
    /// How long a call takes there, on average.
    pub(super) call_ms: Option<f64>,
    pub(super) calls_per_second: Option<f64>,
    pub(super) calls_per_day: Option<f64>,
}

/// What an event costs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Costs {
    pub(super) v: u32,
    /// When, where and how.
    pub(super) measured: String,
    pub(super) services: BTreeMap<String, Cost>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cost {
    /// Of one replica.
    pub(super) events_per_second: f64,
    pub(super) cpu_seconds_per_million: f64,
    pub(super) resident_mb: f64,
    pub(super) database_bytes_per_event: f64,
}

const RECORDED: &str = include_str!("../../../../../deploy/capacity/costs.toml");
const VERSION: u32 = 1;

pub(super) fn workload(file: &Path) -> Result<Workload> {
    let workload: Workload = parse(&read(file)?, &file.display().to_string())?;
    let name = file.display().to_string();
    version(workload.v, &name)?;
    let mut wrong = Vec::new();
    above_zero(&mut wrong, "events_per_day", Some(workload.events_per_day));
    above_zero(&mut wrong, "peak_events_per_second", Some(workload.peak_events_per_second));
    above_zero(&mut wrong, "keep_days", Some(workload.keep_days));
    if !(workload.use_at_most > 0.0 && workload.use_at_most <= 1.0) {
        wrong.push(format!("use_at_most is a part of 1, not {}", workload.use_at_most));
    }
    if workload.events_per_day / 86_400.0 > workload.peak_events_per_second {
        wrong.push("peak_events_per_second is below the average of events_per_day".to_owned());
    }
    if workload.services.is_empty() {
        wrong.push("there is no service".to_owned());
    }
    for (service, demand) in &workload.services {
        wrong.extend(demand_problems(demand).into_iter().map(|problem| format!("services.{service}: {problem}")));
    }
    if wrong.is_empty() { Ok(workload) } else { Err(bad(&name, &wrong.join("; "))) }
}

fn demand_problems(demand: &Demand) -> Vec<String> {
    let mut wrong = Vec::new();
    if !(demand.share > 0.0 && demand.share <= 1.0) {
        wrong.push(format!("share is a part of 1, not {}", demand.share));
    }
    if !(demand.calls_per_event.is_finite() && demand.calls_per_event >= 0.0) {
        wrong.push(format!("calls_per_event is a number, not {}", demand.calls_per_event));
    }
    let Some(account) = &demand.account else { return wrong };
    if demand.calls_per_event <= 0.0 {
        wrong.push("an account without calls_per_event limits nothing".to_owned());
    }
    for (name, value) in [
        ("account.concurrent_calls", account.concurrent_calls),
        ("account.call_ms", account.call_ms),
        ("account.calls_per_second", account.calls_per_second),
        ("account.calls_per_day", account.calls_per_day),
    ] {
        above_zero(&mut wrong, name, value);
    }
    if account.concurrent_calls.is_some() != account.call_ms.is_some() {
        wrong.push("account.concurrent_calls and account.call_ms tell a rate only together".to_owned());
    }
    wrong
}

/// Those of the file, or those that were recorded with this release.
pub(super) fn costs(file: Option<&Path>) -> Result<Costs> {
    let (text, name) = match file {
        Some(file) => (read(file)?, file.display().to_string()),
        None => (RECORDED.to_owned(), "the recorded costs".to_owned()),
    };
    let costs: Costs = parse(&text, &name)?;
    version(costs.v, &name)?;
    let mut wrong = Vec::new();
    for (service, cost) in &costs.services {
        for (field, value) in [
            ("events_per_second", cost.events_per_second),
            ("cpu_seconds_per_million", cost.cpu_seconds_per_million),
            ("resident_mb", cost.resident_mb),
            ("database_bytes_per_event", cost.database_bytes_per_event),
        ] {
            above_zero(&mut wrong, &format!("services.{service}.{field}"), Some(value));
        }
    }
    if wrong.is_empty() { Ok(costs) } else { Err(bad(&name, &wrong.join("; "))) }
}

/// Service and number of letters of a plan that `throughline dlq plan retry … --save` wrote.
pub(super) fn redrive(file: &Path) -> Result<(String, u64)> {
    let name = file.display().to_string();
    let saved: serde_json::Value =
        serde_json::from_str(&read(file)?).map_err(|error| bad(&name, &format!("no plan: {error}")))?;
    let plan = &saved["plan"];
    match (plan["action"].as_str(), plan["service"].as_str(), plan["items"].as_array()) {
        (Some("retry"), Some(service), Some(items)) => Ok((service.to_owned(), items.len() as u64)),
        (Some(action), ..) if action != "retry" => {
            Err(bad(&name, &format!("a plan to {action} letters, which is no redrive")))
        }
        _ => Err(bad(&name, "no plan of a redrive: it has no `plan` with `action`, `service` and `items`")),
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file)
        .map_err(|error| Trouble::failed("FILE_UNREADABLE", format!("{}: {error}", file.display())))
}

fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| bad(name, error.to_string().trim_end()))
}

fn version(found: u32, name: &str) -> Result<()> {
    if found == VERSION { Ok(()) } else { Err(bad(name, &format!("v is {found}, this program reads v = {VERSION}"))) }
}

fn above_zero(wrong: &mut Vec<String>, name: &str, value: Option<f64>) {
    if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
        wrong.push(format!("{name} is a number above 0, not {value}"));
    }
}

fn bad(name: &str, problem: &str) -> Trouble {
    Trouble::failed("FILE_INVALID", format!("{name}: {problem}"))
        .hint("docs/operate/capacity.md tells every field; deploy/capacity has an example")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_costs_and_the_example_are_what_they_should_be() {
        assert!(costs(None).expect("the recorded costs").services.contains_key("erp-sync"));
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/capacity/workload.toml");
        assert!(workload(&example).expect("the example").services.contains_key("erp-sync"));
    }
}
