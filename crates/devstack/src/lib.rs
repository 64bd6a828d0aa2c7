#![doc = include_str!("../README.md")]

mod book;
mod cache;
pub mod endpoints;
mod error;
pub mod kafka_broker;
mod parts;
mod ports;
pub mod postgres;
pub mod process;
mod programs;
pub mod registry;
pub mod services;
mod setup;
pub mod stack;
pub mod supervisor;
mod tools;
mod unit;
mod watch;

pub use endpoints::{ControlAt, Endpoints, Kind, Running};
pub use error::Error;
pub use kafka_broker::Detour;
pub use ports::free as free_port;
pub use services::Service;
pub use stack::{Stack, StackConfig};
pub use tools::{Missing, missing};
