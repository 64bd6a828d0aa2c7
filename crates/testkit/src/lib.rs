//! What tests, benchmarks and `throughline generate` share: a generated business, the real invoices of a retailer as events, and
//! helpers for waiting and for places of one's own.

pub mod bad_input;
pub mod business;
pub mod cloudevent;
pub mod deals;
mod eventually;
pub mod lifecycle;
pub mod retail;
pub mod scratch;

pub use eventually::{NotInTime, eventually};
pub use scratch::Scratch;
pub mod simulation;
