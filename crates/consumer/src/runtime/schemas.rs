//! The schemas that a service writes with, asked of the registry before it starts.

use super::Error;
use events::topics::Subject;
use kafka::{Registry, RegistryConfig, RegistryError};
use std::{collections::BTreeMap, time::Duration};

const AGAIN: Duration = Duration::from_secs(1);

/// Ids of these schemas, by topic. A registry that is away is waited for.
///
/// # Errors
/// [`Error::Config`] for a registry that refuses a schema or us.
pub async fn schema_ids(
    config: &RegistryConfig,
    subjects: impl IntoIterator<Item = &'static Subject>,
) -> Result<BTreeMap<&'static str, u32>, Error> {
    let registry = Registry::connect(config.clone()).map_err(|error| Error::Config(error.to_string()))?;
    let mut ids = BTreeMap::new();
    for subject in subjects {
        let id = loop {
            match id_of(&registry, subject).await {
                Ok(id) => break id,
                Err(error) if is_passing(&error) => {
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
