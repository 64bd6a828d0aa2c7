//! `throughline trace`: every step of one thing, in order: records, what became of them, effects with the ids outside, outputs.
//! Records are read from the topics, steps from the ledgers' journals, effects a second time from the outside systems' own logs.

mod journal;
mod records;

use crate::{
    exit::{Exit, Result},
    output::{Answer, Output},
    stack::{Stack, StackArgs, ledger_trouble},
};
use clap::Args;
use journal::Journey;
use ledger::DocumentFilter;
use records::{Found, Question};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Write as _};

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// An account id, a subject (contract, invoice, …), an event id or a correlation id
    what: String,
    /// Records to follow at most
    #[arg(long, default_value_t = 200, value_name = "N")]
    limit: usize,
    /// Exit 5 if there is no such record
    #[arg(long)]
    fail_if_empty: bool,
    #[command(flatten)]
    stack: StackArgs,
}

/// One record and all that came of it.
#[derive(Debug, Serialize)]
struct Traced {
    #[serde(flatten)]
    record: Found,
    /// One for each service that reads the topic.
    services: Vec<Journey>,
    /// Lines of the outside system's own log.
    outside: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Document {
    service: &'static str,
    kind: String,
    key: String,
    version: i64,
    status: String,
    updated: String,
}

pub(crate) async fn run(args: &TraceArgs, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let question = Question::new(&args.what, args.limit);
    let progress = output.progress("read", None);
    let (found, cut) = records::find(&stack, &question, &progress).await?;
    drop(progress);
    if found.is_empty() {
        output.note(format!(
            "no record of `{}` is in the topics; ids are matched whole, and retention removes records",
            args.what
        ));
    }
    let exit = if found.is_empty() && args.fail_if_empty { Exit::Empty } else { Exit::Done };
    let traced = follow(&stack, found).await?;
    let documents = documents(&stack, &traced).await?;
    let text = timeline(&traced, &documents, cut);
    let answer = Answer::list("records", &traced, &["topic", "partition", "offset", "at", "id", "subject", "account"]);
    output.answer(&answer.with("query", &args.what).with("documents", documents).with("cut", cut).said(text));
    Ok(exit)
}

async fn follow(stack: &Stack, found: Vec<Found>) -> Result<Vec<Traced>> {
    let mut outside = stack.outside_effects().await?;
    let ids: BTreeSet<&str> = found.iter().filter_map(|record| record.id.as_deref()).collect();
    outside.retain(|effect| effect["event_id"].as_str().is_some_and(|id| ids.contains(id)));
    let mut journeys: Vec<Vec<Journey>> = found.iter().map(|_| Vec::new()).collect();
    for service in super::services(&[], stack)? {
        let ledger = stack.ledger(service).await?;
        let steps = journal::of(&*ledger, service, &found).await.map_err(|error| ledger_trouble(&error))?;
        let all = found.iter().zip(&mut journeys).zip(steps);
        all.filter(|((record, _), _)| reads(service, &record.topic))
            .for_each(|((_, journey), steps)| journey.push(steps));
    }
    let mut told = BTreeSet::new();
    let traced = found.into_iter().zip(journeys).map(|(record, services)| {
        // The effects of an event are told once, with the record they came of.
        let first = services.iter().any(Journey::may_have_effects) && told.insert(record.id.clone());
        let is_of =
            |effect: &&Value| first && record.id.is_some() && effect["event_id"].as_str() == record.id.as_deref();
        let outside = outside.iter().filter(is_of).cloned().collect();
        Traced { record, services, outside }
    });
    Ok(traced.collect())
}

/// Whether a service takes records of this topic.
fn reads(service: &str, topic: &str) -> bool {
    topic.strip_prefix("replay.").is_some_and(|of| of == service) || verify::inputs_of(service).contains(&topic)
}

/// What the services remember of the accounts.
async fn documents(stack: &Stack, traced: &[Traced]) -> Result<Vec<Document>> {
    let accounts: BTreeSet<&str> = traced.iter().filter_map(|one| one.record.account.as_deref()).collect();
    let mut rows = Vec::new();
    for service in super::services(&[], stack)? {
        let ledger = stack.ledger(service).await?;
        for account in &accounts {
            let filter = DocumentFilter { account_id: Some((*account).to_owned()), limit: 1_000, ..Default::default() };
            let found = ledger.documents(&filter).await.map_err(|error| ledger_trouble(&error))?;
            rows.extend(found.into_iter().map(|row| Document {
                service,
                kind: row.key.kind,
                key: row.key.key,
                version: row.version,
                status: row.status,
                updated: records::time(row.updated_ms),
            }));
        }
    }
    Ok(rows)
}

fn timeline(traced: &[Traced], documents: &[Document], cut: bool) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    for one in traced {
        let Found { topic, partition, offset, at, id, subject, .. } = &one.record;
        let (id, subject) = (id.as_deref().unwrap_or("(no id)"), subject.as_deref().unwrap_or("-"));
        let _ = writeln!(text, "{at}  {topic} [{partition}@{offset}]  {subject}  event {id}");
        for journey in &one.services {
            journey.tell(&mut text);
        }
        for effect in &one.outside {
            let word = |name: &str| effect[name].as_str().unwrap_or("-").to_owned();
            let money = effect["amount_minor"].as_i64().map(|amount| format!("  {amount} {} minor", word("currency")));
            let (operation, object, external) = (word("operation"), word("object"), word("external_id"));
            let money = money.unwrap_or_default();
            let _ = writeln!(text, "    outside   #{} {operation} {object} {external}{money}", effect["seq"]);
        }
    }
    if !documents.is_empty() {
        text.push_str("\ndocuments\n");
    }
    for Document { service, kind, key, version, status, updated } in documents {
        let _ = writeln!(text, "  {service}  {kind} {key}: {status} (version {version}, {updated})");
    }
    if cut {
        let _ = writeln!(text, "\nmore records match; --limit shows more than {}", traced.len());
    }
    text
}
