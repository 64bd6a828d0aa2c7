//! Exact money: NetSuite's decimal major units to and from minor units of a currency.

use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Number, Value};

/// A currency the account has switched on.
#[derive(Clone, Debug, PartialEq)]
pub struct Currency {
    /// ISO 4217 code.
    pub code: Box<str>,
    /// Decimals of one major unit: 2 for USD, 0 for JPY.
    pub exponent: u32,
}

/// The exact decimal of a JSON number, or of a string that holds one.
pub fn decimal(value: &Value) -> Option<Decimal> {
    let parse = |text: &str| Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text)).ok();
    match value {
        // serde_json prints the shortest text that reads back as the same number: what the sender wrote.
        Value::Number(number) => parse(&number.to_string()),
        Value::String(text) => parse(text.trim()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Minor units of `amount`; `None` when it has more decimals than the currency or is too large for an `i64`.
pub fn minor(amount: Decimal, exponent: u32) -> Option<i64> {
    let scaled = amount.checked_mul(Decimal::from(10_i64.checked_pow(exponent)?))?.normalize();
    if scaled.scale() > 0 {
        return None;
    }
    i64::try_from(scaled.mantissa()).ok()
}

/// Minor units of a computed amount (quantity × rate), rounded half away from zero as NetSuite rounds lines.
pub fn rounded_minor(amount: Decimal, exponent: u32) -> Option<i64> {
    minor(amount.round_dp_with_strategy(exponent, RoundingStrategy::MidpointAwayFromZero), exponent)
}

/// Major units as a decimal with the currency's number of places.
pub fn major(minor: i64, exponent: u32) -> Decimal {
    Decimal::new(minor, exponent)
}

/// Major units as a JSON number.
pub fn json(minor: i64, exponent: u32) -> Value {
    let text = major(minor, exponent).normalize().to_string();
    Number::from_str(&text).map_or(Value::String(text), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_survive_json_exactly() {
        assert_eq!(decimal(&json!(1234567.89)).and_then(|d| minor(d, 2)), Some(123_456_789));
        assert_eq!(decimal(&json!("0.1")).and_then(|d| minor(d, 2)), Some(10));
        assert_eq!(decimal(&json!(-55)).and_then(|d| minor(d, 0)), Some(-55));
    }

    #[test]
    fn more_decimals_than_the_currency_has_are_refused() {
        assert_eq!(minor(Decimal::new(105, 1), 0), None);
        assert_eq!(minor(Decimal::new(10_500, 3), 2), Some(1_050));
    }

    #[test]
    fn computed_lines_round_half_away_from_zero() {
        assert_eq!(rounded_minor(Decimal::new(1_125, 3), 2), Some(113));
        assert_eq!(rounded_minor(Decimal::new(-1_125, 3), 2), Some(-113));
    }
}
