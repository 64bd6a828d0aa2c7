//! What usage costs: nothing as far as it is included, then tier by tier, each unit at the price of the tier it falls into.

use super::{
    catalog::{Market, Meter, Tier},
    money::{Charge, Kind, Price},
};

/// The part of a batch that falls into one tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rated {
    pub(super) tier: Tier,
    pub(super) charge: Charge,
}

/// Number of the line that usage stands on: no contract line has it.
const LINE: u16 = 100;

/// Rates the usage of one period after its first `used` units, up to `until`: batches of a period fill its tiers together.
pub(super) fn rated(market: &Market, meter: &Meter, used: i64, until: i64) -> Vec<Rated> {
    let part = |tier: &Tier| {
        let from = tier.from.max(used);
        let to = tier.to.map_or(until, |to| to.min(until));
        let price = Price(meter.price_micro * market.price_level * tier.percent / 100);
        (to > from)
            .then(|| Rated { tier: *tier, charge: Charge::new(Kind::Usage, LINE, meter.into(), to - from, price) })
    };
    meter.tiers.iter().filter_map(part).collect()
}

/// Units of the same stretch that the contract includes.
pub(super) fn included(meter: &Meter, used: i64, until: i64) -> i64 {
    until.min(meter.included) - used.min(meter.included)
}

/// Σ without tax.
pub(super) fn amount(rated: &[Rated]) -> i64 {
    rated.iter().map(|part| part.charge.net).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::business::catalog::{MARKETS, METERS};
    use proptest::prelude::*;

    #[test]
    fn tiers_follow_on_each_other_from_the_included_quantity_and_get_cheaper() {
        for meter in &METERS {
            let mut from = Some(meter.included);
            let mut percent = 101;
            for tier in &meter.tiers {
                assert_eq!(Some(tier.from), from, "{}", meter.name);
                assert!(tier.percent < percent && tier.to.is_none_or(|to| to > tier.from));
                (from, percent) = (tier.to, tier.percent);
            }
            assert_eq!(from, None, "the last one has no end");
        }
    }

    proptest! {
        #[test]
        fn every_unit_is_included_or_in_one_tier_and_no_tier_overflows(
            meter in 0..METERS.len(), used in 0..3_000_000i64, more in 0..3_000_000i64,
        ) {
            let meter = &METERS[meter];
            let parts = rated(&MARKETS[0], meter, used, used + more);
            let charged: i64 = parts.iter().map(|part| part.charge.quantity).sum();
            prop_assert_eq!(charged + included(meter, used, used + more), more);
            for part in &parts {
                prop_assert!(part.tier.to.is_none_or(|to| part.charge.quantity <= to - part.tier.from));
            }
        }

        #[test]
        fn a_period_rated_in_two_batches_fills_the_same_tiers_as_in_one(first in 0..2_000_000i64, late in 0..2_000_000i64) {
            let meter = &METERS[0];
            let units = |parts: &[Rated]| meter.tiers.map(|tier| {
                parts.iter().filter(|part| part.tier == tier).map(|part| part.charge.quantity).sum::<i64>()
            });
            let mut two = rated(&MARKETS[0], meter, 0, first);
            two.extend(rated(&MARKETS[0], meter, first, first + late));
            prop_assert_eq!(units(&two), units(&rated(&MARKETS[0], meter, 0, first + late)));
        }
    }
}
