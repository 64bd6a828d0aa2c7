//! `throughline`: one command for publishers, operators and developers.
//! Standard output carries data, standard error talks to people; exit codes are those of [`exit::Exit`].

mod args;
mod commands;
mod control;
mod exit;
mod output;
mod registry;
mod stack;

use args::Cli;
use clap::Parser;
use exit::{Exit, Trouble};
use output::{Format, Output};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let output = Output::new(cli.output, cli.progress);
    if cli.output == Format::Avro && !cli.command.writes_avro() {
        return output.trouble(&Trouble::usage("-o avro is for `throughline dlq export`")).into();
    }
    service::install_tls();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output.trouble(&Trouble::failed("RUNTIME", format!("cannot start threads: {error}"))).into();
        }
    };
    let ended = runtime.block_on(commands::run(cli.command, &output));
    // A client library may still be in a blocking call; the process does not wait for it.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        Err(trouble) => output.trouble(&trouble).into(),
    }
}

/// Help and version go to standard output; a mistake is told as JSON where JSON was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    let json = Format::asked_for_in(std::env::args().skip(1)).is_some_and(Format::is_json);
    if error.use_stderr() && json {
        let text = error.render().to_string();
        let message = text.trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
        let trouble = Trouble::usage(message).hint("see `throughline help`");
        return Output::new(Format::Json, output::ProgressMode::None).trouble(&trouble).into();
    }
    // A closed pipe while printing help is nobody's mistake.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
