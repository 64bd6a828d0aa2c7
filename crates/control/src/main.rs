//! The `control` service: one HTTP API over the ledgers and topics of all services.

use clap::Parser;
use service::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("control", &Args::parse(), control::run)
}
