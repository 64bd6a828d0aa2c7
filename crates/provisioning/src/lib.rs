#![doc = include_str!("../README.md")]

pub mod config;
pub mod document;
pub mod effect;
mod fold;
pub mod handler;
pub mod plan;
pub mod policy;
pub mod reply;
mod run;
pub mod target;

pub use config::{IdentityConfig, ProductConfig};
pub use handler::Provisioning;
pub use policy::Policy;
pub use run::{ServiceConfig, run};
pub use target::PlatformTarget;
