//! `throughline demo`: the main job in one process, on embedded parts. Deals close, a business is generated and published while its
//! services are killed without warning again and again; then everything is verified from the outside.

mod answers;
mod deals;
mod inside;
mod stuck;

use super::{happened, verify};
use crate::{
    commands::publish::{self, encode::of_generated},
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{Parts, Stack as Known, broker_trouble},
};
use clap::Args;
use devstack::{Kind, Stack, StackConfig};
use inside::{Running, Which};
use kafka::Producer;
use serde::Serialize;
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use testkit::{
    Scratch,
    business::{Expectations, Faults, Generated, Options, stream},
};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after the summary instead of staying up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Customer accounts
    #[arg(long, default_value_t = 1_000)]
    accounts: u32,
    /// The same seed gives the same business
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often the services are killed on the way
    #[arg(long, default_value_t = 3)]
    kills: u32,
    /// Folder of the stack; one that is gone afterwards if absent
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// How long the rest of the work may take after the last event.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a manager wants to know.
#[derive(Debug, Serialize)]
struct Summary {
    accounts: u32,
    /// Records published, with copies and unreadable ones.
    events: u64,
    /// What the business did.
    #[serde(flatten)]
    happened: Happened,
    /// What became of the deals that closed.
    deals: deals::Deals,
    effects: u64,
    /// Writes to the CRM.
    shown: u64,
    kills: u32,
    /// Writes that the ERP carried out without anybody being told.
    answers_lost: u64,
    /// By class.
    dead_letters: BTreeMap<String, u64>,
    /// Sequences that wait for the business, by code.
    business_cases: BTreeMap<String, u64>,
    verify: ::verify::Report,
}

#[derive(Debug, Serialize)]
struct Happened {
    /// Different events by type.
    kinds: BTreeMap<String, u64>,
    /// By currency, in minor units.
    money: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    #[serde(skip)]
    text: String,
}

pub(crate) async fn run(args: &DemoArgs, output: &Output) -> Result<Exit> {
    let scratch = Scratch::try_new("demo").map_err(|error| Trouble::failed("DATA", error.to_string()))?;
    let data = args.data.clone().unwrap_or_else(|| scratch.join("stack"));
    output.note("starting broker, registry, sandboxes and ledger in this process …");
    let mut stack =
        Stack::start(StackConfig::new(Kind::Embedded, &data)).await.map_err(|error| stack_trouble(&error))?;
    let known = Known::of(Parts::from(stack.endpoints()));
    let mut services = [
        Running::start(Which::ErpSync, &stack, &data)?,
        Running::start(Which::CrmSync, &stack, &data)?,
        Running::start(Which::AnalyticsFeed, &stack, &data)?,
        Running::start(Which::OrderFlow, &stack, &data)?,
        Running::start(Which::Provisioning, &stack, &data)?,
    ];
    let control = inside::control(&mut stack, &data).await?;
    answers::drop_some(&known).await?;
    let (producer, schemas) = (publish::start_producer(&known)?, publish::schema_ids(&known).await?);
    let closed = deals::close(args.accounts, &producer, &schemas).await?;
    let (expected, kills) = publish_under_kills(args, &known, &mut services, output).await?;
    output.note(format!("{} events published, {kills} kills; waiting until the rest is done …", expected.records));
    let all = [
        verify::sources(&known, "erp-sync").await?,
        verify::sources(&known, "crm-sync").await?,
        verify::sources(&known, "analytics-feed").await?,
        verify::sources(&known, "order-flow").await?,
        verify::sources(&known, "provisioning").await?,
    ];
    verify::wait(&all, PATIENCE, output).await?;
    deals::release(&known, &producer, &schemas, PATIENCE).await?;
    let (stuck, month) = stuck::leave(&known, &producer, &all, args.seed, PATIENCE, output).await?;
    // The release of a credit hold is an event, too.
    let events = expected.records + stuck + closed + 1;
    let report = verify::report_at_rest(&all, PATIENCE, output).await?;
    let [sources, crm, _, _, _] = &all;
    let shown = effects_outside(crm).await?;
    let deals = deals::told(&known).await?;
    let answers_lost = answers::dropped(&known).await?;
    let summary =
        Summary { deals, shown, answers_lost, ..summarise(args, (&expected, events), kills, sources, report).await? };
    let exit = if summary.verify.ok { Exit::Done } else { Exit::Failed };
    output.answer(&answer(&summary));
    if !args.once {
        stay(&data, &month, output).await;
    }
    drop(control);
    for service in services {
        service.drain().await;
    }
    stack.stop().await.map_err(|error| stack_trouble(&error))?;
    Ok(exit)
}

/// Publishes in shares, and kills the services in the middle of their work after each but the last.
async fn publish_under_kills(
    args: &DemoArgs,
    known: &Known,
    services: &mut [Running; 5],
    output: &Output,
) -> Result<(Expectations, u32)> {
    let schemas = publish::schema_ids(known).await?;
    let producer = publish::start_producer(known)?;
    let faults = Faults {
        duplicates: 0.02,
        cross_topic_disorder: 0.01,
        poison: 0.001,
        contract_errors: 0.002,
        business_errors: 0.005,
        conflicts: 0.002,
        ..Faults::NONE
    };
    let options = Options::new(args.seed, args.accounts).over_months(6).with_faults(faults);
    let mut stream = stream(&options).map_err(|bad| Trouble::usage(bad.to_string()))?;
    let events: Vec<Generated> = stream.by_ref().collect();
    let total = events.len() as u64;
    let progress = output.progress("demo: events published", Some(total));
    let share = events.len() / (args.kills as usize + 1) + 1;
    let mut kills = 0;
    let mut rest = events.into_iter();
    loop {
        let part: Vec<Generated> = rest.by_ref().take(share).collect();
        if part.is_empty() {
            break;
        }
        for chunk in chunks(part, 500) {
            let sent = chunk.len() as u64;
            send(&producer, chunk, &schemas).await?;
            progress.add(sent);
        }
        if kills < args.kills && rest.len() > 0 {
            services[0].busy().await;
            kills += 1;
            for service in services.iter_mut() {
                service.kill().await;
            }
            output.note(format!("all services killed without warning ({kills} of {}), starting again", args.kills));
            for service in services.iter_mut() {
                service.restart()?;
            }
        }
    }
    Ok((stream.expectations().clone(), kills))
}

fn chunks(mut events: Vec<Generated>, size: usize) -> Vec<Vec<Generated>> {
    let mut chunks = Vec::new();
    while !events.is_empty() {
        let rest = events.split_off(events.len().min(size));
        chunks.push(std::mem::replace(&mut events, rest));
    }
    chunks
}

async fn send(producer: &Producer, chunk: Vec<Generated>, schemas: &publish::encode::SchemaIds) -> Result<()> {
    let records: std::result::Result<Vec<_>, _> = chunk.into_iter().map(|event| of_generated(event, schemas)).collect();
    let records = records.map_err(|failure| Trouble::failed("GENERATOR", failure.to_string()))?;
    for ack in producer.send_all(&records).await {
        ack.map_err(|error| broker_trouble(&error))?;
    }
    Ok(())
}

async fn summarise(
    args: &DemoArgs,
    (expected, events): (&Expectations, u64),
    kills: u32,
    sources: &::verify::Sources,
    report: ::verify::Report,
) -> Result<Summary> {
    let sequences =
        sources.service.ledger.sequences(None).await.map_err(|error| crate::stack::ledger_trouble(&error))?;
    let (mut dead_letters, mut business_cases) = (BTreeMap::new(), BTreeMap::new());
    for sequence in sequences {
        match sequence.class {
            failure::Class::Poison | failure::Class::Contract | failure::Class::Bug => {
                *dead_letters.entry(sequence.class.to_string()).or_default() += 1;
            }
            failure::Class::Business
            | failure::Class::Dependency
            | failure::Class::Unknown
            | failure::Class::NotYet => {
                *business_cases.entry(sequence.code).or_default() += 1;
            }
        }
    }
    let effects = effects_outside(sources).await?;
    let happened =
        Happened { kinds: happened::kinds(expected), money: happened::money(expected), text: happened::told(expected) };
    let accounts = args.accounts;
    Ok(Summary {
        accounts,
        events,
        happened,
        effects,
        deals: deals::Deals::default(),
        shown: 0,
        kills,
        answers_lost: 0,
        dead_letters,
        business_cases,
        verify: report,
    })
}

async fn effects_outside(sources: &::verify::Sources) -> Result<u64> {
    ::verify::effects_outside(sources).await.map_err(|error| Trouble::failed("VERIFY", error.to_string()))
}

fn answer(summary: &Summary) -> Answer {
    let list = |counts: &BTreeMap<String, u64>| {
        let parts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let mut text = format!(
        "{} accounts: {} events became {} records in the ERP, {} writes to the CRM, and rows for data teams, while the services were \
         killed {} times, and {} answers of the ERP were lost after it had done the work.\n\
         {}{}\
         Dead letters (somebody must mend the event): {}.\n\
         Business cases (somebody must decide): {}.\n\n",
        summary.accounts,
        summary.events,
        summary.effects,
        summary.shown,
        summary.kills,
        summary.answers_lost,
        summary.happened.text,
        summary.deals.text(),
        list(&summary.dead_letters),
        list(&summary.business_cases),
    );
    for check in &summary.verify.checks {
        let mark = if check.ok { "ok    " } else { "BROKEN" };
        text.push_str(&format!("  {mark} {:>3} {:14} {}: {}\n", check.id, check.service, check.rule, check.detail));
    }
    let verdict = if summary.verify.ok { "Every promise holds.\n" } else { "A PROMISE IS BROKEN.\n" };
    text.push_str(verdict);
    Answer::fields(json!(summary)).said(text)
}

async fn stay(data: &std::path::Path, month: &str, output: &Output) {
    let data = data.display();
    output.note(format!(
        "\nThe stack stays up until Ctrl-C. In another terminal, try:\n  \
         throughline status --data {data}\n  throughline status --data {data} --parked\n  \
         throughline generate --accounts 5 --seed 7 --publish --data {data}\n  throughline verify --data {data} --wait 1m\n  \
         throughline trace --data {data} ACCOUNT\n  \
         throughline order ls --data {data} --waiting\n  throughline order why --data {data} deal-abroad\n  \
         throughline order show --data {data} deal-unbillable\n  \
         throughline dlq groups --data {data}\n  throughline dlq ls --data {data} --class poison\n\
         docs/operate/dead-letters.md is a tour of what is stuck; the period {month} is closed in the ERP."
    ));
    // Without signals the demo could only be killed, which is as good an end.
    let _ = tokio::signal::ctrl_c().await;
}

fn stack_trouble(error: &devstack::Error) -> Trouble {
    let reason = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    Trouble::failed("STACK", format!("{error}{reason}"))
}
