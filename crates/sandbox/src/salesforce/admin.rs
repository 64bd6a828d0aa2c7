//! `/__admin` of the CRM's stand-in: what tests and operators see and set. Never subject to faults, sessions or limits.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    middleware::{self, Next},
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    app::App,
    config::Settings,
    schema,
    store::{Entry, Stored, Write},
};
use crate::{clock::timestamp, faults::Rule};

/// The admin routes.
pub fn router(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/state", get(state))
        .route("/requests", get(requests))
        .route("/effects", get(effects))
        .route("/changes", get(changes))
        .route("/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/clock", get(clock).post(advance))
        .route("/settings", get(settings).post(set_settings))
        .route("/locks/{account}", post(lock).delete(unlock))
        .route("/duplicates/{object}/{external_id}", post(duplicate))
        .route("/reset", post(reset))
        .layer(middleware::from_fn_with_state(app.clone(), guard))
}

async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response<Body> {
    if let Some(token) = &app.admin_token {
        let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if sent.and_then(|sent| sent.strip_prefix("Bearer ")) != Some(token.expose_secret()) {
            return problem(StatusCode::UNAUTHORIZED, "this sandbox wants its admin token: Authorization: Bearer …");
        }
    }
    next.run(request).await
}

fn problem(status: StatusCode, detail: impl Into<String>) -> Response<Body> {
    (status, Json(json!({ "error": detail.into() }))).into_response()
}

/// `{now, effects, totals: {object: count}}`; `?records=true` adds every record, amounts as exact text.
async fn state(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let state = app.state();
    let mut shown = json!({ "now": timestamp(app.clock.now_ms()), "effects": state.store.effects.count() });
    for object in schema::all().iter().filter(|object| object.is_granted) {
        shown["totals"][object.name] = state.store.of(object).count().into();
        if query.get("records").is_some_and(|asked| asked == "true") {
            shown["records"][object.name] = state.store.of(object).map(|record| full(object, record)).collect();
        }
    }
    Json(shown)
}

fn full(object: &schema::Object, record: &super::store::Record) -> Value {
    let mut row = json!({ "Id": record.id, "account_id": record.account });
    row[object.external_id] = record.external_id.as_str().into();
    for (name, value) in &record.fields {
        row[name] = match value {
            Stored::Text(text) => text.as_str().into(),
            Stored::Number(number) => number.to_string().into(),
            Stored::Checked(checked) => (*checked).into(),
        };
    }
    row
}

async fn requests(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(1_000);
    let journal = app.journal();
    let newest: Vec<_> = journal.newest().take(limit).collect();
    Json(json!({ "total": journal.total(), "counts": journal.counts(), "requests": newest }))
}

/// NDJSON of all effects from `from_seq` (default 1) to the newest.
async fn effects(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Response<Body> {
    let from = match query.get("from_seq").map(|text| text.parse::<u64>()) {
        None => 1,
        Some(Ok(from)) => from,
        Some(Err(_)) => return problem(StatusCode::BAD_REQUEST, "from_seq must be a whole number"),
    };
    let chunks = futures::stream::unfold((app, from), |(app, from)| async move {
        let (lines, next) = app.state().store.effects.read(from)?;
        Some((Ok::<Bytes, std::io::Error>(lines), (app, next)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// The newest change events, oldest first, as change data capture would deliver their headers.
async fn changes(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!(app.state().store.changes))
}

async fn faults(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!(app.faults().list()))
}

async fn add_faults(State(app): State<Arc<App>>, body: Bytes) -> Response<Body> {
    let rules = match serde_json::from_slice(&body) {
        Ok(Value::Array(rules)) => rules,
        Ok(one) => vec![one],
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let mut ids = Vec::new();
    for rule in rules {
        let rule = serde_json::from_value::<Rule>(rule).map_err(|error| error.to_string());
        match rule.and_then(|rule| app.faults().add(rule)) {
            Ok(id) => ids.push(id),
            Err(reason) => return problem(StatusCode::BAD_REQUEST, reason),
        }
    }
    (StatusCode::CREATED, Json(json!({ "ids": ids }))).into_response()
}

async fn clear_faults(State(app): State<Arc<App>>) -> StatusCode {
    app.faults().clear();
    StatusCode::NO_CONTENT
}

async fn clock(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({ "now": timestamp(app.clock.now_ms()), "offset_ms": app.clock.offset_ms() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: i64,
}

async fn advance(State(app): State<Arc<App>>, body: Bytes) -> Response<Body> {
    let step: Advance = match serde_json::from_slice(&body) {
        Ok(step) => step,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let offset_ms = app.clock.offset_ms().saturating_add(step.advance_ms);
    if let Err(error) = app.state().commit(Entry::Clock { offset_ms }) {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    }
    app.clock.set_offset_ms(offset_ms);
    clock(State(app)).await.into_response()
}

async fn settings(State(app): State<Arc<App>>) -> Json<Settings> {
    Json(app.settings())
}

/// Changes the settings that are named; the others stay.
async fn set_settings(State(app): State<Arc<App>>, body: Bytes) -> Response<Body> {
    let mut merged = json!(app.settings());
    match serde_json::from_slice::<Map<String, Value>>(&body) {
        Ok(changes) => changes.into_iter().for_each(|(name, value)| merged[name] = value),
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.to_string()),
    }
    match serde_json::from_value(merged) {
        Ok(changed) => app.set_settings(changed),
        Err(error) => return problem(StatusCode::BAD_REQUEST, error.to_string()),
    }
    settings(State(app)).await.into_response()
}

/// Holds the rows of an account (its external id), as a long job does.
async fn lock(State(app): State<Arc<App>>, Path(account): Path<String>) -> StatusCode {
    app.state().locked.insert(account);
    StatusCode::NO_CONTENT
}

async fn unlock(State(app): State<Arc<App>>, Path(account): Path<String>) -> StatusCode {
    app.state().locked.remove(&account);
    StatusCode::NO_CONTENT
}

/// Makes a second record under an external id, as somebody can where the field is not unique.
async fn duplicate(State(app): State<Arc<App>>, Path((object, external_id)): Path<(String, String)>) -> StatusCode {
    let mut state = app.state();
    let Some(object) = schema::object(&object) else { return StatusCode::NOT_FOUND };
    let Some(record) = state.store.find(object, &external_id).first().map(|record| (*record).clone()) else {
        return StatusCode::NOT_FOUND;
    };
    let write = Write {
        object: object.name.to_owned(),
        external_id: record.external_id,
        account: record.account,
        fields: record.fields.into_iter().map(|(name, value)| (name, Some(value))).collect(),
        client: None,
        visible_ms: None,
        is_second: true,
    };
    match state.commit(Entry::Writes { at: app.clock.now_ms(), writes: vec![write] }) {
        Ok(()) => StatusCode::CREATED,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn reset(State(app): State<Arc<App>>) -> Response<Body> {
    app.faults().clear();
    app.clock.set_offset_ms(0);
    *app.journal() = crate::journal::Journal::default();
    match app.state().reset() {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
