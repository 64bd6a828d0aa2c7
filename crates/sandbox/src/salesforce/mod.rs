//! The Salesforce stand-in: the REST API as far as the suite uses it, with the vendor's sign-in, limits, error bodies and rights.
//!
//! It shares with the ERP's stand-in what every stand-in has: faults, request journal, virtual clock, cut connections, effect log,
//! and the log of changes that survives `kill -9`. Objects that hold finance are there, and nobody may write them.

mod admin;
mod app;
mod config;
mod credentials;
mod ids;
mod limits;
mod pipeline;
mod query;
mod refusal;
mod schema;
mod server;
mod store;
mod token;
mod upsert;
mod write;

pub use config::{Config, Settings};
pub use credentials::{DevCredentials, dev_credentials};
pub use schema::{FINANCE_OBJECTS, VERSION};
pub use server::{Sandbox, start};
