//! What stand-ins of plain JSON APIs behind OAuth 2.0 client credentials share: faults, request journal, virtual clock, cut connections,
//! idempotency keys, effect log, and a log of changes that survives `kill -9`. The API itself is a table of functions ([`Api`]).

mod admin;
mod app;
mod config;
mod pipeline;
mod server;
mod store;
mod token;

pub use app::{Api, App, Asked, View};
pub use config::{Config, Settings};
pub use server::{Sandbox, start};
pub use token::Credentials;
