//! Puts the service together: configuration, schemas, runtime.

use crate::{AnalyticsFeed, MaskingConfig, ProjectionConfig, Writer};
use consumer::{
    Nobody,
    runtime::{self, Observer, RuntimeConfig, Service},
};
use service::{
    Context, Stop,
    config::{Config, Section},
};

/// All settings of the service besides the common ones.
#[derive(Debug)]
pub struct ServiceConfig {
    pub runtime: RuntimeConfig,
    pub masking: MaskingConfig,
    pub projection: ProjectionConfig,
}

impl Config for ServiceConfig {
    fn read(section: &mut Section<'_>) -> Self {
        let (masking, projection) = (section.section("masking"), section.section("projection"));
        Self { runtime: RuntimeConfig::read(section), masking, projection }
    }
}

/// Runs the service until it is asked to end.
///
/// # Errors
/// [`Stop::Config`] for a key or registry that cannot work; [`Stop::Crash`] where the runtime cannot go on.
pub async fn run(context: Context<ServiceConfig>) -> Result<(), Stop> {
    let Context { mut config, health, metrics, shutdown, .. } = context;
    let pseudonyms = config.masking.pseudonyms().map_err(Stop::Config)?;
    config.projection.place(&mut config.runtime.ledger);
    let generation = config.projection.generation;
    let writer = tokio::select! {
        ids = runtime::schema_ids_at_start(&config.runtime.registry, Writer::subjects(), &health) => Writer::new(ids.map_err(runtime::Error::into_stop)?, generation),
        () = shutdown.draining() => return Ok(()),
    };
    let service = Service {
        handler: AnalyticsFeed::new(pseudonyms, writer),
        target: Nobody,
        config: config.runtime,
        observer: Observer::new(metrics, health, runtime::NOBODY),
        shutdown,
    };
    runtime::run(service).await.map_err(runtime::Error::into_stop)
}
