//! The schemas that a service writes with, asked of the registry before it starts.

use super::Error;
use events::topics::Subject;
use kafka::{Registry, RegistryConfig, RegistryError};
use service::Health;
use std::{collections::BTreeMap, time::Duration};

const AGAIN: Duration = Duration::from_secs(1);
const AWAY: &str = "REGISTRY_UNAVAILABLE";

/// Ids of these schemas, by topic. A registry that is away is waited for.
///
/// # Errors
/// [`Error::Config`] for a registry that refuses a schema or us.
pub async fn schema_ids(
    config: &RegistryConfig,
    subjects: impl IntoIterator<Item = &'static Subject>,
) -> Result<BTreeMap<&'static str, u32>, Error> {
    ids(config, subjects, |_| {}).await
}

/// The same for a service that starts: while it waits, it says for what.
///
/// # Errors
/// [`Error::Config`] for a registry that refuses a schema or us.
pub async fn schema_ids_at_start(
    config: &RegistryConfig,
    subjects: impl IntoIterator<Item = &'static Subject>,
    health: &Health,
) -> Result<BTreeMap<&'static str, u32>, Error> {
    let tell = |trouble: Option<&RegistryError>| match trouble {
        Some(error) => health.degrade(AWAY, error.to_string()),
        None => health.clear(AWAY),
    };
    ids(config, subjects, tell).await
}

async fn ids(
    config: &RegistryConfig,
    subjects: impl IntoIterator<Item = &'static Subject>,
    tell: impl Fn(Option<&RegistryError>),
) -> Result<BTreeMap<&'static str, u32>, Error> {
    let registry = Registry::connect(config.clone()).map_err(|error| Error::Config(error.to_string()))?;
    let mut ids = BTreeMap::new();
    for subject in subjects {
        let id = loop {
            match id_of(&registry, subject).await {
                Ok(id) => break id,
                Err(error) if is_passing(&error) => {
                    tell(Some(&error));
                    tracing::warn!(subject = subject.subject, %error, "waiting for the schema registry");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => {
                    let hint = "register the schemas first: throughline schemas register";
                    return Err(Error::Config(format!("{}: {error}; {hint}", subject.subject)));
                }
            }
        };
        ids.insert(subject.topic, id);
    }
    tell(None);
    Ok(ids)
}

/// A schema that is the newest of its subject needs no right to write; another one is registered, which a registry refuses where
/// it would break the topic's compatibility.
async fn id_of(registry: &Registry, subject: &Subject) -> Result<u32, RegistryError> {
    match registry.latest(subject.subject).await? {
        Some(latest) if latest.schema == subject.schema => Ok(latest.id),
        Some(_) | None => registry.register(subject.subject, subject.schema).await,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use events::topics::SUBJECTS;

    #[tokio::test]
    async fn a_service_that_waits_for_the_registry_says_so() {
        let health = Health::new(Duration::from_secs(30));
        // Nobody listens at this port any more.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let config = RegistryConfig::new(&url);
        let waiting = schema_ids_at_start(&config, &SUBJECTS[..1], &health);
        let told = async {
            while health.readiness().reasons.iter().all(|reason| reason.code != AWAY) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ids = waiting => panic!("nobody has them: {ids:?}"),
            told = tokio::time::timeout(Duration::from_secs(60), told) => told.expect("it says what it waits for"),
        }
    }
}
