//! Turns `schemas/` into Rust types, pages, golden records and the recorded history, and refuses incompatible changes.
//!
//! `generate` writes, `check` only compares and fails on drift; both prove compatibility first.

mod codegen;
mod compat;
mod currency;
mod data_pages;
mod golden;
mod history;
mod model;
mod output;
mod pages;
mod source;
mod text;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use output::Output;
use std::{path::PathBuf, process::ExitCode};

/// Generates what follows from schemas/ and proves that old records stay readable.
#[derive(Parser)]
#[command(name = "schemagen")]
struct Arguments {
    /// Root of the repository.
    #[arg(long, default_value = ".", global = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write everything that follows from schemas/, and record new versions.
    Generate,
    /// Fail if anything differs from what `generate` would write.
    Check,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("schemagen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let schemas = arguments.root.join("schemas");
    let library = source::read(&schemas).with_context(|| format!("reading {}", schemas.display()))?;
    let history = history::review(&library, &schemas)?;
    let mut output = Output::default();
    golden::plan(&library, &schemas, &mut output)?;
    history.plan(&mut output)?;
    codegen::plan(&library, &mut output)?;
    currency::plan(&schemas, &mut output)?;
    pages::plan(&library, &mut output);
    data_pages::plan(&library, &mut output)?;
    output.format_rust(&arguments.root)?;
    match arguments.command {
        Command::Generate => {
            let written = output.write(&arguments.root)?;
            println!("{} events, {} files written", library.events.len(), written);
        }
        Command::Check => {
            let stale = output.stale(&arguments.root)?;
            if !stale.is_empty() {
                bail!("these files differ from schemas/; run `make schemas` and commit:\n  {}", stale.join("\n  "));
            }
        }
    }
    Ok(())
}
