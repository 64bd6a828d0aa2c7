//! Client of a Confluent-compatible schema registry that never remembers a failure.
//!
//! Schemas are immutable, so what was found once is kept; everything else is asked again. Lookups of one schema that happen at
//! the same time share one request. "The registry does not know it" is believed only when a healthy registry says so with its
//! own error code; a 404 from anything else (a proxy, a wrong path) is an outage.

mod compatibility;
mod config;
mod error;
mod inline;

pub use compatibility::Compatibility;
pub use config::{Auth, RegistryConfig};
pub use error::RegistryError;

use error::describe;
use events::WriterSchema;
use events::wire::SchemaRef;
use failure::Failure;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_guid, get_schema_by_id, get_schema_by_subject_and_version, post_schema,
};
use schema_registry_converter::schema_registry_common::{RegisteredSchema, SchemaType, SuppliedSchema};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Nobody has as many schemas; beyond this the cache is emptied rather than grown.
const MAX_CACHED: usize = 10_000;

/// What a lookup of a record's schema led to.
#[derive(Debug, Clone)]
pub enum Lookup {
    Found(Arc<WriterSchema>),
    /// The schema exists and cannot be used by us: not Avro, or not a record.
    Unusable(Failure),
    /// A healthy registry does not know it. It may be on its way: poison only after a grace time.
    Unknown,
    /// Nothing is known about it now; class `Dependency`.
    Unavailable(Failure),
}

impl Lookup {
    /// The schema, or the verdict on the record, an unknown schema being poison.
    pub fn into_result(self, schema: SchemaRef) -> Result<Arc<WriterSchema>, Failure> {
        match self {
            Self::Found(found) => Ok(found),
            Self::Unusable(failure) | Self::Unavailable(failure) => Err(failure),
            Self::Unknown => {
                let reason = format!("the registry does not know schema {}", name(schema));
                Err(Failure::poison("SCHEMA_ID_UNKNOWN", reason))
            }
        }
    }
}

fn name(schema: SchemaRef) -> String {
    match schema {
        SchemaRef::Id(id) => id.to_string(),
        SchemaRef::Guid(guid) => guid_text(guid),
    }
}

fn guid_text(guid: [u8; 16]) -> String {
    let hex: String = guid.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A schema of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    pub id: u32,
    /// Absent where the registry does not tell it.
    pub version: Option<u32>,
    pub schema: String,
}

type Flight = Shared<BoxFuture<'static, Lookup>>;

/// Clones share connections and cache.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    settings: SrSettings,
    http: reqwest::Client,
    config: RegistryConfig,
    found: RwLock<HashMap<SchemaRef, Lookup>>,
    flights: Mutex<HashMap<SchemaRef, Flight>>,
}

impl Registry {
    /// Fails only on a wrong configuration; connects when first asked.
    pub fn connect(config: RegistryConfig) -> Result<Self, RegistryError> {
        let (settings, http) = config.clients()?;
        let inner = Inner { settings, http, config, found: RwLock::default(), flights: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The schema if it has been looked up before. Cheap: for the decoding loop.
    #[must_use]
    pub fn cached(&self, schema: SchemaRef) -> Option<Lookup> {
        self.inner.found.read().unwrap_or_else(PoisonError::into_inner).get(&schema).cloned()
    }

    /// Looks a record's schema up; shares the request with whoever asks for the same.
    pub async fn lookup(&self, schema: SchemaRef) -> Lookup {
        if let Some(found) = self.cached(schema) {
            return found;
        }
        let flight = {
            let mut flights = self.inner.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.entry(schema).or_insert_with(|| fly(self.inner.clone(), schema).boxed().shared()).clone()
        };
        flight.await
    }

    /// Newest version of a subject; `None` if a healthy registry has none.
    pub async fn latest(&self, subject: &str) -> Result<Option<Registered>, RegistryError> {
        match get_schema_by_subject_and_version(&self.inner.settings, subject, None).await {
            Ok(found) => Ok(Some(Registered { id: found.id, version: found.version, schema: found.schema })),
            Err(error) => match describe(subject, &error) {
                RegistryError::NotFound { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    /// Registers a schema (an identical one keeps its id) and returns the id.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        let posted = post_schema(&self.inner.settings, subject.to_owned(), supplied).await;
        posted.map(|registered| registered.id).map_err(|error| describe(subject, &error))
    }
}

async fn fly(inner: Arc<Inner>, schema: SchemaRef) -> Lookup {
    let result = ask(&inner.settings, schema).await;
    if matches!(result, Lookup::Found(_) | Lookup::Unusable(_)) {
        let mut found = inner.found.write().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MAX_CACHED {
            found.clear();
        }
        found.insert(schema, result.clone());
    }
    inner.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&schema);
    result
}

async fn ask(settings: &SrSettings, schema: SchemaRef) -> Lookup {
    let answer = match schema {
        SchemaRef::Id(id) => get_schema_by_id(id, settings).await,
        SchemaRef::Guid(guid) => get_schema_by_guid(&guid_text(guid), settings).await,
    };
    let registered = match answer {
        Ok(registered) => registered,
        Err(error) => return failed(describe(&name(schema), &error)),
    };
    if registered.schema_type != SchemaType::Avro {
        let reason = format!("schema {} is not Avro", name(schema));
        return Lookup::Unusable(Failure::contract("SCHEMA_INCOMPATIBLE", reason));
    }
    match inline::whole(settings, &registered).await {
        Ok(json) => parse(schema, &registered, &json),
        Err(inline::Error::Registry(error)) => failed(error),
        Err(inline::Error::Json(reason)) => {
            let reason = format!("schema {}: {reason}", name(schema));
            Lookup::Unusable(Failure::contract("SCHEMA_INCOMPATIBLE", reason))
        }
    }
}

fn parse(schema: SchemaRef, registered: &RegisteredSchema, json: &str) -> Lookup {
    let id = match schema {
        SchemaRef::Id(id) => id,
        // Newer registries tell it; nothing rests on it.
        SchemaRef::Guid(_) => registered.id,
    };
    match WriterSchema::parse(id, registered.subject.as_deref(), json) {
        Ok(writer) => Lookup::Found(Arc::new(writer)),
        Err(failure) => Lookup::Unusable(failure),
    }
}

fn failed(error: RegistryError) -> Lookup {
    match error {
        RegistryError::NotFound { .. } => Lookup::Unknown,
        other => Lookup::Unavailable(other.into()),
    }
}

#[cfg(test)]
mod tests;
