//! `throughline verify`: proves the invariants on what is running or has run, from the outside.

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{Stack, StackArgs},
};
use clap::Args;
use std::time::{Duration, Instant};
use verify::{Report, ServiceSource, Sources};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Services to look at; all of the stack if none is named
    services: Vec<String>,
    /// Wait until lag is zero and nothing is open, at most so long (such as 10m); exit 8 if it is not by then
    #[arg(long, value_name = "DURATION", value_parser = service::config::parse_duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    stack: StackArgs,
}

pub(crate) async fn run(args: &VerifyArgs, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let mut all = Vec::new();
    for service in super::services(&args.services, &stack)? {
        all.push(sources(&stack, service).await?);
    }
    let report = match args.wait {
        Some(patience) => report_at_rest(&all, patience, output).await?,
        None => report(&all).await?,
    };
    let exit = if report.ok { Exit::Done } else { Exit::Failed };
    output.answer(&answer(&report));
    Ok(exit)
}

/// The checks of all services, one after another, as they are now.
async fn report(all: &[Sources]) -> Result<Report> {
    let mut found = Vec::new();
    for sources in all {
        found.push(verify::verify(sources).await.map_err(|error| trouble(&error))?);
    }
    Ok(joined(found))
}

/// The same, when nothing is left to do: all services first, for they feed each other.
pub(crate) async fn report_at_rest(all: &[Sources], patience: Duration, output: &Output) -> Result<Report> {
    let started = Instant::now();
    wait(all, patience, output).await?;
    let mut found = Vec::new();
    for sources in all {
        let left = patience.saturating_sub(started.elapsed());
        let report = verify::verify_at_rest(sources, left, teller(sources, output)).await;
        found.push(report.map_err(|error| trouble(&error))?);
    }
    Ok(joined(found))
}

fn joined(reports: Vec<Report>) -> Report {
    let ok = reports.iter().all(|report| report.ok);
    Report { ok, checks: reports.into_iter().flat_map(|report| report.checks).collect() }
}

/// `erp-sync` and `crm-sync` change outside systems, each its own.
pub(crate) async fn sources(stack: &Stack, service: &str) -> Result<Sources> {
    Ok(Sources {
        kafka: stack.kafka()?,
        registry: kafka::RegistryConfig::new(stack.registry()?),
        service: ServiceSource { name: service.to_owned(), ledger: stack.ledger(service).await? },
        outside: match service {
            "erp-sync" => stack.parts().erp.clone(),
            "crm-sync" => stack.parts().crm.clone(),
            _ => None,
        },
    })
}

/// Waits until nothing is left to do, saying now and then what is.
pub(crate) async fn wait(all: &[Sources], patience: Duration, output: &Output) -> Result<()> {
    let started = Instant::now();
    for sources in all {
        let left = patience.saturating_sub(started.elapsed());
        let waited = verify::wait_until_quiet(sources, left, teller(sources, output)).await;
        waited.map_err(|error| trouble(&error))?;
    }
    Ok(())
}

/// Says every other second what is waited for.
fn teller<'a>(sources: &'a Sources, output: &'a Output) -> impl FnMut(&str) + 'a {
    let mut told = Instant::now();
    move |busy| {
        if told.elapsed() > Duration::from_secs(2) {
            told = Instant::now();
            output.note(format!("waiting for {}: {busy}", sources.service.name));
        }
    }
}

fn trouble(error: &verify::Error) -> Trouble {
    match error {
        verify::Error::NotQuiet { .. } => Trouble {
            exit: Exit::TimedOut,
            ..Trouble::unavailable("NOT_QUIET", error.to_string()).hint("`throughline status` shows what waits")
        },
        verify::Error::Kafka(error) => crate::stack::broker_trouble(error),
        verify::Error::Ledger(error) => crate::stack::ledger_trouble(error),
        verify::Error::Registry(_) | verify::Error::Outside(_) => {
            Trouble::unavailable("VERIFY_INCOMPLETE", error.to_string())
        }
    }
}

pub(crate) fn answer(report: &Report) -> Answer {
    let verdict = if report.ok { "every promise holds" } else { "a promise is broken" };
    Answer::list("checks", &report.checks, &["service", "id", "ok", "counted", "rule", "detail"])
        .with("ok", report.ok)
        .above(verdict)
}
