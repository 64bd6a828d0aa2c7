//! Starting the parts of a stack, in both kinds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use kafka::mock::MockBroker;
use tokio::time::Instant;

use crate::{
    endpoints::{Endpoints, Kind},
    error::{Error, Result},
    kafka_broker::Kafka,
    ports,
    postgres::Postgres,
    process::Spec,
    programs,
    registry::{self, Registry},
    stack::{Inside, StackConfig},
    unit::{Program, Unit},
    watch::{Listener, Watched},
};

/// Parts that run, and where.
pub(crate) struct Addresses {
    pub endpoints: Endpoints,
    pub parts: Vec<Watched>,
    pub inside: Inside,
}

fn addresses(kind: Kind, kafka: String, registry: String, erp: String, others: Vec<(&str, String)>) -> Endpoints {
    let mut sandboxes = BTreeMap::from([("erp".to_owned(), erp.clone())]);
    sandboxes.extend(others.into_iter().map(|(name, url)| (name.to_owned(), url)));
    let (services, parts) = Default::default();
    Endpoints { kind, kafka, registry, postgres: None, sqlite: None, erp, sandboxes, control: None, services, parts }
}

/// Broker, registry and sandboxes in this process, the ledger in one file.
pub(crate) async fn embedded(config: &StackConfig) -> Result<Addresses> {
    set_aside(&config.data)?;
    let broker = MockBroker::start()?;
    let registry = Registry::start(registry::Config::default()).await?;
    let (sandbox, crm) = (sandbox_inside(&config.data).await?, crm_inside(&config.data).await?);
    let mut others = vec![("crm", crm.url())];
    let mut platforms = Vec::new();
    for name in PLATFORMS {
        let platform = platform_inside(name, &config.data).await?;
        others.push((name, platform.url()));
        platforms.push(platform);
    }
    let endpoints = addresses(Kind::Embedded, broker.bootstrap().to_owned(), registry.url(), sandbox.url(), others);
    let sqlite = Some(config.data.join("ledger.db").display().to_string());
    let (broker, registry) = (Some(broker), Some(registry));
    let inside = Inside { broker, registry, sandbox: Some(sandbox), crm: Some(crm), platforms };
    Ok(Addresses { endpoints: Endpoints { sqlite, ..endpoints }, parts: Vec::new(), inside })
}

/// The in-process broker forgets its records when it ends; a ledger and an ERP that remember them would not fit the
/// new ones. They are kept, out of the way.
fn set_aside(data: &Path) -> Result<()> {
    let entries = std::fs::read_dir(data).map_err(Error::file("read", data))?;
    let is_old = |name: &str| name == "sandbox" || (name.starts_with("ledger") && name.contains(".db"));
    let old: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_old))
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ");
    let aside = data.join(format!("before-{now}"));
    std::fs::create_dir_all(&aside).map_err(Error::file("make the folder", &aside))?;
    for path in &old {
        let to = aside.join(path.file_name().unwrap_or_default());
        std::fs::rename(path, &to).map_err(Error::file("move aside", path))?;
    }
    tracing::warn!(
        kept = %aside.display(),
        "the embedded broker starts empty, so the ledgers and the sandboxes of the earlier run were moved aside"
    );
    Ok(())
}

/// Kafka, PostgreSQL, registry and sandboxes as processes, all at once.
pub(crate) async fn real(config: &StackConfig, listener: &Listener) -> Result<Addresses> {
    let stores = async { tokio::join!(kafka(config), postgres(config), registry(config)) };
    let platforms = futures::future::try_join_all(PLATFORMS.map(|name| platform(name, config)));
    let ((kafka, postgres, registry), sandbox, crm, platforms) =
        tokio::join!(stores, sandbox(config), crm(config), platforms);
    let (kafka, postgres, registry, sandbox, crm) = (kafka?, postgres?, registry?, sandbox?, crm?);
    let mut inside = Inside::default();
    let mut parts = Vec::new();
    let mut watch = |name: &str, unit: Option<Unit>| {
        parts.extend(unit.map(|unit| Watched::start(name, unit, listener.clone())));
    };
    for (name, unit) in kafka.1 {
        watch(&name, Some(unit));
    }
    watch("postgres", postgres.unit);
    watch("registry", registry.unit);
    watch("sandbox", sandbox.unit);
    watch("crm-sandbox", crm.unit);
    inside.registry = registry.inside;
    inside.sandbox = sandbox.inside;
    inside.crm = crm.inside;
    let mut others = vec![("crm", crm.address)];
    for (name, platform) in PLATFORMS.into_iter().zip(platforms?) {
        watch(&format!("{name}-sandbox"), platform.unit);
        inside.platforms.extend(platform.inside);
        others.push((name, platform.address));
    }
    let endpoints = addresses(Kind::Real, kafka.0, registry.address, sandbox.address, others);
    Ok(Addresses { endpoints: Endpoints { postgres: Some(postgres.address), ..endpoints }, parts, inside })
}

/// A part: where it is, and what keeps it alive, if it is ours.
struct Part<T = ()> {
    address: String,
    unit: Option<Unit>,
    inside: Option<T>,
}

impl<T> Part<T> {
    fn elsewhere(address: &str) -> Self {
        Self { address: address.to_owned(), unit: None, inside: None }
    }

    fn process(address: String, unit: Unit) -> Self {
        Self { address, unit: Some(unit), inside: None }
    }

    fn inside(address: String, part: T) -> Self {
        Self { address, unit: None, inside: Some(part) }
    }
}

/// The brokers: where they are, and each by its name.
async fn kafka(config: &StackConfig) -> Result<(String, Vec<(String, Unit)>)> {
    if let Some(brokers) = &config.kafka {
        return Ok((brokers.clone(), Vec::new()));
    }
    let names: Vec<String> = (1..=config.brokers.max(1)).map(|number| numbered("kafka", number)).collect();
    let folders: Vec<PathBuf> = names.iter().map(|name| config.data.join(name)).collect();
    let brokers = Kafka::cluster(&folders, config.kafka_detour).await?;
    let address = brokers.iter().map(Kafka::bootstrap).collect::<Vec<_>>().join(",");
    let units = brokers.into_iter().map(|kafka| Unit::Kafka(Box::new(kafka)));
    Ok((address, names.into_iter().zip(units).collect()))
}

/// The name of one of several: the first has no number.
pub(crate) fn numbered(name: &str, number: u16) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}

/// Others may still need these when they end, so these end last.
pub(crate) fn is_store(name: &str) -> bool {
    name == "postgres" || name == "kafka" || name.starts_with("kafka-")
}

async fn postgres(config: &StackConfig) -> Result<Part> {
    if let Some(url) = &config.postgres {
        return Ok(Part::elsewhere(url));
    }
    let postgres = Postgres::start(&config.data.join("postgres")).await?;
    Ok(Part::process(postgres.url(), Unit::Postgres(Box::new(postgres))))
}

async fn registry(config: &StackConfig) -> Result<Part<Registry>> {
    if let Some(url) = &config.registry {
        return Ok(Part::elsewhere(url));
    }
    let folder = config.data.join("registry");
    match programs::find(&["throughline-registry"], "devstack", config.binaries.as_deref()) {
        Ok(program) => {
            let program = stand_in("registry", program, &folder, &folder, &[]).await?;
            Ok(Part::process(program.http().to_owned(), Unit::Program(Box::new(program))))
        }
        Err(error) => {
            tracing::info!(%error, "the registry runs inside this process");
            let registry = Registry::start(registry::Config { data: Some(folder), ..Default::default() }).await?;
            Ok(Part::inside(registry.url(), registry))
        }
    }
}

async fn sandbox(config: &StackConfig) -> Result<Part<sandbox::Sandbox>> {
    let folder = config.data.join("sandbox");
    match programs::find(&["throughline-sandbox", "sandbox"], "sandbox", config.binaries.as_deref()) {
        Ok(program) => {
            let program = stand_in("sandbox", program, &folder, &erp_folder(&config.data), &[]).await?;
            Ok(Part::process(program.http().to_owned(), Unit::Program(Box::new(program))))
        }
        Err(error) => {
            tracing::info!(%error, "the ERP sandbox runs inside this process");
            let sandbox = sandbox_inside(&config.data).await?;
            Ok(Part::inside(sandbox.url(), sandbox))
        }
    }
}

async fn crm(config: &StackConfig) -> Result<Part<sandbox::salesforce::Sandbox>> {
    match programs::find(&["throughline-sandbox", "sandbox"], "sandbox", config.binaries.as_deref()) {
        Ok(program) => {
            let (folder, data) = (config.data.join("sandbox-crm"), crm_folder(&config.data));
            let vendor = ["--vendor", "salesforce"];
            let program = stand_in("crm-sandbox", program, &folder, &data, &vendor).await?;
            Ok(Part::process(program.http().to_owned(), Unit::Program(Box::new(program))))
        }
        Err(error) => {
            tracing::info!(%error, "the CRM sandbox runs inside this process");
            let sandbox = crm_inside(&config.data).await?;
            Ok(Part::inside(sandbox.url(), sandbox))
        }
    }
}

fn crm_folder(data: &Path) -> PathBuf {
    data.join("sandbox/crm")
}

async fn crm_inside(data: &Path) -> Result<sandbox::salesforce::Sandbox> {
    let folder = crm_folder(data);
    std::fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    let config = sandbox::salesforce::Config { data: Some(folder), ..Default::default() };
    Ok(sandbox::salesforce::start(config).await?)
}

/// The product platform, by the name of its sandbox.
pub(crate) const PRODUCT: &str = "product";
/// The identity platform, by the name of its sandbox.
pub(crate) const IDENTITY: &str = "identity";

/// The billing system, by the name of its sandbox.
pub(crate) const BILLING: &str = "stripe";
/// The tax engine, by the name of its sandbox.
pub(crate) const TAX: &str = "tax";

/// Sandboxes of one kind, by their names, which are those of their vendors too.
const PLATFORMS: [&str; 4] = [PRODUCT, IDENTITY, BILLING, TAX];

type Platform = sandbox::entitlement::Sandbox;

async fn platform(name: &'static str, config: &StackConfig) -> Result<Part<Platform>> {
    match programs::find(&["throughline-sandbox", "sandbox"], "sandbox", config.binaries.as_deref()) {
        Ok(program) => {
            let folder = config.data.join(format!("sandbox-{name}"));
            let data = platform_folder(name, &config.data);
            let program = stand_in(&format!("{name}-sandbox"), program, &folder, &data, &["--vendor", name]).await?;
            Ok(Part::process(program.http().to_owned(), Unit::Program(Box::new(program))))
        }
        Err(error) => {
            tracing::info!(%error, "the {name} sandbox runs inside this process");
            let sandbox = platform_inside(name, &config.data).await?;
            Ok(Part::inside(sandbox.url(), sandbox))
        }
    }
}

pub(crate) fn platform_folder(name: &str, data: &Path) -> PathBuf {
    data.join("sandbox").join(name)
}

async fn platform_inside(name: &str, data: &Path) -> Result<Platform> {
    let folder = platform_folder(name, data);
    std::fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    let config = sandbox::entitlement::Config { data: Some(folder), ..Default::default() };
    let started = match name {
        IDENTITY => sandbox::scim::start(config).await,
        BILLING => {
            let settings = sandbox::stripe::settings();
            sandbox::stripe::start(sandbox::stripe::Config { settings, ..config }).await
        }
        TAX => sandbox::avatax::start(config).await,
        _ => sandbox::entitlement::start(config).await,
    };
    Ok(started?)
}

fn erp_folder(data: &Path) -> PathBuf {
    data.join("sandbox/erp")
}

async fn sandbox_inside(data: &Path) -> Result<sandbox::Sandbox> {
    let folder = erp_folder(data);
    std::fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    Ok(sandbox::start(sandbox::Config { data: Some(folder), ..Default::default() }).await?)
}

/// One of our own small servers, on a port that it keeps.
async fn stand_in(name: &str, program: PathBuf, folder: &Path, data: &Path, more: &[&str]) -> Result<Program> {
    for folder in [folder, data] {
        std::fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
    }
    let [port] = ports::remembered(folder, [name])?;
    let ready = folder.join("ready");
    let spec = Spec::new(name, program, folder.join(format!("{name}.log")));
    let spec = spec.arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--data").arg(data);
    let spec = more.iter().fold(spec, |spec, argument| spec.arg(argument));
    Program::start(spec.arg("--ready-file").arg(&ready), ready).await
}

/// Asks `url` until it answers 200.
pub(crate) async fn until_answers(name: &str, url: &str, within: Duration) -> Result<()> {
    // Fails only where one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build();
    let not_ready = |reason: String| Error::NotReady { name: name.to_owned(), reason };
    let client = client.map_err(|error| not_ready(error.to_string()))?;
    let deadline = Instant::now() + within;
    loop {
        let reason = match client.get(url).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default()),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(not_ready(reason));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
