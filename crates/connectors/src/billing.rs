//! What a service may ask of a billing system, in words of the business: who is billed, and for what, phase by phase.
//!
//! A plan is the whole state of what one contract bills under our id of it, with a revision that rises with each change: what comes late or
//! twice changes nothing. The billing system makes the invoices of a plan by itself, so there is no capability to post one.

use crate::{Cause, Error, IsoCurrency, Recorded};
use async_trait::async_trait;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who is billed. A customer is billed by one seller in one currency; name and address are masked in `Debug`: they may be a person's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingCustomer {
    pub account_id: String,
    /// Entity of the seller.
    pub legal_entity_id: String,
    /// ISO 4217 code.
    pub currency: String,
    pub name: String,
    /// Where invoices go.
    pub email: Option<String>,
    /// BCP 47.
    pub locale: Option<String>,
}

impl BillingCustomer {
    /// Our id of it.
    #[must_use]
    pub fn customer_id(&self) -> String {
        format!("{}/{}/{}", self.account_id, self.legal_entity_id, self.currency.to_lowercase())
    }
}

impl fmt::Debug for BillingCustomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BillingCustomer").field("customer_id", &self.customer_id()).finish_non_exhaustive()
    }
}

/// What one contract bills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingPlan {
    pub contract_id: String,
    pub account_id: String,
    pub legal_entity_id: String,
    /// The billing system's id of the customer, as [`EnsureBillingCustomer`] answered it.
    pub customer: String,
    pub currency: IsoCurrency,
    /// IANA zone of all dates.
    pub zone: String,
    /// They follow each other without gaps; billing periods count from the first day of the first one.
    pub phases: Vec<BillingPhase>,
    pub at_end: AtEnd,
    /// Days from an invoice to its due date.
    pub net_days: u32,
    /// From 1, rising with each change of the plan.
    pub revision: u64,
}

/// What follows after the last phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtEnd {
    /// Billing goes on as in the last phase until somebody stops it.
    Renews,
    Ends,
}

/// A stretch of time in which the same is billed: a ramp has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingPhase {
    pub start_on: Date,
    /// The day after the last one.
    pub end_on: Date,
    /// Billed again and again.
    pub items: Vec<BillingItem>,
    /// Billed once, when the phase starts.
    pub once: Vec<OneOff>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingItem {
    /// Line of the contract.
    pub line_id: String,
    pub product_id: String,
    pub every: BillingInterval,
    pub charge: BillingCharge,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingCharge {
    /// The same amount for each interval, after discounts, billed when the interval begins. The amount holds; the unit price follows from it.
    Fixed { quantity: Decimal, amount_minor: i64 },
    /// What was used, billed when the interval is over.
    Metered {
        meter: String,
        /// Free of charge in each interval.
        included: Decimal,
        /// In rising order, the last without an end; at least one.
        tiers: Vec<BillingTier>,
        mode: TierMode,
    },
}

/// How often something is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingInterval {
    pub months: u32,
}

/// A price that holds up to a quantity, the included one counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingTier {
    /// The last unit of the tier; `None`: it has no end.
    pub up_to: Option<Decimal>,
    /// In the currency's major unit.
    pub unit_price: Decimal,
    /// Added once where the tier is reached.
    pub flat_minor: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierMode {
    /// Each unit has the price of the tier that it lies in.
    Graduated,
    /// All units have the price of the tier that the last one lies in.
    Volume,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOff {
    pub line_id: String,
    pub product_id: String,
    pub amount_minor: i64,
}

/// A schedule that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRef {
    /// The billing system's id, as [`CreateSchedule`] answered it.
    pub schedule_id: String,
    pub contract_id: String,
    pub account_id: String,
}

/// Billing that is to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleEnd {
    pub schedule: ScheduleRef,
    /// The first day that is not billed any more, in the plan's zone; `None`: at once. A day that is past means at once, too.
    pub end_on: Option<Date>,
    /// IANA zone of the day.
    pub zone: String,
    /// For people.
    pub reason: String,
    /// Above that of the plan it ends.
    pub revision: u64,
}

/// A schedule as the billing system has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// The billing system's own id.
    pub schedule_id: String,
    /// What bills; `None` before the first phase has started.
    pub subscription_id: Option<String>,
    /// The plan's revision that it has.
    pub revision: u64,
    /// Whether it was there, as asked for, before this call.
    pub existed: bool,
}

#[async_trait]
pub trait EnsureBillingCustomer: Send + Sync {
    /// Makes the customer where there is none of that id; one that is there keeps what people changed.
    async fn ensure_customer(&self, cause: &Cause, customer: &BillingCustomer) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait CreateSchedule: Send + Sync {
    /// Makes the contract's schedule. One that is there is answered, and not changed.
    async fn create_schedule(&self, cause: &Cause, key: &str, plan: &BillingPlan) -> Result<Scheduled, Error>;
}

#[async_trait]
pub trait ChangeSchedule: Send + Sync {
    /// Gives the schedule the whole new state, if its revision is older.
    async fn change_schedule(
        &self,
        cause: &Cause,
        key: &str,
        schedule: &ScheduleRef,
        plan: &BillingPlan,
    ) -> Result<Scheduled, Error>;
}

#[async_trait]
pub trait CancelSchedule: Send + Sync {
    /// Stops billing. Where nothing bills any more, nothing is changed.
    async fn cancel_schedule(&self, cause: &Cause, key: &str, end: &ScheduleEnd) -> Result<Scheduled, Error>;
}

/// Asks whether a change took effect whose answer was lost.
///
/// `Ok(None)` only if the billing system answered that it did not; whatever leaves a doubt is an error.
#[async_trait]
pub trait FindBilling: Send + Sync {
    async fn find_customer(&self, cause: &Cause, customer: &BillingCustomer) -> Result<Option<Recorded>, Error>;
    /// The contract's schedule with this revision or a later one.
    async fn find_schedule(&self, cause: &Cause, plan: &BillingPlan) -> Result<Option<Scheduled>, Error>;
    async fn find_end(&self, cause: &Cause, end: &ScheduleEnd) -> Result<Option<Scheduled>, Error>;
}

/// A billing system with all of it.
pub trait Billing:
    EnsureBillingCustomer + CreateSchedule + ChangeSchedule + CancelSchedule + FindBilling + 'static
{
    /// Calls at once that the remote account bears right now, over all members.
    fn concurrency(&self) -> usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_neither_name_nor_address() {
        let customer = BillingCustomer {
            account_id: "A-1".into(),
            legal_entity_id: "LE-UK".into(),
            currency: "GBP".into(),
            name: "Jane Roe".into(),
            email: Some("jane@example.com".into()),
            locale: None,
        };
        let shown = format!("{customer:?}");
        assert!(shown.contains("A-1/LE-UK/gbp") && !shown.contains("Jane") && !shown.contains('@'), "{shown}");
    }
}
