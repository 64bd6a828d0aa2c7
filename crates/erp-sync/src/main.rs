//! The `erp-sync` service: financial events into the ERP, each exactly once and in the order of its account.

use clap::Parser;
use service::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("erp-sync", &Args::parse(), erp_sync::run)
}
