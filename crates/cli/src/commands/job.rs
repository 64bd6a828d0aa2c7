//! `throughline job`: work on letters that was started, wherever it was started from.

use super::dlq::watch::{self, Wait};
use crate::{
    control::{ControlArgs, part},
    exit::{Exit, Result},
    output::{Answer, Output},
};
use clap::{Args, Subcommand};
use serde_json::{Map, json};

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List jobs, the newest first
    Ls(ListArgs),
    /// Show what became of each letter of a job
    Show(OneArgs),
    /// Stay with a job until it ends; Ctrl-C leaves it
    Watch(WatchArgs),
    /// Let a job rest; what it has begun, it ends
    Pause(SetArgs),
    /// Let a paused job go on
    Resume(SetArgs),
    /// End a job; what was not begun is released
    Cancel(SetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those that are not over
    #[arg(long)]
    live: bool,
    #[arg(long)]
    service: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    id: String,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    id: String,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    id: String,
    /// Why; kept in the audit
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    control: ControlArgs,
}

const COLUMNS: &[&str] =
    &["id", "service", "verb", "state", "total", "done", "refailed", "pending", "who", "reason", "created", "stopped"];

pub(crate) async fn run(command: &JobCommand, output: &Output) -> Result<Exit> {
    match command {
        JobCommand::Ls(args) => list(args, output).await,
        JobCommand::Show(args) => show(args, output).await,
        JobCommand::Watch(args) => {
            let control = args.control.connect()?;
            let answer = control.get(&format!("/v1/jobs/{}", part(&args.id)), &[]).await?;
            watch::follow(&control, answer["job"].clone(), &args.wait, output).await
        }
        JobCommand::Pause(args) => set("pause", args, output).await,
        JobCommand::Resume(args) => set("resume", args, output).await,
        JobCommand::Cancel(args) => set("cancel", args, output).await,
    }
}

async fn list(args: &ListArgs, output: &Output) -> Result<Exit> {
    let mut query: Vec<_> = args.service.iter().map(|service| ("service".to_owned(), service.clone())).collect();
    if args.live {
        query.push(("live".to_owned(), "true".to_owned()));
    }
    let mut answer = args.control.connect()?.get("/v1/jobs", &query).await?;
    output.answer(&Answer::list("jobs", answer["jobs"].take(), COLUMNS));
    Ok(Exit::Done)
}

async fn show(args: &OneArgs, output: &Output) -> Result<Exit> {
    let control = args.control.connect()?;
    let path = format!("/v1/jobs/{}", part(&args.id));
    let job = control.get(&path, &[]).await?;
    let mut items = control.get(&format!("{path}/items"), &[("limit".to_owned(), "1000".to_owned())]).await?;
    if items["next"].is_string() {
        output.note("only the first 1000 letters are shown");
    }
    let items = items["items"].take();
    let answer = Answer::list("items", items, &["id", "state", "ended", "code", "note", "at"]);
    output.answer(&answer.with("job", &job["job"]).above(watch::line(&job["job"])));
    Ok(Exit::Done)
}

async fn set(action: &str, args: &SetArgs, output: &Output) -> Result<Exit> {
    let reason = Map::from_iter([("reason".to_owned(), json!(args.reason))]);
    let answer = args.control.connect()?.post(&format!("/v1/jobs/{}/{action}", part(&args.id)), reason).await?;
    let text = watch::line(&answer["job"]);
    output.answer(&Answer::fields(answer).said(text));
    Ok(Exit::Done)
}
