//! The drivers around the machine: poll thread (in `kafka`), one task a slice, committers, caller, relay. They wait and retry; they
//! decide nothing.

mod awake;
mod caller;
mod committer;
mod config;
mod decode;
mod governor;
mod letters;
mod member;
mod observe;
mod relay;
mod schemas;
mod slice;

pub use config::{Kafka, Registry, Runtime, RuntimeConfig};
pub use decode::RegistryDecoder;
pub use governor::{Governor, Signal, Start};
pub use letters::Letters;
pub use member::{Error, Service, run, run_on};
pub use observe::{NOBODY, Observer};
pub use relay::NUMBER_HEADER;
pub use schemas::{schema_ids, schema_ids_at_start};
