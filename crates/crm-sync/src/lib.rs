#![doc = include_str!("../README.md")]

pub mod config;
pub mod document;
pub mod effect;
pub mod event;
pub mod handler;
pub mod plan;
mod run;
pub mod target;
#[cfg(test)]
mod testing;

pub use config::CrmConfig;
pub use handler::CrmSync;
pub use run::{ServiceConfig, run};
pub use target::CrmTarget;
