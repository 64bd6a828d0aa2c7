//! Routes of the API, and lists in pages.

use axum::http::Method;
use serde_json::{Value, json};

use super::{
    billing, catalogue, customers, invoices,
    refusal::{missing, wrong},
    schedules,
    store::{Store, shown},
};
use crate::{
    call::{Call, Reply},
    rest::{App, Asked},
};

/// Kinds of objects: path, name in the state, name in errors, parameters that a list is narrowed by.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("customers", "customer", &["email"]),
    ("products", "product", &["active"]),
    ("prices", "price", &["product", "active", "lookup_keys[0]", "lookup_keys[]"]),
    ("billing/meters", "meter", &["status"]),
    ("subscription_schedules", "subscription_schedule", &["customer"]),
    ("subscriptions", "subscription", &["customer", "status"]),
    ("invoices", "invoice", &["customer", "status"]),
    ("events", "event", &["type"]),
];

/// `POST /v1/subscription_schedules/*/cancel`.
pub fn route(call: &Call) -> String {
    let mut route = format!("{} ", call.method);
    let after = if call.segments.get(1).is_some_and(|kind| kind == "billing") { 3 } else { 2 };
    for (at, segment) in call.segments.iter().enumerate() {
        route.push('/');
        route.push_str(if at == after && segment != "search" { "*" } else { segment });
    }
    route
}

pub fn answer(app: &App, call: &Call, asked: &Asked) -> Reply {
    if let Err(refusal) = tick(app, asked.now_ms) {
        return refusal;
    }
    match carry_out(app, call, asked) {
        Ok(body) => Reply::json(200, "application/json", &shown(&body)),
        Err(refusal) => refusal,
    }
}

/// Lets happen what was due until now.
pub fn tick(app: &App, now_ms: i64) -> Result<(), Reply> {
    let mut state = app.state();
    billing::run_all(&mut Store::by_itself(&mut state, now_ms))
}

fn carry_out(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match (&call.method, &segments[..]) {
        (&Method::POST, path) => write(app, call, asked, path),
        (&Method::GET, ["v1", "customers", "search"]) => customers::search(app, call, asked),
        (&Method::GET, ["v1", "billing", "meters", rest @ ..]) => read(app, call, "billing/meters", rest),
        (&Method::GET, ["v1", kind, rest @ ..]) => read(app, call, kind, rest),
        _ => Err(unknown(app, call)),
    }
}

fn unknown(app: &App, call: &Call) -> Reply {
    app.problem("NOT_FOUND", &format!("Unrecognized request URL ({}: {})", call.method, call.path))
}

fn write(app: &App, call: &Call, asked: &Asked, path: &[&str]) -> Result<Value, Reply> {
    match path {
        ["v1", "customers"] => customers::make(app, call, asked),
        ["v1", "customers", id] => customers::change(app, call, asked, id),
        ["v1", "products"] => catalogue::product(app, call, asked),
        ["v1", "prices"] => catalogue::price(app, call, asked),
        ["v1", "billing", "meters"] => catalogue::meter(app, call, asked),
        ["v1", "billing", "meter_events"] => catalogue::meter_event(app, call, asked),
        ["v1", "subscription_schedules"] => schedules::make(app, call, asked),
        ["v1", "subscription_schedules", id] => schedules::change(app, call, asked, id),
        ["v1", "subscription_schedules", id, "cancel"] => schedules::cancel(app, call, asked, id),
        ["v1", "subscription_schedules", id, "release"] => schedules::release(app, call, asked, id),
        ["v1", "invoices", id, action @ ("finalize" | "pay" | "void" | "mark_uncollectible")] => {
            invoices::act(app, call, asked, id, action)
        }
        _ => Err(unknown(app, call)),
    }
}

fn read(app: &App, call: &Call, path: &str, rest: &[&str]) -> Result<Value, Reply> {
    let kind = KINDS.iter().find(|(known, _, _)| *known == path).ok_or_else(|| unknown(app, call))?;
    match rest {
        [] => list(app, call, *kind),
        [id] => {
            let state = app.state();
            let found = state.get(kind.1, id).map(|record| record.body.clone());
            found.ok_or_else(|| missing(app, kind.1, id, None))
        }
        _ => Err(unknown(app, call)),
    }
}

/// Newest first, `limit` at a time, from `starting_after` on. Lists are never behind.
fn list(app: &App, call: &Call, (path, object, filters): (&str, &str, &[&str])) -> Result<Value, Reply> {
    let mut limit = 10;
    let mut after = None;
    let mut wanted = Vec::new();
    for (name, value) in &call.query {
        match name.as_str() {
            "limit" => match value.parse() {
                Ok(number @ 1..=100) => limit = number,
                _ => return Err(wrong("parameter_invalid_integer", "limit", "from 1 to 100")),
            },
            "starting_after" => after = Some(value.as_str()),
            name if filters.contains(&name) => wanted.push((name, value.as_str())),
            name => return Err(wrong("parameter_unknown", name, &format!("Received unknown parameter: {name}"))),
        }
    }
    let mut state = app.state();
    let store = Store::by_itself(&mut state, 0);
    let all = store.newest(object);
    let begin = match after {
        None => 0,
        Some(id) => match all.iter().position(|body| body["id"] == id) {
            Some(at) => at + 1,
            None => return Err(missing(app, object, id, Some("starting_after"))),
        },
    };
    let fits = |body: &&&Value| wanted.iter().all(|(name, value)| has(body, name, value));
    let left: Vec<Value> = all[begin..].iter().filter(fits).take(limit + 1).map(|body| shown(body)).collect();
    let has_more = left.len() > limit;
    let data: Vec<Value> = left.into_iter().take(limit).collect();
    Ok(json!({ "object": "list", "url": format!("/v1/{path}"), "has_more": has_more, "data": data }))
}

fn has(body: &Value, name: &str, value: &str) -> bool {
    match name {
        "lookup_keys[0]" | "lookup_keys[]" => body["lookup_key"] == value,
        "active" => body["active"].as_bool() == value.parse().ok(),
        name => body[name] == value,
    }
}
