//! The runtime: one sans-I/O machine per slice, thin drivers around it. A service writes a [`Handler`] and a [`Target`];
//! [`runtime::run`] does the rest.

mod handler;
pub mod machine;
mod nobody;
pub mod replay;
pub mod runtime;
pub mod upkeep;

pub use handler::*;
pub use nobody::Nobody;
