#![doc = include_str!("../README.md")]

pub mod config;
pub mod document;
pub mod event;
mod facts;
pub mod handler;
mod order;
mod process;
mod reply;
mod run;
pub mod split;
mod step;
pub mod writer;

pub use config::FlowConfig;
pub use handler::OrderFlow;
pub use run::{ServiceConfig, run};
pub use writer::Writer;
