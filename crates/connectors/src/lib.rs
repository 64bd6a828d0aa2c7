//! Business capabilities of outside systems as traits, and one module per vendor that has them.
//!
//! A service names what it wants done ([`capability`]); only the vendor module knows how. Every call ends in one of four ways,
//! and [`Error`] keeps them apart because exactly-once rests on it: done, refused, certainly not sent, or **unknown**.

mod adaptive;
pub mod avatax;
pub mod billing;
pub mod capability;
pub mod crm;
mod currency;
pub mod entitlement;
mod error;
mod http;
mod keyed;
pub mod netsuite;
pub mod oauth;
pub mod product;
pub mod salesforce;
pub mod scim;
pub mod stripe;
pub mod tax;
mod text;

pub use adaptive::AdaptiveLimit;
pub use billing::*;
pub use capability::*;
pub use crm::*;
pub use currency::IsoCurrency;
pub use error::{Error, queue};
pub use http::Bounds;
pub use keyed::Access;
pub use product::*;
pub use tax::*;
