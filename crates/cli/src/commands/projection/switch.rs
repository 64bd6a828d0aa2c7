//! Which generation readers use: the newest declaration in the audit says it, and only a generation that is ready gets one.

use super::{
    SERVICE, admin, audit_of_switches,
    compare::{TopicReport, compare},
    must_exist, parse_generation, plain_topics,
    ready::{State, present_ends},
};
use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{Stack, StackArgs, ledger_trouble},
};
use clap::Args;
use events::Generation;
use ledger::{AuditRow, NewAudit};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What the audit calls it.
const ACTION: &str = "projection.switch";
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    /// The generation that readers shall use
    #[arg(long, value_name = "N", value_parser = parse_generation)]
    generation: Generation,
    /// Why; kept in the audit
    #[arg(long)]
    reason: String,
    /// Switch although rows differ or letters are parked: they are kept in the audit
    #[arg(long)]
    accept_differences: bool,
    /// How long the generation may take to read what is there now, and rows to settle, such as 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = service::config::parse_duration)]
    wait: Duration,
    /// Do it; without this, only show whether it would be done
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    stack: StackArgs,
}

/// The generation that readers use.
pub(super) async fn current(stack: &Stack) -> Result<Generation> {
    Ok(audit_of_switches(stack).await?.and_then(Generation::new).unwrap_or(Generation::FIRST))
}

/// The generation that an audit row declares, if it is one of a switch.
pub(super) fn generation_of(row: &AuditRow) -> Option<u32> {
    let row = &row.row;
    if row.action != ACTION || row.subject != SERVICE {
        return None;
    }
    let after: Value = serde_json::from_str(row.after.as_deref()?).ok()?;
    after["generation"].as_u64().and_then(|number| u32::try_from(number).ok())
}

pub(super) async fn run(args: &SwitchArgs, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let before = current(&stack).await?;
    if before == args.generation {
        let answer = json!({ "generation": before.number(), "changed": false });
        output.answer(&Answer::fields(answer).said(format!("readers use generation {before} already")));
        return Ok(Exit::Done);
    }
    let state = caught_up(&stack, args, output).await?;
    let reports = compare(&stack, before, args.generation, args.wait, output).await?;
    let reasons = objections(&state, &reports);
    if !reasons.is_empty() && !args.accept_differences {
        let message = format!("generation {} is not switched to: {}", args.generation, reasons.join("; "));
        let hint = format!(
            "look at them: throughline projection compare --generation {}; if they are meant, add --accept-differences",
            args.generation
        );
        return Err(Trouble { exit: Exit::Refused, ..Trouble::failed("PROJECTION_DIFFERS", message).hint(hint) });
    }
    let after = json!({ "generation": args.generation.number(), "accepted": reasons, "topics": reports });
    if args.yes {
        let ledger = stack.ledger(devstack::services::CONTROL).await?;
        ledger.append_audit(&args.audit(before, &after)).await.map_err(|error| ledger_trouble(&error))?;
    }
    tell(args, before, &reasons, output);
    Ok(Exit::Done)
}

fn tell(args: &SwitchArgs, before: Generation, reasons: &[String], output: &Output) {
    let names: Vec<String> = plain_topics().map(|topic| args.generation.name(topic)).collect();
    let done = if args.yes { "done" } else { "would do" };
    let mut text = format!("{done}: readers use generation {} instead of {before}", args.generation);
    reasons.iter().for_each(|reason| text.push_str(&format!("\n  accepted: {reason}")));
    text.push_str(&format!("\npoint readers to {}", names.join(", ")));
    if !args.yes {
        text.push_str("\nnothing was changed; add --yes");
    }
    let answer = json!({
        "before": before.number(), "generation": args.generation.number(), "accepted": reasons,
        "topics": names, "changed": args.yes,
    });
    output.answer(&Answer::fields(answer).said(text));
}

/// Waits until the generation has read everything that is there now. Traffic goes on meanwhile, so the ends are fixed first.
async fn caught_up(stack: &Stack, args: &SwitchArgs, output: &Output) -> Result<State> {
    let admin = admin(stack)?;
    must_exist(&admin, args.generation).await?;
    let ends = present_ends(&admin).await?;
    let until = Instant::now() + args.wait;
    let progress = output.progress("looks at what is still to be read", None);
    loop {
        let state = State::read(stack, &admin, args.generation, Some(&ends)).await?;
        let unfinished = state.unfinished();
        if unfinished.is_empty() {
            return Ok(state);
        }
        if !state.stopped.is_empty() || Instant::now() >= until {
            let message = format!("generation {} is not ready: {}", args.generation, unfinished.join("; "));
            let hint = format!("throughline status {}", args.generation.name(SERVICE));
            return Err(Trouble { exit: Exit::Refused, ..Trouble::failed("PROJECTION_NOT_READY", message).hint(hint) });
        }
        progress.add(1);
        tokio::time::sleep(LOOK).await;
    }
}

/// What a person has to accept by name.
fn objections(state: &State, reports: &[TopicReport]) -> Vec<String> {
    let parked = (state.parked > 0).then(|| format!("{} sequences are parked: their rows are not there", state.parked));
    let differing: usize = reports.iter().map(TopicReport::differing).sum();
    let differing = (differing > 0).then(|| format!("{differing} rows differ"));
    parked.into_iter().chain(differing).collect()
}

impl SwitchArgs {
    fn audit(&self, before: Generation, after: &Value) -> NewAudit {
        NewAudit {
            at_ms: jiff::Timestamp::now().as_millisecond(),
            actor: std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()),
            action: ACTION.to_owned(),
            subject: SERVICE.to_owned(),
            reason: self.reason.clone(),
            before: Some(json!({ "generation": before.number() }).to_string()),
            after: Some(after.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parked_sequences_and_differing_rows_have_to_be_accepted() {
        assert!(objections(&State::default(), &[TopicReport::default()]).is_empty());
        let parked = State { parked: 2, ..State::default() };
        assert!(objections(&parked, &[]).join(" ").contains("2 sequences"));
    }
}
