//! Money: whole minor units and an ISO 4217 code, never floats.

use crate::{currency, generated::common::Money};
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use std::fmt;

/// Why an amount cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not an active ISO 4217 currency")]
    UnknownCurrency(String),
    #[error("the amount does not fit into 64 bits of minor units")]
    OutOfRange,
    #[error("the amount has more decimals than {0} has")]
    TooPrecise(String),
}

impl Money {
    #[must_use]
    pub fn new(amount_minor: i64, currency: impl Into<String>) -> Self {
        Self { amount_minor, currency: currency.into() }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match to_major(self.amount_minor, &self.currency) {
            Ok(major) => write!(f, "{major} {}", self.currency),
            Err(_) => write!(f, "{} minor units of {}", self.amount_minor, self.currency),
        }
    }
}

/// `12345` and `GBP` give `123.45`, with the currency's own decimals.
///
/// # Errors
/// If the currency is unknown.
pub fn to_major(amount_minor: i64, code: &str) -> Result<Decimal, Error> {
    Ok(Decimal::new(amount_minor, exponent(code)?))
}

/// `123.45` and `GBP` give `12345`; nothing is rounded.
///
/// # Errors
/// If the currency is unknown, or the amount has more decimals than it, or is too large.
pub fn to_minor(major: Decimal, code: &str) -> Result<i64, Error> {
    let exponent = exponent(code)?;
    if major.normalize().scale() > exponent {
        return Err(Error::TooPrecise(code.to_owned()));
    }
    round(major, exponent)
}

/// Quantity × unit price, rounded half away from zero to minor units: how a line becomes its net amount.
///
/// # Errors
/// If the currency is unknown or the amount is too large.
pub fn line_amount_minor(quantity: Decimal, unit_price: Decimal, code: &str) -> Result<i64, Error> {
    let product = quantity.checked_mul(unit_price).ok_or(Error::OutOfRange)?;
    round(product, exponent(code)?)
}

/// The sum, or `None` if it does not fit.
pub fn sum(amounts: impl IntoIterator<Item = i64>) -> Option<i64> {
    amounts.into_iter().try_fold(0i64, i64::checked_add)
}

fn exponent(code: &str) -> Result<u32, Error> {
    currency::exponent(code).ok_or_else(|| Error::UnknownCurrency(code.to_owned()))
}

fn round(major: Decimal, exponent: u32) -> Result<i64, Error> {
    let rounded = major.round_dp_with_strategy(exponent, RoundingStrategy::MidpointAwayFromZero);
    let minor = rounded.checked_mul(Decimal::from(10i64.pow(exponent))).ok_or(Error::OutOfRange)?;
    minor.to_i64().ok_or(Error::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    #[test]
    fn a_line_is_rounded_half_up_to_the_currencys_own_decimals() {
        assert_eq!(line_amount_minor(decimal("3"), decimal("0.085"), "GBP"), Ok(26));
        assert_eq!(line_amount_minor(decimal("-1"), decimal("0.085"), "GBP"), Ok(-9));
        assert_eq!(line_amount_minor(decimal("3"), decimal("10.4"), "JPY"), Ok(31));
        assert_eq!(line_amount_minor(decimal("1"), decimal("1.2345"), "KWD"), Ok(1235));
    }

    #[test]
    fn minor_units_read_as_people_write_them() {
        assert_eq!(Money::new(12_345, "GBP").to_string(), "123.45 GBP");
        assert_eq!(Money::new(12_345, "JPY").to_string(), "12345 JPY");
        assert_eq!(Money::new(5, "???").to_string(), "5 minor units of ???");
    }

    #[test]
    fn what_cannot_be_exact_or_does_not_fit_is_an_error() {
        assert_eq!(to_minor(decimal("1.234"), "GBP"), Err(Error::TooPrecise("GBP".into())));
        assert_eq!(to_minor(decimal("1.230"), "GBP"), Ok(123));
        assert_eq!(line_amount_minor(Decimal::MAX, Decimal::MAX, "GBP"), Err(Error::OutOfRange));
        assert_eq!(to_minor(decimal("99999999999999999999"), "GBP"), Err(Error::OutOfRange));
    }
}
