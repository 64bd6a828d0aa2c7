//! The rules of analytics records: they are made by us, so there is little to refuse.

use super::{Check, active, zone};
use crate::{
    AnalyticsAccountBalance, AnalyticsContract, AnalyticsEventRecovery, AnalyticsInvoiceAccuracy, AnalyticsInvoiceLine,
    AnalyticsMrrMovement, AnalyticsOrderStep, AnalyticsOrderToActivation, AnalyticsPayment, AnalyticsSubscription,
    AnalyticsSyncLatency, AnalyticsUsage,
};
use failure::Failure;

macro_rules! money_and_days {
    ($($type:ty),*) => {
        $(impl Check for $type {
            fn check(&self) -> Result<(), Failure> {
                active("currency", &self.currency)?;
                zone("timezone", &self.timezone)
            }
        })*
    };
}

money_and_days!(
    AnalyticsContract,
    AnalyticsInvoiceAccuracy,
    AnalyticsInvoiceLine,
    AnalyticsMrrMovement,
    AnalyticsPayment,
    AnalyticsUsage
);

macro_rules! times_and_counts {
    ($($type:ty),*) => {
        $(impl Check for $type {
            fn check(&self) -> Result<(), Failure> {
                Ok(())
            }
        })*
    };
}

times_and_counts!(AnalyticsOrderToActivation, AnalyticsEventRecovery, AnalyticsSyncLatency);

impl Check for AnalyticsSubscription {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)
    }
}

impl Check for AnalyticsAccountBalance {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)
    }
}

/// An order that is refused has no amount.
impl Check for AnalyticsOrderStep {
    fn check(&self) -> Result<(), Failure> {
        self.currency.as_deref().map_or(Ok(()), |currency| active("currency", currency))
    }
}
