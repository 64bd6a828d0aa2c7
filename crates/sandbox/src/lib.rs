#![doc = include_str!("../README.md")]

pub mod avatax;
mod books;
pub mod entitlement;
mod rest;
pub mod salesforce;
pub mod scim;
pub mod stripe;
mod suitetalk;

mod admin;
mod app;
mod call;
mod clock;
mod config;
mod connection;
mod credentials;
mod error;
mod faults;
mod journal;
mod pipeline;
mod server;
mod snapshot;
mod state;
mod wal;

pub use books::seed::Seed;
pub use config::{Config, Settings};
pub use credentials::{Certificate, DevCredentials, dev_credentials};
pub use error::Error;
pub use faults::{Fault, Rule};
pub use server::{Sandbox, start};
