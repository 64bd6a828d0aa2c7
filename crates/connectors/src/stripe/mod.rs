//! Stripe Billing (API v1): customers, and subscription schedules with their phases.
//!
//! Stripe makes nothing under an id of ours besides products. So each thing is looked for by our id in its metadata before it is made, and
//! made under an idempotency key; which of the two is needed when is told in `customer` and `call`.

mod answer;
mod call;
mod catalogue;
mod customer;
mod form;
mod money;
mod phases;
mod schedule;

use crate::{
    Billing, BillingCustomer, BillingPlan, CancelSchedule, Cause, ChangeSchedule, CreateSchedule,
    EnsureBillingCustomer, Error, FindBilling, Recorded, ScheduleEnd, ScheduleRef, Scheduled,
    keyed::{Access, Client, Scheme},
};
use async_trait::async_trait;
use form::Form;
use std::fmt;

pub(crate) const SYSTEM: &str = "Stripe";
/// The version that the requests and answers here are written to.
pub const VERSION: &str = "2025-09-30.clover";

/// One Stripe account.
pub struct Stripe {
    client: Client,
    known: catalogue::Known,
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe").field("base", &self.client.base().as_str()).finish_non_exhaustive()
    }
}

impl Stripe {
    /// Connects nothing yet.
    ///
    /// # Errors
    /// Every option that cannot be used, each with what to do about it.
    pub fn try_new(access: Access) -> Result<Self, Vec<String>> {
        let client = Client::try_new(SYSTEM, access, Scheme::Bearer)?;
        Ok(Self { client, known: catalogue::Known::default() })
    }
}

/// Whose write it was.
fn mark(form: &mut Form, cause: &Cause) {
    form.add("metadata[tl_event_id]", &cause.event_id);
    form.add_some("metadata[tl_correlation_id]", cause.correlation_id.as_ref());
}

#[async_trait]
impl EnsureBillingCustomer for Stripe {
    async fn ensure_customer(&self, cause: &Cause, customer: &BillingCustomer) -> Result<Recorded, Error> {
        self.customer(cause, customer).await
    }
}

#[async_trait]
impl CreateSchedule for Stripe {
    async fn create_schedule(&self, cause: &Cause, key: &str, plan: &BillingPlan) -> Result<Scheduled, Error> {
        self.create(cause, key, plan).await
    }
}

#[async_trait]
impl ChangeSchedule for Stripe {
    async fn change_schedule(
        &self,
        cause: &Cause,
        key: &str,
        schedule: &ScheduleRef,
        plan: &BillingPlan,
    ) -> Result<Scheduled, Error> {
        self.change(cause, key, schedule, plan).await
    }
}

#[async_trait]
impl CancelSchedule for Stripe {
    async fn cancel_schedule(&self, cause: &Cause, key: &str, end: &ScheduleEnd) -> Result<Scheduled, Error> {
        self.cancel(cause, key, end).await
    }
}

#[async_trait]
impl FindBilling for Stripe {
    async fn find_customer(&self, cause: &Cause, customer: &BillingCustomer) -> Result<Option<Recorded>, Error> {
        self.customer_found(cause, customer).await
    }

    async fn find_schedule(&self, cause: &Cause, plan: &BillingPlan) -> Result<Option<Scheduled>, Error> {
        self.found(cause, plan).await
    }

    async fn find_end(&self, cause: &Cause, end: &ScheduleEnd) -> Result<Option<Scheduled>, Error> {
        self.end_found(cause, end).await
    }
}

impl Billing for Stripe {
    fn concurrency(&self) -> usize {
        self.client.limit.current()
    }
}
