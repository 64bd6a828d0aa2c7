//! One HTTP API over the ledgers and topics of all services: dead letters, jobs, audit. The command line is its client.
//!
//! Everybody who asks is known, and may do only what a role gives, service by service; what is refused is on the record (I14).
//! Reading needs no service to run. Whatever changes letters is a job that the failing service works off.

mod app;
pub mod auth;
mod config;
pub mod error;
mod http;
pub mod lane;
pub mod letters;
mod openapi;
mod ops;
mod params;
pub mod plan;
pub mod rights;
pub mod routes;
mod run;

pub use app::{App, Clock, OWN, Policy, system_clock};
pub use config::ControlConfig;
pub use events::foreign;
pub use http::{MAX_BODY, Server, serve};
pub use openapi::document;
pub use run::{app_of, run};
