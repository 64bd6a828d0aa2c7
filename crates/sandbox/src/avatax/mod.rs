//! The tax engine's stand-in: transactions of AvaTax (REST v2), taxed by the rates of the European Union's countries and of some states of
//! the USA.

mod api;
mod rates;
mod read;
mod refusal;

use crate::{
    Error,
    rest::{self, Api, SignIn},
};

pub use crate::rest::{Config, Credentials, Sandbox, Settings};
pub(crate) use refusal::status_of;

const API: Api = Api {
    name: "tax",
    objects: &["transaction"],
    status_of,
    problem: refusal::problem,
    route: api::route,
    answer: api::answer,
    sign_in: SignIn::Basic,
    replays: false,
    deliveries: None,
};

/// Starts a stand-in; it serves when this returns.
///
/// # Errors
/// The address is not loopback and there is no admin token; the address or the data folder cannot be used.
pub async fn start(config: Config) -> Result<Sandbox, Error> {
    rest::start(API, config).await
}
