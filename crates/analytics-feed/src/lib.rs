#![doc = include_str!("../README.md")]

pub mod config;
pub mod document;
pub mod event;
pub mod handler;
mod identity;
pub mod mask;
pub mod plan;
mod run;
mod writer;

pub use config::{MaskingConfig, ProjectionConfig};
pub use handler::AnalyticsFeed;
pub use mask::Pseudonyms;
pub use run::{ServiceConfig, run};
pub use writer::Writer;
