//! `/__admin`: what tests and operators see and set. Never subject to faults, tokens or limits of the vendor's API.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    middleware::{self, Next},
    response::IntoResponse,
    routing::{delete, get, post},
};
use bytes::Bytes;
use jiff::civil::Date;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Error,
    app::App,
    books::seed::{Period, Seed},
    config::Settings,
    faults::Rule,
    snapshot,
    wal::Entry,
};

/// The admin routes.
pub fn router(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/state", get(state))
        .route("/requests", get(requests))
        .route("/effects", get(effects))
        .route("/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/clock", get(clock).post(set_clock))
        .route("/settings", get(settings).post(set_settings))
        .route("/reset", post(reset))
        .route("/seed", post(seed))
        .route("/periods/{month}", post(set_period))
        .route("/holds/{customer}", post(hold).delete(unhold))
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

fn failed(error: &Error) -> Response<Body> {
    let status =
        if matches!(error, Error::Seed(_)) { StatusCode::BAD_REQUEST } else { StatusCode::INTERNAL_SERVER_ERROR };
    problem(status, error.to_string())
}

/// Reads a JSON body into what the route takes; the answer says what is wrong with it.
fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Box<Response<Body>>> {
    serde_json::from_slice(body).map_err(|error| Box::new(problem(StatusCode::BAD_REQUEST, error.to_string())))
}

/// Carries on with the value, or answers the problem.
macro_rules! read_or_answer {
    ($body:expr) => {
        match read($body) {
            Ok(value) => value,
            Err(answer) => return *answer,
        }
    };
}

async fn state(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Response<Body> {
    let asked = |name: &str, default: bool| query.get(name).map_or(default, |value| value == "true");
    let parts = snapshot::Parts { accounts: asked("accounts", true), records: asked("records", false) };
    let state = app.state();
    Json(snapshot::snapshot(&app, &state, parts)).into_response()
}

async fn requests(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Response<Body> {
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(1_000);
    let journal = app.journal();
    let newest: Vec<_> = journal.newest().take(limit).collect();
    Json(json!({ "total": journal.total(), "counts": journal.counts(), "requests": newest })).into_response()
}

/// NDJSON of all effects from `from_seq` (default 1) to the newest at the end of the stream.
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

async fn faults(State(app): State<Arc<App>>) -> Response<Body> {
    let list = app.faults().list().to_vec();
    Json(list).into_response()
}

async fn add_faults(State(app): State<Arc<App>>, body: Bytes) -> Response<Body> {
    let sent: Value = read_or_answer!(&body);
    let rules = match sent {
        Value::Array(rules) => rules,
        one => vec![one],
    };
    let mut ids = Vec::new();
    for rule in rules {
        let rule: Rule = match serde_json::from_value(rule) {
            Ok(rule) => rule,
            Err(error) => return problem(StatusCode::BAD_REQUEST, error.to_string()),
        };
        match app.faults().add(rule) {
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

async fn remove_fault(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response<Body> {
    if app.faults().remove(&id) {
        return StatusCode::NO_CONTENT.into_response();
    }
    problem(StatusCode::NOT_FOUND, format!("there is no fault rule {id}"))
}

async fn clock(State(app): State<Arc<App>>) -> Response<Body> {
    let now = crate::clock::timestamp(app.clock.now_ms());
    Json(json!({ "now": now, "offset_ms": app.clock.offset_ms() })).into_response()
}

/// One of: an absolute time, an absolute offset, or a step.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum SetClock {
    Now(jiff::Timestamp),
    OffsetMs(i64),
    AdvanceMs(i64),
}

async fn set_clock(State(app): State<Arc<App>>, body: Bytes) -> Response<Body> {
    let wanted: SetClock = read_or_answer!(&body);
    let offset_ms = match wanted {
        SetClock::Now(now) => now.as_millisecond() - jiff::Timestamp::now().as_millisecond(),
        SetClock::OffsetMs(offset_ms) => offset_ms,
        SetClock::AdvanceMs(step_ms) => app.clock.offset_ms().saturating_add(step_ms),
    };
    if let Err(error) = app.state().commit(Entry::Clock { offset_ms }) {
        return failed(&error);
    }
    app.clock.set_offset_ms(offset_ms);
    clock(State(app)).await
}

async fn settings(State(app): State<Arc<App>>) -> Json<Settings> {
    Json(app.settings())
}

/// Changes the settings that are named; the others stay.
async fn set_settings(State(app): State<Arc<App>>, body: Bytes) -> Response<Body> {
    let changes: serde_json::Map<String, Value> = read_or_answer!(&body);
    let mut merged = json!(app.settings());
    for (name, value) in changes {
        merged[name] = value;
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
    let now = app.clock.now_ms();
    match app.state().reset(now) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

async fn seed(State(app): State<Arc<App>>, body: Bytes) -> Response<Body> {
    let seed: Seed = read_or_answer!(&body);
    // Tried on scratch books first: what the log holds must load at the next start.
    if let Err(error) = seed.clone().load(&mut crate::books::store::Store::default(), 0) {
        return failed(&error);
    }
    let at = app.clock.now_ms();
    match app.state().commit(Entry::Seed { at, seed: Box::new(seed) }) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPeriod {
    /// Nothing may be posted any more.
    closed: Option<bool>,
    /// Receivables may not be posted any more.
    locked: Option<bool>,
}

/// `POST /__admin/periods/2024-01 {"closed": true}`.
async fn set_period(State(app): State<Arc<App>>, Path(month): Path<String>, body: Bytes) -> Response<Body> {
    let wanted: SetPeriod = read_or_answer!(&body);
    let start: Option<Date> = format!("{month}-01").parse().ok();
    let at = app.clock.now_ms();
    let mut state = app.state();
    let Some((start, old)) = start.and_then(|start| Some((start, state.store.periods.get(&start)?.clone()))) else {
        return problem(StatusCode::NOT_FOUND, format!("there is no accounting period {month}; name one as 2024-01"));
    };
    let period =
        Period { closed: wanted.closed.unwrap_or(old.closed), locked: wanted.locked.unwrap_or(old.locked), ..old };
    match state.commit(Entry::Period { at, start, period: period.clone() }) {
        Ok(()) => Json(period).into_response(),
        Err(error) => failed(&error),
    }
}

async fn hold(app: State<Arc<App>>, customer: Path<String>) -> Response<Body> {
    set_hold(app, customer, true)
}

async fn unhold(app: State<Arc<App>>, customer: Path<String>) -> Response<Body> {
    set_hold(app, customer, false)
}

/// Puts the customer with this external id on credit hold or lifts it; the customer need not exist yet.
fn set_hold(State(app): State<Arc<App>>, Path(customer): Path<String>, on: bool) -> Response<Body> {
    match app.state().commit(Entry::Hold { external_id: customer.into(), on }) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}
