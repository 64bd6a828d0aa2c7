//! `throughline topics`: the topics that one file declares, against those of the cluster.

use super::projection;
use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{StackArgs, broker_trouble},
};
use clap::{Args, Subcommand};
use events::Generation;
use kafka::{
    ActualTopic, Admin,
    topics::{self, Change, Declared, PlanOptions},
};
use serde::Serialize;
use std::path::PathBuf;

/// The file of the repository this program was built from.
const DECLARED: &str = include_str!("../../../../deploy/topics.yaml");

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Show the declared topics and what the cluster has of them
    Ls(TopicsArgs),
    /// Show what `apply` would do; exit 1 if a difference is refused
    Diff(PlanArgs),
    /// Create and alter topics as declared; never deletes, never shrinks
    Apply(ApplyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TopicsArgs {
    /// Declarations (YAML) instead of those this program was built with
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only what this generation of the analytics topics has of its own
    #[arg(long, value_name = "N", value_parser = projection::parse_generation)]
    generation: Option<Generation>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Copies of each topic instead of the declared number, for clusters of fewer brokers
    #[arg(long, value_name = "N")]
    replication: Option<i32>,
    #[command(flatten)]
    topics: TopicsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Show what would be done, change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also add partitions where more are declared: keys move, and their order breaks
    #[arg(long)]
    grow: bool,
    #[command(flatten)]
    plan: PlanArgs,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    declared: Option<i32>,
    partitions: Option<i32>,
    owner: Option<String>,
    state: &'static str,
    doc: Option<String>,
}

/// One difference, and what becomes of it.
#[derive(Serialize)]
struct Difference {
    topic: String,
    /// `create`, `alter`, `grow`, `shrink` or `replication`.
    change: &'static str,
    /// `planned`, `done`, `skipped` (needs --grow) or `refused`.
    state: &'static str,
    detail: String,
}

pub(crate) async fn run(command: &TopicsCommand, output: &Output) -> Result<Exit> {
    match command {
        TopicsCommand::Ls(args) => list(args, output).await,
        TopicsCommand::Diff(args) => show(args, true, false, output).await,
        TopicsCommand::Apply(args) => show(&args.plan, args.dry_run, args.grow, output).await,
    }
}

impl TopicsArgs {
    fn declared(&self) -> Result<Declared> {
        let text = match &self.file {
            None => DECLARED.to_owned(),
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                Trouble::usage(format!("{}: {error}", file.display())).hint("name a file of topics")
            })?,
        };
        let declared = Declared::parse(&text).map_err(|problems| {
            let file =
                self.file.as_ref().map_or_else(|| "the declarations".to_owned(), |file| file.display().to_string());
            let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
            let message = format!("{file}: {} problems\n{}", problems.len(), lines.join("\n"));
            Trouble { code: "TOPICS_INVALID".to_owned(), ..Trouble::usage(message).hint("mend them all and try again") }
        })?;
        Ok(match self.generation {
            Some(generation) => declared.of_generation(projection::SERVICE, generation),
            None => declared,
        })
    }

    fn admin(&self) -> Result<Admin> {
        Admin::connect(&self.stack.resolve()?.kafka()?).map_err(|error| broker_trouble(&error))
    }
}

async fn list(args: &TopicsArgs, output: &Output) -> Result<Exit> {
    let declared = args.declared()?;
    let mut found = args.admin()?.list().await.map_err(|error| broker_trouble(&error))?;
    let mut rows: Vec<Row> = Vec::new();
    for topic in declared.topics {
        let partitions = found.remove(&topic.name);
        let state = match partitions {
            None => "missing",
            Some(count) if count == topic.partitions => "ok",
            Some(_) => "differs",
        };
        let (owner, doc) = (Some(topic.owner), Some(topic.doc));
        rows.push(Row { topic: topic.name, declared: Some(topic.partitions), partitions, owner, state, doc });
    }
    let others = found.into_iter().map(|(topic, partitions)| Row {
        topic,
        declared: None,
        partitions: Some(partitions),
        owner: None,
        state: "undeclared",
        doc: None,
    });
    rows.extend(others);
    output.answer(&Answer::list("topics", rows, &["topic", "state", "declared", "partitions", "owner", "doc"]));
    Ok(Exit::Done)
}

async fn show(args: &PlanArgs, dry_run: bool, grow: bool, output: &Output) -> Result<Exit> {
    let declared = args.topics.declared()?;
    let admin = args.topics.admin()?;
    let actual: Vec<ActualTopic> = topics::actual(&admin, &declared).await.map_err(|error| broker_trouble(&error))?;
    let changes = topics::plan(&declared, &actual, PlanOptions { replication: args.replication });
    if !dry_run {
        topics::apply(&admin, &actual, &changes, grow).await.map_err(|error| broker_trouble(&error))?;
    }
    let refused = changes.iter().any(Change::is_refused);
    let rows: Vec<_> = changes.iter().map(|change| difference(change, dry_run, grow)).collect();
    let same = rows.is_empty();
    let answer = Answer::list("changes", rows, &["topic", "change", "state", "detail"]);
    let answer = answer.with("dry_run", dry_run).with("refused", refused);
    output.answer(&if same {
        answer.said(format!("all {} topics are as declared", declared.topics.len()))
    } else {
        answer
    });
    Ok(if refused { Exit::Failed } else { Exit::Done })
}

fn difference(change: &Change, dry_run: bool, grow: bool) -> Difference {
    let carried_out = if dry_run { "planned" } else { "done" };
    let (topic, name, state) = match change {
        Change::Create(spec) => (&spec.name, "create", carried_out),
        Change::Alter { topic, .. } => (topic, "alter", carried_out),
        Change::Grow { topic, .. } if grow => (topic, "grow", carried_out),
        Change::Grow { topic, .. } => (topic, "grow", "skipped"),
        Change::Shrink { topic, .. } => (topic, "shrink", "refused"),
        Change::Replication { topic, .. } => (topic, "replication", "refused"),
    };
    Difference { topic: topic.clone(), change: name, state, detail: change.to_string() }
}
