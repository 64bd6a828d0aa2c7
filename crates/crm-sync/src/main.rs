//! The `crm-sync` service: contract status, receivables, usage and collection work into the CRM.

use clap::Parser;
use service::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("crm-sync", &Args::parse(), crm_sync::run)
}
