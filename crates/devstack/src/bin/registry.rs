//! `throughline-registry`: the development schema registry as a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use devstack::{
    process::write_ready_file,
    registry::{Config, Registry},
};
use tokio::signal::unix::{SignalKind, signal};

/// A Confluent-compatible schema registry for development (Avro).
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Folder that keeps the schemas; without it they are lost at exit
    #[arg(long)]
    data: Option<PathBuf>,
    /// File to write its URL to once requests are answered
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// Ask callers for this user (basic authentication); the password comes from THROUGHLINE_REGISTRY_PASSWORD
    #[arg(long)]
    user: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughline-registry: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let basic_auth = arguments.user.map(credentials).transpose()?;
    let config = Config { listen: Some(arguments.listen), data: arguments.data, basic_auth };
    let registry = Registry::start(config).await.context("start the registry")?;
    if let Some(path) = &arguments.ready_file {
        write_ready_file(path, &registry.url()).context("write the ready file")?;
    }
    println!("{}", registry.url());
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.context("listen for Ctrl-C")?,
    }
    registry.stop().await.context("stop the registry")
}

/// The password is read from the environment, so that it is on no process list.
fn credentials(user: String) -> anyhow::Result<(String, secrecy::SecretString)> {
    let password = std::env::var("THROUGHLINE_REGISTRY_PASSWORD");
    let password = password.context("--user needs the password in THROUGHLINE_REGISTRY_PASSWORD")?;
    Ok((user, password.into()))
}
