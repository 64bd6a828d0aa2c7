//! Stripe's stand-in: the part of Billing that makes invoices of subscription schedules, on the virtual clock.

mod api;
mod billing;
mod catalogue;
mod customers;
mod events;
mod form;
mod invoices;
mod params;
mod refusal;
mod schedules;
mod store;
mod usage;

use crate::{
    Error,
    rest::{self, Api, SignIn},
};

pub use crate::rest::{Config, Credentials, Sandbox, Settings};
pub(crate) use refusal::status_of;

/// The version whose answers are given.
const VERSION: &str = "2025-09-30.clover";
/// Requests a second and endpoint that Stripe takes of an account by default.
const PER_SECOND: u32 = 25;

const API: Api = Api {
    name: "stripe",
    objects: &[
        "customer",
        "product",
        "price",
        "meter",
        "meter_event",
        "subscription_schedule",
        "subscription",
        "invoice",
        "event",
    ],
    status_of,
    problem: refusal::problem,
    route: api::route,
    answer: api::answer,
    sign_in: SignIn::Key,
    replays: true,
    deliveries: Some(events::deliveries),
};

/// How it behaves where nothing else is said.
#[must_use]
pub fn settings() -> Settings {
    Settings { endpoint_per_second: PER_SECOND, ..Settings::default() }
}

/// Starts a stand-in; it serves when this returns.
///
/// # Errors
/// The address is not loopback and there is no admin token; the address or the data folder cannot be used.
pub async fn start(config: Config) -> Result<Sandbox, Error> {
    rest::start(API, config).await
}
