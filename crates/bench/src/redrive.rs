//! A hundred thousand letters are redriven on real parts while live events go on: how fast they go, and what the live events pay.
//!
//! Everything is done as an operator does it, by the command line against `control`: plan, apply at a rate, pause, `kill -9` of the
//! service, resume, cancel, and a second plan for what is left. No figure unless `verify` and the audit hold.

use crate::{
    live::{self, Latency, Live},
    publish::{self, publish},
};
use anyhow::{Context as _, Result, bail, ensure};
use devstack::{Kind, Stack, StackConfig};
use events::{Envelope, Event};
use kafka::{ClientConfig, RegistryConfig};
use ledger::{JobState, Ledger, ParkedFilter};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use testkit::{business::Options, eventually, scratch::Scratch};
use verify::{ServiceSource, Sources};

const SERVICE: &str = "erp-sync";
/// A step that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Months of the business whose events become letters: each account has about a hundred of them.
const MONTHS: u32 = 80;
/// So many letters would stop the line: here they are what is wanted.
const LETTERS_STOP_NOBODY: [(&str, &str); 2] =
    [("THROUGHLINE_RUNTIME_LETTERS_PERCENT", "0"), ("THROUGHLINE_RUNTIME_LETTERS_IN_ROW", "1000000")];
/// So that they end where the ERP's calendar has periods.
const START: jiff::civil::Date = jiff::civil::date(2020, 1, 1);
const RECORDS: &str = "/services/rest/record/v1";

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Sequences that hold letters.
    pub sequences: u32,
    /// Live events a second.
    pub live: u32,
    /// Letters a second, the rate of the measured job.
    pub rate: u32,
    /// Length of the measured time without a job.
    pub alone: Duration,
}

/// What it came to.
#[derive(Debug, Serialize)]
pub struct Redriven {
    /// Rows that were parked when the first plan was made, and the sequences they lie in.
    pub letters: u64,
    pub sequences: u64,
    pub causes: u64,
    pub plan_seconds: f64,
    /// Rows that ended while the measured job ran, a second.
    pub per_second: f64,
    pub live_per_second: u32,
    /// From publishing to the ERP's commit.
    pub alone: Latency,
    pub beside: Latency,
    /// Kills of the service in between.
    pub kills: u32,
    pub compared: u64,
}

struct Run {
    stack: Stack,
    data: PathBuf,
    binaries: PathBuf,
    ledger: Arc<dyn Ledger>,
    sources: Sources,
    http: reqwest::Client,
    /// Keeps the stack's folder.
    _scratch: Scratch,
}

pub async fn measure(asked: &Asked) -> Result<Redriven> {
    let run = Run::start().await?;
    run.refuse().await?;
    let published = publish(&run.stack.endpoints(), business(7, asked.sequences, MONTHS)?, |_| {}).await?;
    eprintln!("redrive: {published} events published while the ERP refuses");
    verify::wait_until_quiet(&run.sources, PATIENCE, |_| {}).await?;
    let (letters, sequences) = run.waiting().await?;
    let causes = run.ledger.letter_counts(&ParkedFilter { limit: 99, ..ParkedFilter::default() }).await?.len() as u64;
    eprintln!("  {letters} letters in {sequences} sequences, of {causes} causes");
    run.heal().await?;

    let live = Live::start(&run.stack.endpoints(), business(99, 20_000, 6)?, asked.live).await?;
    let alone = live::now();
    tokio::time::sleep(asked.alone).await;
    let alone = (alone, live::now());
    let begun = Instant::now();
    let plan = run.plan(asked.rate).await?;
    let plan_seconds = begun.elapsed().as_secs_f64();
    eprintln!("  planned in {plan_seconds:.1} s");
    run.story(&plan, letters).await?;

    let (before, _) = run.waiting().await?;
    let from = live::now();
    let begun = Instant::now();
    run.rest(asked.rate).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let to = live::now();
    let live = live.stop().await?;

    let report = verify::verify_at_rest(&run.sources, PATIENCE, |_| {}).await?;
    let commits = run.commits().await?;
    ensure!(report.ok, "no figure: verification failed: {report:#?}");
    run.throughline(&["audit", "verify"]).await.context("no figure: the audit")?;
    run.stack.stop().await?;
    Ok(Redriven {
        letters,
        sequences,
        causes,
        plan_seconds,
        per_second: before as f64 / seconds,
        live_per_second: asked.live,
        alone: live.latency(&commits, alone.0, alone.1)?,
        beside: live.latency(&commits, from, to)?,
        kills: 1,
        compared: report.checks.iter().map(|check| check.counted).sum(),
    })
}

fn business(seed: u64, accounts: u32, months: u32) -> Result<impl Iterator<Item = (Envelope, Event)> + Send> {
    publish::of(&Options { start: START, ..Options::new(seed, accounts).over_months(months) })
}

impl Run {
    async fn start() -> Result<Self> {
        let scratch = Scratch::try_new("bench-redrive")?;
        let data = scratch.join("stack");
        let own = std::env::current_exe()?;
        let binaries = own.parent().context("the folder of the binaries")?.to_owned();
        let environment = LETTERS_STOP_NOBODY.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let config =
            StackConfig { binaries: Some(binaries.clone()), environment, ..StackConfig::new(Kind::Real, &data) };
        let stack = Stack::start(config.with_service(SERVICE, 1).with_service("control", 1)).await?;
        let endpoints = stack.endpoints();
        let postgres = endpoints.postgres.clone().context("the stack has no PostgreSQL")?;
        let ledger = ledger::open(&ledger::Config::new(postgres, SERVICE.replace('-', "_"))).await?;
        let sources = Sources {
            kafka: ClientConfig::new(&endpoints.kafka),
            registry: RegistryConfig::new(&endpoints.registry),
            service: ServiceSource { name: SERVICE.to_owned(), ledger: ledger.clone() },
            outside: vec![endpoints.erp.clone()],
        };
        Ok(Self { stack, data, binaries, ledger, sources, http: reqwest::Client::new(), _scratch: scratch })
    }

    fn admin(&self, path: &str) -> String {
        format!("{}/__admin/{path}", self.stack.endpoints().erp)
    }

    /// Each stage of a customer refuses a third of all, so that letters have three causes.
    async fn refuse(&self) -> Result<()> {
        let rules =
            [("customer", 0.34, "on credit hold"), ("salesOrder", 0.5, "no such item"), ("invoice", 1.0, "odd")];
        for (object, probability, detail) in rules {
            let rule = json!({
                "id": object, "method": "POST", "path": format!("{RECORDS}/{object}"), "probability": probability,
                "error": "USER_ERROR", "detail": detail,
            });
            self.http.post(self.admin("faults")).json(&rule).send().await?.error_for_status()?;
        }
        Ok(())
    }

    async fn heal(&self) -> Result<()> {
        self.http.delete(self.admin("faults")).send().await?.error_for_status()?;
        Ok(())
    }

    /// The ERP's own log, line by line.
    async fn commits(&self) -> Result<String> {
        Ok(self.http.get(self.admin("effects")).send().await?.error_for_status()?.text().await?)
    }

    /// Rows that wait, and sequences that hold them.
    async fn waiting(&self) -> Result<(u64, u64)> {
        let sequences = self.ledger.sequences(None).await?;
        let rows: i64 = sequences.iter().map(|sequence| sequence.depth).sum();
        Ok((u64::try_from(rows)?, sequences.len() as u64))
    }

    async fn until_waiting(&self, is_so: impl Fn(u64) -> bool) -> Result<u64> {
        let waiting = eventually("fewer letters wait", PATIENCE, async || {
            let (rows, sequences) = self.waiting().await.map_err(|error| error.to_string())?;
            if is_so(rows) { Ok(rows) } else { Err(format!("{rows} in {sequences} sequences")) }
        });
        waiting.await.map_err(anyhow::Error::msg)
    }

    async fn throughline(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = tokio::process::Command::new(self.binaries.join("throughline"));
        command.args(arguments).args(["--output", "json"]).arg("--data").arg(&self.data).stdin(Stdio::null());
        let output = command.output().await.context("run throughline")?;
        if !output.status.success() {
            bail!(
                "throughline {}: {}: {}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }

    async fn plan(&self, rate: u32) -> Result<PathBuf> {
        let file = self.data.join("redrive.plan.json");
        let (path, rate) = (text(&file)?, rate.to_string());
        let mut arguments =
            vec!["dlq", "plan", "retry", "--service", SERVICE, "--all", "--state", "all", "--save", path];
        arguments.extend(["--rate", &*rate, "--ramp", "1,10,100"]);
        self.throughline(&arguments).await?;
        Ok(file)
    }

    /// Answers the id of the job.
    async fn apply(&self, plan: &Path) -> Result<String> {
        let path = text(plan)?;
        let apply = ["dlq", "apply", path, "--reason", "the ERP is mended", "--skip-changed", "--detach"];
        let answer = self.throughline(&apply).await?;
        answer["job"]["id"].as_str().map(str::to_owned).with_context(|| format!("no job in {answer}"))
    }

    async fn job(&self, id: &str, what: &str, state: JobState) -> Result<()> {
        eventually(what, PATIENCE, async || {
            let job = self.ledger.job(id).await.map_err(|error| error.to_string())?.ok_or("there is no such job")?;
            if job.state == state { Ok(()) } else { Err(format!("{job:?}")) }
        })
        .await
        .map_err(anyhow::Error::msg)
    }

    /// All that is left. What the cancelled job had begun ends beside it: such letters are no longer as planned, and are left out.
    async fn rest(&self, rate: u32) -> Result<()> {
        const ROUNDS: usize = 5;
        for _ in 0..ROUNDS {
            if self.waiting().await?.0 == 0 {
                return Ok(());
            }
            let plan = match self.plan(rate).await {
                // The last ones ended before they were planned.
                Err(_) if self.waiting().await?.0 == 0 => return Ok(()),
                plan => plan?,
            };
            let job = self.apply(&plan).await?;
            self.job(&job, "the job ends", JobState::Finished).await?;
        }
        bail!("{} letters are left after {ROUNDS} jobs", self.waiting().await?.0)
    }

    /// What may happen to a job: a pause, a kill, a resume, a cancel.
    async fn story(&self, plan: &Path, letters: u64) -> Result<()> {
        let job = self.apply(plan).await?;
        self.until_waiting(|left| left < letters * 19 / 20).await?;
        self.throughline(&["job", "pause", &job, "--reason", "a look at the books"]).await?;
        self.stack.kill(SERVICE).await?;
        self.job(&job, "the job rests", JobState::Paused).await?;
        self.throughline(&["job", "resume", &job, "--reason", "the books are right"]).await?;
        self.until_waiting(|left| left < letters * 9 / 10).await?;
        self.throughline(&["job", "cancel", &job, "--reason", "the rest goes by a plan of its own"]).await?;
        self.job(&job, "the job is cancelled", JobState::Cancelled).await?;
        let (left, sequences) = self.waiting().await?;
        eprintln!("  cancelled with {left} letters in {sequences} sequences left");
        Ok(())
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the folder's name is no text")
}
