//! `throughline audit`: who did what and why, and the proof that nobody changed the record of it.

use super::dlq::pages;
use crate::{
    control::ControlArgs,
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::{Args, Subcommand};
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List what was done, the newest first
    Ls(AuditArgs),
    /// Check the hash chain of every ledger; exit 1 and the row's number if one was changed
    Verify(AuditArgs),
    /// Write the audit of one service from its start, one JSON object a line
    Export(AuditArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Of this service; `control` for what concerns none
    #[arg(long)]
    service: Option<String>,
    /// At most so many rows (ls)
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    control: ControlArgs,
}

pub(crate) async fn run(command: &AuditCommand, output: &Output) -> Result<Exit> {
    match command {
        AuditCommand::Ls(args) => {
            let control = args.control.connect()?;
            let (rows, more) = pages(&control, "/v1/audit", args.query(), "audit", args.limit).await?;
            let columns = &["at", "service", "seq", "actor", "action", "subject", "reason"];
            output.answer(&Answer::list("audit", rows, columns));
            if more {
                output.note(format!("there are older rows: raise --limit above {}, or export them", args.limit));
            }
            Ok(Exit::Done)
        }
        AuditCommand::Verify(args) => verify(args, output).await,
        AuditCommand::Export(args) => export(args, output).await,
    }
}

impl AuditArgs {
    fn query(&self) -> Vec<(String, String)> {
        self.service.iter().map(|service| ("service".to_owned(), service.clone())).collect()
    }
}

async fn verify(args: &AuditArgs, output: &Output) -> Result<Exit> {
    let mut answer = args.control.connect()?.get("/v1/audit/verify", &args.query()).await?;
    let is_whole = answer["ok"] == true;
    let ledgers = answer["ledgers"].take();
    for ledger in ledgers.as_array().into_iter().flatten().filter(|ledger| ledger["ok"] == false) {
        output.note(format!("the audit of {} was changed at row {}", ledger["service"], ledger["broken_at"]));
    }
    output.answer(&Answer::list("ledgers", ledgers, &["service", "ok", "rows", "broken_at"]).with("ok", is_whole));
    Ok(if is_whole { Exit::Done } else { Exit::Failed })
}

async fn export(args: &AuditArgs, output: &Output) -> Result<Exit> {
    if args.service.is_none() {
        return Err(Trouble::usage("an audit is exported service by service").hint("--service erp-sync"));
    }
    let control = args.control.connect()?;
    let mut cursor: Option<String> = None;
    loop {
        let mut query = args.query();
        query.push(("limit".to_owned(), "1000".to_owned()));
        query.extend(cursor.take().map(|cursor| ("cursor".to_owned(), cursor)));
        let page = control.get("/v1/audit/export", &query).await?;
        page["audit"].as_array().into_iter().flatten().for_each(|row: &Value| output.text(&format!("{row}\n")));
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(Exit::Done);
        }
    }
}
