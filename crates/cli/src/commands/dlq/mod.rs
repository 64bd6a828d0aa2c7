//! `throughline dlq`: what is stuck, why, and what to do about it. A client of control: it decides nothing itself.

mod change;
mod edit;
mod file;
mod look;
mod ocf;
mod rule;
mod selection;
pub(crate) mod watch;

pub(super) use change::{one, read_plan, save};
pub(super) use look::pages;

use crate::{
    exit::{Exit, Result},
    output::Output,
};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// Show letters grouped by cause: how many, keys, money at risk, since when, what people say of it
    Groups(look::ListArgs),
    /// List letters; of a topic that is not ours, dead letters as its tool wrote them
    Ls(look::ListArgs),
    /// Show one letter: why, what is in it, what waits behind it, what to do
    Show(look::ShowArgs),
    /// Follow new letters until Ctrl-C
    Tail(look::ListArgs),
    /// Count letters by one property
    Stats(look::StatsArgs),
    /// Write letters with headers and bodies, one JSON object a line or (-o avro) as an Avro file; personal data is masked
    Export(file::ExportArgs),
    /// Bring exported letters back to their service, mended or not: all lines, or none if one is wrong
    Import(file::ImportArgs),
    /// Say of a group that it is acknowledged, resolved, or archived until a date
    Mark(look::MarkArgs),
    /// Freeze letters, and what would happen to each, into a plan file; changes nothing
    #[command(subcommand)]
    Plan(change::PlanCommand),
    /// Start the job of a plan file
    Apply(change::ApplyArgs),
    /// Process letters again: plan, confirm, apply; of a topic that is not ours, with --service
    Retry(change::RetryArgs),
    /// Put letters on another topic for good: copies first, then they are closed
    Move(change::MoveArgs),
    /// Give letters up, with a reason; nothing is deleted
    Discard(change::ChangeArgs),
    /// Bring discarded letters back
    Restore(change::ChangeArgs),
    /// End letters of a person who is to be forgotten, and delete what is in them, for good
    Erase(change::ChangeArgs),
    /// Change a decoded copy of one letter, checked against its schema; the original stays
    Edit(edit::EditArgs),
    /// Standing rules: retry letters by a schedule, or give them up, until a date
    #[command(subcommand)]
    Rule(rule::RuleCommand),
}

pub(crate) async fn run(command: &DlqCommand, output: &Output) -> Result<Exit> {
    match command {
        DlqCommand::Groups(args) => look::groups(args, output).await,
        DlqCommand::Ls(args) => look::list(args, output).await,
        DlqCommand::Show(args) => look::show(args, output).await,
        DlqCommand::Tail(args) => look::tail(args, output).await,
        DlqCommand::Stats(args) => look::stats(args, output).await,
        DlqCommand::Export(args) => file::export(args, output).await,
        DlqCommand::Import(args) => file::import(args, output).await,
        DlqCommand::Mark(args) => look::mark(args, output).await,
        DlqCommand::Plan(command) => change::plan(command, output).await,
        DlqCommand::Apply(args) => change::apply(args, output).await,
        DlqCommand::Retry(args) => change::retry(args, output).await,
        DlqCommand::Move(args) => change::move_away(args, output).await,
        DlqCommand::Discard(args) => change::at_once(("discard", None), args, output).await,
        DlqCommand::Restore(args) => change::at_once(("restore", None), args, output).await,
        DlqCommand::Erase(args) => change::at_once(("erase", None), args, output).await,
        DlqCommand::Edit(args) => edit::run(args, output).await,
        DlqCommand::Rule(command) => rule::run(command, output).await,
    }
}
