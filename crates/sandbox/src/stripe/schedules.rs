//! Subscription schedules: made, changed, cancelled and released by POST. What they bill when is in `billing`.

use serde_json::{Value, json};

use super::{
    billing, catalogue,
    customers::merge,
    params::Params,
    refusal::{missing, wrong},
    store::{Logged, Store},
};
use crate::{
    call::{Call, Reply},
    rest::{App, Asked},
};

const FIELDS: &[&str] = &[
    "customer",
    "start_date",
    "end_behavior",
    "billing_mode",
    "default_settings",
    "metadata",
    "phases",
    "proration_behavior",
    "expand",
];
const PHASE: &[&str] = &[
    "start_date",
    "end_date",
    "items",
    "add_invoice_items",
    "currency",
    "proration_behavior",
    "billing_cycle_anchor",
    "metadata",
    "collection_method",
];
const ITEM: &[&str] = &["price", "price_data", "quantity", "metadata"];
const PRICE_DATA: &[&str] = &["currency", "product", "recurring", "unit_amount", "unit_amount_decimal", "tax_behavior"];

pub fn make(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let params = Params::of(call, FIELDS)?;
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    let customer = params.needed("customer")?.to_owned();
    if store.get("customer", &customer).is_none() {
        return Err(missing(app, "customer", &customer, Some("customer")));
    }
    let start = match params.text("start_date")? {
        Some("now") | None => store.now(),
        Some(_) => params.whole("start_date")?.unwrap_or_default(),
    };
    let phases = phases(app, &mut store, &params, start)?;
    check_currency(&store, &customer, &phases)?;
    let mode = match params.object("billing_mode", &["type"])? {
        Some(mode) => mode.one_of("type", &["classic", "flexible"], "classic")?,
        None => "classic".to_owned(),
    };
    check_intervals(&store, &phases, &mode)?;
    let mut body = json!({
        "id": store.id("sub_sched"), "object": "subscription_schedule", "application": null, "created": store.now(),
        "billing_mode": { "type": mode }, "canceled_at": null, "completed_at": null, "current_phase": null,
        "customer": customer, "default_settings": settings(&params)?, "livemode": false, "metadata": params.metadata()?,
        "end_behavior": params.one_of("end_behavior", &["release", "cancel", "none", "renew"], "release")?,
        "phases": phases, "released_at": null, "released_subscription": null, "status": "not_started",
        "subscription": null, "test_clock": null,
        "_": { "anchor": start, "cursor": start - 1 },
    });
    let ours = ours(&body);
    store.put("subscription_schedule", &body, Logged::Effect(&ours), Some("subscription_schedule.created"))?;
    billing::run(&mut store, &mut body)?;
    Ok(body)
}

fn ours(body: &Value) -> String {
    body["metadata"]["tl_contract_id"].as_str().or(body["id"].as_str()).unwrap_or_default().to_owned()
}

fn settings(params: &Params) -> Result<Value, Reply> {
    let known = ["collection_method", "invoice_settings", "billing_cycle_anchor"];
    let Some(settings) = params.object("default_settings", &known)? else { return Ok(json!({})) };
    let method =
        settings.one_of("collection_method", &["charge_automatically", "send_invoice"], "charge_automatically")?;
    let days = match settings.object("invoice_settings", &["days_until_due"])? {
        Some(invoice) => invoice.whole("days_until_due")?,
        None => None,
    };
    if method == "send_invoice" && days.is_none() {
        let name = settings.name("invoice_settings");
        return Err(wrong("parameter_missing", &name, "send_invoice needs days_until_due"));
    }
    Ok(json!({ "collection_method": method, "invoice_settings": { "days_until_due": days } }))
}

/// Phases as they are kept: each begins where the one before ends.
fn phases(app: &App, store: &mut Store<'_>, params: &Params, start: i64) -> Result<Vec<Value>, Reply> {
    let mut at = start;
    let mut kept = Vec::new();
    for phase in params.list("phases", PHASE)? {
        if phase.whole("start_date")?.is_some_and(|start| start != at) {
            return Err(wrong("invalid_request", &phase.name("start_date"), "phases follow each other without gaps"));
        }
        let needed = || wrong("parameter_missing", &phase.name("end_date"), "Missing required param: end_date.");
        let end = phase.whole("end_date")?.ok_or_else(needed)?;
        if end <= at {
            return Err(wrong("invalid_request", &phase.name("end_date"), "a phase ends after it begins"));
        }
        let items = items(app, store, &phase, "items", true)?;
        if items.is_empty() {
            return Err(wrong("parameter_missing", &phase.name("items"), "a phase has at least one item"));
        }
        let currency = match phase.text("currency")? {
            Some(currency) => json!(currency),
            None => store
                .get("price", items[0]["price"].as_str().unwrap_or_default())
                .map_or(Value::Null, |price| price["currency"].clone()),
        };
        kept.push(json!({
            "start_date": at, "end_date": end, "currency": currency, "items": items, "metadata": phase.metadata()?,
            "add_invoice_items": self::items(app, store, &phase, "add_invoice_items", false)?,
            "proration_behavior": phase.one_of("proration_behavior", &["create_prorations", "none", "always_invoice"], "create_prorations")?,
        }));
        at = end;
    }
    if kept.is_empty() {
        return Err(wrong("parameter_missing", "phases", "Missing required param: phases."));
    }
    Ok(kept)
}

fn items(app: &App, store: &mut Store<'_>, phase: &Params, field: &str, recurs: bool) -> Result<Vec<Value>, Reply> {
    let mut kept = Vec::new();
    for item in phase.list(field, ITEM)? {
        let price = match (item.text("price")?, item.object("price_data", PRICE_DATA)?) {
            (Some(id), None) => {
                store.get("price", id).cloned().ok_or_else(|| missing(app, "price", id, Some(&item.name("price"))))?
            }
            (None, Some(data)) => catalogue::inline(app, store, &data, recurs)?,
            (None, None) | (Some(_), Some(_)) => {
                return Err(wrong("parameter_missing", &item.name("price"), "give price or price_data"));
            }
        };
        let quantity = item.whole("quantity")?;
        let is_metered = price["recurring"]["usage_type"] == "metered";
        if is_metered && quantity.is_some() || quantity.is_some_and(|quantity| quantity < 0) {
            return Err(wrong("invalid_request", &item.name("quantity"), "no quantity fits this price"));
        }
        let quantity = if is_metered { Value::Null } else { json!(quantity.unwrap_or(1)) };
        kept.push(json!({ "price": price["id"], "quantity": quantity, "metadata": item.metadata()? }));
    }
    Ok(kept)
}

/// All prices of a schedule have the currency of its phases, and a customer has one.
fn check_currency(store: &Store<'_>, customer: &str, phases: &[Value]) -> Result<(), Reply> {
    let of_customer = store.get("customer", customer).map_or(Value::Null, |customer| customer["currency"].clone());
    let mut expected = of_customer;
    for (at, phase) in phases.iter().enumerate() {
        let items =
            ["items", "add_invoice_items"].map(|field| phase[field].as_array().cloned().unwrap_or_default()).concat();
        let prices = items.iter().filter_map(|item| store.get("price", item["price"].as_str()?));
        for currency in prices.map(|price| price["currency"].clone()).chain([phase["currency"].clone()]) {
            if expected.is_null() {
                expected = currency;
            } else if expected != currency {
                let detail = format!("You cannot combine currencies on a single customer: {expected} and {currency}");
                return Err(wrong("invalid_request", &format!("phases[{at}][currency]"), &detail));
            }
        }
    }
    Ok(())
}

/// Items that are billed at different intervals need the flexible billing mode.
fn check_intervals(store: &Store<'_>, phases: &[Value], mode: &str) -> Result<(), Reply> {
    for (at, phase) in phases.iter().enumerate() {
        let items = phase["items"].as_array().into_iter().flatten();
        let prices = items.filter_map(|item| store.get("price", item["price"].as_str()?));
        let intervals: std::collections::BTreeSet<i64> = prices.map(billing::months).collect();
        if intervals.len() > 1 && mode != "flexible" {
            let name = format!("phases[{at}][items]");
            return Err(wrong("invalid_request", &name, "All prices on a subscription must have the same interval"));
        }
    }
    Ok(())
}

fn running(app: &App, store: &Store<'_>, id: &str) -> Result<Value, Reply> {
    let body = store.get("subscription_schedule", id).cloned();
    let body = body.ok_or_else(|| missing(app, "subscription_schedule", id, None))?;
    match body["status"].as_str() {
        Some("not_started" | "active") => Ok(body),
        status => {
            let detail = format!("a subscription schedule that is {} cannot be changed", status.unwrap_or_default());
            Err(wrong("invalid_request", "status", &detail))
        }
    }
}

pub fn change(app: &App, call: &Call, asked: &Asked, id: &str) -> Result<Value, Reply> {
    let params = Params::of(call, FIELDS)?;
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    let mut body = running(app, &store, id)?;
    let before = body.clone();
    if params.has("phases") {
        let first = params.list("phases", PHASE)?.first().map(|phase| phase.whole("start_date")).transpose()?.flatten();
        let is_active = body["status"] == "active";
        let current = body["current_phase"]["start_date"].as_i64();
        let start = if is_active { current } else { first.or(body["phases"][0]["start_date"].as_i64()) };
        let start = start.unwrap_or_default();
        let phases = phases(app, &mut store, &params, start)?;
        if is_active && phases[0]["end_date"].as_i64().is_none_or(|end| end <= store.now()) {
            return Err(wrong("invalid_request", "phases[0][end_date]", "the current phase cannot end in the past"));
        }
        let customer = body["customer"].as_str().unwrap_or_default().to_owned();
        check_currency(&store, &customer, &phases)?;
        check_intervals(&store, &phases, body["billing_mode"]["type"].as_str().unwrap_or_default())?;
        if !is_active {
            body["_"] = json!({ "anchor": start, "cursor": start - 1 });
        }
        body["phases"] = json!(phases);
    }
    if params.has("end_behavior") {
        body["end_behavior"] = params.one_of("end_behavior", &["release", "cancel"], "release")?.into();
    }
    if params.has("default_settings") {
        let sent =
            params.object("default_settings", &["collection_method", "invoice_settings", "billing_cycle_anchor"])?;
        let invoice = sent.map(|sent| sent.object("invoice_settings", &["days_until_due"])).transpose()?.flatten();
        if let Some(days) = invoice.map(|invoice| invoice.whole("days_until_due")).transpose()?.flatten() {
            body["default_settings"]["invoice_settings"]["days_until_due"] = days.into();
        }
    }
    merge(&mut body["metadata"], &params.metadata()?);
    let ours = ours(&body);
    store.put("subscription_schedule", &body, Logged::Effect(&ours), Some("subscription_schedule.updated"))?;
    billing::changed(&mut store, &before, &mut body)?;
    billing::run(&mut store, &mut body)?;
    Ok(body)
}

pub fn cancel(app: &App, call: &Call, asked: &Asked, id: &str) -> Result<Value, Reply> {
    let params = Params::of(call, &["invoice_now", "prorate", "expand"])?;
    let prorates = params.one_of("prorate", &["true", "false"], "true")? == "true";
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    let mut body = running(app, &store, id)?;
    if prorates {
        billing::credit_rest(&mut store, &mut body)?;
    }
    body["status"] = "canceled".into();
    body["canceled_at"] = store.now().into();
    body["current_phase"] = Value::Null;
    let ours = ours(&body);
    store.put("subscription_schedule", &body, Logged::Effect(&ours), Some("subscription_schedule.canceled"))?;
    billing::end_subscription(&mut store, &body)?;
    Ok(body)
}

pub fn release(app: &App, call: &Call, asked: &Asked, id: &str) -> Result<Value, Reply> {
    Params::of(call, &["preserve_cancel_date", "expand"])?;
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    let mut body = running(app, &store, id)?;
    billing::release(&store, &mut body);
    let ours = ours(&body);
    store.put("subscription_schedule", &body, Logged::Effect(&ours), Some("subscription_schedule.released"))?;
    Ok(body)
}
