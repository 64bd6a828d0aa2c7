//! `throughline projection`: the topics of data teams made anew beside the ones they read, compared, and taken into use.

mod compare;
mod ready;
mod rows;
mod switch;

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{Stack, StackArgs, broker_trouble, ledger_trouble},
};
use clap::{Args, Subcommand};
use events::{Generation, topics};
use kafka::Admin;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The service whose topics can be made anew: it changes no outside system, so that doing its work twice harms nobody.
pub(crate) const SERVICE: &str = "analytics-feed";

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionCommand {
    /// Show the generations there are, which one readers use, and how far each is
    Ls(ListArgs),
    /// Compare a generation row by row with the one that readers use; exit 1 if they differ
    Compare(compare::CompareArgs),
    /// Declare a generation to be the one that readers use, if it is ready
    Switch(switch::SwitchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    stack: StackArgs,
}

/// One generation as it is now.
#[derive(Serialize)]
struct Row {
    generation: u32,
    service: String,
    /// `current`, `beside` or `not started`.
    state: &'static str,
    lag: i64,
    parked_sequences: usize,
    stopped_slices: usize,
    /// What readers of this generation read.
    topics: Vec<String>,
}

pub(crate) async fn run(command: &ProjectionCommand, output: &Output) -> Result<Exit> {
    match command {
        ProjectionCommand::Ls(args) => list(args, output).await,
        ProjectionCommand::Compare(args) => compare::run(args, output).await,
        ProjectionCommand::Switch(args) => switch::run(args, output).await,
    }
}

/// `--generation`.
pub(crate) fn parse_generation(word: &str) -> std::result::Result<Generation, String> {
    word.parse().ok().and_then(Generation::new).ok_or_else(|| "use a number from 1".to_owned())
}

async fn list(args: &ListArgs, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let admin = admin(&stack)?;
    let current = switch::current(&stack).await?;
    let mut rows = Vec::new();
    for generation in generations(&admin).await? {
        let named = generation.name(SERVICE);
        let (found, state) = match ready::State::read(&stack, &admin, generation, None).await {
            Ok(found) => (found, if generation == current { "current" } else { "beside" }),
            Err(trouble) if trouble.code == "NO_LEDGER" => (ready::State::default(), "not started"),
            Err(trouble) => return Err(trouble),
        };
        rows.push(Row {
            generation: generation.number(),
            service: named,
            state,
            lag: found.lag,
            parked_sequences: found.parked,
            stopped_slices: found.stopped.len(),
            topics: plain_topics().map(|topic| generation.name(topic)).collect(),
        });
    }
    let columns = &["generation", "service", "state", "lag", "parked_sequences", "stopped_slices"];
    output.answer(&Answer::list("generations", rows, columns).with("current", current.number()));
    Ok(Exit::Done)
}

fn admin(stack: &Stack) -> Result<Admin> {
    Admin::connect(&stack.kafka()?).map_err(|error| broker_trouble(&error))
}

/// What the projection fills, by plain names.
fn plain_topics() -> impl Iterator<Item = &'static str> {
    topics::of_family(topics::Family::Analytics).filter(|subject| subject.owner == SERVICE).map(|subject| subject.topic)
}

/// The generations that have topics, the first one always.
async fn generations(admin: &Admin) -> Result<BTreeSet<Generation>> {
    let known = admin.list().await.map_err(|error| broker_trouble(&error))?;
    Ok(generations_in(&known))
}

fn generations_in(known: &BTreeMap<String, i32>) -> BTreeSet<Generation> {
    let replay = format!("replay.{SERVICE}");
    let later = known.keys().map(|topic| Generation::split(topic)).filter(|(plain, _)| *plain == replay);
    later.map(|(_, generation)| generation).chain([Generation::FIRST]).collect()
}

/// A generation that has no topics is not opened: that would make it an empty ledger.
async fn must_exist(admin: &Admin, generation: Generation) -> Result<()> {
    let known = generations(admin).await?;
    if known.contains(&generation) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(Generation::to_string).collect();
    let message = format!("{SERVICE} has no generation {generation}; there is {}", known.join(", "));
    let hint = format!("make its topics: throughline topics apply --generation {generation}");
    Err(Trouble::failed("NO_GENERATION", message).hint(hint))
}

/// The newest declaration in control's audit, or the first generation.
async fn audit_of_switches(stack: &Stack) -> Result<Option<u32>> {
    const PAGE: usize = 1_000;
    let ledger = match stack.ledger(devstack::services::CONTROL).await {
        Ok(ledger) => ledger,
        // Where control never ran, nobody ever switched.
        Err(trouble) if trouble.code == "NO_LEDGER" => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let (mut from, mut newest) = (0, None);
    loop {
        let page = ledger.audit_page(from, PAGE).await.map_err(|error| ledger_trouble(&error))?;
        let Some(last) = page.last() else { return Ok(newest) };
        from = last.seq + 1;
        newest = page.iter().filter_map(switch::generation_of).next_back().or(newest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generations_are_those_with_a_replay_topic() {
        let topics =
            ["replay.analytics-feed.g3", "replay.analytics-feed", "replay.erp-sync.g2", "analytics.usage.v1.g4"];
        let known = topics.map(|topic| (topic.to_owned(), 1)).into_iter().collect();
        let numbers: Vec<u32> = generations_in(&known).into_iter().map(Generation::number).collect();
        assert_eq!(numbers, [1, 3]);
    }
}
