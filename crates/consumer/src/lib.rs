//! The runtime: one sans-I/O machine per slice, thin drivers around it. A service writes a [`Handler`] and a [`Target`].

pub mod handler;
pub use handler::*;
pub mod machine;
