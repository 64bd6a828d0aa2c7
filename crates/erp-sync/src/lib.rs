#![doc = include_str!("../README.md")]

pub mod config;
pub mod document;
pub mod effect;
pub mod event;
pub mod handler;
pub mod mapping;
mod order_step;
pub mod plan;
mod rejection;
pub mod reply;
mod run;
pub mod target;
#[cfg(test)]
mod testing;

pub use config::ErpConfig;
pub use handler::ErpSync;
pub use mapping::Mapping;
pub use run::{ServiceConfig, run};
pub use target::ErpTarget;
