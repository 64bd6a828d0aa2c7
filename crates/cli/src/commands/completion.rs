//! `throughline completion SHELL`.

use crate::{
    args::Cli,
    exit::{Exit, Result},
    output::Output,
};
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs, output: &Output) -> Result<Exit> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "throughline", &mut script);
    output.text(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
