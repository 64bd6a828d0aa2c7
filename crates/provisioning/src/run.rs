//! Puts the service together: configuration, policy, connectors, runtime.

use crate::{IdentityConfig, PlatformTarget, Policy, ProductConfig, Provisioning, reply::Replies};
use connectors::{IdentityPlatform, entitlement::Entitlements, scim::Scim};
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
    pub product: ProductConfig,
    pub identity: IdentityConfig,
}

impl Config for ServiceConfig {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            runtime: RuntimeConfig::read(section),
            product: section.section("product"),
            identity: section.section("identity"),
        }
    }
}

/// Runs the service until it is asked to end.
///
/// # Errors
/// [`Stop::Config`] for a policy or connector that cannot work; [`Stop::Crash`] where the runtime cannot go on.
pub async fn run(context: Context<ServiceConfig>) -> Result<(), Stop> {
    let Context { config, health, metrics, shutdown, .. } = context;
    let policy = Policy::load(&config.product.policy).map_err(|problems| Stop::Config(problems.to_string()))?;
    let replies = tokio::select! {
        ids = runtime::schema_ids_at_start(&config.runtime.registry, Replies::subjects(), &health) => Replies::new(ids.map_err(runtime::Error::into_stop)?),
        () = shutdown.draining() => return Ok(()),
    };
    let wrong = |problems: Vec<String>| Stop::Config(problems.join("; "));
    let product = Entitlements::try_new(config.product.options).map_err(wrong)?;
    let identity = config.identity.options.map(Scim::try_new).transpose().map_err(wrong)?;
    let identity = identity.map(|scim| Arc::new(scim) as Arc<dyn IdentityPlatform>);
    let handler = Provisioning::new(policy, replies, identity.is_some());
    let service = Service {
        handler,
        target: PlatformTarget::new(Arc::new(product), identity, config.product.visibility),
        config: config.runtime,
        observer: Observer::new(metrics, health, "product"),
        shutdown,
    };
    runtime::run(service).await.map_err(runtime::Error::into_stop)
}
