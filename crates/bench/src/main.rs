//! Measures what the runtime costs, as ratios against ceilings of the same run on the same machine: see `docs/benchmarks.md`.

mod handlers;
mod held;
mod job;
mod kept;
mod live;
mod machine;
mod page;
mod place;
mod plan;
mod publish;
mod record;
mod redrive;
mod replay;
mod report;
mod rounds;
mod runtime;
mod service_job;
mod services;
mod usage;
mod watched;
mod whole;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use machine::Machine;
use place::Servers;
use plan::Comparison;
use std::{collections::BTreeSet, path::PathBuf};

/// Measures Throughline against ceilings of the same run.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// What to measure; all if not given
    #[arg(long, value_delimiter = ',', value_enum)]
    cases: Vec<Case>,
    /// Repetitions of each comparison, ours and ceiling in turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Records of the case `noop`
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Records of the case `ledger`
    #[arg(long, default_value_t = 400_000)]
    ledger_records: u64,
    /// Generated events of the case `feed`
    #[arg(long, default_value_t = 200_000)]
    feed_events: u64,
    /// Generated events of the case `erp`
    #[arg(long, default_value_t = 20_000)]
    erp_events: u64,
    /// Generated events of the case `memory`
    #[arg(long, default_value_t = 50_000)]
    generated: u64,
    /// Sequences of the case `redrive`; each holds about a hundred letters
    #[arg(long, default_value_t = 1_000)]
    sequences: u32,
    /// Live events a second beside the case `redrive`
    #[arg(long, default_value_t = 50)]
    live: u32,
    /// Letters a second of the case `redrive`
    #[arg(long, default_value_t = 500)]
    redrive_rate: u32,
    /// Services of the case `memory`
    #[arg(long, value_delimiter = ',', default_values = whole::SERVICES, value_parser = whole::SERVICES)]
    services: Vec<String>,
    /// Case `memory`: a record that nobody can read before each so-many-th generated event
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..))]
    letter_every: Option<u64>,
    /// Case `memory`: end with an error where a service held more than this, in memory, files, connections, length of a transaction
    #[arg(long)]
    limit: bool,
    /// Resident megabytes that `--limit` allows
    #[arg(long, value_name = "MB", default_value_t = 150)]
    limit_resident: u64,
    /// Open files and sockets that `--limit` allows
    #[arg(long, value_name = "N", default_value_t = 256)]
    limit_files: u64,
    /// Connections to the ledger that `--limit` allows
    #[arg(long, value_name = "N", default_value_t = 8)]
    limit_connections: u64,
    /// Milliseconds of one transaction that `--limit` allows
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    limit_transaction: u64,
    /// Leave the real invoices out of the case `memory`
    #[arg(long)]
    generated_only: bool,
    /// Write every single run, versions and settings to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the page for readers to this file; needs all cases
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cases", "generated_only"])]
    page: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One measured run; the benchmark starts these itself
    #[command(hide = true)]
    Side { job: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Case {
    /// The runtime alone, against a bare drain
    Noop,
    /// Kafka to PostgreSQL, against the same commits without Kafka
    Ledger,
    /// Slow calls, against Little's law
    Effects,
    /// `analytics-feed` over a backlog, against the same commits and rows
    Feed,
    /// `erp-sync` over a backlog, against the same calls
    Erp,
    /// The resident memory of whole services over real and generated events
    Memory,
    /// Letters of a whole service worked off beside live events, by plan and job
    Redrive,
}

fn main() -> Result<()> {
    let args = Args::parse();
    service::install_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match &args.command {
        Some(Command::Side { job }) => {
            let job: job::Job = serde_json::from_str(job)?;
            println!("{}", serde_json::to_string(&runtime.block_on(job.run())?)?);
            Ok(())
        }
        None => runtime.block_on(measure(&args)),
    }
}

async fn measure(args: &Args) -> Result<()> {
    let (machine, mut all) = compare(args).await?;
    if wanted(args, Case::Feed) {
        eprintln!("feed: {} events", args.feed_events);
        all.push(services::feed(args.rounds, args.feed_events).await?);
    }
    if wanted(args, Case::Erp) {
        eprintln!("erp: {} events", args.erp_events);
        all.push(services::erp(args.rounds, args.erp_events).await?);
    }
    let mut whole = Vec::new();
    if wanted(args, Case::Memory) {
        for service in &args.services {
            whole.extend(Box::pin(whole::measure(service, &args.of_whole())).await?);
        }
    }
    let mut redriven = Vec::new();
    if wanted(args, Case::Redrive) {
        let alone = std::time::Duration::from_secs(60);
        let asked = redrive::Asked { sequences: args.sequences, live: args.live, rate: args.redrive_rate, alone };
        redriven.push(redrive::measure(&asked).await?);
    }
    if !all.is_empty() {
        println!("{}\n", report::table(&all));
    }
    if !whole.is_empty() {
        println!("{}\n", report::whole_table(&whole));
    }
    if !redriven.is_empty() {
        println!("{}\n", report::redriven_table(&redriven));
    }
    println!("{}", machine.line());
    if let Some(file) = &args.page {
        let asked = page::Asked {
            rounds: args.rounds,
            records: args.records,
            partitions: place::PARTITIONS,
            feed_events: args.feed_events,
            erp_events: args.erp_events,
        };
        let page = page::page(&machine, &asked, &all, &whole, &redriven);
        std::fs::write(file, page).with_context(|| format!("write {}", file.display()))?;
    }
    if let Some(file) = &args.json {
        let settings = serde_json::json!({
            "rounds": args.rounds, "records": args.records, "ledger_records": args.ledger_records,
            "feed_events": args.feed_events, "erp_events": args.erp_events, "generated": args.generated, "value_bytes": record::VALUE_BYTES, "partitions": place::PARTITIONS,
        });
        let json = serde_json::to_string_pretty(&report::json(&machine, &settings, &all, &whole, &redriven))?;
        std::fs::write(file, json).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

async fn compare(args: &Args) -> Result<(Machine, Vec<rounds::Measured>)> {
    let comparisons = comparisons(args);
    let servers = Servers::start().await.context("start the servers")?;
    let machine = Machine::describe(servers.postgres_version());
    let topics: BTreeSet<_> = comparisons.iter().map(|comparison| comparison.topic.clone()).collect();
    for topic in &topics {
        eprintln!("filling {} with {} records", topic.name, topic.records);
        servers.fill(topic).await?;
    }
    let mut all = Vec::with_capacity(comparisons.len());
    for comparison in comparisons {
        eprintln!("{}: {}", comparison.case, comparison.ours.0);
        all.push(rounds::measure(&servers.place(), &comparison, args.rounds).await?);
    }
    servers.stop().await?;
    Ok((machine, all))
}

impl Args {
    fn of_whole(&self) -> whole::Asked {
        let limits = held::Limits {
            resident_mb: self.limit_resident,
            files: self.limit_files,
            connections: self.limit_connections,
            transaction_ms: self.limit_transaction,
        };
        whole::Asked {
            events: self.generated,
            real: !self.generated_only,
            letter_every: self.letter_every,
            limits: self.limit.then_some(limits),
        }
    }
}

fn wanted(args: &Args, case: Case) -> bool {
    args.cases.is_empty() || args.cases.contains(&case)
}

fn comparisons(args: &Args) -> Vec<Comparison> {
    let mut all = Vec::new();
    if wanted(args, Case::Noop) {
        all.extend(plan::noop(args.records));
    }
    if wanted(args, Case::Ledger) {
        all.extend(plan::ledger(args.ledger_records));
    }
    if wanted(args, Case::Effects) {
        all.extend(plan::effects());
    }
    all
}
