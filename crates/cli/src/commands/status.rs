//! `throughline status`: where every slice stands, and what waits. Positions and parked sequences are read from the ledger, ends
//! of topics from the broker, readiness from the services themselves.

mod open;

use super::doctor::checks::Readiness;
use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{Stack, StackArgs, broker_trouble, ledger_trouble},
};
use clap::Args;
use kafka::Admin;
use ledger::{IntentRow, ParkedSequence, SliceStatus};
use open::Open;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Services; all if absent
    services: Vec<String>,
    /// A row for each topic of each slice
    #[arg(long)]
    topics: bool,
    /// A row for each parked sequence
    #[arg(long, conflicts_with = "topics")]
    parked: bool,
    /// Wait until nothing is left to do, at most so long (such as 10m); exit 8 if it is not by then
    #[arg(long, value_name = "DURATION", value_parser = service::config::parse_duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    stack: StackArgs,
}

/// Everything about one service.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceStatus {
    service: String,
    /// From its own mouth; absent where no replica of it is known here.
    replicas: Vec<Replica>,
    slices: Vec<Slice>,
    parked: Vec<ParkedSequence>,
    totals: Totals,
}

#[derive(Debug, Serialize)]
struct Replica {
    name: String,
    pid: u32,
    ready: bool,
    reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Slice {
    service: String,
    slice: i32,
    owner: Option<String>,
    epoch: i64,
    lag: i64,
    parked_sequences: usize,
    parked_records: i64,
    open_intents: usize,
    unknown_intents: usize,
    #[serde(flatten)]
    open: Open,
    /// Parked sequences that are tried again by themselves.
    retrying: usize,
    timers: i64,
    stopped: Option<String>,
    positions: Vec<TopicPosition>,
    intents: Vec<IntentRow>,
}

#[derive(Debug, Clone, Serialize)]
struct TopicPosition {
    service: String,
    slice: i32,
    topic: String,
    /// Next offset the service will take; absent where it never took any.
    position: Option<i64>,
    start: i64,
    end: i64,
    lag: i64,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Totals {
    pub(crate) lag: i64,
    pub(crate) parked_sequences: usize,
    pub(crate) parked_records: i64,
    pub(crate) open_intents: usize,
    #[serde(flatten)]
    pub(crate) open: Open,
    pub(crate) retrying: usize,
    pub(crate) stopped_slices: usize,
}

impl Totals {
    /// Everything that arrived has ended, or waits for a person.
    pub(crate) fn is_idle(&self) -> bool {
        self.lag == 0 && self.open == Open::default() && self.retrying == 0
    }
}

/// How often `--wait` looks.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(args: &StatusArgs, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let services = super::services(&args.services, &stack)?;
    let (statuses, idle) = match args.wait {
        Some(wait) => until_idle(&stack, &services, wait, output).await?,
        None => (of_services(&stack, &services).await?, true),
    };
    output.answer(&answer(&statuses, args));
    Ok(if idle { Exit::Done } else { Exit::TimedOut })
}

async fn of_services(stack: &Stack, services: &[&str]) -> Result<Vec<ServiceStatus>> {
    let mut statuses = Vec::new();
    for service in services {
        statuses.push(of_service(stack, service).await?);
    }
    Ok(statuses)
}

/// Looks until every service is idle twice in a row, so that a moment between two batches does not count. What does not
/// answer for a while is asked again: that is what waiting is for.
pub(crate) async fn until_idle(
    stack: &Stack,
    services: &[&str],
    wait: Duration,
    output: &Output,
) -> Result<(Vec<ServiceStatus>, bool)> {
    let (deadline, mut quiet, mut told) = (Instant::now() + wait, 0, Instant::now());
    loop {
        let looked = of_services(stack, services).await;
        let late = Instant::now() >= deadline;
        match looked {
            Ok(statuses) => {
                let idle = statuses.iter().all(|status| status.totals.is_idle());
                quiet = if idle { quiet + 1 } else { 0 };
                if quiet >= 2 || late {
                    return Ok((statuses, quiet >= 2));
                }
                if told.elapsed() > Duration::from_secs(10) {
                    told = Instant::now();
                    statuses.iter().for_each(|status| output.note(headline(status)));
                }
            }
            Err(trouble) if late || !trouble.retryable => return Err(trouble),
            Err(Trouble { message, .. }) => {
                quiet = 0;
                if told.elapsed() > Duration::from_secs(10) {
                    told = Instant::now();
                    output.note(format!("waiting: {message}"));
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn answer(statuses: &[ServiceStatus], args: &StatusArgs) -> Answer {
    let heads: Vec<String> = statuses.iter().map(headline).collect();
    let slices = || statuses.iter().flat_map(|status| &status.slices);
    let answer = if args.topics {
        let rows: Vec<_> = slices().flat_map(|slice| slice.positions.clone()).collect();
        Answer::list("positions", rows, &["service", "slice", "topic", "position", "start", "end", "lag"])
    } else if args.parked {
        let rows: Vec<_> = statuses.iter().flat_map(|status| status.parked.clone()).collect();
        let columns =
            &["slice", "sequence", "class", "code", "depth", "attempts", "owner", "field", "awaits", "reason"];
        Answer::list("parked", rows, columns)
    } else {
        let columns = &[
            "service",
            "slice",
            "owner",
            "epoch",
            "lag",
            "parked_sequences",
            "parked_records",
            "open_intents",
            "unknown_intents",
            "timers",
            "stopped",
        ];
        Answer::list("slices", slices().collect::<Vec<_>>(), columns)
    };
    answer.with("services", statuses).above(heads.join("\n"))
}

fn headline(status: &ServiceStatus) -> String {
    let Totals { lag, parked_sequences, parked_records, open, retrying, stopped_slices, .. } = status.totals;
    let Open { effects, unpublished } = open;
    let mut text = format!(
        "{}: lag {lag}, {effects} effects open, {unpublished} events unpublished, {parked_sequences} sequences parked \
         ({parked_records} records, {retrying} retried by themselves), {stopped_slices} slices stopped",
        status.service
    );
    for Replica { name, pid, ready, reasons } in &status.replicas {
        let state = if *ready { "ready" } else { "NOT READY" };
        let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        text.push_str(&format!("\n  {name} (pid {pid}) {state}{reasons}"));
    }
    text
}

/// Reads one service's state from ledger, broker and its own HTTP.
pub(crate) async fn of_service(stack: &Stack, service: &str) -> Result<ServiceStatus> {
    let broker = |error: kafka::Error| broker_trouble(&error);
    let ledger = stack.ledger(service).await?;
    let found = ledger.slices().await.map_err(|error| ledger_trouble(&error))?;
    let parked = ledger.sequences(None).await.map_err(|error| ledger_trouble(&error))?;
    let admin = Admin::connect(&stack.kafka()?).map_err(broker)?;
    let topics = admin.list().await.map_err(broker)?;
    let inputs = inputs(service, &topics);
    let partitions = inputs.values().copied().max().unwrap_or(0);
    let mut slices = Vec::new();
    for slice in 0..partitions.max(found.iter().map(|status| status.slice + 1).max().unwrap_or(0)) {
        let status = found.iter().find(|status| status.slice == slice);
        let positions = positions(&admin, service, slice, status, &inputs).await?;
        let open = match status {
            Some(status) => open::of(&*ledger, status).await.map_err(|error| ledger_trouble(&error))?,
            None => Open::default(),
        };
        slices.push(of_slice(service, slice, status, positions, open, &parked));
    }
    let totals = totals(&slices);
    Ok(ServiceStatus { service: service.to_owned(), replicas: replicas(stack, service).await, slices, parked, totals })
}

/// The topics a service reads, with their partitions.
fn inputs(service: &str, topics: &BTreeMap<String, i32>) -> BTreeMap<String, i32> {
    let replay = format!("replay.{service}");
    let names = verify::inputs_of(service).into_iter().chain(std::iter::once(replay.as_str()));
    names.filter_map(|name| Some((name.to_owned(), *topics.get(name)?))).collect()
}

async fn positions(
    admin: &Admin,
    service: &str,
    slice: i32,
    status: Option<&SliceStatus>,
    inputs: &BTreeMap<String, i32>,
) -> Result<Vec<TopicPosition>> {
    let mut rows = Vec::new();
    for topic in inputs.iter().filter(|(_, partitions)| slice < **partitions).map(|(topic, _)| topic) {
        let (start, end) = admin.watermarks(topic, slice).await.map_err(|error| broker_trouble(&error))?;
        let known = status.and_then(|status| status.positions.iter().find(|position| position.topic == *topic));
        let position = known.map(|position| position.next_offset);
        let lag = (end - position.unwrap_or(start)).max(0);
        rows.push(TopicPosition {
            service: service.to_owned(),
            slice,
            topic: topic.clone(),
            position,
            start,
            end,
            lag,
        });
    }
    Ok(rows)
}

fn of_slice(
    service: &str,
    slice: i32,
    status: Option<&SliceStatus>,
    positions: Vec<TopicPosition>,
    open: Open,
    parked: &[ParkedSequence],
) -> Slice {
    let own = || parked.iter().filter(|sequence| sequence.slice == slice);
    let intents = status.map(|status| status.intents.clone()).unwrap_or_default();
    Slice {
        service: service.to_owned(),
        slice,
        owner: status.map(|status| status.owner.clone()),
        epoch: status.map_or(0, |status| status.epoch),
        lag: positions.iter().map(|position| position.lag).sum(),
        parked_sequences: own().count(),
        parked_records: own().map(|sequence| sequence.depth).sum(),
        open_intents: intents.len(),
        unknown_intents: intents.iter().filter(|intent| intent.state == "unknown").count(),
        open,
        retrying: own().filter(|sequence| sequence.next_attempt_ms.is_some()).count(),
        timers: status.map_or(0, |status| status.timers),
        stopped: status.and_then(|status| status.stopped.clone()),
        positions,
        intents,
    }
}

fn totals(slices: &[Slice]) -> Totals {
    slices.iter().fold(Totals::default(), |sum, slice| Totals {
        lag: sum.lag + slice.lag,
        parked_sequences: sum.parked_sequences + slice.parked_sequences,
        parked_records: sum.parked_records + slice.parked_records,
        open_intents: sum.open_intents + slice.open_intents,
        open: Open {
            effects: sum.open.effects + slice.open.effects,
            unpublished: sum.open.unpublished + slice.open.unpublished,
        },
        retrying: sum.retrying + slice.retrying,
        stopped_slices: sum.stopped_slices + usize::from(slice.stopped.is_some()),
    })
}

async fn replicas(stack: &Stack, service: &str) -> Vec<Replica> {
    let mut replicas = Vec::new();
    let is_own = |name: &str| name == service || name.strip_prefix(service).is_some_and(|rest| rest.starts_with('-'));
    for (name, running) in stack.parts().services.iter().filter(|(name, _)| is_own(name)) {
        let asked = match &running.http {
            Some(url) => Readiness::ask(url).await,
            None => Err("is not up".to_owned()),
        };
        let (ready, reasons) = match asked {
            Ok(readiness) => (readiness.ready, readiness.said()),
            Err(reason) => (false, vec![reason]),
        };
        replicas.push(Replica { name: name.clone(), pid: running.pid, ready, reasons });
    }
    replicas
}
