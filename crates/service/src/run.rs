//! The frame of every `main`: arguments, configuration, logging, health, signals, exit codes.

use crate::{
    common::Common,
    config::{self, Config, Loaded, Section, Source},
    health::Health,
    http::{self, HttpServer},
    shutdown::{self, Shutdown},
};
use clap::Parser;
use std::{
    fmt,
    future::Future,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use telemetry::Metrics;

/// What every service takes on its command line.
#[derive(Debug, Clone, Default, Parser)]
#[command(version)]
pub struct Args {
    /// Configuration file (TOML); THROUGHLINE_<SECTION>_<KEY> in the environment overrides it
    #[arg(long, value_name = "FILE", env = "THROUGHLINE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Write the URL of health and metrics to this file once they answer
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Give up (exit 69) when something it depends on does not answer at the start, instead of waiting
    #[arg(long)]
    pub fail_fast: bool,
    /// Print every setting in force with its origin (secrets hidden) as JSON, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// What the frame hands to a service.
#[derive(Debug)]
pub struct Context<C> {
    pub config: C,
    pub health: Health,
    pub metrics: Arc<Metrics>,
    pub shutdown: Shutdown,
    pub fail_fast: bool,
    /// Where health and metrics are served.
    pub url: String,
}

/// Why a service ended without being asked to.
#[derive(Debug)]
pub enum Stop {
    /// The configuration is wrong: exit 64.
    Config(String),
    /// Something it depends on did not answer at the start, and `--fail-fast` was given: exit 69.
    Dependency(String),
    /// Anything else: exit 1.
    Crash(anyhow::Error),
}

impl Stop {
    const fn code(&self) -> u8 {
        match self {
            Self::Config(_) => 64,
            Self::Dependency(_) => 69,
            Self::Crash(_) => 1,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(text) | Self::Dependency(text) => f.write_str(text),
            Self::Crash(error) => write!(f, "{error:#}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Crash(error.into())
    }
}

/// A service's own settings and the common ones, from one file.
#[derive(Debug)]
pub struct Whole<C> {
    pub common: Common,
    pub own: C,
}

impl<C: Config> Config for Whole<C> {
    fn read(section: &mut Section<'_>) -> Self {
        Self { common: Common::read(section), own: C::read(section) }
    }
}

/// How long a service may take to leave once it was hurried; then the process ends as it is, which is always safe.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// Runs a service until it ends or is asked to. `main` must return soon after `shutdown` drains, and at once when it
/// hurries. It calls `health.started()` itself, when its start is over.
pub fn run<C, F, Fut>(service: &'static str, args: &Args, main: F) -> ExitCode
where
    C: Config,
    F: FnOnce(Context<C>) -> Fut,
    Fut: Future<Output = Result<(), Stop>>,
{
    install_tls();
    let ended = prepare::<C>(service, args).and_then(|prepared| match prepared {
        None => Ok(()),
        Some((loaded, guard)) => {
            let ended = drive(service, args, loaded, main);
            drop(guard);
            ended
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            // Not a log line: it must be seen also where logging never came up.
            eprintln!("{service}: {stop}");
            ExitCode::from(stop.code())
        }
    }
}

/// Chooses the TLS implementation of this process; safe to call more than once. HTTP clients cannot be built before.
pub fn install_tls() {
    // Fails only where one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

type Prepared<C> = (Loaded<Whole<C>>, telemetry::Guard);

fn prepare<C: Config>(service: &str, args: &Args) -> Result<Option<Prepared<C>>, Stop> {
    let source = Source::with_env(args.config.clone());
    let loaded = config::load::<Whole<C>>(&source).map_err(|problems| Stop::Config(problems.to_string()))?;
    if args.print_config {
        let text = serde_json::to_string_pretty(&serde_json::json!({ "v": 1, "settings": loaded.settings }))?;
        println!("{text}");
        return Ok(None);
    }
    let guard = telemetry::init(service, loaded.config.common.log).map_err(|error| Stop::Config(error.to_string()))?;
    let ours = ["THROUGHLINE_CONFIG"];
    for name in loaded.unused_env.iter().filter(|name| !ours.contains(&name.as_str())) {
        tracing::warn!(name, "this variable names no setting");
    }
    Ok(Some((loaded, guard)))
}

fn drive<C, F, Fut>(service: &'static str, args: &Args, loaded: Loaded<Whole<C>>, main: F) -> Result<(), Stop>
where
    C: Config,
    F: FnOnce(Context<C>) -> Fut,
    Fut: Future<Output = Result<(), Stop>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let Whole { common, own } = loaded.config;
        let (trigger, shutdown) = shutdown::channel();
        let signals = trigger.on_signals(common.drain)?;
        let health = Health::new(common.http.stall);
        let metrics = Arc::new(Metrics::new(service));
        let server = listen(&common, &health, &metrics).await?;
        if let Some(file) = &args.ready_file {
            write_ready(file, &server.url()).map_err(|error| Stop::Config(format!("{}: {error}", file.display())))?;
        }
        tracing::info!(url = server.url(), version = env!("CARGO_PKG_VERSION"), "started");
        let (url, fail_fast) = (server.url(), args.fail_fast);
        let context =
            Context { config: own, health: health.clone(), metrics, shutdown: shutdown.clone(), fail_fast, url };
        let ended = until_ended(main(context), &shutdown, &health).await;
        signals.abort();
        ended
    });
    // Threads that are still in a blocking call must not keep the process.
    runtime.shutdown_background();
    ended
}

async fn listen(common: &Common, health: &Health, metrics: &Arc<Metrics>) -> Result<HttpServer, Stop> {
    let bind = common.http.bind;
    let served = http::serve(&common.http, health.clone(), metrics.clone(), axum::Router::new()).await;
    served.map_err(|error| Stop::Config(format!("http.bind = {bind}: {error}: choose another address, or port 0")))
}

async fn until_ended<Fut>(main: Fut, shutdown: &Shutdown, health: &Health) -> Result<(), Stop>
where
    Fut: Future<Output = Result<(), Stop>>,
{
    let overdue = async {
        shutdown.draining().await;
        health.block("DRAINING", "the service was asked to end");
        shutdown.hurrying().await;
        tokio::time::sleep(LEAVE_WITHIN).await;
    };
    tokio::select! {
        ended = main => {
            tracing::info!(ok = ended.is_ok(), "ended");
            ended
        }
        () = overdue => {
            tracing::error!("did not leave in time; ending as it is, the ledger holds what the next owner needs");
            Err(Stop::Crash(anyhow::anyhow!("did not leave within {} s after it was hurried", LEAVE_WITHIN.as_secs())))
        }
    }
}

/// Whole or not at all, because others wait for the file to appear.
fn write_ready(file: &Path, url: &str) -> std::io::Result<()> {
    let part = file.with_extension("part");
    std::fs::write(&part, format!("{url}\n"))?;
    std::fs::rename(&part, file)
}

#[cfg(test)]
mod tests;
