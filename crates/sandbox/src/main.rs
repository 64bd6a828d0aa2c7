//! `throughline-sandbox`: the stand-in of a vendor as a process of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Parser;
use sandbox::{Certificate, Config, Seed, avatax, entitlement, salesforce, scim, stripe};

/// A stateful stand-in for the API of a vendor, for development and tests.
#[derive(Parser)]
#[command(name = "throughline-sandbox", version)]
struct Arguments {
    /// Whose API: NetSuite's SuiteTalk REST, Salesforce's REST API, the product platform's entitlements, an identity platform's
    /// SCIM, Stripe Billing, or the tax engine AvaTax.
    #[arg(long, value_enum, default_value = "netsuite")]
    vendor: Vendor,
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Folder for state and credentials; without it everything is lost at exit.
    #[arg(long)]
    data: Option<PathBuf>,
    /// File to write the URL to when the sandbox is ready.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// File with the token that /__admin asks for; required beyond loopback.
    #[arg(long)]
    admin_token_file: Option<PathBuf>,
    /// Set-up data (JSON in the form of the crate's seed.json) instead of the standard one.
    #[arg(long)]
    seed: Option<PathBuf>,
    /// PEM public key of a further certificate; needs --certificate-id and --client-id.
    #[arg(long, requires_all = ["certificate_id", "client_id"])]
    public_key: Option<PathBuf>,
    /// Id (`kid`) of that certificate.
    #[arg(long)]
    certificate_id: Option<String>,
    /// Client (`iss`) that certificate belongs to.
    #[arg(long)]
    client_id: Option<String>,
    /// Requests that may be in progress at once; by default as many as the vendor's smallest account bears.
    #[arg(long)]
    concurrency_limit: Option<usize>,
    /// Milliseconds every record and query request takes.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Vendor {
    Netsuite,
    Salesforce,
    Product,
    Identity,
    Stripe,
    Tax,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let ready_file = arguments.ready_file.clone();
    match arguments.vendor {
        Vendor::Netsuite => {
            let sandbox = sandbox::start(config(arguments)?).await?;
            tell(&sandbox.url(), ready_file.as_deref())?;
            asked_to_stop().await?;
            sandbox.stop().await.context("stop")
        }
        Vendor::Salesforce => {
            let sandbox = salesforce::start(salesforce_config(arguments)?).await?;
            tell(&sandbox.url(), ready_file.as_deref())?;
            asked_to_stop().await?;
            sandbox.stop().await.context("stop")
        }
        vendor @ (Vendor::Product | Vendor::Identity | Vendor::Stripe | Vendor::Tax) => {
            let sandbox = match vendor {
                Vendor::Identity => scim::start(rest_config(arguments, scim::Settings::default())?).await?,
                Vendor::Stripe => stripe::start(rest_config(arguments, stripe::settings())?).await?,
                Vendor::Tax => avatax::start(rest_config(arguments, avatax::Settings::default())?).await?,
                Vendor::Netsuite | Vendor::Salesforce | Vendor::Product => {
                    entitlement::start(rest_config(arguments, entitlement::Settings::default())?).await?
                }
            };
            tell(&sandbox.url(), ready_file.as_deref())?;
            asked_to_stop().await?;
            sandbox.stop().await.context("stop")
        }
    }
}

/// Says where it is.
fn tell(url: &str, ready_file: Option<&Path>) -> anyhow::Result<()> {
    println!("{url}");
    if let Some(path) = ready_file {
        // Written aside and moved, so that a waiting reader never sees half of it.
        let aside = path.with_extension("tmp");
        std::fs::write(&aside, url).with_context(|| format!("write {}", aside.display()))?;
        std::fs::rename(&aside, path).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// The options that this vendor has, too; the others are refused rather than passed over.
fn salesforce_config(arguments: Arguments) -> anyhow::Result<salesforce::Config> {
    anyhow::ensure!(
        arguments.seed.is_none() && arguments.public_key.is_none(),
        "--seed and --public-key are for --vendor netsuite"
    );
    let settings = salesforce::Settings::default();
    let concurrency_limit = arguments.concurrency_limit.unwrap_or(settings.concurrency_limit);
    let settings = salesforce::Settings { latency_ms: arguments.latency_ms, concurrency_limit, ..settings };
    let mut config = salesforce::Config { listen: arguments.listen, data: arguments.data, admin_token: None, settings };
    if let Some(path) = arguments.admin_token_file {
        config.admin_token = Some(read(&path)?.trim().to_owned().into());
    }
    Ok(config)
}

/// The same for the vendors whose stand-ins share their parts.
fn rest_config(arguments: Arguments, settings: entitlement::Settings) -> anyhow::Result<entitlement::Config> {
    anyhow::ensure!(
        arguments.seed.is_none() && arguments.public_key.is_none(),
        "--seed and --public-key are for --vendor netsuite"
    );
    let concurrency_limit = arguments.concurrency_limit.unwrap_or(settings.concurrency_limit);
    let settings = entitlement::Settings { latency_ms: arguments.latency_ms, concurrency_limit, ..settings };
    let mut config =
        entitlement::Config { listen: arguments.listen, data: arguments.data, admin_token: None, settings };
    if let Some(path) = arguments.admin_token_file {
        config.admin_token = Some(read(&path)?.trim().to_owned().into());
    }
    Ok(config)
}

fn config(arguments: Arguments) -> anyhow::Result<Config> {
    let mut config = Config { listen: arguments.listen, data: arguments.data, ..Config::default() };
    config.settings.concurrency_limit = arguments.concurrency_limit.unwrap_or(config.settings.concurrency_limit);
    config.settings.latency_ms = arguments.latency_ms;
    if let Some(path) = arguments.admin_token_file {
        config.admin_token = Some(read(&path)?.trim().to_owned().into());
    }
    if let Some(path) = arguments.seed {
        config.seed =
            serde_json::from_str::<Seed>(&read(&path)?).with_context(|| format!("read {}", path.display()))?;
    }
    if let (Some(path), Some(certificate_id), Some(client_id)) =
        (arguments.public_key, arguments.certificate_id, arguments.client_id)
    {
        config.certificates.push(Certificate { certificate_id, client_id, public_key_pem: read(&path)? });
    }
    Ok(config)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// Returns on SIGINT or SIGTERM.
async fn asked_to_stop() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listen for SIGINT"),
        _ = terminate.recv() => Ok(()),
    }
}
