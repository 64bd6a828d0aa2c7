use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A currency: ISO 4217 code, and digits behind the point of its amounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsoCurrency {
    pub code: String,
    pub exponent: u32,
}

impl IsoCurrency {
    /// The exact decimal of an amount in minor units.
    #[must_use]
    pub fn amount(&self, minor: i64) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(minor), self.exponent)
    }
}
