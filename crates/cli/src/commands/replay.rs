//! `throughline replay`: records of a topic to one service again. Nothing that was applied is applied again.

use super::dlq::save;
use crate::{
    control::{Control, ControlArgs},
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    path::PathBuf,
    time::{Duration, Instant},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ReplayCommand {
    /// Say of each record what the service did or would do with it; changes nothing
    Plan(PlanArgs),
    /// Put what had no effect yet on the service's replay topic; repeated, it goes on where it ended
    Apply(ApplyArgs),
    /// Show what became of the records that a plan has put
    Outcome(OutcomeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The service that shall see the records
    #[arg(long)]
    service: String,
    /// A topic that it reads, or one of dead letters that any tool wrote
    #[arg(long)]
    topic: String,
    /// Timestamp at or after: RFC 3339, or 2h for two hours ago
    #[arg(long)]
    since: Option<String>,
    /// Timestamp before
    #[arg(long)]
    until: Option<String>,
    /// Record key
    #[arg(long)]
    key: Option<String>,
    /// Event type, or how it ends
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// All records of the topic, where nothing else is chosen
    #[arg(long)]
    all: bool,
    /// Write the plan to this file, for `replay apply`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The plan file
    file: PathBuf,
    /// Why; kept in the audit
    #[arg(long)]
    reason: String,
    /// Records a second at most
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// How long to wait until the service is done with what was put, such as 2m; 0s: not at all
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = service::config::parse_duration)]
    wait: Duration,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OutcomeArgs {
    /// The hash of the plan
    plan: String,
    #[arg(long)]
    service: String,
    #[command(flatten)]
    control: ControlArgs,
}

/// How a plan is applied.
pub(crate) struct Way<'a> {
    pub(crate) rate: Option<u32>,
    pub(crate) dry_run: bool,
    pub(crate) yes: bool,
    pub(crate) reason: &'a str,
    /// How long to wait for the service; `None`: not at all.
    pub(crate) outcome: Option<Duration>,
}

const LOOK: Duration = Duration::from_millis(500);
/// Records that one request puts.
const BATCH: u32 = 2_000;

pub(crate) async fn run(command: &ReplayCommand, output: &Output) -> Result<Exit> {
    match command {
        ReplayCommand::Plan(args) => plan(args, output).await,
        ReplayCommand::Apply(args) => {
            let file = crate::commands::dlq::read_plan(&args.file)?;
            let patience = Some(args.wait).filter(|wait| !wait.is_zero());
            let way = Way { rate: args.rate, dry_run: false, yes: true, reason: &args.reason, outcome: patience };
            apply(&args.control.connect()?, &file, &way, output).await
        }
        ReplayCommand::Outcome(args) => {
            let answer = outcome(&args.control.connect()?, &args.service, &args.plan).await?;
            let text = counted(&answer["outcome"]["by_disposition"]);
            output.answer(&Answer::fields(answer).said(text));
            Ok(Exit::Done)
        }
    }
}

async fn plan(args: &PlanArgs, output: &Output) -> Result<Exit> {
    let PlanArgs { service, topic, since, until, key, event_type, all, save: path, control } = args;
    let mut body = Map::from_iter([("service".to_owned(), json!(service)), ("topic".to_owned(), json!(topic))]);
    for (name, value) in [("since", since), ("until", until), ("key", key), ("type", event_type)] {
        body.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    if *all {
        body.insert("all".to_owned(), json!(true));
    }
    let file = planned(&control.connect()?, body).await?;
    let mut text = told(&file["plan"]);
    if let Some(path) = path {
        save(path, &file)?;
        let _ = writeln!(text, "\nnext: throughline replay apply {} --reason \"…\"", path.display());
    }
    output.answer(&Answer::fields(file).said(text));
    Ok(Exit::Done)
}

async fn planned(control: &Control, body: Map<String, Value>) -> Result<Value> {
    let mut file = control.post("/v1/replay/plan", body).await?;
    if let Value::Object(fields) = &mut file {
        fields.remove("v");
    }
    Ok(file)
}

/// Plan, confirm, apply.
pub(crate) async fn at_once(
    control: &Control,
    wanted: Map<String, Value>,
    way: &Way<'_>,
    output: &Output,
) -> Result<Exit> {
    let file = planned(control, wanted).await?;
    if way.dry_run {
        let text = told(&file["plan"]);
        output.answer(&Answer::fields(file).said(format!("{text}nothing was changed")));
        return Ok(Exit::Done);
    }
    if !way.yes {
        output.note(told(&file["plan"]));
        if !io::stdin().is_terminal() {
            return Err(Trouble::usage("nobody is here to confirm").hint("add --yes, or --dry-run to look"));
        }
        let _ = write!(io::stderr(), "go on? [y/N] ");
        let mut answer = String::new();
        let _ = io::stdin().read_line(&mut answer);
        if !answer.trim().eq_ignore_ascii_case("y") {
            return Err(Trouble::interrupted());
        }
    }
    apply(control, &file, way, output).await
}

async fn apply(control: &Control, file: &Value, way: &Way<'_>, output: &Output) -> Result<Exit> {
    let plan = &file["plan"];
    let (service, hash) = (plan["service"].as_str().unwrap_or_default(), file["sha256"].as_str().unwrap_or_default());
    let most = way.rate.unwrap_or(BATCH).min(BATCH);
    loop {
        let begun = Instant::now();
        let body = json!({ "plan": file, "reason": way.reason, "most": most });
        let Value::Object(body) = body else { return Ok(Exit::Failed) };
        let answer = control.post("/v1/replay/apply", body).await?;
        let count = |name: &str| answer["replay"][name].as_u64().unwrap_or(0);
        output.note(format!("{} of {} records are on replay.{service}", count("done"), count("total")));
        if count("put") == 0 || count("done") >= count("total") {
            break;
        }
        if let Some(rate) = way.rate {
            // So many went in this request; the next begins when their time is over.
            let pause = Duration::from_secs_f64(count("put") as f64 / f64::from(rate));
            tokio::time::sleep(pause.saturating_sub(begun.elapsed())).await;
        }
    }
    ended(control, service, hash, way, output).await
}

/// Waits until the service has taken all that was put, and shows what became of it.
async fn ended(control: &Control, service: &str, hash: &str, way: &Way<'_>, output: &Output) -> Result<Exit> {
    let begun = Instant::now();
    loop {
        let answer = outcome(control, service, hash).await?;
        let waiting = answer["outcome"]["by_disposition"]["waiting"].as_u64().unwrap_or(0);
        let is_late = way.outcome.is_none_or(|patience| begun.elapsed() >= patience);
        if waiting == 0 || is_late {
            let text = format!(
                "{}\nshow it again: throughline replay outcome {hash} --service {service}",
                counted(&answer["outcome"]["by_disposition"])
            );
            output.answer(&Answer::fields(answer).said(text));
            return Ok(if waiting > 0 && way.outcome.is_some() { Exit::TimedOut } else { Exit::Done });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn outcome(control: &Control, service: &str, hash: &str) -> Result<Value> {
    let query = [("service", service), ("plan", hash)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    control.get("/v1/replay/outcome", &query).await
}

fn counted(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    if counts.is_empty() { "nothing was put".to_owned() } else { counts.join(", ") }
}

/// A plan for people.
fn told(plan: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let items = plan["items"].as_array().map_or(0, Vec::len);
    let (service, topic) = (word(&plan["service"]), word(&plan["topic"]));
    let mut text = format!(
        "replay {items} of {} records of {topic} to {service}, as of {}\n",
        plan["read"],
        word(&plan["cut_off"])
    );
    let _ = writeln!(text, "  would          {}", counted(&plan["predicted"]));
    for refused in plan["refused"].as_array().map(Vec::as_slice).unwrap_or_default().iter().take(10) {
        let _ = writeln!(text, "  {}  refused: {}", word(&refused["at"]), word(&refused["why"]));
    }
    text
}
