//! The `analytics-feed` service: the events of the business as flat, masked topics for data teams.

use clap::Parser;
use service::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("analytics-feed", &Args::parse(), analytics_feed::run)
}
