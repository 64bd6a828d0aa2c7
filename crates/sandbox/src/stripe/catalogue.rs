//! Products, prices and meters: each unique by a name that the writer chooses.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    params::Params,
    refusal::{missing, wrong},
    store::{Logged, Store},
};
use crate::{
    call::{Call, Reply},
    rest::{App, Asked},
};

/// Currencies with three decimals, of which the last is 0.
const THREE_DECIMAL: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];
/// Currencies whose amounts have two decimals, both 0.
const WHOLE_ONLY: [&str; 2] = ["isk", "ugx"];

pub fn product(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let params = Params::of(call, &["id", "name", "description", "metadata", "tax_code", "active"])?;
    let name = params.needed("name")?.to_owned();
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    let id = params.text("id")?.map_or_else(|| store.id("prod"), str::to_owned);
    if store.get("product", &id).is_some() {
        return Err(wrong("resource_already_exists", "id", "Product already exists."));
    }
    let body = json!({
        "id": id, "object": "product", "name": name, "active": true, "created": store.now(), "livemode": false,
        "metadata": params.metadata()?, "type": "service",
    });
    store.put("product", &body, Logged::Catalogue, Some("product.created"))?;
    Ok(body)
}

pub fn meter(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let known = ["display_name", "event_name", "default_aggregation", "customer_mapping", "value_settings"];
    let params = Params::of(call, &known)?;
    let (name, event) = (params.needed("display_name")?.to_owned(), params.needed("event_name")?.to_owned());
    let formula = match params.object("default_aggregation", &["formula"])? {
        Some(aggregation) => aggregation.one_of("formula", &["sum", "count", "last"], "sum")?,
        None => return Err(wrong("parameter_missing", "default_aggregation", "Missing required param")),
    };
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    if store.newest("meter").iter().any(|meter| meter["event_name"] == *event && meter["status"] == "active") {
        return Err(wrong("invalid_request", "event_name", "An active meter has this event name"));
    }
    let body = json!({
        "id": store.id("mtr"), "object": "billing.meter", "display_name": name, "event_name": event, "livemode": false,
        "status": "active", "created": store.now(), "updated": store.now(), "event_time_window": null,
        "default_aggregation": { "formula": formula }, "status_transitions": { "deactivated_at": null },
        "customer_mapping": { "event_payload_key": "stripe_customer_id", "type": "by_id" },
        "value_settings": { "event_payload_key": "value" },
    });
    store.put("meter", &body, Logged::Catalogue, None)?;
    Ok(body)
}

/// Usage that the product reports.
pub fn meter_event(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let params = Params::of(call, &["event_name", "payload", "identifier", "timestamp"])?;
    let event = params.needed("event_name")?.to_owned();
    let Some(payload) = params.object("payload", &["stripe_customer_id", "value"])? else {
        return Err(wrong("parameter_missing", "payload", "Missing required param: payload."));
    };
    let customer = payload.needed("stripe_customer_id")?.to_owned();
    let value = payload.decimal("value")?.unwrap_or_default();
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    if !store.newest("meter").iter().any(|meter| meter["event_name"] == *event) {
        return Err(wrong("invalid_request", "event_name", "there is no such meter"));
    }
    let id = params.text("identifier")?.map_or_else(|| store.id("mevt"), str::to_owned);
    if store.get("meter_event", &id).is_some() {
        return Err(wrong("invalid_request", "identifier", "An event already exists with this identifier"));
    }
    let at = params.whole("timestamp")?.unwrap_or(store.now());
    let body = json!({
        "id": id, "object": "billing.meter_event", "event_name": event, "identifier": id, "livemode": false,
        "created": store.now(), "timestamp": at, "payload": { "stripe_customer_id": customer, "value": value.to_string() },
    });
    store.put("meter_event", &body, Logged::No, None)?;
    Ok(body)
}

const PRICE: &[&str] = &[
    "product",
    "currency",
    "unit_amount",
    "unit_amount_decimal",
    "recurring",
    "billing_scheme",
    "tiers_mode",
    "tiers",
    "lookup_key",
    "nickname",
    "metadata",
    "tax_behavior",
];

pub fn price(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let params = Params::of(call, PRICE)?;
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    if let Some(key) = params.text("lookup_key")?
        && store.newest("price").iter().any(|price| price["lookup_key"] == key)
    {
        return Err(wrong("invalid_request", "lookup_key", "A price already uses that lookup key"));
    }
    let body = read_price(app, &store, &params)?;
    store.put("price", &body, Logged::Catalogue, Some("price.created"))?;
    Ok(body)
}

/// A price given within another object: it is made there and then.
pub fn inline(app: &App, store: &mut Store<'_>, params: &Params, is_recurring: bool) -> Result<Value, Reply> {
    if params.has("recurring") != is_recurring {
        let what = if is_recurring { "needs an interval" } else { "has no interval here" };
        return Err(wrong("invalid_request", &params.name("recurring"), &format!("the price {what}")));
    }
    let body = read_price(app, store, params)?;
    store.put("price", &body, Logged::No, None)?;
    Ok(body)
}

fn read_price(app: &App, store: &Store<'_>, params: &Params) -> Result<Value, Reply> {
    let (product, currency) = (params.needed("product")?, currency(params)?);
    if store.get("product", product).is_none() {
        return Err(missing(app, "product", product, Some(&params.name("product"))));
    }
    let recurring = recurring(app, store, params)?;
    let tiers = tiers(params)?;
    let amount = match (params.decimal("unit_amount_decimal")?, params.whole("unit_amount")?) {
        (Some(_), Some(_)) => {
            let name = params.name("unit_amount");
            return Err(wrong("invalid_request", &name, "give unit_amount or unit_amount_decimal, not both"));
        }
        (Some(decimal), None) => Some(decimal.normalize()),
        (None, whole) => whole.map(Decimal::from),
    };
    if amount.is_some() != tiers.is_empty() {
        let name = params.name("unit_amount");
        return Err(wrong("parameter_missing", &name, "a price has one amount, or tiers"));
    }
    let name = params.name("unit_amount_decimal");
    if amount.is_some_and(|amount| amount.is_sign_negative() && !amount.is_zero()) {
        return Err(wrong("amount_invalid", &name, "Invalid non-negative integer"));
    }
    let step = match &*currency {
        currency if THREE_DECIMAL.contains(&currency) => Decimal::TEN,
        currency if WHOLE_ONLY.contains(&currency) => Decimal::ONE_HUNDRED,
        _ => Decimal::ONE,
    };
    if step != Decimal::ONE && amount.is_some_and(|amount| !(amount % step).is_zero()) {
        return Err(wrong("amount_invalid", &name, &format!("amounts in this currency come in steps of {step}")));
    }
    Ok(json!({
        "id": store.id("price"), "object": "price", "active": true, "created": store.now(), "livemode": false,
        "product": product, "currency": currency, "metadata": params.metadata()?, "lookup_key": params.text("lookup_key")?,
        "type": if recurring.is_null() { "one_time" } else { "recurring" }, "recurring": recurring,
        "billing_scheme": if tiers.is_empty() { "per_unit" } else { "tiered" },
        "tiers_mode": params.text("tiers_mode")?, "tiers": tiers,
        "unit_amount_decimal": amount.map(|amount| amount.to_string()),
    }))
}

fn currency(params: &Params) -> Result<String, Reply> {
    let currency = params.needed("currency")?;
    if currency.len() == 3 && currency.chars().all(|c| c.is_ascii_lowercase()) {
        return Ok(currency.to_owned());
    }
    Err(wrong("invalid_request", &params.name("currency"), &format!("Invalid currency: {currency}")))
}

fn recurring(app: &App, store: &Store<'_>, params: &Params) -> Result<Value, Reply> {
    let Some(recurring) = params.object("recurring", &["interval", "interval_count", "usage_type", "meter"])? else {
        return Ok(Value::Null);
    };
    let interval = recurring.one_of("interval", &["month", "year"], "")?;
    let count = recurring.whole("interval_count")?.unwrap_or(1);
    let months = if interval == "year" { count.saturating_mul(12) } else { count };
    if interval.is_empty() || !(1..=36).contains(&months) {
        let name = recurring.name("interval_count");
        return Err(wrong("invalid_request", &name, "an interval lasts at least a month and at most three years"));
    }
    let usage = recurring.one_of("usage_type", &["licensed", "metered"], "licensed")?;
    let meter = recurring.text("meter")?;
    match meter {
        Some(meter) if store.get("meter", meter).is_none() => {
            return Err(missing(app, "meter", meter, Some(&recurring.name("meter"))));
        }
        None if usage == "metered" => {
            return Err(wrong("parameter_missing", &recurring.name("meter"), "a metered price needs a meter"));
        }
        _ => {}
    }
    Ok(json!({ "interval": interval, "interval_count": count, "usage_type": usage, "meter": meter }))
}

fn tiers(params: &Params) -> Result<Vec<Value>, Reply> {
    let given =
        params.list("tiers", &["up_to", "unit_amount_decimal", "unit_amount", "flat_amount_decimal", "flat_amount"])?;
    let mut tiers = Vec::new();
    let mut before = Decimal::ZERO;
    for (at, tier) in given.iter().enumerate() {
        let is_last = at + 1 == given.len();
        let up_to = tier.needed("up_to")?;
        let end = if up_to == "inf" { None } else { tier.decimal("up_to")? };
        let rises = end.is_none_or(|end| end > before && end.normalize().scale() == 0);
        if !rises || end.is_none() != is_last {
            return Err(wrong(
                "invalid_request",
                &tier.name("up_to"),
                "tiers rise in whole steps, and the last is inf",
            ));
        }
        before = end.unwrap_or(before);
        let unit = tier.decimal("unit_amount_decimal")?.or(tier.whole("unit_amount")?.map(Decimal::from));
        let flat = tier.decimal("flat_amount_decimal")?.or(tier.whole("flat_amount")?.map(Decimal::from));
        tiers.push(json!({
            "up_to": end.map(|end| end.to_string()),
            "unit_amount_decimal": unit.unwrap_or_default().to_string(),
            "flat_amount_decimal": flat.unwrap_or_default().to_string(),
        }));
    }
    Ok(tiers)
}
