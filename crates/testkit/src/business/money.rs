//! Amounts of the generated business, all in whole minor units: each line is rounded half up, then summed.

use super::{
    catalog::{Meter, Product},
    tax::Tax,
};
use rust_decimal::Decimal;

/// A charge on a document: quantity × price, rounded, and its tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) product: &'static str,
    pub(super) description: &'static str,
    pub(super) kind: Kind,
    /// Number of the contract line it belongs to.
    pub(super) line: u16,
    /// Whole units.
    pub(super) quantity: i64,
    pub(super) unit: &'static str,
    pub(super) price: Price,
    pub(super) net: i64,
    /// `None` until it is billed, and where there is none.
    pub(super) rate: Option<Tax>,
    pub(super) tax: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Recurring,
    Usage,
    /// A part of a period.
    Proration,
    /// For leaving early.
    Fee,
}

impl Kind {
    /// Whether it bills a line of the contract.
    pub(super) const fn is_of_line(self) -> bool {
        matches!(self, Self::Recurring | Self::Proration)
    }
}

/// A price in millionths of the currency's minor unit, so that 0.000123 of a dollar is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Price(pub(super) i64);

const MICRO: i64 = 1_000_000;

impl Price {
    pub(super) const fn of_minor(minor: i64) -> Self {
        Self(minor * MICRO)
    }

    /// In the currency's major unit, without needless zeros.
    pub(super) fn major(self, exponent: u32) -> Decimal {
        let (mantissa, places) = if self.0 % MICRO == 0 { (self.0 / MICRO, exponent) } else { (self.0, exponent + 6) };
        Decimal::from_i128_with_scale(i128::from(mantissa), places)
    }

    /// For `quantity` units, rounded half up to the minor unit.
    pub(super) const fn times(self, quantity: i64) -> i64 {
        let exact = self.0 as i128 * quantity as i128;
        ((exact + MICRO as i128 / 2) / MICRO as i128) as i64
    }
}

impl Charge {
    pub(super) fn new(kind: Kind, line: u16, what: Sold, quantity: i64, price: Price) -> Self {
        let Sold { product, description, unit } = what;
        let net = price.times(quantity);
        Self { product, description, kind, line, quantity, unit, price, net, rate: None, tax: 0 }
    }

    pub(super) fn taxed(self, rate: Option<Tax>) -> Self {
        Self { rate, tax: rate.map_or(0, |rate| rate.on(self.net)), ..self }
    }

    /// The same charge for fewer units, at the tax of its own day: what a credit note gives back.
    pub(super) fn part(&self, quantity: i64) -> Self {
        let net = self.price.times(quantity);
        Self { quantity, net, ..self.clone() }.taxed(self.rate)
    }

    pub(super) const fn gross(&self) -> i64 {
        self.net + self.tax
    }
}

/// What a charge is for, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sold {
    pub(super) product: &'static str,
    pub(super) description: &'static str,
    pub(super) unit: &'static str,
}

impl From<&Product> for Sold {
    fn from(product: &Product) -> Self {
        Self { product: product.id, description: product.name, unit: "seat" }
    }
}

impl From<&Meter> for Sold {
    fn from(meter: &Meter) -> Self {
        Self { product: meter.product, description: meter.name, unit: meter.unit }
    }
}

/// Shares of `total` by weight that add up to it: rounded down, the units that are left one each to the largest remainders.
pub(super) fn shares(total: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum::<i128>().max(1);
    let exact = |weight: &i64| i128::from(total) * i128::from(*weight);
    let mut shares: Vec<i64> = weights.iter().map(|weight| (exact(weight) / sum) as i64).collect();
    let mut places: Vec<usize> = (0..weights.len()).collect();
    places.sort_by_key(|place| (std::cmp::Reverse(exact(&weights[*place]) % sum), *place));
    let left = total - shares.iter().sum::<i64>();
    places.into_iter().take(left.max(0) as usize).for_each(|place| shares[place] += 1);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::business::catalog::{MARKETS, METERS, PRODUCTS};
    use proptest::prelude::*;

    #[test]
    fn prices_read_as_people_write_them() {
        assert_eq!(Price::of_minor(4900).major(2).to_string(), "49.00");
        assert_eq!(Price::of_minor(7350).major(0).to_string(), "7350");
        assert_eq!(Price::of_minor(14_700).major(3).to_string(), "14.700");
        assert_eq!(Price(METERS[0].price_micro * 100).major(2).to_string(), "0.00012300");
    }

    #[test]
    fn half_a_minor_unit_is_rounded_up() {
        assert_eq!(Price(500_000).times(1), 1);
        assert_eq!(Price(499_999).times(1), 0);
    }

    proptest! {
        #[test]
        fn a_charge_is_quantity_times_price_in_the_currency_of_any_market(
            market in 0..MARKETS.len(), product in 0..PRODUCTS.len(), quantity in 1..10_000i64,
        ) {
            let market = &MARKETS[market];
            let price = Price::of_minor(PRODUCTS[product].price * market.price_level);
            let charge = Charge::new(Kind::Recurring, 1, (&PRODUCTS[product]).into(), quantity, price);
            let exact = charge.price.major(market.exponent) * Decimal::from(quantity);
            prop_assert_eq!(exact, Decimal::from_i128_with_scale(i128::from(charge.net), market.exponent));
        }
    }
}
