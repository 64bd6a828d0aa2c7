//! What stand-ins of plain HTTP APIs share: signing in (OAuth 2.0 client credentials, or one key), faults, request journal, virtual clock, cut connections,
//! idempotency keys, effect log, and a log of changes that survives `kill -9`. The API itself is a table of functions ([`Api`]).

mod admin;
mod app;
mod config;
mod limits;
mod pipeline;
mod replay;
mod server;
mod store;
mod token;

pub use admin::Delivery;
pub use app::{Api, App, Asked, SignIn, View};
pub use config::{Config, Settings};
pub use server::{Sandbox, start};
pub use store::{State, Write};
pub use token::Credentials;
