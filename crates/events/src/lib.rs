//! What travels on the wire: records, the CloudEvents envelope, typed events generated from `schemas/`, keys, money, periods.
//! Pure: no tokio, no rdkafka, no clock.

pub mod record;
pub mod uid;

pub use record::{Headers, Record};
pub use uid::{PayloadHash, Uid};
