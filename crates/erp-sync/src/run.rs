//! Puts the service together: configuration, mapping, connector, runtime.

use crate::{ErpConfig, ErpSync, ErpTarget, Mapping, reply::Replies};
use connectors::netsuite::NetSuite;
use consumer::runtime::{self, Observer, RuntimeConfig, Service};
use kafka::{Registry, RegistryConfig, RegistryError};
use service::{
    Context, Stop,
    config::{Config, Section},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// All settings of the service besides the common ones.
#[derive(Debug)]
pub struct ServiceConfig {
    pub runtime: RuntimeConfig,
    pub erp: ErpConfig,
}

impl Config for ServiceConfig {
    fn read(section: &mut Section<'_>) -> Self {
        Self { runtime: RuntimeConfig::read(section), erp: section.section("erp") }
    }
}

/// Runs the service until it is asked to end.
///
/// # Errors
/// [`Stop::Config`] for a mapping or connector that cannot work; [`Stop::Crash`] where the runtime cannot go on.
pub async fn run(context: Context<ServiceConfig>) -> Result<(), Stop> {
    let Context { config, health, metrics, shutdown, .. } = context;
    let mapping = Mapping::load(&config.erp.mapping).map_err(|problems| Stop::Config(problems.to_string()))?;
    let replies = tokio::select! {
        ids = schema_ids(&config.runtime.registry) => Replies::new(ids?),
        () = shutdown.draining() => return Ok(()),
    };
    let visibility = config.erp.visibility;
    let erp = NetSuite::try_new(config.erp.netsuite).map_err(|problems| Stop::Config(problems.join("; ")))?;
    let service = Service {
        handler: ErpSync::replying(mapping, replies),
        target: ErpTarget::new(Arc::new(erp), visibility),
        config: config.runtime,
        observer: Observer::new(metrics, health, "erp"),
        shutdown,
    };
    runtime::run(service).await.map_err(|error| match error {
        runtime::Error::Config(text) => Stop::Config(text),
        other => Stop::Crash(other.into()),
    })
}

/// Ids of the schemas that replies are written with. A registry that is away is waited for; a schema that it does not know is
/// registered, which a registry refuses where it would break the topic's compatibility.
async fn schema_ids(config: &RegistryConfig) -> Result<BTreeMap<&'static str, u32>, Stop> {
    let registry = Registry::connect(config.clone()).map_err(|error| Stop::Config(error.to_string()))?;
    let mut ids = BTreeMap::new();
    for subject in Replies::TOPICS.iter().filter_map(|topic| events::topics::find(topic)) {
        let id = loop {
            match registry.register(subject.subject, subject.schema).await {
                Ok(id) => break id,
                Err(error @ (RegistryError::Unavailable(_) | RegistryError::RateLimited)) => {
                    tracing::warn!(subject = subject.subject, %error, "waiting for the schema registry");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => {
                    let hint = "register the schemas first: throughline schemas register";
                    return Err(Stop::Config(format!("{}: {error}; {hint}", subject.subject)));
                }
            }
        };
        ids.insert(subject.topic, id);
    }
    Ok(ids)
}

const AGAIN: Duration = Duration::from_secs(1);
