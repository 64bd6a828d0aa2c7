//! `throughline slice`: what only a person may decide about a slice that stopped. Each decision leaves an audit row.

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{StackArgs, broker_trouble, ledger_trouble},
};
use clap::{Args, Subcommand};
use kafka::Admin;
use ledger::{Ledger, NewAudit, Position, SliceStatus};
use serde_json::json;
use std::str::FromStr;

#[derive(Debug, Subcommand)]
pub(crate) enum SliceCommand {
    /// Accept a new start of one topic after it was recreated or truncated; the owner takes the slice over again
    Accept(AcceptArgs),
    /// Let a stopped slice go on
    Resume(ResumeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SliceArgs {
    /// The service, such as erp-sync
    service: String,
    /// Number of the slice (its partition)
    slice: i32,
    /// Why; kept in the audit
    #[arg(long)]
    reason: String,
    /// Do it; without this, only show what would be done
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// The topic whose start is accepted
    #[arg(long)]
    topic: String,
    /// Where to go on: an offset, `start` (first record there is) or `end` (behind the last one)
    #[arg(long, value_name = "OFFSET")]
    at: At,
    #[command(flatten)]
    slice: SliceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    slice: SliceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    End,
    Offset(i64),
}

impl FromStr for At {
    type Err = String;

    fn from_str(word: &str) -> std::result::Result<Self, String> {
        match word {
            "start" => Ok(Self::Start),
            "end" => Ok(Self::End),
            number => match number.parse() {
                Ok(offset) if offset >= 0 => Ok(Self::Offset(offset)),
                _ => Err("use an offset from 0, `start` or `end`".to_owned()),
            },
        }
    }
}

pub(crate) async fn run(command: &SliceCommand, output: &Output) -> Result<Exit> {
    match command {
        SliceCommand::Accept(args) => accept(args, output).await,
        SliceCommand::Resume(args) => resume(args, output).await,
    }
}

async fn accept(args: &AcceptArgs, output: &Output) -> Result<Exit> {
    let AcceptArgs { topic, at, slice: common } = args;
    let stack = common.stack.resolve()?;
    let ledger = stack.ledger(&common.service).await?;
    let status = find(&*ledger, common).await?;
    let broker = |error: kafka::Error| broker_trouble(&error);
    let admin = Admin::connect(&stack.kafka()?).map_err(broker)?;
    let (start, end) = admin.watermarks(topic, common.slice).await.map_err(broker)?;
    let next_offset = match at {
        At::Start => start,
        At::End => end,
        At::Offset(offset) if (start..=end).contains(offset) => *offset,
        At::Offset(offset) => {
            let message = format!("offset {offset} is not in {topic}/{}: it holds {start} to {end}", common.slice);
            return Err(Trouble::usage(message));
        }
    };
    let ids = admin.topic_ids(&[topic]).await.map_err(broker)?;
    let topic_id = ids.get(topic).cloned().flatten();
    let before = status.positions.iter().find(|position| position.topic == *topic).cloned();
    let after = Position { topic: topic.clone(), topic_id, next_offset };
    let skipped = next_offset - start;
    let plan = json!({ "slice": common.slice, "before": before, "after": after, "records_not_read": skipped });
    if common.yes {
        let mut row = json!(after);
        // `verify` tells by it which entries are about an earlier topic of that name.
        row["next_entry"] = json!(status.next_entry);
        let audit = common.audit("slice.accept", topic, before.map(|b| json!(b)), Some(row));
        ledger.accept_position(common.slice, &after, &audit).await.map_err(|error| ledger_trouble(&error))?;
    }
    let before =
        plan["before"]["next_offset"].as_i64().map_or_else(|| "nothing".to_owned(), |offset| offset.to_string());
    let text = format!(
        "slice {} of {}, {topic}: from {before} to {next_offset}; {skipped} records of the topic before it are not read",
        common.slice, common.service
    );
    common.tell(plan, &text, output);
    Ok(Exit::Done)
}

async fn resume(args: &ResumeArgs, output: &Output) -> Result<Exit> {
    let common = &args.slice;
    let ledger = common.stack.resolve()?.ledger(&common.service).await?;
    let status = find(&*ledger, common).await?;
    let Some(stopped) = status.stopped else {
        let answer = json!({ "slice": common.slice, "changed": false });
        output.answer(&Answer::fields(answer).said(format!("slice {} is not stopped", common.slice)));
        return Ok(Exit::Done);
    };
    if common.yes {
        let audit = common.audit("slice.resume", "", Some(json!(stopped)), None);
        ledger.set_stopped(common.slice, None, &audit).await.map_err(|error| ledger_trouble(&error))?;
    }
    let text = format!("slice {} of {} goes on; it had stopped: {stopped}", common.slice, common.service);
    common.tell(json!({ "slice": common.slice, "stopped": stopped }), &text, output);
    Ok(Exit::Done)
}

async fn find(ledger: &dyn Ledger, args: &SliceArgs) -> Result<SliceStatus> {
    let slices = ledger.slices().await.map_err(|error| ledger_trouble(&error))?;
    let known: Vec<_> = slices.iter().map(|status| status.slice.to_string()).collect();
    slices.into_iter().find(|status| status.slice == args.slice).ok_or_else(|| {
        let message = format!("{} has no slice {}", args.service, args.slice);
        Trouble::failed("NO_SLICE", message).hint(format!("slices: {}", known.join(", ")))
    })
}

impl SliceArgs {
    fn audit(
        &self,
        action: &str,
        topic: &str,
        before: Option<serde_json::Value>,
        after: Option<serde_json::Value>,
    ) -> NewAudit {
        let text = |value: Option<serde_json::Value>| value.map(|value| value.to_string());
        let subject = format!("{}/{}/{topic}", self.service, self.slice);
        NewAudit {
            at_ms: jiff::Timestamp::now().as_millisecond(),
            actor: std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()),
            action: action.to_owned(),
            subject: subject.trim_end_matches('/').to_owned(),
            reason: self.reason.clone(),
            before: text(before),
            after: text(after),
        }
    }

    fn tell(&self, plan: serde_json::Value, text: &str, output: &Output) {
        let text = if self.yes {
            format!("done: {text}")
        } else {
            format!("would do: {text}\nnothing was changed; add --yes")
        };
        output.answer(&Answer::fields(plan).with("changed", self.yes).said(text));
    }
}
