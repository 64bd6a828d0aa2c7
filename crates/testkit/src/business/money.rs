//! Amounts of the generated business, all in whole minor units: each line is rounded half up, then summed.

use super::{
    catalog::{Market, Meter, Product},
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

/// Usage above what is included, in tiers: ten times the included quantity at the full price, the rest at half of it.
pub(super) fn rated(market: &Market, meter: &Meter, line: u16, quantity: i64) -> Vec<Charge> {
    let over = (quantity - meter.included).max(0);
    let first = over.min(meter.included * 10);
    let full = Price(meter.price_micro * market.price_level);
    let half = Price(meter.price_micro / 2 * market.price_level);
    [(first, full), (over - first, half)]
        .into_iter()
        .filter(|(quantity, _)| *quantity > 0)
        .map(|(quantity, price)| Charge::new(Kind::Usage, line, meter.into(), quantity, price))
        .collect()
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

        #[test]
        fn tiers_hold_all_usage_above_what_is_included(quantity in 0..100_000_000i64, market in 0..MARKETS.len()) {
            let over: i64 = rated(&MARKETS[market], &METERS[0], 9, quantity).iter().map(|charge| charge.quantity).sum();
            prop_assert_eq!(over, (quantity - METERS[0].included).max(0));
        }
    }
}
