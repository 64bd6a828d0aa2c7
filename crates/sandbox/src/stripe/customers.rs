//! Customers: made and changed by POST, listed by address, searched by metadata.

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

const FIELDS: &[&str] =
    &["name", "email", "phone", "description", "metadata", "preferred_locales", "address", "tax_exempt", "expand"];

pub fn make(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let params = Params::of(call, FIELDS)?;
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    let id = store.id("cus");
    let mut body = json!({
        "id": id, "object": "customer", "created": store.now(), "livemode": false, "balance": 0, "currency": null,
        "delinquent": false, "description": null, "email": null, "name": null, "phone": null, "metadata": {},
        "invoice_prefix": format!("{:08}", store.state.next_number()), "preferred_locales": [], "tax_exempt": "none",
    });
    fill(&mut body, &params)?;
    let ours = body["metadata"]["tl_customer_id"].as_str().unwrap_or(&id).to_owned();
    store.put("customer", &body, Logged::Effect(&ours), Some("customer.created"))?;
    Ok(body)
}

pub fn change(app: &App, call: &Call, asked: &Asked, id: &str) -> Result<Value, Reply> {
    let params = Params::of(call, FIELDS)?;
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    let mut body = store.get("customer", id).cloned().ok_or_else(|| missing(app, "customer", id, None))?;
    fill(&mut body, &params)?;
    let ours = body["metadata"]["tl_customer_id"].as_str().unwrap_or(id).to_owned();
    store.put("customer", &body, Logged::Effect(&ours), Some("customer.updated"))?;
    Ok(body)
}

fn fill(body: &mut Value, params: &Params) -> Result<(), Reply> {
    for field in ["name", "email", "phone", "description"] {
        if let Some(text) = params.text(field)? {
            body[field] = text.into();
        }
    }
    if params.text("email")?.is_some_and(|email| !email.contains('@')) {
        return Err(wrong("invalid_request", "email", "Invalid email address"));
    }
    merge(&mut body["metadata"], &params.metadata()?);
    Ok(())
}

/// Metadata is added to what is there; an empty value takes a key away.
pub fn merge(kept: &mut Value, sent: &Value) {
    for (key, value) in sent.as_object().into_iter().flatten() {
        if value == "" {
            if let Some(kept) = kept.as_object_mut() {
                kept.remove(key);
            }
        } else {
            kept[key] = value.clone();
        }
    }
}

/// `metadata['key']:'value'`, the one question that is needed. A search may be behind.
pub fn search(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let query = call.parameter("query").unwrap_or_default();
    let (key, value) = parts(query).ok_or_else(|| wrong("invalid_request", "query", "metadata['key']:'value'"))?;
    let all = app.all("customer", asked).into_iter().map(|(_, body)| body);
    let found: Vec<Value> = all
        .filter(|body| body["metadata"][&key].as_str().is_some_and(|kept| kept.to_lowercase() == value.to_lowercase()))
        .collect();
    Ok(json!({
        "object": "search_result", "url": "/v1/customers/search", "has_more": false, "next_page": null, "data": found,
    }))
}

fn parts(query: &str) -> Option<(String, String)> {
    let (key, value) = query.strip_prefix("metadata['")?.split_once("']:'")?;
    let value = value.strip_suffix('\'')?;
    Some((key.to_owned(), value.replace(r"\'", "'").replace(r"\\", r"\")))
}
