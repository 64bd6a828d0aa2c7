//! The product platform's stand-in: tenants and what they are entitled to, as `docs/openapi/entitlement.yaml` says.

mod api;
mod read;

use crate::{
    Error,
    rest::{self, Api, SignIn},
};

pub use crate::rest::{Config, Credentials, Sandbox, Settings};
pub(crate) use api::status_of;

const API: Api = Api {
    name: "product",
    objects: &["tenant", "entitlement"],
    status_of,
    problem: api::problem,
    route: api::route,
    answer: api::answer,
    sign_in: SignIn::Token,
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
