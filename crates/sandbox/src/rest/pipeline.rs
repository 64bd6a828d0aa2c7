//! The way of every request: read, misbehave if told to, authenticate, carry out, note.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Response, header},
};
use bytes::Bytes;
use serde_json::Value;

use super::{
    app::{App, Asked, SignIn},
    replay::{self, Begin, Held},
    token,
};
use crate::{
    call::{Call, Reply},
    clock::timestamp,
    connection::Cut,
    faults::Fault,
    journal::Seen,
};

const MOST_BYTES: usize = 1 << 20;

/// What becomes of a request: an answer, or a connection that closes without one.
enum Outcome {
    Answer(Reply),
    Cut,
}

/// Answers one request.
pub async fn serve(
    State(app): State<Arc<App>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let call = Call::new(head.method, &head.uri, head.headers, body);
    let mut seen = Seen {
        seq: 0,
        at: timestamp(app.clock.now_ms()),
        method: call.method.to_string(),
        path: call.path.clone(),
        status: None,
        fault: None,
    };
    let route = (app.api.route)(&call);
    let decided = app.faults().decide(call.method.as_str(), &call.path, &call.body);
    let (fault_id, fault) = decided.unzip();
    seen.fault = fault_id;
    let outcome = match fault {
        Some(fault) => misbehave(&app, call, &fault).await,
        None => Outcome::Answer(carry_out(&app, &call, None).await.0),
    };
    let reply = match outcome {
        Outcome::Answer(reply) => {
            seen.status = Some(reply.status);
            reply
        }
        Outcome::Cut => {
            cut.cut();
            Reply::empty(500)
        }
    };
    app.journal().note(route, seen);
    // The stand-in's own time, so that nobody has to ask another clock.
    let date = timestamp(app.clock.now_ms()).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    match HeaderValue::from_str(&date) {
        Ok(date) => reply.with(header::DATE, date).into_response(),
        Err(_) => reply.into_response(),
    }
}

async fn misbehave(app: &Arc<App>, call: Call, fault: &Fault) -> Outcome {
    let status = fault.status.or_else(|| fault.error.as_deref().and_then(app.api.status_of));
    let error = || status.map_or(Outcome::Cut, |status| Outcome::Answer(error_answer(app, fault, status)));
    if fault.down {
        return error();
    }
    if fault.drop_before {
        return Outcome::Cut;
    }
    if status.is_some() && !fault.after_commit {
        delay(fault).await;
        if status == Some(500) {
            // It was begun, and failed: such an answer is kept.
            return Outcome::Answer(replay::failed(app, &call, || error_answer(app, fault, 500)));
        }
        return error();
    }
    if let Some(late_ms) = fault.late_commit_ms {
        let due = app.clock.now_ms().saturating_add_unsigned(late_ms);
        let (late, visibility_ms) = (app.clone(), fault.visibility_ms);
        tokio::spawn(async move {
            late.clock.wait_until(due).await;
            carry_out(&late, &call, visibility_ms).await;
        });
        delay(fault).await;
        return Outcome::Cut;
    }
    // Held until the answer is out: until then, the request is in progress.
    let (reply, held) = carry_out(app, &call, fault.visibility_ms).await;
    delay(fault).await;
    if fault.drop_after_commit {
        return Outcome::Cut;
    }
    if fault.broken_json {
        return Outcome::Answer(Reply { status: 200, headers: Vec::new(), body: Bytes::from_static(b"{\"id\": ") });
    }
    let Some(status) = status else { return Outcome::Answer(reply) };
    let answer = error_answer(app, fault, status);
    replay::keep(app, held.as_ref(), &answer);
    Outcome::Answer(answer)
}

async fn delay(fault: &Fault) {
    if let Some(delay_ms) = fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
}

fn error_answer(app: &App, fault: &Fault, status: u16) -> Reply {
    let mut reply = match &fault.body {
        Some(Value::String(text)) => Reply { status, headers: Vec::new(), body: text.clone().into() },
        Some(body) => Reply::json(status, "application/json", body),
        None => {
            let code = fault.error.as_deref().unwrap_or(match status {
                401 => "INVALID_TOKEN",
                429 => "RATE_LIMITED",
                404 => "NOT_FOUND",
                _ => "UNAVAILABLE",
            });
            let detail = fault.detail.clone().unwrap_or_else(|| format!("a fault rule says {code}"));
            (app.api.problem)(status, code, &detail)
        }
    };
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            reply = reply.with(name, value);
        }
    }
    reply
}

async fn carry_out(app: &App, call: &Call, visibility_ms: Option<u64>) -> (Reply, Option<Held>) {
    if app.api.sign_in == SignIn::Token && call.path == token::PATH {
        return (token::issue(app, call), None);
    }
    if !token::is_authenticated(app, call) {
        return (app.problem("INVALID_TOKEN", "the token is missing, unknown or over"), None);
    }
    let slow_down = |reason: &str| app.problem("RATE_LIMITED", reason);
    let Some(slot) = app.admit() else {
        let refusal = slow_down("too many requests at once");
        return (refusal.with(header::RETRY_AFTER, HeaderValue::from_static("1")), None);
    };
    let settings = app.settings();
    if !app.rates.admit(&(app.api.route)(call), app.clock.now_ms() / 1_000, settings.endpoint_per_second) {
        return (slow_down("too many requests of this endpoint in a second"), None);
    }
    let held = match replay::begin(app, call) {
        Begin::Answer(reply) => return (reply, None),
        Begin::Go(held) => held,
    };
    if settings.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(settings.latency_ms)).await;
    }
    let now_ms = app.clock.now_ms();
    let hidden = visibility_ms.or_else(|| (settings.visibility_ms > 0).then_some(settings.visibility_ms));
    let text = |name: &str| call.header(name).map(str::to_owned);
    let asked = Asked {
        event_id: text("event-id"),
        correlation_id: text("correlation-id"),
        visible_ms: hidden.map(|wait| now_ms.saturating_add_unsigned(wait)),
        now_ms,
    };
    let reply = (app.api.answer)(app, call, &asked);
    replay::keep(app, held.as_ref(), &reply);
    drop(slot);
    (reply, held)
}
