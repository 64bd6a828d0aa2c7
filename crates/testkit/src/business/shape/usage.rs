//! Usage, rated and beyond its threshold.

use super::{Shaper, timestamp};
use crate::business::{
    calendar::epoch_ms,
    catalog::METERS,
    life::Used,
    rating::{Rated, amount},
};
use events::{common::*, *};
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;

impl Shaper<'_> {
    pub(super) fn used(&self, used: &Used) -> UsageRated {
        let meter = &METERS[used.meter];
        UsageRated {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.measured_at(used),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            usage_batch_id: self.names.usage_batch(self.account.index, used.batch),
            contract_id: self.contract_id(),
            product_id: meter.product.to_owned(),
            meter: meter.name.to_owned(),
            period: self.period(used.period),
            quantity: Decimal::from(used.quantity),
            unit: meter.unit.to_owned(),
            included_quantity: Decimal::from(used.included),
            overage_quantity: Decimal::from(used.quantity - used.included),
            tiers: used.rated.iter().map(|part| self.tier(part)).collect(),
            amount_minor: amount(&used.rated),
            currency: self.currency(),
            rating_version: Some("2026-01".to_owned()),
            late_arriving: used.is_late,
            corrects_usage_batch_id: used.replaces.map(|wrong| self.names.usage_batch(self.account.index, wrong.batch)),
            ..UsageRated::default()
        }
    }

    /// Late usage and corrections hold for the last moment of their period, whenever they are recorded.
    fn measured_at(&self, used: &Used) -> Timestamp {
        if used.is_late || used.replaces.is_some() { timestamp(epoch_ms(used.period.1) - 1) } else { self.at() }
    }

    /// The bounds are those of the tier, the quantity is what falls into it.
    fn tier(&self, Rated { tier, charge }: &Rated) -> UsageTier {
        UsageTier {
            from_quantity: Decimal::from(tier.from),
            to_quantity: tier.to.map(Decimal::from),
            quantity: Decimal::from(charge.quantity),
            unit_price: charge.price.major(self.market().exponent),
            amount_minor: charge.net,
        }
    }

    pub(super) fn crossed(
        &self,
        threshold: u32,
        meter: usize,
        period: (Date, Date),
        observed: i64,
    ) -> UsageThresholdExceeded {
        let meter = &METERS[meter];
        UsageThresholdExceeded {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            threshold_id: self.names.threshold(self.account.index, threshold),
            contract_id: self.contract_id(),
            meter: meter.name.to_owned(),
            threshold_type: ThresholdType::Absolute,
            threshold_value: Decimal::from(meter.included),
            observed_value: Decimal::from(observed),
            unit: Some(meter.unit.to_owned()),
            period: self.period(period),
            first_crossed_at: self.at(),
            action: ThresholdAction::Notify,
            recurrence: 1,
            ..UsageThresholdExceeded::default()
        }
    }
}
