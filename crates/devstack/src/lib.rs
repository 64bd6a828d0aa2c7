//! A whole Throughline stack on one machine: parts started and stopped by process id, in a folder of their own, on
//! free loopback ports.

mod cache;
mod error;
pub mod kafka_broker;
mod ports;
pub mod postgres;
pub mod process;
pub mod registry;
mod tools;

pub use error::Error;
pub use tools::{Missing, missing};
