//! Which stack a command speaks to: the one in a data folder, or one named part by part.

use crate::{
    commands::SERVICES,
    exit::{Result, Trouble},
};
use clap::Args;
use devstack::{Endpoints, Kind, Running};
use ledger::Ledger;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Options of every command that speaks to a stack.
#[derive(Debug, Clone, Args)]
pub(crate) struct StackArgs {
    /// Folder of a stack that `throughline up` started
    #[arg(long, value_name = "DIR", env = "THROUGHLINE_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Kafka brokers, host:port separated by commas
    #[arg(long, value_name = "LIST")]
    pub(crate) brokers: Option<String>,
    /// Further Kafka client settings (TOML: security, properties)
    #[arg(long, value_name = "FILE")]
    pub(crate) kafka_config: Option<PathBuf>,
    /// URL of the schema registry
    #[arg(long, value_name = "URL")]
    pub(crate) registry: Option<String>,
    /// Ledger of the service: postgres://… or the path of a SQLite file
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
}

/// Where `throughline up` puts a stack unless told otherwise.
pub(crate) const DEFAULT_DATA: &str = ".throughline";

/// The parts that are known, whoever told them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    pub(crate) kafka: Option<String>,
    pub(crate) registry: Option<String>,
    /// As the ledger crate takes it: `postgres://…` or `sqlite://…`.
    pub(crate) ledger: Option<String>,
    /// URL of the ERP's sandbox.
    pub(crate) erp: Option<String>,
    /// URLs of the sandboxes that each service changes, by service.
    pub(crate) outside: BTreeMap<&'static str, Vec<String>>,
    pub(crate) services: BTreeMap<String, Running>,
    /// The parts are those of a stack in a folder, with a ledger for each service.
    pub(crate) whole: bool,
    /// The broker is librdkafka's in-process one.
    pub(crate) embedded: bool,
}

impl From<Endpoints> for Parts {
    fn from(found: Endpoints) -> Self {
        let outside = SERVICES.iter().map(|service| (*service, found.outside(service))).collect();
        let sqlite = found.sqlite.map(|path| format!("sqlite://{path}"));
        Self {
            outside,
            kafka: Some(found.kafka),
            registry: Some(found.registry),
            ledger: found.postgres.or(sqlite),
            erp: Some(found.erp),
            services: found.services,
            whole: true,
            embedded: found.kind == Kind::Embedded,
        }
    }
}

/// The parts of a stack that are known; each accessor says what to do where one is not.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    parts: Parts,
    kafka_config: Option<PathBuf>,
}

impl StackArgs {
    /// Reads `endpoints.json`, if a folder is given or the default one exists; single options win over it.
    pub(crate) fn resolve(&self) -> Result<Stack> {
        let mut parts = match self.folder() {
            Some(folder) => Endpoints::read(&folder).map_err(|error| no_endpoints(&folder, &error))?.into(),
            None => Parts::default(),
        };
        parts.embedded &= self.brokers.is_none();
        parts.kafka = self.brokers.clone().or(parts.kafka);
        parts.registry = self.registry.clone().or(parts.registry);
        parts.whole &= self.ledger.is_none();
        parts.ledger = self.ledger.as_deref().map(ledger_url).or(parts.ledger);
        Ok(Stack { parts, kafka_config: self.kafka_config.clone() })
    }

    /// The folder of the stack; `None` where its parts are named one by one.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let named = self.brokers.is_some() || self.registry.is_some() || self.ledger.is_some();
        let default = || Some(PathBuf::from(DEFAULT_DATA)).filter(|folder| !named && folder.is_dir());
        self.data.clone().or_else(default)
    }
}

fn no_endpoints(folder: &Path, error: &devstack::Error) -> Trouble {
    let reason = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let hint = format!("start a stack there: throughline up --data {} --detach", folder.display());
    Trouble::failed("NO_STACK", format!("{error}{reason}")).hint(hint)
}

fn ledger_url(given: &str) -> String {
    if given.contains("://") { given.to_owned() } else { format!("sqlite://{given}") }
}

impl Stack {
    /// A stack of this process.
    pub(crate) const fn of(parts: Parts) -> Self {
        Self { parts, kafka_config: None }
    }

    pub(crate) const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Whether this is a stack in a folder, with all its services.
    pub(crate) const fn is_whole(&self) -> bool {
        self.parts.whole
    }

    pub(crate) fn kafka(&self) -> Result<kafka::ClientConfig> {
        let mut config = match &self.kafka_config {
            Some(file) => read_kafka_config(file)?,
            None => kafka::ClientConfig::default(),
        };
        "throughline-cli".clone_into(&mut config.client_id);
        if let Some(brokers) = &self.parts.kafka {
            config.brokers.clone_from(brokers);
        }
        config.embedded |= self.parts.embedded;
        if config.brokers.is_empty() {
            return Err(missing("the Kafka cluster", "--brokers HOST:PORT"));
        }
        let problems = config.problems();
        if problems.is_empty() { Ok(config) } else { Err(Trouble::usage(problems.join("; "))) }
    }

    pub(crate) fn registry(&self) -> Result<&str> {
        self.parts.registry.as_deref().ok_or_else(|| missing("the schema registry", "--registry URL"))
    }

    /// Opens the ledger of a service. One that is not there is not made: a misspelt path must not become an empty ledger.
    pub(crate) async fn ledger(&self, service: &str) -> Result<Arc<dyn Ledger>> {
        let url = self.parts.ledger.as_deref().ok_or_else(|| missing("the ledger", "--ledger URL"))?;
        let url = match url.strip_prefix("sqlite://") {
            Some(path) if self.parts.whole => &format!("sqlite://{}", devstack::services::sqlite_of(service, path)),
            Some(_) | None => url,
        };
        if let Some(path) = url.strip_prefix("sqlite://")
            && !Path::new(path).is_file()
        {
            let trouble = Trouble::failed("NO_LEDGER", format!("there is no ledger at {path}"));
            return Err(trouble.hint("a service makes it when it first starts"));
        }
        let mut config = ledger::Config::new(url, ledger::schema_of(service));
        config.connections = 2;
        config.password = std::env::var("THROUGHLINE_LEDGER_PASSWORD").ok().map(Into::into);
        ledger::open(&config).await.map_err(|error| ledger_trouble(&error))
    }

    /// The logs of all sandboxes: committed effects, one JSON object each.
    pub(crate) async fn outside_effects(&self) -> Result<Vec<serde_json::Value>> {
        let client = http(None)?;
        let mut effects = Vec::new();
        for sandbox in self.parts.outside.values().flatten() {
            let url = format!("{sandbox}/__admin/effects");
            let silent = |_| Trouble::unavailable("SANDBOX_UNAVAILABLE", format!("{url} does not answer"));
            let answer = client.get(&url).send().await.map_err(silent)?;
            let text = answer.error_for_status().map_err(silent)?.text().await.map_err(silent)?;
            for line in text.lines().filter(|line| !line.is_empty()) {
                let effect = serde_json::from_str(line);
                effects.push(effect.map_err(|error| Trouble::failed("SANDBOX_ODD", format!("{url}: {error}")))?);
            }
        }
        Ok(effects)
    }
}

fn read_kafka_config(file: &Path) -> Result<kafka::ClientConfig> {
    let wrong = |what: String| Trouble::usage(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))
}

fn missing(what: &str, option: &str) -> Trouble {
    let hint = format!("give --data DIR of a stack that `throughline up` started, or {option}");
    Trouble::usage(format!("it is not known where {what} is")).hint(hint)
}

/// A client for health, registry and sandbox: all of them are near, or somebody waits in vain.
pub(crate) fn http(authorization: Option<&str>) -> Result<reqwest::Client> {
    let cannot = |reason: String| Trouble::failed("HTTP_CLIENT", format!("cannot make an HTTP client: {reason}"));
    let mut headers = HeaderMap::new();
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::from_str(authorization).map_err(|_| cannot("bad credentials".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let built = reqwest::Client::builder().timeout(Duration::from_secs(10)).default_headers(headers).build();
    built.map_err(|error| cannot(error.to_string()))
}

/// A ledger's error as people need it.
pub(crate) fn ledger_trouble(error: &ledger::Error) -> Trouble {
    match error {
        ledger::Error::Unavailable(_) => Trouble::unavailable("LEDGER_UNAVAILABLE", error.to_string())
            .hint("is the database up? try `throughline doctor`"),
        ledger::Error::NewerSchema { .. } => Trouble::failed("LEDGER_NEWER", error.to_string()),
        ledger::Error::Corrupt(_) => Trouble::failed("LEDGER_CORRUPT", error.to_string()),
        ledger::Error::Config(_) | ledger::Error::Misuse(_) => Trouble::usage(error.to_string()),
    }
}

/// A broker's error as people need it.
pub(crate) fn broker_trouble(error: &kafka::Error) -> Trouble {
    let trouble = match error {
        kafka::Error::Config(_) => Trouble::usage(error.to_string()),
        kafka::Error::UnknownTopic { .. } => {
            Trouble::failed("TOPIC_UNKNOWN", error.to_string()).hint("create it: throughline topics apply")
        }
        kafka::Error::Denied { .. } => {
            Trouble::failed("BROKER_DENIED", error.to_string()).hint("check credentials and rights")
        }
        kafka::Error::Unavailable { .. } | kafka::Error::NotAcknowledged { .. } | kafka::Error::QueueFull => {
            Trouble::unavailable("BROKER_UNAVAILABLE", error.to_string())
                .hint("is the broker up? try `throughline doctor`")
        }
        kafka::Error::TooLarge { .. } | kafka::Error::Fatal { .. } | kafka::Error::Closed => {
            Trouble::failed("BROKER_ERROR", error.to_string())
        }
    };
    Trouble { retryable: error.is_passing(), ..trouble }
}
