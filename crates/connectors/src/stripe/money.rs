//! Amounts as Stripe counts them: in its own smallest unit, which is not ISO 4217's for every currency.

use crate::{Error, IsoCurrency, error::queue};
use rust_decimal::Decimal;

/// Currencies whose amounts Stripe takes without decimals.
const ZERO_DECIMAL: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
/// Currencies with three decimals, of which the last must be 0.
const THREE_DECIMAL: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];
/// Currencies whose amounts travel with two decimals, both of which must be 0.
const WHOLE_ONLY: [&str; 2] = ["ISK", "UGX"];

/// `unit_amount_decimal` has at most this many decimals.
const MOST_DECIMALS: u32 = 12;

fn exponent(code: &str) -> u32 {
    match code {
        code if ZERO_DECIMAL.contains(&code) => 0,
        code if THREE_DECIMAL.contains(&code) => 3,
        _ => 2,
    }
}

fn refused(field: &str, reason: String) -> Error {
    Error::Refused {
        code: "REFUSED_BY_BILLING",
        queue: queue::REVENUE_OPERATIONS,
        field: Some(field.to_owned()),
        reason,
    }
}

/// An amount in major units, in Stripe's smallest unit.
fn smallest(field: &str, code: &str, major: Decimal) -> Result<Decimal, Error> {
    let factor = Decimal::from(10_u32.pow(exponent(code)));
    let amount = major.checked_mul(factor).map(|amount| amount.normalize());
    let amount = amount.ok_or_else(|| refused(field, format!("{major} {code} is more than can be billed")))?;
    if amount.scale() > MOST_DECIMALS {
        return Err(refused(field, format!("{major} {code} has more decimals than a price may have")));
    }
    Ok(amount)
}

/// A whole amount that is billed as it is.
pub(super) fn whole(field: &str, currency: &IsoCurrency, minor: i64) -> Result<Decimal, Error> {
    let code = currency.code.to_uppercase();
    let amount = smallest(field, &code, currency.amount(minor))?;
    let step = Decimal::from(match &*code {
        code if THREE_DECIMAL.contains(&code) => 10,
        code if WHOLE_ONLY.contains(&code) => 100,
        _ => 1,
    });
    if !(amount % step).is_zero() {
        let major = currency.amount(minor);
        return Err(refused(field, format!("{major} {code} cannot be billed: Stripe takes steps of {step} in {code}")));
    }
    Ok(amount)
}

/// A price of one unit, which may be a part of the smallest unit.
pub(super) fn unit(field: &str, currency: &IsoCurrency, price: Decimal) -> Result<Decimal, Error> {
    smallest(field, &currency.code.to_uppercase(), price)
}

/// Quantity and price of one, so that they come to exactly `amount`; one of everything where there is no such price.
pub(super) fn split(amount: Decimal, quantity: Decimal) -> (Decimal, Decimal) {
    let quantity = quantity.normalize();
    if quantity.scale() == 0
        && quantity > Decimal::ZERO
        && let Some(price) = amount.checked_div(quantity).map(|price| price.round_dp(MOST_DECIMALS).normalize())
        && price.checked_mul(quantity) == Some(amount)
    {
        return (quantity, price);
    }
    (Decimal::ONE, amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str, exponent: u32) -> IsoCurrency {
        IsoCurrency { code: code.into(), exponent }
    }

    fn text(amount: Result<Decimal, Error>) -> String {
        amount.map_or_else(|error| error.to_string(), |amount| amount.to_string())
    }

    #[test]
    fn amounts_travel_in_stripes_own_smallest_unit() {
        assert_eq!(text(whole("f", &currency("EUR", 2), 12_345)), "12345");
        assert_eq!(text(whole("f", &currency("JPY", 0), 500)), "500");
        assert_eq!(text(whole("f", &currency("KWD", 3), 12_340)), "12340");
        assert_eq!(text(whole("f", &currency("UGX", 0), 500)), "50000");
        assert_eq!(text(whole("f", &currency("ISK", 0), 500)), "50000");
        assert_eq!(text(unit("f", &currency("EUR", 2), Decimal::new(1_234, 5))), "1.234");
    }

    #[test]
    fn what_stripe_would_round_is_refused_with_the_reason() {
        assert!(text(whole("f", &currency("KWD", 3), 12_345)).contains("steps of 10 in KWD"));
        let price = Decimal::new(1, 15);
        assert!(text(unit("f", &currency("EUR", 2), price)).contains("more decimals"));
    }

    #[test]
    fn quantity_and_price_come_to_the_amount_or_the_amount_stands_alone() {
        let split = |amount: i64, quantity: Decimal| {
            let (quantity, price) = split(Decimal::from(amount), quantity);
            (quantity.to_string(), price.to_string())
        };
        assert_eq!(split(1_000, Decimal::from(4)), ("4".into(), "250".into()));
        assert_eq!(split(1_000, Decimal::from(3)), ("1".into(), "1000".into()));
        assert_eq!(split(1_001, Decimal::from(2)), ("2".into(), "500.5".into()));
        assert_eq!(split(1_000, Decimal::new(15, 1)), ("1".into(), "1000".into()));
        assert_eq!(split(1_000, Decimal::ZERO), ("1".into(), "1000".into()));
    }
}
