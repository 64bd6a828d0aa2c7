//! The rules of what provisioning tells.

use super::{Check, filled, invalid};
use crate::{EntitlementGranted, EntitlementRevoked, EntitlementUpdated, ProvisioningFailed};
use failure::Failure;
use jiff::Timestamp;
use rust_decimal::Decimal;

impl Check for EntitlementGranted {
    fn check(&self) -> Result<(), Failure> {
        entitlement(&self.contract_id, &self.feature_key)?;
        extent(self.quantity, self.valid_from, self.valid_to)
    }
}

impl Check for EntitlementUpdated {
    fn check(&self) -> Result<(), Failure> {
        entitlement(&self.contract_id, &self.feature_key)?;
        extent(self.quantity, self.valid_from, self.valid_to)
    }
}

impl Check for EntitlementRevoked {
    fn check(&self) -> Result<(), Failure> {
        entitlement(&self.contract_id, &self.feature_key)
    }
}

impl Check for ProvisioningFailed {
    fn check(&self) -> Result<(), Failure> {
        filled("failed_event_type", &self.failed_event_type)?;
        filled("error_class", &self.error_class)?;
        if self.reasons.is_empty() { Err(invalid("reasons", "a failure has at least one reason")) } else { Ok(()) }
    }
}

fn entitlement(contract_id: &str, feature_key: &str) -> Result<(), Failure> {
    filled("contract_id", contract_id)?;
    filled("feature_key", feature_key)
}

fn extent(quantity: Option<Decimal>, valid_from: Timestamp, valid_to: Option<Timestamp>) -> Result<(), Failure> {
    if quantity.is_some_and(|quantity| quantity < Decimal::ZERO) {
        return Err(invalid("quantity", "nobody can be entitled to less than nothing"));
    }
    match valid_to {
        Some(end) if end < valid_from => Err(invalid("valid_to", "lies before valid_from")),
        Some(_) | None => Ok(()),
    }
}
