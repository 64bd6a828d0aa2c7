//! The arithmetic. Pure: figures in, figures out.

use super::files::{Account, Costs, Demand, Workload};
use serde::Serialize;

/// What is asked besides the workload.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) outage_hours: f64,
    /// A service and its letters.
    pub(super) redrive: Option<(String, u64)>,
    /// Letters a second that the redrive keeps to.
    pub(super) rate: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Plan {
    pub(super) partitions: u32,
    pub(super) services: Vec<Need>,
    pub(super) redrive: Option<Redrive>,
    pub(super) warnings: Vec<String>,
}

/// What one service needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Need {
    pub(super) service: String,
    pub(super) replicas: u32,
    pub(super) bound_by: Bound,
    pub(super) average_per_second: f64,
    pub(super) peak_per_second: f64,
    /// What all replicas take, and the account allows.
    pub(super) most_per_second: f64,
    /// What the account allows; absent without an account that limits.
    pub(super) account_per_second: Option<f64>,
    pub(super) cpu_at_peak: f64,
    pub(super) resident_mb: f64,
    pub(super) database_bytes_per_day: f64,
    pub(super) database_bytes_kept: f64,
    /// After the outage, with live events going on; absent: it never does.
    pub(super) catch_up_seconds: Option<f64>,
    pub(super) fits: bool,
}

/// What a service reaches first when there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    Replicas,
    Account,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Redrive {
    pub(super) service: String,
    pub(super) letters: u64,
    /// What live events leave of the quota and of the replicas, or the rate asked for if that is less; 0: nothing is left.
    pub(super) per_second: f64,
    pub(super) seconds: Option<f64>,
}

/// Why there is no plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    NoCost { service: String, known: String },
    NoDemand { service: String, known: String },
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCost { service, known } => {
                write!(f, "nobody measured what an event costs `{service}`; measured are {known}")
            }
            Self::NoDemand { service, known } => {
                write!(f, "the workload has no service `{service}`, it has {known}")
            }
        }
    }
}

impl Problem {
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::NoCost { .. } => "give its figures in a file with --costs (docs/operate/capacity.md)",
            Self::NoDemand { .. } => "add it to the workload",
        }
    }
}

const DAY: f64 = 86_400.0;
/// The declared topics have so many; more come in steps of it, so that replicas share them evenly.
const PARTITIONS: u32 = 12;
/// A partition's records are one slice, which one replica owns: with so many slices a replica, one more replica still helps.
const SLICES_PER_REPLICA: u32 = 2;

pub(super) fn plan(workload: &Workload, costs: &Costs, asked: &Asked) -> Result<Plan, Problem> {
    let mut services = Vec::new();
    for (name, demand) in &workload.services {
        services.push(need(name, demand, workload, costs, asked)?);
    }
    let replicas = services.iter().map(|need| need.replicas).max().unwrap_or(1);
    let partitions = (replicas * SLICES_PER_REPLICA).div_ceil(PARTITIONS).max(1) * PARTITIONS;
    let redrive = match &asked.redrive {
        Some((service, letters)) => Some(redrive(service, *letters, &services, asked.rate)?),
        None => None,
    };
    let warnings = services.iter().flat_map(|need| warnings(need, workload)).collect();
    Ok(Plan { partitions, services, redrive, warnings })
}

fn need(name: &str, demand: &Demand, workload: &Workload, costs: &Costs, asked: &Asked) -> Result<Need, Problem> {
    let cost = costs.services.get(name).ok_or_else(|| {
        let known: Vec<&str> = costs.services.keys().map(String::as_str).collect();
        Problem::NoCost { service: name.to_owned(), known: known.join(", ") }
    })?;
    let per_day = workload.events_per_day * demand.share;
    let (average, peak) = (per_day / DAY, workload.peak_events_per_second * demand.share);
    let account = demand.account.as_ref().and_then(|account| account_rate(account, demand.calls_per_event));
    let replicas = (peak / (cost.events_per_second * workload.use_at_most)).ceil().clamp(1.0, 1e6);
    let own = replicas * cost.events_per_second;
    let most = account.map_or(own, |account| account.min(own));
    let backlog = average * asked.outage_hours * 3_600.0;
    let database_bytes_per_day = per_day * cost.database_bytes_per_event;
    Ok(Need {
        service: name.to_owned(),
        replicas: replicas as u32,
        bound_by: if account.is_some_and(|account| account < own) { Bound::Account } else { Bound::Replicas },
        average_per_second: average,
        peak_per_second: peak,
        most_per_second: most,
        account_per_second: account,
        cpu_at_peak: peak * cost.cpu_seconds_per_million / 1e6,
        resident_mb: replicas * cost.resident_mb,
        database_bytes_per_day,
        database_bytes_kept: database_bytes_per_day * workload.keep_days,
        catch_up_seconds: (most > average).then(|| backlog / (most - average)),
        fits: account.is_none_or(|account| peak <= account * workload.use_at_most),
    })
}

/// Events a second that an account takes: the strictest of its limits. `None`: it has none.
fn account_rate(account: &Account, calls_per_event: f64) -> Option<f64> {
    // Little's law: calls at once, divided by how long one takes.
    let concurrent = account.concurrent_calls.zip(account.call_ms).map(|(calls, ms)| calls * 1_000.0 / ms);
    let daily = account.calls_per_day.map(|calls| calls / DAY);
    let calls = [concurrent, account.calls_per_second, daily].into_iter().flatten().reduce(f64::min)?;
    Some(calls / calls_per_event)
}

fn redrive(service: &str, letters: u64, needs: &[Need], rate: Option<u32>) -> Result<Redrive, Problem> {
    let need = needs.iter().find(|need| need.service == service).ok_or_else(|| {
        let known: Vec<&str> = needs.iter().map(|need| need.service.as_str()).collect();
        Problem::NoDemand { service: service.to_owned(), known: known.join(", ") }
    })?;
    let left = (need.most_per_second - need.average_per_second).max(0.0);
    let per_second = rate.map_or(left, |rate| left.min(f64::from(rate)));
    let seconds = (per_second > 0.0).then(|| letters as f64 / per_second);
    Ok(Redrive { service: service.to_owned(), letters, per_second, seconds })
}

fn warnings(need: &Need, workload: &Workload) -> Vec<String> {
    let Need { service, .. } = need;
    let mut warnings = Vec::new();
    let Some(account) = need.account_per_second else { return warnings };
    let limit = account * workload.use_at_most;
    if need.average_per_second >= account {
        warnings.push(format!(
            "{service}: its account takes {account:.1} events/s, fewer than the {:.1} that come on average: what waits grows for ever",
            need.average_per_second
        ));
    } else if need.peak_per_second > limit {
        warnings.push(format!(
            "{service}: its account takes {limit:.1} events/s at {:.0} %, fewer than the {:.1} of the peak: events wait then, replicas do not help",
            workload.use_at_most * 100.0,
            need.peak_per_second
        ));
    }
    warnings
}

impl Plan {
    pub(super) fn fits(&self) -> bool {
        self.services.iter().all(|need| need.fits && need.catch_up_seconds.is_some())
    }

    /// What stands above the table.
    pub(super) fn said(&self) -> String {
        let kept: f64 = self.services.iter().map(|need| need.database_bytes_kept).sum();
        let (processors, memory) = self
            .services
            .iter()
            .fold((0.0, 0.0), |(processors, memory), need| (processors + need.cpu_at_peak, memory + need.resident_mb));
        let mut lines = vec![
            format!("{} partitions for every topic", self.partitions),
            format!(
                "{processors:.2} processors at the peak, {memory:.0} MB resident, {} in the database in the end",
                bytes(kept)
            ),
        ];
        if let Some(redrive) = &self.redrive {
            let Redrive { service, letters, per_second, seconds } = redrive;
            lines.push(match seconds {
                Some(seconds) => {
                    format!(
                        "this redrive of {letters} letters of {service} needs {} at {per_second:.1} a second",
                        span(*seconds)
                    )
                }
                None => format!(
                    "this redrive of {letters} letters of {service} cannot run: live events use the whole quota"
                ),
            });
        }
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.join("\n")
    }
}

/// A length of time for people.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s >= 2.0 * DAY => format!("{:.1} days", s / DAY),
        s if s >= 3_600.0 => format!("{:.1} h", s / 3_600.0),
        s if s >= 60.0 => format!("{:.1} min", s / 60.0),
        s => format!("{s:.0} s"),
    }
}

/// Bytes for people, in powers of ten.
pub(super) fn bytes(bytes: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let unit = units.into_iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(|| format!("{bytes:.0} B"), |(size, name)| format!("{:.1} {name}", bytes / size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::plan::files::Cost;
    use std::collections::BTreeMap;

    fn costs() -> Costs {
        let cost = Cost {
            events_per_second: 1_000.0,
            cpu_seconds_per_million: 400.0,
            resident_mb: 100.0,
            database_bytes_per_event: 500.0,
        };
        Costs { v: 1, measured: "by hand".to_owned(), services: BTreeMap::from([("erp-sync".to_owned(), cost)]) }
    }

    /// 864 000 a day are 10 a second.
    fn workload(peak: f64, account: Option<Account>) -> Workload {
        let demand = Demand { share: 1.0, calls_per_event: 2.0, account };
        Workload {
            v: 1,
            events_per_day: 864_000.0,
            peak_events_per_second: peak,
            keep_days: 30.0,
            use_at_most: 0.5,
            services: BTreeMap::from([("erp-sync".to_owned(), demand)]),
        }
    }

    fn asked() -> Asked {
        Asked { outage_hours: 10.0, ..Asked::default() }
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn replicas_carry_the_peak_with_room_to_spare() {
        let plan = plan(&workload(1_200.0, None), &costs(), &asked()).expect("a plan");
        let need = &plan.services[0];
        // 1 200 at 500 a replica: three, which take 3 000.
        assert_eq!((need.replicas, need.bound_by, plan.partitions), (3, Bound::Replicas, 12));
        near(need.most_per_second, 3_000.0);
        near(need.cpu_at_peak, 0.48);
        near(need.database_bytes_per_day, 432e6);
        near(need.database_bytes_kept, 12.96e9);
        // 10 a second for 10 hours are 360 000, worked off at 3 000 - 10.
        near(need.catch_up_seconds.expect("it catches up"), 360_000.0 / 2_990.0);
        assert!(plan.fits());
    }

    #[test]
    fn partitions_come_in_twelves_and_twice_as_many_as_replicas() {
        // 14 replicas want 28 slices.
        let plan = plan(&workload(7_000.0, None), &costs(), &asked()).expect("a plan");
        assert_eq!((plan.services[0].replicas, plan.partitions), (14, 36));
    }

    #[test]
    fn the_strictest_limit_of_an_account_counts() {
        let account = Account { concurrent_calls: Some(5.0), call_ms: Some(100.0), ..Account::default() };
        // 50 calls a second, two an event.
        near(account_rate(&account, 2.0).expect("a limit"), 25.0);
        let account = Account { calls_per_second: Some(30.0), calls_per_day: Some(864_000.0), ..account };
        near(account_rate(&account, 2.0).expect("a limit"), 5.0);
        assert_eq!(account_rate(&Account::default(), 2.0), None);
    }

    #[test]
    fn a_quota_below_the_peak_does_not_fit_and_is_named() {
        let account = Account { calls_per_second: Some(50.0), ..Account::default() };
        // 25 events a second, of which 12.5 may be used.
        let plan = plan(&workload(20.0, Some(account)), &costs(), &asked()).expect("a plan");
        let need = &plan.services[0];
        assert_eq!((need.bound_by, need.fits), (Bound::Account, false));
        near(need.catch_up_seconds.expect("it catches up"), 360_000.0 / 15.0);
        assert!(plan.warnings[0].contains("12.5") && plan.warnings[0].contains("20.0"), "{:?}", plan.warnings);
        assert!(!plan.fits());
    }

    #[test]
    fn a_quota_below_the_average_never_catches_up() {
        let account = Account { calls_per_second: Some(16.0), ..Account::default() };
        let plan = plan(&workload(20.0, Some(account)), &costs(), &asked()).expect("a plan");
        assert_eq!(plan.services[0].catch_up_seconds, None);
        assert!(plan.warnings[0].contains("grows for ever"), "{:?}", plan.warnings);
    }

    #[test]
    fn a_redrive_takes_what_live_events_leave_of_the_quota() {
        let account = Account { calls_per_second: Some(40.0), ..Account::default() };
        let asked = |rate| Asked { redrive: Some(("erp-sync".to_owned(), 115_200)), rate, ..asked() };
        // 20 events a second, 10 of them live: 115 200 letters at 10 a second are 3.2 hours.
        let of = |rate| {
            plan(&workload(20.0, Some(account.clone())), &costs(), &asked(rate)).expect("a plan").redrive.expect("one")
        };
        let redrive = of(None);
        near(redrive.per_second, 10.0);
        assert_eq!(span(redrive.seconds.expect("it ends")), "3.2 h");
        near(of(Some(5)).seconds.expect("it ends"), 23_040.0);
        near(of(Some(500)).per_second, 10.0);
    }

    #[test]
    fn what_nobody_measured_and_what_is_not_asked_for_is_named() {
        let mut other = workload(20.0, None);
        let demand = other.services["erp-sync"].clone();
        other.services.insert("crm-sync".to_owned(), demand);
        let problem = plan(&other, &costs(), &asked()).expect_err("no costs");
        assert!(problem.to_string().contains("`crm-sync`") && problem.to_string().contains("erp-sync"), "{problem}");
        let asked = Asked { redrive: Some(("provisioning".to_owned(), 1)), ..asked() };
        let problem = plan(&workload(20.0, None), &costs(), &asked).expect_err("no such service");
        assert!(problem.to_string().contains("`provisioning`"), "{problem}");
    }

    #[test]
    fn lengths_and_sizes_read_well() {
        assert_eq!(
            [span(42.0), span(90.0), span(11_520.0), span(864_000.0)],
            ["42 s", "1.5 min", "3.2 h", "10.0 days"]
        );
        assert_eq!([bytes(999.0), bytes(2_500.0), bytes(12.96e9)], ["999 B", "2.5 kB", "13.0 GB"]);
    }
}
