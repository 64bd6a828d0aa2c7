//! Usage, rated and beyond its threshold.

use super::Shaper;
use crate::business::{catalog::METERS, money::Charge};
use events::{common::*, *};
use jiff::civil::Date;
use rust_decimal::Decimal;

impl Shaper<'_> {
    pub(super) fn used(
        &self,
        batch: u32,
        meter: usize,
        period: (Date, Date),
        quantity: i64,
        charges: &[Charge],
    ) -> UsageRated {
        let meter = &METERS[meter];
        UsageRated {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            usage_batch_id: self.names.usage_batch(self.account.index, batch),
            contract_id: self.contract_id(),
            product_id: meter.product.to_owned(),
            meter: meter.name.to_owned(),
            period: self.period(period),
            quantity: Decimal::from(quantity),
            unit: meter.unit.to_owned(),
            included_quantity: Decimal::from(quantity.min(meter.included)),
            overage_quantity: Decimal::from((quantity - meter.included).max(0)),
            tiers: self.tiers(meter.included, charges),
            amount_minor: charges.iter().map(|charge| charge.net).sum(),
            currency: self.currency(),
            rating_version: Some("2026-01".to_owned()),
            ..UsageRated::default()
        }
    }

    pub(super) fn tiers(&self, included: i64, charges: &[Charge]) -> Vec<UsageTier> {
        let mut from = included;
        let mut tier = |charge: &Charge| {
            let start = from;
            from += charge.quantity;
            UsageTier {
                from_quantity: Decimal::from(start),
                to_quantity: Some(Decimal::from(from)),
                quantity: Decimal::from(charge.quantity),
                unit_price: charge.price.major(self.market().exponent),
                amount_minor: charge.net,
            }
        };
        charges.iter().map(&mut tier).collect()
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
