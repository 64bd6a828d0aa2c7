//! What travels on the wire: records, the CloudEvents envelope, typed events generated from `schemas/`, keys, money, periods.
//! Pure: no tokio, no rdkafka, no clock.

mod check;
mod codec;
pub mod currency;
mod envelope;
mod families;
pub mod foreign;
mod generated;
mod generation;
pub mod mask;
pub mod money;
pub mod partition;
mod payload;
pub mod period;
pub mod record;
mod schema;
pub mod topics;
pub mod uid;
pub mod version;
pub mod wire;

pub use codec::{Personal, measured};
pub use envelope::Envelope;
pub use generated::*;
pub use generation::Generation;
pub use payload::{EventSet, Payload};
pub use record::{Headers, Record};
pub use schema::{MAX_ALLOC_BYTES, WriterSchema};
pub use uid::{PayloadHash, Uid};
pub use wire::check_identity;

// For `event_families!`, so that it needs nothing but this crate.
#[doc(hidden)]
pub use failure::Failure;
#[doc(hidden)]
pub use serde_json::Value as Json;
