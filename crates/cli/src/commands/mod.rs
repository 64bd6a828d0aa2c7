//! One module a command.

pub(crate) mod audit;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod dlq;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod fallout;
pub(crate) mod generate;
mod happened;
pub(crate) mod job;
pub(crate) mod order;
pub(crate) mod plan;
pub(crate) mod projection;
pub(crate) mod publish;
pub(crate) mod replay;
pub(crate) mod rules;
pub(crate) mod schemas;
pub(crate) mod slice;
pub(crate) mod stack;
pub(crate) mod status;
pub(crate) mod topics;
pub(crate) mod trace;
pub(crate) mod verify;

use events::Generation;
use std::path::PathBuf;

use crate::{
    args::Command,
    exit::{Exit, Result, Trouble},
    output::Output,
    stack::Stack,
};

/// Runs a command until it ends, or until Ctrl-C. Commands with something to save on the way out listen themselves.
pub(crate) async fn run(command: Command, output: &Output) -> Result<Exit> {
    match command {
        Command::Up(args) => stack::up(&args, output).await,
        Command::Publish(args) => publish::run(&args, output).await,
        Command::Demo(args) => Box::pin(demo::run(&args, output)).await,
        // Watching a job ends with Ctrl-C, the job does not.
        Command::Dlq(command) => dlq::run(&command, output).await,
        Command::Job(command) => job::run(&command, output).await,
        other => tokio::select! {
            ended = dispatch(other, output) => ended,
            _ = tokio::signal::ctrl_c() => Err(Trouble::interrupted()),
        },
    }
}

async fn dispatch(command: Command, output: &Output) -> Result<Exit> {
    match command {
        Command::Up(args) => stack::up(&args, output).await,
        Command::Down(args) => stack::down(&args, output).await,
        Command::Run(args) => stack::run(&args),
        Command::Topics(command) => topics::run(&command, output).await,
        Command::Schemas(command) => schemas::run(&command, output).await,
        Command::Publish(args) => publish::run(&args, output).await,
        Command::Generate(args) => generate::run(&args, output).await,
        Command::Status(args) => status::run(&args, output).await,
        Command::Verify(args) => verify::run(&args, output).await,
        Command::Demo(args) => Box::pin(demo::run(&args, output)).await,
        Command::Trace(args) => trace::run(&args, output).await,
        Command::Dlq(command) => dlq::run(&command, output).await,
        Command::Job(command) => job::run(&command, output).await,
        Command::Replay(command) => replay::run(&command, output).await,
        Command::Projection(command) => projection::run(&command, output).await,
        Command::Audit(command) => audit::run(&command, output).await,
        Command::Slice(command) => slice::run(&command, output).await,
        Command::Doctor(args) => doctor::run(&args, output).await,
        Command::Config(command) => config::run(&command, output),
        Command::Order(command) => order::run(&command, output).await,
        Command::Fallout(command) => fallout::run(&command, output).await,
        Command::Plan(command) => plan::run(&command, output),
        Command::Rules(command) => rules::run(&command, output),
        Command::Explain(args) => explain::run(&args, output),
        Command::Completion(args) => completion::run(&args, output),
    }
}

/// The services that have a binary of their own.
pub(crate) const SERVICES: &[&str] = &["order-flow", "erp-sync", "crm-sync", "provisioning", "analytics-feed"];

/// The services named, or all of the stack. A ledger named by itself is that of one service: `erp-sync` unless another is named.
pub(crate) fn services(named: &[String], stack: &Stack) -> Result<Vec<&'static str>> {
    if named.is_empty() {
        return Ok(if stack.is_whole() { SERVICES.to_vec() } else { vec!["erp-sync"] });
    }
    named.iter().map(|name| find(name).ok_or_else(|| unknown(name))).collect()
}

/// A service, or a further generation of the one that has them.
fn find(name: &str) -> Option<&'static str> {
    if Generation::split(name).0 == projection::SERVICE {
        return Some(name.to_owned().leak());
    }
    SERVICES.iter().copied().find(|service| *service == name)
}

fn unknown(service: &str) -> Trouble {
    Trouble::usage(format!("there is no service `{service}`")).hint(format!("services: {}", SERVICES.join(", ")))
}

/// The binary of a service: beside this one, where the build and every package put it.
pub(crate) fn binary_of(service: &str) -> Result<PathBuf> {
    if !SERVICES.contains(&service) && service != devstack::services::CONTROL {
        return Err(unknown(service));
    }
    let own = std::env::current_exe().map_err(|error| Trouble::failed("NO_PATH", format!("own path: {error}")))?;
    let binary = own.with_file_name(service);
    if binary.is_file() {
        return Ok(binary);
    }
    let message = format!("{} is not there", binary.display());
    Err(Trouble::failed("SERVICE_MISSING", message).hint(format!("build it: cargo build -p {service}")))
}
