//! `throughline dlq rule`: what happens to letters without anybody looking at each.

use crate::{
    control::{ControlArgs, part},
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(crate) enum RuleCommand {
    /// Let letters be retried by a schedule, given up, or put on another topic, until a date
    Add(AddArgs),
    /// List rules, expired ones too
    Ls(ListArgs),
    /// Take a rule away
    Rm(RemoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// retry, discard or redirect
    action: String,
    /// Whose letters
    #[arg(long)]
    service: String,
    /// business, contract, poison or bug
    #[arg(long)]
    class: Option<String>,
    /// Such as PERIOD_CLOSED
    #[arg(long)]
    code: Option<String>,
    /// The group's fingerprint
    #[arg(long, value_name = "FINGERPRINT")]
    group: Option<String>,
    /// For retry: how often, such as 1h
    #[arg(long)]
    every: Option<String>,
    /// For redirect: the topic that gets them
    #[arg(long, value_name = "TOPIC")]
    to: Option<String>,
    /// When it ends: RFC 3339, within a year
    #[arg(long)]
    until: String,
    /// Who answers for it: a person or a team
    #[arg(long)]
    owner: String,
    /// Why; kept in the audit, and with each letter that it touches
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[arg(long)]
    service: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    id: String,
    #[arg(long)]
    service: String,
    /// Why; kept in the audit
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    control: ControlArgs,
}

const COLUMNS: &[&str] =
    &["id", "service", "state", "action", "every", "to", "class", "code", "group", "ends", "owner", "who", "reason"];

pub(super) async fn run(command: &RuleCommand, output: &Output) -> Result<Exit> {
    match command {
        RuleCommand::Add(args) => add(args, output).await,
        RuleCommand::Ls(args) => list(args, output).await,
        RuleCommand::Rm(args) => remove(args, output).await,
    }
}

async fn add(args: &AddArgs, output: &Output) -> Result<Exit> {
    let AddArgs { action, service, class, code, group, every, to, until, owner, reason, control } = args;
    if !["retry", "discard", "redirect"].contains(&action.as_str()) {
        return Err(Trouble::usage(format!("`{action}` is none of retry, discard and redirect")));
    }
    let body = json!({ "action": action, "service": service, "class": class, "code": code, "group": group,
        "every": every, "to": to, "ends": until, "owner": owner, "reason": reason });
    let Value::Object(body) = body else { return Ok(Exit::Failed) };
    let answer = control.connect()?.post("/v1/rules", body).await?;
    let word = |name: &str| answer["rule"][name].as_str().unwrap_or("-").to_owned();
    let text = format!("rule {} of {}: {} until {}", word("id"), word("service"), word("action"), word("ends"));
    output.answer(&Answer::fields(answer).said(text));
    Ok(Exit::Done)
}

async fn list(args: &ListArgs, output: &Output) -> Result<Exit> {
    let query: Vec<_> = args.service.iter().map(|service| ("service".to_owned(), service.clone())).collect();
    let mut answer = args.control.connect()?.get("/v1/rules", &query).await?;
    output.answer(&Answer::list("rules", answer["rules"].take(), COLUMNS));
    Ok(Exit::Done)
}

async fn remove(args: &RemoveArgs, output: &Output) -> Result<Exit> {
    let body = json!({ "service": args.service, "reason": args.reason });
    let Value::Object(body) = body else { return Ok(Exit::Failed) };
    let answer = args.control.connect()?.post(&format!("/v1/rules/{}/remove", part(&args.id)), body).await?;
    output.answer(&Answer::fields(answer).said(format!("rule {} is gone", args.id)));
    Ok(Exit::Done)
}
