//! What an event is worth: the amount that is at risk while it does not take effect.

use serde_json::Value;
use std::collections::BTreeMap;

/// Sums in minor units, by currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Money(pub BTreeMap<String, i64>);

impl Money {
    pub fn add(&mut self, currency: &str, minor: i64) {
        let sum = self.0.entry(currency.to_owned()).or_default();
        *sum = sum.saturating_add(minor);
    }

    pub fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(currency, minor)| self.add(currency, *minor));
    }
}

/// Where an event has its amount: the first that it has.
const AMOUNTS: &[&[&str]] = &[
    &["totals", "payable_minor"],
    &["payable_minor"],
    &["amount_minor"],
    &["write_off_minor"],
    &["total_contract_value_minor"],
    &["delta_tcv_minor"],
    &["early_termination_fee_minor"],
];

/// The amount of a decoded event, without its sign: a credit that is stuck is at risk like an invoice.
#[must_use]
pub fn at_risk(body: &Value) -> Money {
    let mut money = Money::default();
    let amount = AMOUNTS.iter().find_map(|path| path.iter().fold(body, |value, name| &value[*name]).as_i64());
    if let (Some(amount), Some(currency)) = (amount, body["currency"].as_str()) {
        money.add(currency, amount.saturating_abs());
    }
    money
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_amount_is_found_where_the_event_has_it() {
        let of = |body: Value| at_risk(&body).0.into_iter().collect::<Vec<_>>();
        assert_eq!(of(json!({ "currency": "EUR", "totals": { "payable_minor": 5 } })), [("EUR".to_owned(), 5)]);
        assert_eq!(of(json!({ "currency": "EUR", "amount_minor": -7, "fees_minor": 1 })), [("EUR".to_owned(), 7)]);
        assert!(of(json!({ "currency": null, "amount_minor": 7 })).is_empty());
        assert!(of(json!({ "currency": "EUR" })).is_empty());
    }
}
