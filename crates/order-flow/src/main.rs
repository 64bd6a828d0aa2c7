//! The `order-flow` service: deals become orders and contracts, and what cannot go on becomes a case with an owner.

use clap::Parser;
use service::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("order-flow", &Args::parse(), order_flow::run)
}
