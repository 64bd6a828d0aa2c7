//! Everything that speaks to Kafka and to the schema registry, free of the client library's types.
//!
//! The only crate that names `rdkafka`. A consumer that is never blocked, an idempotent producer, topics declared in one file,
//! a registry client that remembers no failure, and an in-process broker for tests and demos.

mod admin;
pub mod config;
pub mod consumer;
mod context;
pub mod drain;
mod error;
pub mod mock;
mod native;
pub mod producer;
pub mod registry;
pub mod topics;

pub use admin::{ActualTopic, Admin, TopicSpec};
pub use config::ClientConfig;
pub use consumer::{Consumer, ConsumerConfig, GroupProtocol, TopicPartition};
pub use drain::Drain;
pub use error::{Error, Result};
pub use producer::{Ack, Outgoing, Producer, ProducerConfig};
pub use registry::{Lookup, Registry, RegistryConfig, RegistryError};

/// Version of the client library underneath.
#[must_use]
pub fn client_version() -> String {
    format!("librdkafka {}", rdkafka::util::get_rdkafka_version().1)
}
