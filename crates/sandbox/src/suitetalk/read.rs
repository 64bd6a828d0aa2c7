//! Reads of one record.

use serde_json::json;

use super::{COLLECTION, RESOURCE};
use crate::{
    app::App,
    books::{body, kind::Kind, refusal::Refusal, render, store::Record, write},
    call::{Call, Reply},
    state::State,
};

/// Internal id of what a path segment names, if reads see it at `now_ms`.
pub fn visible<'a>(state: &'a State, kind: Kind, asked: &str, now_ms: i64) -> Result<(u64, &'a Record), Refusal> {
    let id = match asked.strip_prefix("eid:") {
        Some(external_id) => body::find(&state.store, kind, external_id),
        None => asked.parse().ok(),
    };
    let record = id.and_then(|id| Some((id, state.store.get(kind, id)?)));
    record.filter(|(_, record)| record.visible_from_ms <= now_ms).ok_or_else(|| write::nonexistent(kind, asked))
}

/// `GET …/{id}`; `expandSubResources=true` shows sublists, `fields=a,b` picks fields.
pub fn get(app: &App, call: &Call, kind: Kind, asked: &str) -> Result<Reply, Refusal> {
    let now = app.clock.now_ms();
    let state = app.state();
    let (id, record) = visible(&state, kind, asked, now)?;
    let expand = call.parameter("expandSubResources") == Some("true");
    let mut fields = render::record(&state.store, kind, id, record, &app.record_base(), expand);
    if let Some(wanted) = call.parameter("fields") {
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).chain(["id", "links"]).collect();
        fields.retain(|name, _| wanted.contains(&name.as_str()));
    }
    Ok(Reply::json(200, RESOURCE, &fields.into()))
}

/// `GET …/{id}/{sublist}`.
pub fn sublist(app: &App, kind: Kind, asked: &str, list: &str) -> Result<Reply, Refusal> {
    let now = app.clock.now_ms();
    let state = app.state();
    let (_, record) = visible(&state, kind, asked, now)?;
    let fields = write::stored_fields(record);
    let items = body::items(&fields, list);
    if !fields.contains_key(list) {
        return Err(write::nonexistent(kind, list));
    }
    let body = json!({ "links": [], "items": items, "totalResults": items.len() });
    Ok(Reply::json(200, COLLECTION, &body))
}
