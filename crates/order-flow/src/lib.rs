#![doc = include_str!("../README.md")]

mod amend;
pub mod change;
pub mod config;
pub mod contract;
pub mod document;
pub mod event;
mod facts;
pub mod handler;
mod order;
mod process;
pub mod protect;
pub mod quote;
mod renew;
mod reply;
mod run;
pub mod split;
mod step;
pub mod writer;

pub use config::FlowConfig;
pub use handler::OrderFlow;
pub use run::{ServiceConfig, run};
pub use writer::Writer;
