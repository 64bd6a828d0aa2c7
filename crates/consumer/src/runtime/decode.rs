//! From a record to what the machine takes. A registry that is down is waited for; an id that a healthy registry does not know is
//! poison once it stayed unknown for a grace time, because a publisher may be quicker than the registry's replicas.

use super::observe::Observer;
use crate::{
    machine::{Arrived, Decoder},
    replay,
};
use async_trait::async_trait;
use events::{
    Envelope, EventSet, PayloadHash, Record, WriterSchema,
    wire::{Body, Limits, Parsed, SchemaRef},
};
use failure::{Failure, RetryPolicy};
use kafka::{Lookup, Registry};
use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

const REGISTRY_RETRY: RetryPolicy = RetryPolicy::new(Duration::from_millis(100), Duration::from_secs(5), None);

/// A value that can be decoded without asking anybody.
enum Source {
    Json(serde_json::Value),
    Avro(Arc<WriterSchema>, bytes::Bytes),
}

/// Decodes with the schemas of a Confluent-compatible registry.
pub struct RegistryDecoder<E> {
    registry: Registry,
    limits: Limits,
    grace: Duration,
    observer: Observer,
    /// Of each input topic.
    partitions: i32,
    /// Ids a healthy registry did not know, and since when: each is waited for once, not once a record.
    unknown_since: Mutex<HashMap<SchemaRef, Instant>>,
    event: PhantomData<fn() -> E>,
}

impl<E: EventSet> RegistryDecoder<E> {
    /// `partitions`: of each input topic.
    pub fn new(registry: Registry, limits: Limits, grace: Duration, observer: Observer, partitions: i32) -> Self {
        Self { registry, limits, grace, observer, partitions, unknown_since: Mutex::default(), event: PhantomData }
    }

    /// What the machine takes of a record. [`Decoder::decode`] without an allocation for its future: nearly always the schema is
    /// known and nothing is waited for.
    pub async fn arrive(&self, record: Record) -> Arrived<E> {
        let hash = PayloadHash::of(record.key.as_deref(), record.value.as_deref());
        // A record of the replay topic is read as one of the topic it came from.
        let origin = replay::is_replay(&record.topic).then(|| replay::origin(&record, &E::topics(), self.partitions));
        let source = match origin {
            None => Ok(None),
            Some(origin) => origin.map(|topic| Some(Record { topic, ..record.clone() })),
        };
        let parsed = source.and_then(|source| {
            events::wire::parse(source.as_ref().unwrap_or(&record), &self.limits).map(|parsed| (parsed, source))
        });
        match parsed {
            Ok((Parsed { envelope, body }, source)) => {
                let (event, decoded) = self.event(source.as_ref().unwrap_or(&record), &envelope, body).await;
                Arrived::new(record, Some(envelope), hash, event, decoded)
            }
            // The identity may be readable although the value is not: then a second copy is a duplicate, not a second letter.
            Err(failure) => {
                let envelope = Envelope::from_headers(&record.headers).ok();
                Arrived::new(record, envelope, hash, Err(failure), 0)
            }
        }
    }

    async fn event(&self, record: &Record, envelope: &Envelope, body: Body) -> (Result<E, Failure>, usize) {
        let source = match body {
            Body::Json(data) => Source::Json(data),
            Body::Avro { schema, datum } => match self.schema(schema).await {
                Ok(schema) => Source::Avro(schema, datum),
                Err(failure) => return (Err(failure), 0),
            },
        };
        events::measured(|| {
            let event = match source {
                Source::Json(data) => E::decode_json(&record.topic, &data)?,
                Source::Avro(schema, datum) => E::decode_avro(&record.topic, &schema, &datum)?,
            };
            events::check_identity(record, envelope, &event)?;
            event.check()?;
            Ok(event)
        })
    }

    async fn schema(&self, schema: SchemaRef) -> Result<Arc<WriterSchema>, Failure> {
        if let Some(known) = self.registry.cached(schema) {
            return known.into_result(schema);
        }
        let mut attempt = 0;
        loop {
            let lookup = self.registry.lookup(schema).await;
            match &lookup {
                Lookup::Unavailable(reason) => {
                    attempt += 1;
                    if attempt == 1 {
                        tracing::warn!(%reason, "the schema registry does not answer: waiting");
                    }
                    self.observer.registry(Some(&reason.to_string()));
                }
                Lookup::Unknown if self.is_in_grace(schema) => {}
                _ => {
                    self.observer.registry(None);
                    return lookup.into_result(schema);
                }
            }
            let wait = REGISTRY_RETRY.delay_after(attempt.max(1), 0).unwrap_or(REGISTRY_RETRY.max);
            tokio::time::sleep(wait).await;
        }
    }

    fn is_in_grace(&self, schema: SchemaRef) -> bool {
        /// Ids remembered at once; forged ids must not fill memory.
        const MOST: usize = 1_000;
        let mut unknown = self.unknown_since.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() >= MOST && !unknown.contains_key(&schema) {
            unknown.retain(|_, since| since.elapsed() < self.grace);
            if unknown.len() >= MOST {
                return false;
            }
        }
        unknown.entry(schema).or_insert_with(Instant::now).elapsed() < self.grace
    }
}

#[async_trait]
impl<E: EventSet> Decoder<E> for RegistryDecoder<E> {
    async fn decode(&self, record: Record) -> Arrived<E> {
        self.arrive(record).await
    }
}
