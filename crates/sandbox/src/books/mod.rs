//! The stand-in's books: records, what they are worth, and the rules a write must pass.
//!
//! Everything here is synchronous and knows neither HTTP nor files: [`store`] holds committed changes and derives balances
//! from them, [`write`] turns a request's body into such a change or says what is wrong with it.

pub mod apply;
pub mod body;
pub mod customer;
pub mod document;
pub mod effects;
pub mod kind;
pub mod lines;
pub mod merge;
pub mod money;
pub mod refusal;
pub mod render;
pub mod schema;
pub mod searched;
pub mod seed;
pub mod store;
pub mod sums;
pub mod write;
