//! Puts the service together: configuration, policies, schemas, runtime.

use crate::{BillingConfig, FlowConfig, OrderFlow, OutsideTarget, Parts, TaxConfig, Writer};
use connectors::{avatax::AvaTax, billing::Billing, stripe::Stripe, tax::TaxEngine};
use consumer::runtime::{self, Observer, RuntimeConfig, Service};
use rules::{Refresh, Store};
use service::{
    Context, Stop,
    config::{Config, Section},
};
use std::{sync::Arc, time::Duration};
use telemetry::Metrics;

/// All settings of the service besides the common ones.
#[derive(Debug)]
pub struct ServiceConfig {
    pub runtime: RuntimeConfig,
    pub flow: FlowConfig,
    pub tax: TaxConfig,
    pub billing: BillingConfig,
}

impl Config for ServiceConfig {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            runtime: RuntimeConfig::read(section),
            flow: section.section("flow"),
            tax: section.section("tax"),
            billing: section.section("billing"),
        }
    }
}

/// Runs the service until it is asked to end.
///
/// # Errors
/// [`Stop::Config`] for policies or connectors that cannot work; [`Stop::Crash`] where the runtime cannot go on.
pub async fn run(context: Context<ServiceConfig>) -> Result<(), Stop> {
    let Context { config, health, metrics, shutdown, .. } = context;
    let policies = Store::open(&config.flow.policies).map_err(|problems| Stop::Config(problems.to_string()))?;
    let policies = Arc::new(policies);
    let (parts, target) = outside(config.flow.visibility, config.tax, config.billing)?;
    let writer = tokio::select! {
        ids = runtime::schema_ids_at_start(&config.runtime.registry, Writer::subjects(), &health) => Writer::new(ids.map_err(runtime::Error::into_stop)?),
        () = shutdown.draining() => return Ok(()),
    };
    let watched = watch(policies.clone(), config.flow.look_every, metrics.clone());
    let service = Service {
        handler: OrderFlow::new(policies, writer).with(parts),
        target,
        config: config.runtime,
        observer: Observer::new(metrics, health, name_of(parts)),
        shutdown,
    };
    tokio::select! {
        ended = runtime::run(service) => ended.map_err(runtime::Error::into_stop),
        never = watched => match never {},
    }
}

/// The systems that are switched on, and what reaches them.
fn outside(visibility: Duration, tax: TaxConfig, billing: BillingConfig) -> Result<(Parts, OutsideTarget), Stop> {
    let wrong = |problems: Vec<String>| Stop::Config(problems.join("; "));
    let tax = tax.account.map(|account| account.options().and_then(AvaTax::try_new)).transpose().map_err(wrong)?;
    let billing = billing.access.map(Stripe::try_new).transpose().map_err(wrong)?;
    let parts = Parts { tax: tax.is_some(), billing: billing.is_some() };
    let tax = tax.map(|engine| Arc::new(engine) as Arc<dyn TaxEngine>);
    let billing = billing.map(|system| Arc::new(system) as Arc<dyn Billing>);
    Ok((parts, OutsideTarget::new(tax, billing, visibility)))
}

/// How what is outside is called in health and log.
const fn name_of(parts: Parts) -> &'static str {
    match (parts.tax, parts.billing) {
        (true, true) => "tax engine or billing",
        (true, false) => "tax engine",
        (false, true) => "billing",
        (false, false) => runtime::NOBODY,
    }
}

/// Takes changed policies as long as the service runs; what is wrong with them is told once, and the version before stays.
async fn watch(policies: Arc<Store>, every: Duration, metrics: Arc<Metrics>) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(every).await;
        let looked = policies.clone();
        match tokio::task::spawn_blocking(move || looked.refresh()).await {
            Ok(Refresh::Swapped { from, to }) => tracing::info!(from, to, "policies changed"),
            Ok(Refresh::Refused(problems)) => {
                metrics.policies_refused.inc();
                let version = &policies.current().version;
                tracing::error!(version, %problems, "changed policies are refused, the version before stays in force");
            }
            Ok(Refresh::Unchanged) => {}
            Err(error) => tracing::error!(%error, "policies cannot be looked at"),
        }
    }
}
