//! `throughline config print`: every setting of a service as it is in force, with where it comes from. Secrets never show.

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;
use std::{path::PathBuf, process::Command};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting with its origin (default, file or environment); secrets show as ***
    Print(PrintArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PrintArgs {
    /// The service, such as erp-sync
    service: String,
    /// Its configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "THROUGHLINE_CONFIG")]
    config: Option<PathBuf>,
    /// Hide secrets: always on, there is no way to print them
    #[arg(long)]
    redacted: bool,
}

/// What a service prints with `--print-config`.
#[derive(Deserialize)]
struct Printed {
    settings: Vec<Value>,
}

pub(crate) fn run(command: &ConfigCommand, output: &Output) -> Result<Exit> {
    let ConfigCommand::Print(args) = command;
    let binary = super::binary_of(&args.service)?;
    let mut child = Command::new(&binary);
    child.arg("--print-config");
    if let Some(file) = &args.config {
        child.arg("--config").arg(file);
    }
    let cannot = |what: String| Trouble::failed("SERVICE_UNUSABLE", format!("{}: {what}", binary.display()));
    let ended = child.output().map_err(|error| cannot(format!("cannot be started: {error}")))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
        return Err(Trouble::failed("CONFIG_INVALID", said).hint("all problems are listed; mend them and try again"));
    }
    let printed: Printed =
        serde_json::from_slice(&ended.stdout).map_err(|error| cannot(format!("answered no settings: {error}")))?;
    output.answer(&Answer::list("settings", printed.settings, &["path", "value", "origin", "help"]));
    Ok(Exit::Done)
}
