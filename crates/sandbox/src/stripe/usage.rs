//! What usage costs.

use rust_decimal::Decimal;
use serde_json::Value;

use super::store::Store;

/// What a customer used of a price's meter in a period.
pub fn quantity(store: &Store<'_>, customer: &str, price: &Value, (from, until): (i64, i64)) -> Decimal {
    let meter = store.get("meter", price["recurring"]["meter"].as_str().unwrap_or_default());
    let name = meter.map_or(&Value::Null, |meter| &meter["event_name"]);
    let events = store.newest("meter_event").into_iter().filter(|event| {
        event["event_name"] == *name
            && event["payload"]["stripe_customer_id"] == customer
            && event["timestamp"].as_i64().is_some_and(|at| (from..until).contains(&at))
    });
    events.map(|event| decimal(&event["payload"]["value"])).sum()
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A quantity at a price with tiers, or at one amount a unit.
pub fn amount(price: &Value, quantity: Decimal) -> Decimal {
    let tiers = price["tiers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tiers.is_empty() {
        return decimal(&price["unit_amount_decimal"]).saturating_mul(quantity);
    }
    let (mut total, mut from) = (Decimal::ZERO, Decimal::ZERO);
    for tier in tiers {
        let end = tier["up_to"].as_str().map(|_| decimal(&tier["up_to"]));
        let (unit, flat) = (decimal(&tier["unit_amount_decimal"]), decimal(&tier["flat_amount_decimal"]));
        let is_last = end.is_none_or(|end| quantity <= end);
        if price["tiers_mode"] == "volume" && is_last {
            return unit.saturating_mul(quantity).saturating_add(flat);
        }
        if price["tiers_mode"] != "volume" {
            let within = end.map_or(quantity, |end| quantity.min(end)) - from;
            if within > Decimal::ZERO {
                total = total.saturating_add(unit.saturating_mul(within)).saturating_add(flat);
            }
        }
        if is_last {
            break;
        }
        from = end.unwrap_or(from);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn price(mode: &str) -> Value {
        json!({
            "tiers_mode": mode,
            "tiers": [
                { "up_to": "100", "unit_amount_decimal": "0", "flat_amount_decimal": "0" },
                { "up_to": "200", "unit_amount_decimal": "5", "flat_amount_decimal": "0" },
                { "up_to": null, "unit_amount_decimal": "2.5", "flat_amount_decimal": "10" },
            ],
        })
    }

    #[test]
    fn tiers_are_counted_one_after_another_or_by_volume() {
        let cost = |mode: &str, quantity: i64| amount(&price(mode), quantity.into()).normalize().to_string();
        assert_eq!(cost("graduated", 100), "0");
        assert_eq!(cost("graduated", 150), "250");
        assert_eq!(cost("graduated", 300), "760");
        assert_eq!(cost("volume", 150), "750");
        assert_eq!(cost("volume", 300), "760");
    }
}
