//! Puts the service together: configuration, connector, runtime.

use crate::{CrmConfig, CrmSync, CrmTarget};
use connectors::salesforce::Salesforce;
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
    pub crm: CrmConfig,
}

impl Config for ServiceConfig {
    fn read(section: &mut Section<'_>) -> Self {
        Self { runtime: RuntimeConfig::read(section), crm: section.section("crm") }
    }
}

/// Runs the service until it is asked to end.
///
/// # Errors
/// [`Stop::Config`] for a connector that cannot work; [`Stop::Crash`] where the runtime cannot go on.
pub async fn run(context: Context<ServiceConfig>) -> Result<(), Stop> {
    let Context { config, health, metrics, shutdown, .. } = context;
    let visibility = config.crm.visibility;
    let crm = Salesforce::try_new(config.crm.salesforce).map_err(|problems| Stop::Config(problems.join("; ")))?;
    let service = Service {
        handler: CrmSync,
        target: CrmTarget::new(Arc::new(crm), visibility),
        config: config.runtime,
        observer: Observer::new(metrics, health, "crm"),
        shutdown,
    };
    runtime::run(service).await.map_err(runtime::Error::into_stop)
}
