//! Puts the service together: configuration, schemas, runtime.

use crate::{AnalyticsFeed, MaskingConfig, Nobody, Writer};
use consumer::runtime::{self, Observer, RuntimeConfig, Service};
use events::topics::{Family, of_family};
use kafka::{Registry, RegistryConfig, RegistryError};
use service::{
    Context, Stop,
    config::{Config, Section},
};
use std::{collections::BTreeMap, time::Duration};

/// All settings of the service besides the common ones.
#[derive(Debug)]
pub struct ServiceConfig {
    pub runtime: RuntimeConfig,
    pub masking: MaskingConfig,
}

impl Config for ServiceConfig {
    fn read(section: &mut Section<'_>) -> Self {
        Self { runtime: RuntimeConfig::read(section), masking: section.section("masking") }
    }
}

/// Runs the service until it is asked to end.
///
/// # Errors
/// [`Stop::Config`] for a key or registry that cannot work; [`Stop::Crash`] where the runtime cannot go on.
pub async fn run(context: Context<ServiceConfig>) -> Result<(), Stop> {
    let Context { config, health, metrics, shutdown, .. } = context;
    let pseudonyms = config.masking.pseudonyms().map_err(Stop::Config)?;
    let writer = tokio::select! {
        ids = schema_ids(&config.runtime.registry) => Writer::new(ids?),
        () = shutdown.draining() => return Ok(()),
    };
    let service = Service {
        handler: AnalyticsFeed::new(pseudonyms, writer),
        target: Nobody,
        config: config.runtime,
        observer: Observer::new(metrics, health, "none"),
        shutdown,
    };
    runtime::run(service).await.map_err(|error| match error {
        runtime::Error::Config(text) => Stop::Config(text),
        other => Stop::Crash(other.into()),
    })
}

/// Ids of the schemas that rows are written with. A registry that is away is waited for; a schema that it does not know is
/// registered, which a registry refuses where it would break the topic's compatibility.
async fn schema_ids(config: &RegistryConfig) -> Result<BTreeMap<&'static str, u32>, Stop> {
    let registry = Registry::connect(config.clone()).map_err(|error| Stop::Config(error.to_string()))?;
    let mut ids = BTreeMap::new();
    for subject in of_family(Family::Analytics) {
        let id = loop {
            match registry.register(subject.subject, subject.schema).await {
                Ok(id) => break id,
                Err(error) if is_passing(&error) => {
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

const fn is_passing(error: &RegistryError) -> bool {
    match error {
        RegistryError::Unavailable(_) | RegistryError::RateLimited => true,
        RegistryError::Config(_)
        | RegistryError::Denied
        | RegistryError::NotFound { .. }
        | RegistryError::Incompatible { .. }
        | RegistryError::Invalid { .. } => false,
    }
}

const AGAIN: Duration = Duration::from_secs(1);
