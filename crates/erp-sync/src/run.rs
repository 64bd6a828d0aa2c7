//! Puts the service together: configuration, mapping, connector, runtime.

use crate::{ErpConfig, ErpSync, ErpTarget, Mapping, reply::Replies};
use connectors::netsuite::NetSuite;
use consumer::runtime::{self, Observer, RuntimeConfig, Service};
use service::{
    Context, Stop,
    config::{Config, Section},
};
use std::sync::Arc;

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
        ids = runtime::schema_ids_at_start(&config.runtime.registry, Replies::subjects(), &health) => Replies::new(ids.map_err(runtime::Error::into_stop)?),
        () = shutdown.draining() => return Ok(()),
    };
    let visibility = config.erp.visibility;
    let erp = NetSuite::try_new(config.erp.netsuite).map_err(|problems| Stop::Config(problems.join("; ")))?;
    tokio::select! {
        () = erp.keep_to_account_limits() => {}
        () = shutdown.draining() => return Ok(()),
    }
    let service = Service {
        handler: ErpSync::replying(mapping, replies),
        target: ErpTarget::new(Arc::new(erp), visibility),
        config: config.runtime,
        observer: Observer::new(metrics, health, "erp"),
        shutdown,
    };
    runtime::run(service).await.map_err(runtime::Error::into_stop)
}
