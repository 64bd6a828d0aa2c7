//! Everything that speaks to Kafka and to the schema registry, free of the client library's types.
//!
//! The only crate that names `rdkafka`. A consumer that is never blocked, an idempotent producer, topics declared in one file,
//! a registry client that remembers no failure, and an in-process broker for tests and demos.

pub mod config;
mod context;
mod error;
pub mod mock;
mod native;
pub mod producer;

pub use config::ClientConfig;
pub use error::{Error, Result};
pub use producer::{Ack, Outgoing, Producer, ProducerConfig};
