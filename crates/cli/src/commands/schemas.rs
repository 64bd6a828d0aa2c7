//! `throughline schemas`: the schemas this program writes, against those of the registry.

use crate::{
    exit::{Exit, Result},
    output::{Answer, Output},
    registry::{Registry, subjects},
    stack::StackArgs,
};
use clap::{Args, Subcommand};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum SchemasCommand {
    /// Show each topic's schema and what the registry has of it
    Ls(SchemaArgs),
    /// Say whether our schemas may follow the registered ones; exit 1 if one may not
    Check(SchemaArgs),
    /// Register our schemas, and set the compatibility level of their subjects
    Register(SchemaArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Topics or subjects; all if absent
    topics: Vec<String>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Serialize)]
struct Row {
    subject: &'static str,
    compatibility: &'static str,
    /// `registered`, `other` (the registry's newest is another schema) or `missing`.
    state: &'static str,
    id: Option<u32>,
    version: Option<u32>,
    owner: &'static str,
}

#[derive(Serialize)]
struct Checked {
    subject: &'static str,
    compatible: bool,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Made {
    subject: &'static str,
    id: u32,
    new: bool,
}

pub(crate) async fn run(command: &SchemasCommand, output: &Output) -> Result<Exit> {
    match command {
        SchemasCommand::Ls(args) => list(args, output).await,
        SchemasCommand::Check(args) => check(args, output).await,
        SchemasCommand::Register(args) => register(args, output).await,
    }
}

impl SchemaArgs {
    fn registry(&self) -> Result<Registry> {
        Registry::new(self.stack.resolve()?.registry()?)
    }
}

async fn list(args: &SchemaArgs, output: &Output) -> Result<Exit> {
    let wanted = subjects(&args.topics)?;
    let registry = args.registry()?;
    let mut rows = Vec::new();
    for subject in wanted {
        let ours = registry.look_up(subject).await?;
        let newest = if ours.is_some() { ours } else { registry.latest(subject.subject).await? };
        rows.push(Row {
            subject: subject.subject,
            compatibility: subject.kind.compatibility(),
            state: if ours.is_some() {
                "registered"
            } else if newest.is_some() {
                "other"
            } else {
                "missing"
            },
            id: newest.map(|found| found.id),
            version: newest.map(|found| found.version),
            owner: subject.owner,
        });
    }
    output.answer(&Answer::list("schemas", rows, &["subject", "state", "id", "version", "compatibility", "owner"]));
    Ok(Exit::Done)
}

async fn check(args: &SchemaArgs, output: &Output) -> Result<Exit> {
    let wanted = subjects(&args.topics)?;
    let registry = args.registry()?;
    let mut rows = Vec::new();
    for subject in wanted {
        let found = registry.check(subject).await?;
        rows.push(Checked { subject: subject.subject, compatible: found.is_compatible, reasons: found.messages });
    }
    let ok = rows.iter().all(|row| row.compatible);
    output.answer(&Answer::list("schemas", rows, &["subject", "compatible", "reasons"]).with("ok", ok));
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

async fn register(args: &SchemaArgs, output: &Output) -> Result<Exit> {
    let wanted = subjects(&args.topics)?;
    let registry = args.registry()?;
    let mut rows = Vec::new();
    for subject in wanted {
        let known = registry.look_up(subject).await?;
        // The level comes first, so that the registry judges by it.
        registry.set_level(subject).await?;
        let id = registry.register(subject).await?;
        rows.push(Made { subject: subject.subject, id, new: known.is_none() });
    }
    output.answer(&Answer::list("schemas", rows, &["subject", "id", "new"]));
    Ok(Exit::Done)
}
