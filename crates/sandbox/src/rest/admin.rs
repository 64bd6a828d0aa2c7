//! `/__admin`: what tests and operators see and set. Never subject to faults, tokens or limits.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    middleware::{self, Next},
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{app::App, config::Settings};
use crate::{clock::timestamp, faults::Rule};

/// The admin routes.
pub fn router(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/state", get(state))
        .route("/requests", get(requests))
        .route("/effects", get(effects))
        .route("/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/clock", get(clock).post(advance))
        .route("/webhooks", get(webhooks))
        .route("/settings", get(settings).post(set_settings))
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

/// `{now, effects, totals: {kind: count}}`; `?records=true` adds every resource.
async fn state(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let state = app.state();
    let mut shown = json!({ "now": timestamp(app.clock.now_ms()), "effects": state.effects.count() });
    for object in app.api.objects {
        shown["totals"][object] = state.of(object).count().into();
        if query.get("records").is_some_and(|asked| asked == "true") {
            shown["records"][object] = state.of(object).map(|(_, record)| record.body.clone()).collect();
        }
    }
    Json(shown)
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
        let (lines, next) = app.state().effects.read(from)?;
        Some((Ok::<Bytes, std::io::Error>(lines), (app, next)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
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
    if let Err(error) = app.state().set_clock(offset_ms) {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    }
    app.clock.set_offset_ms(offset_ms);
    clock(State(app)).await.into_response()
}

/// What a receiver of webhooks gets.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// In an order that this number decides, instead of that of the events.
    pub shuffle: Option<u64>,
    /// Each this many times; at most ten.
    pub times: usize,
}

async fn webhooks(State(app): State<Arc<App>>, Query(delivery): Query<Delivery>) -> Response<Body> {
    match app.api.deliveries {
        Some(deliveries) => Json(deliveries(&app, delivery)).into_response(),
        None => problem(StatusCode::NOT_FOUND, "this vendor sends no webhooks"),
    }
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

async fn reset(State(app): State<Arc<App>>) -> Response<Body> {
    app.faults().clear();
    app.clock.set_offset_ms(0);
    *app.journal() = crate::journal::Journal::default();
    match app.state().reset() {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
