//! Puts control together from its configuration.

use crate::{
    app::{App, Clock, OWN, Policy, system_clock},
    config::ControlConfig,
    http,
};
use service::{Context, Stop};
use std::{collections::BTreeMap, sync::Arc};

/// Runs control until it is asked to end.
///
/// # Errors
/// [`Stop::Config`] for settings that cannot work or an address that cannot be bound.
pub async fn run(context: Context<ControlConfig>) -> Result<(), Stop> {
    let Context { config, health, shutdown, .. } = context;
    let app = app_of(&config, system_clock()).map_err(Stop::Config)?;
    let server = http::serve(config.api.bind, Arc::new(app)).await;
    let server = server.map_err(|error| Stop::Config(format!("api.bind = {}: {error}", config.api.bind)))?;
    tracing::info!(url = server.url(), "the API answers");
    health.started();
    let ticking = async {
        loop {
            health.tick();
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = shutdown.draining() => {}
        () = ticking => {}
    }
    Ok(())
}

/// Everything that a configuration names, with nothing connected yet.
///
/// # Errors
/// In words, if the tokens or the registry's settings cannot be used.
pub fn app_of(config: &ControlConfig, clock: Clock) -> Result<App, String> {
    let registry = kafka::Registry::connect(config.registry.clone()).map_err(|error| error.to_string())?;
    let mut ledgers = BTreeMap::new();
    let named = config.ledgers.iter().map(|(service, url)| (service.as_str(), url));
    for (service, url) in named.chain([(OWN, &config.ledger.url)]) {
        let mut ledger = ledger::Config::new(url, ledger::schema_of(service));
        ledger.connections = 2;
        ledger.password = config.ledger.password.clone();
        ledgers.insert(service.to_owned(), ledger);
    }
    let policy = Policy { edit_needs_second: config.api.edit_needs_second, second_above: config.api.second_above };
    Ok(App::new(config.authenticator()?, config.kafka.clone(), registry, ledgers, policy, clock))
}
