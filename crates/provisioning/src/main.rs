//! The `provisioning` service: what contracts and payments mean for access to the product.

use clap::Parser;
use service::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("provisioning", &Args::parse(), provisioning::run)
}
