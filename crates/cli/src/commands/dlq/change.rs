//! Changing what becomes of letters: plan, look, apply.

use super::{
    selection::SelectionArgs,
    watch::{self, Wait},
};
use crate::{
    commands::replay,
    control::{Control, ControlArgs},
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Letters to be processed again
    Retry(PlanArgs),
    /// Letters to be given up
    Discard(PlanArgs),
    /// Discarded letters to be brought back
    Restore(PlanArgs),
    /// Letters of a person who is to be forgotten
    Erase(PlanArgs),
    /// Letters to be put on another topic for good
    Move(PlanMoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PlanMoveArgs {
    /// The topic to move to
    #[arg(long, value_name = "TOPIC")]
    to: String,
    #[command(flatten)]
    plan: PlanArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The topic to move to
    #[arg(long, value_name = "TOPIC")]
    to: String,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Where: `parked` tries letters where they wait, in their service alone; `original` shows them, besides, to every reader of the
    /// topic they came from
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    to: Whereto,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Where a retry goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Whereto {
    #[default]
    Parked,
    Original,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    pace: PaceArgs,
    /// Write the plan to this file, for `dlq apply`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PaceArgs {
    /// Letters a second at most, such as 50 or 50/s
    #[arg(long, value_parser = parse_rate)]
    rate: Option<u32>,
    /// Sizes of the first batches, such as 1,10,100
    #[arg(long, value_delimiter = ',')]
    ramp: Vec<u32>,
    /// Refuse to plan more letters than this
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// Stop when so many (100) or so much (5%) failed again
    #[arg(long, value_name = "N|N%")]
    stop_on: Option<String>,
    /// Stop when so many in a row failed again with one cause
    #[arg(long, value_name = "N")]
    stop_on_same: Option<u32>,
    /// Leave out letters that were tried again more often than this
    #[arg(long, value_name = "N")]
    max_replays: Option<u32>,
    /// How many seconds the service may take to predict; 0 asks it nothing
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    predict: u32,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Why; kept in the audit
    #[arg(long)]
    pub(super) reason: String,
    /// A ticket it belongs to
    #[arg(long)]
    ticket: Option<String>,
    /// Leave out letters that are not what the plan says any more
    #[arg(long)]
    skip_changed: bool,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The plan file
    file: PathBuf,
    /// Do it without asking (a plan that shows letters to all readers of their topics asks)
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    start: StartArgs,
    /// Show what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    control: ControlArgs,
}

/// Above this many, a person types the count instead of `y`.
const MANY: usize = 100;

fn parse_rate(text: &str) -> std::result::Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse().map_err(|_| "write 50 or 50/s".to_owned())?;
    if number == 0 { Err("a rate is at least 1".to_owned()) } else { Ok(number) }
}

impl PaceArgs {
    fn fields(&self, verb: &str) -> Result<Map<String, Value>> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Option<Value>| value.map(|value| fields.insert(name.to_owned(), value));
        put("rate", self.rate.map(Value::from));
        put("max", self.max.map(Value::from));
        put("stop_same", self.stop_on_same.map(Value::from));
        let ramp: Vec<String> = self.ramp.iter().map(u32::to_string).collect();
        put("ramp", (!ramp.is_empty()).then(|| json!(ramp)));
        if let Some(stop) = &self.stop_on {
            let wrong =
                || Trouble::usage(format!("--stop-on {stop}: write a number such as 100, or a share such as 5%"));
            match stop.strip_suffix('%') {
                Some(percent) => put("stop_percent", Some(json!(percent.parse::<u8>().map_err(|_| wrong())?))),
                None => put("stop_after", Some(json!(stop.parse::<u32>().map_err(|_| wrong())?))),
            };
        }
        if ["retry", "original"].contains(&verb) {
            put("predict_seconds", Some(json!(self.predict)));
            put("max_replays", self.max_replays.map(Value::from));
        } else if self.max_replays.is_some() {
            return Err(Trouble::usage("--max-replays belongs to a retry"));
        }
        Ok(fields)
    }
}

/// What is wanted: the word of the route, and for a move the topic.
type Wanted<'a> = (&'a str, Option<&'a str>);

async fn planned(control: &Control, wanted: Wanted<'_>, selection: &SelectionArgs, pace: &PaceArgs) -> Result<Value> {
    let (verb, to) = wanted;
    let mut body = selection.fields()?;
    body.extend(pace.fields(verb)?);
    body.extend(to.map(|to| ("to".to_owned(), json!(to))));
    let mut file = control.post(&format!("/v1/plan/{verb}"), body).await?;
    if let Value::Object(fields) = &mut file {
        fields.remove("v");
    }
    Ok(file)
}

pub(super) async fn plan(command: &PlanCommand, output: &Output) -> Result<Exit> {
    let (wanted, args) = match command {
        PlanCommand::Retry(args) => (("retry", None), args),
        PlanCommand::Discard(args) => (("discard", None), args),
        PlanCommand::Restore(args) => (("restore", None), args),
        PlanCommand::Erase(args) => (("erase", None), args),
        PlanCommand::Move(args) => (("move", Some(args.to.as_str())), &args.plan),
    };
    let file = planned(&args.control.connect()?, wanted, &args.selection, &args.pace).await?;
    let mut text = told(&file["plan"]);
    if let Some(path) = &args.save {
        save(path, &file)?;
        let _ = writeln!(text, "\nnext: throughline dlq apply {} --reason \"…\"", path.display());
    }
    output.answer(&Answer::fields(file).said(text));
    Ok(Exit::Done)
}

pub(in crate::commands) fn save(path: &Path, file: &Value) -> Result<()> {
    let is_long = file["plan"]["items"].as_array().is_some_and(|items| items.len() > 1_000);
    let text = if is_long { format!("{file}\n") } else { format!("{file:#}\n") };
    std::fs::write(path, text).map_err(|error| Trouble::failed("FILE", format!("{}: {error}", path.display())))
}

pub(in crate::commands) fn read_plan(file: &Path) -> Result<Value> {
    let wrong = |what: String| Trouble::usage(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text)
        .map_err(|error| wrong(format!("no JSON (line {}, column {})", error.line(), error.column())))
}

pub(super) async fn apply(args: &ApplyArgs, output: &Output) -> Result<Exit> {
    let file = read_plan(&args.file)?;
    if route(&file["plan"]) == "original" {
        confirm(&file["plan"], args.yes, output)?;
    }
    start(&args.control.connect()?, &file, &args.start, output).await
}

pub(super) async fn retry(args: &RetryArgs, output: &Output) -> Result<Exit> {
    let change = &args.change;
    if let Some(topic) = change.selection.foreign_topic() {
        if args.to == Whereto::Original {
            return Err(Trouble::usage(format!(
                "{topic} holds somebody else's letters: they go to one service, with --service"
            )));
        }
        let wanted = change.selection.of_topic(topic, change.pace.max_replays)?;
        let way = replay::Way {
            rate: change.pace.rate,
            dry_run: change.dry_run,
            yes: change.yes,
            reason: &change.start.reason,
            outcome: change.start.wait.patience(),
        };
        return replay::at_once(&change.control.connect()?, wanted, &way, output).await;
    }
    let verb = if args.to == Whereto::Original { "original" } else { "retry" };
    at_once((verb, None), change, output).await
}

pub(super) async fn move_away(args: &MoveArgs, output: &Output) -> Result<Exit> {
    at_once(("move", Some(&args.to)), &args.change, output).await
}

pub(super) async fn at_once(wanted: Wanted<'_>, args: &ChangeArgs, output: &Output) -> Result<Exit> {
    let control = args.control.connect()?;
    let file = planned(&control, wanted, &args.selection, &args.pace).await?;
    if args.dry_run {
        let text = told(&file["plan"]);
        output.answer(&Answer::fields(file).said(format!("{text}nothing was changed")));
        return Ok(Exit::Done);
    }
    confirm(&file["plan"], args.yes, output)?;
    start(&control, &file, &args.start, output).await
}

/// Retries or discards one letter, and stays with the job.
pub(in crate::commands) async fn one(
    control: &Control,
    (verb, id): (&str, &str),
    reason: &str,
    output: &Output,
) -> Result<Exit> {
    let selection = SelectionArgs::of_one(id);
    let pace = PaceArgs {
        rate: None,
        ramp: Vec::new(),
        max: None,
        stop_on: None,
        stop_on_same: None,
        max_replays: None,
        predict: 0,
    };
    let file = planned(control, (verb, None), &selection, &pace).await?;
    let args = StartArgs { reason: reason.to_owned(), ticket: None, skip_changed: false, wait: Wait::default() };
    start(control, &file, &args, output).await
}

/// Starts the job of a plan, and stays with it unless told otherwise.
pub(super) async fn start(control: &Control, file: &Value, args: &StartArgs, output: &Output) -> Result<Exit> {
    let verb = route(&file["plan"]);
    if !["retry", "original", "discard", "restore", "edit", "move", "erase"].contains(&verb) {
        let hint = "make one: throughline dlq plan retry … --save plan.json";
        return Err(Trouble::usage("this is no plan").hint(hint));
    }
    let body = json!({ "plan": file, "reason": args.reason, "ticket": args.ticket, "skip_changed": args.skip_changed });
    let Value::Object(body) = body else { return Ok(Exit::Failed) };
    let answer = control.post(&format!("/v1/apply/{verb}"), body).await?;
    if let Some(skipped) = answer["skipped"].as_u64().filter(|skipped| *skipped > 0) {
        output.note(format!("left out {skipped} letters that changed since the plan"));
    }
    watch::follow(control, answer["job"].clone(), &args.wait, output).await
}

/// The route that applies a plan.
fn route(plan: &Value) -> &str {
    match (plan["action"].as_str(), plan["target"]["to"].as_str()) {
        (Some("retry"), Some(_)) => "original",
        (action, _) => action.unwrap_or_default(),
    }
}

/// Asks, unless told not to. Without a terminal nobody could answer.
pub(super) fn confirm(plan: &Value, yes: bool, output: &Output) -> Result<()> {
    if yes {
        return Ok(());
    }
    output.note(told(plan));
    let count = plan["items"].as_array().map_or(0, Vec::len);
    if !io::stdin().is_terminal() && route(plan) == "original" {
        let message = "every reader of the topics would see these records";
        let trouble = Trouble { exit: Exit::Refused, ..Trouble::failed("NEEDS_YES", message) };
        return Err(trouble.hint("look at the groups above, then add --yes"));
    }
    if !io::stdin().is_terminal() {
        return Err(Trouble::usage("nobody is here to confirm").hint("add --yes, or --dry-run to look"));
    }
    let (question, wanted) = if count > MANY {
        (format!("type {count} to go on: "), count.to_string())
    } else {
        ("go on? [y/N] ".to_owned(), "y".to_owned())
    };
    let _ = write!(io::stderr(), "{question}");
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    if answer.trim().eq_ignore_ascii_case(&wanted) { Ok(()) } else { Err(Trouble::interrupted()) }
}

/// The consumer groups by topic.
fn readers(groups: &Value) -> String {
    let names = |groups: &Value| {
        let names: Vec<_> = groups.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() { "no group".to_owned() } else { names.join(", ") }
    };
    let topics = groups.as_object().map(|topics| topics.iter().map(|(topic, of)| format!("{topic}: {}", names(of))));
    topics.map_or_else(String::new, |topics| topics.collect::<Vec<_>>().join("; "))
}

/// A plan for people.
pub(super) fn told(plan: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let counts = |value: &Value| -> String {
        let pairs =
            value.as_object().map(|fields| fields.iter().map(|(name, count)| format!("{count} {name}")).collect());
        pairs.map_or_else(String::new, |pairs: Vec<_>| pairs.join(", "))
    };
    let items = plan["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = format!(
        "{} {} letters of {}, as of {}\n",
        word(&plan["action"]),
        items.len(),
        word(&plan["service"]),
        word(&plan["cut_off"])
    );
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:14} {value}");
        }
    };
    line("by code", counts(&plan["by_code"]));
    line("would", counts(&plan["predicted"]));
    line("behind them", format!("{} records move by themselves", plan["followers"]));
    line("money (minor)", counts(&plan["at_risk"]));
    let left_out = plan["left_out"].as_u64().filter(|count| *count > 0);
    line("left out", left_out.map(|count| format!("{count} tried too often")).unwrap_or_default());
    if plan["target"].is_object() {
        line("copies go to", word(&plan["target"]["to"]));
        let unknown = plan["target"]["groups_are_known"] == false;
        line(
            "seen by",
            if unknown {
                "the broker does not tell which groups read them".to_owned()
            } else {
                readers(&plan["target"]["groups"])
            },
        );
    }
    let estimate = plan["estimate_seconds"].as_u64();
    line(
        "time",
        estimate.map_or_else(
            || "as fast as the other side and live traffic allow".to_owned(),
            |seconds| match plan["estimated_by"].as_str() {
                Some("last_job") => format!("about {seconds} s, as fast as the last job went"),
                _ => format!("about {seconds} s, at the rate"),
            },
        ),
    );
    for item in items.iter().take(10) {
        let note = item["note"].as_str().map(|note| format!(": {note}")).unwrap_or_default();
        let _ = writeln!(text, "  {}  {}{note}", word(&item["id"]), word(&item["predicted"]));
    }
    if items.len() > 10 {
        let _ = writeln!(text, "  … and {} more", items.len() - 10);
    }
    for change in plan["edit"]["diff"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let _ = writeln!(text, "  {}\n    - {}\n    + {}", word(&change["field"]), change["before"], change["after"]);
    }
    text
}
