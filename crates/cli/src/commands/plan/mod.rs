//! `throughline plan capacity`: what a workload needs, from what an event costs and what the remote accounts allow.

mod capacity;
mod files;

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use capacity::{Asked, Need};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Partitions, replicas, database, time to catch up after an outage, time of a redrive
    Capacity(CapacityArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CapacityArgs {
    /// What must be kept up with: events, services, quotas of their accounts (TOML; deploy/capacity/workload.toml is an example)
    workload: PathBuf,
    /// What an event costs (TOML; deploy/capacity/costs.toml is an example); the figures of this release if absent
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Hours that a service is down, for the time to catch up
    #[arg(long, value_name = "HOURS", default_value_t = 4.0)]
    outage: f64,
    /// Letters to redrive; with --service
    #[arg(long, value_name = "N", requires = "service")]
    letters: Option<u64>,
    /// The service whose letters these are
    #[arg(long, requires = "letters")]
    service: Option<String>,
    /// A redrive that was planned: the file that `throughline dlq plan retry … --save` wrote
    #[arg(long, value_name = "FILE", conflicts_with = "letters")]
    redrive: Option<PathBuf>,
    /// Letters a second that the redrive is asked to keep to
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

pub(crate) fn run(command: &PlanCommand, output: &Output) -> Result<Exit> {
    let PlanCommand::Capacity(args) = command;
    if !(args.outage.is_finite() && args.outage > 0.0) {
        return Err(Trouble::usage(format!("--outage is a number of hours above 0, not {}", args.outage)));
    }
    let workload = files::workload(&args.workload)?;
    let costs = files::costs(args.costs.as_deref())?;
    let redrive = match &args.redrive {
        Some(file) => Some(files::redrive(file)?),
        None => args.service.clone().zip(args.letters),
    };
    let asked = Asked { outage_hours: args.outage, redrive, rate: args.rate };
    let plan = capacity::plan(&workload, &costs, &asked)
        .map_err(|problem| Trouble::failed("CAPACITY_UNKNOWN", problem.to_string()).hint(problem.hint()))?;
    let columns =
        &["service", "replicas", "bound_by", "peak_per_second", "most_per_second", "database_per_day", "catch_up"];
    let rows: Vec<Row<'_>> = plan.services.iter().map(Row::of).collect();
    let answer = Answer::list("services", rows, columns)
        .with("partitions", plan.partitions)
        .with("outage_hours", args.outage)
        .with("redrive", &plan.redrive)
        .with("warnings", &plan.warnings)
        .with("fits", plan.fits())
        .with("costs", &costs.measured)
        .above(format!("{}\ncounted with the costs of {}", plan.said(), costs.measured));
    output.answer(&answer);
    Ok(if plan.fits() { Exit::Done } else { Exit::Partial })
}

/// A line of the table; JSON has the figures behind the words too.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    need: &'a Need,
    database_per_day: String,
    catch_up: String,
}

impl<'a> Row<'a> {
    fn of(need: &'a Need) -> Self {
        let catch_up = need.catch_up_seconds.map_or_else(|| "never".to_owned(), capacity::span);
        Self { need, database_per_day: capacity::bytes(need.database_bytes_per_day), catch_up }
    }
}
