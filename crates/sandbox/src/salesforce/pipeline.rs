//! The way of every request: read, misbehave if told to, authenticate, count, carry out, note.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Method, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    app::{App, Slot},
    query,
    refusal::{self, Refusal, header, json_reply},
    schema::{self, Object, VERSION},
    token,
    upsert::{self, Asked},
};
use crate::{
    call::{Call, Reply},
    clock::timestamp,
    connection::Cut,
    faults::Fault,
    journal::Seen,
};

const MOST_BYTES: usize = 50 << 20;

/// What becomes of a request: an answer, or a connection that closes without one.
enum Outcome {
    Answer(Reply),
    Cut,
}

/// Answers one request of the vendor's API.
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
    let route = route(&call);
    let decided = app.faults().decide(call.method.as_str(), &call.path, &call.body);
    let (fault_id, fault) = decided.unzip();
    seen.fault = fault_id;
    let outcome = match fault {
        Some(fault) => misbehave(&app, call, &fault).await,
        None => Outcome::Answer(carry_out(&app, &call, None).await),
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
    reply.into_response()
}

/// Method and path with ids collapsed: the key under which requests are counted.
fn route(call: &Call) -> String {
    let mut route = format!("{} ", call.method);
    let single = call.segments.get(3).is_some_and(|kind| kind == "sobjects").then_some(6);
    let locator = call.segments.get(3).is_some_and(|kind| kind == "query").then_some(4);
    for (at, segment) in call.segments.iter().enumerate() {
        route.push('/');
        route.push_str(if single == Some(at) || locator == Some(at) { "*" } else { segment });
    }
    route
}

async fn misbehave(app: &Arc<App>, call: Call, fault: &Fault) -> Outcome {
    let status = fault.status.or_else(|| fault.error.as_deref().and_then(refusal::status_of));
    let error = || status.map_or(Outcome::Cut, |status| Outcome::Answer(error_answer(fault, status)));
    if fault.down {
        return error();
    }
    if fault.drop_before {
        return Outcome::Cut;
    }
    if status.is_some() && !fault.after_commit {
        delay(fault).await;
        return error();
    }
    if let Some(late_ms) = fault.late_commit_ms {
        let due = app.clock.now_ms().saturating_add_unsigned(late_ms);
        let (late, visibility_ms) = (app.clone(), fault.visibility_ms);
        tokio::spawn(async move {
            late.clock.wait_until(due).await;
            carry_out(&late, &call, visibility_ms).await
        });
        delay(fault).await;
        return Outcome::Cut;
    }
    let reply = carry_out(app, &call, fault.visibility_ms).await;
    delay(fault).await;
    if fault.drop_after_commit {
        return Outcome::Cut;
    }
    if fault.broken_json {
        let body = Bytes::from_static(b"[{\"id\": ");
        return Outcome::Answer(Reply { status: 200, headers: Vec::new(), body });
    }
    match status {
        Some(status) => Outcome::Answer(error_answer(fault, status)),
        None => Outcome::Answer(reply),
    }
}

async fn delay(fault: &Fault) {
    if let Some(delay_ms) = fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
}

fn error_answer(fault: &Fault, status: u16) -> Reply {
    let mut reply = match &fault.body {
        Some(Value::String(text)) => Reply { status, headers: Vec::new(), body: text.clone().into() },
        Some(body) => json_reply(status, body),
        None if status < 300 => Reply::empty(status),
        None => {
            let code = fault.error.as_deref().unwrap_or(match status {
                401 => "INVALID_SESSION_ID",
                403 => "REQUEST_LIMIT_EXCEEDED",
                404 => "NOT_FOUND",
                503 => "SERVER_UNAVAILABLE",
                _ => "UNKNOWN_EXCEPTION",
            });
            let message = fault.detail.clone().unwrap_or_else(|| format!("A fault rule says {code}."));
            refusal::reply(code, &message, &[], status)
        }
    };
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            reply = reply.with(name, value);
        }
    }
    reply
}

async fn carry_out(app: &App, call: &Call, visibility_ms: Option<u64>) -> Reply {
    if call.path == token::PATH {
        return token::issue(app, call);
    }
    let slot = match admit(app, call) {
        Ok(slot) => slot,
        Err(refusal) => return limits(app, refusal.reply()),
    };
    let latency = app.settings().latency_ms;
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    let asked = Asked {
        client: call.header("sforce-call-options").and_then(client),
        visible_ms: visibility_ms.map(|wait| app.clock.now_ms().saturating_add_unsigned(wait)),
    };
    let reply = answer(app, call, &asked).unwrap_or_else(|refusal| refusal.reply());
    drop(slot);
    limits(app, reply)
}

/// `client=throughline` among the call options.
fn client(options: &str) -> Option<&str> {
    options.split(',').find_map(|option| option.trim().strip_prefix("client="))
}

/// A session, a place in the quota, a place among the requests in progress: in this order.
fn admit(app: &App, call: &Call) -> Result<Slot, Refusal> {
    token::authenticate(app, call)?;
    let settings = app.settings();
    if !app.state().quota.take(app.clock.now_ms(), settings.daily_requests) {
        return Err(Refusal::new("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."));
    }
    app.admit().ok_or_else(|| {
        Refusal::new(
            "CONCURRENT_REQUESTS_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        )
    })
}

/// Every answer tells how much of the quota is used.
fn limits(app: &App, reply: Reply) -> Reply {
    let (used, most) = (app.state().quota.used(), app.settings().daily_requests);
    header(reply, "sforce-limit-info", &format!("api-usage={used}/{most}"))
}

fn answer(app: &App, call: &Call, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let ["services", "data", version, rest @ ..] = &segments[..] else { return Err(not_there()) };
    if *version != VERSION {
        return Err(Refusal::new("UNSUPPORTED_API_VERSION", format!("this stand-in speaks {VERSION} only")));
    }
    match rest {
        ["limits"] => {
            let (used, most) = (app.state().quota.used(), app.settings().daily_requests);
            let remaining = most.saturating_sub(used);
            Ok(json_reply(200, &json!({ "DailyApiRequests": { "Max": most, "Remaining": remaining } })))
        }
        ["query"] => query::answer(app, call, None),
        ["query", locator] => query::answer(app, call, Some(locator)),
        ["sobjects", name, id] if call.method == Method::GET => {
            let object = granted(name)?;
            let state = app.state();
            let record = state.store.by_id(object, id).ok_or_else(not_there)?;
            let fields = record.seen(app.clock.now_ms()).ok_or_else(not_there)?;
            Ok(json_reply(200, &query::shown(object, record, fields, None)))
        }
        ["sobjects", name, field, value] => upsert::by_external_id(app, call, granted(name)?, (field, value), asked),
        // What the object has no rights for is refused before anything is looked at.
        ["sobjects", name] | ["sobjects", name, _] => {
            granted(name)?;
            Err(Refusal::new("METHOD_NOT_ALLOWED", "this stand-in writes by external id only"))
        }
        ["composite", "sobjects", name, field] => upsert::collection(app, call, granted(name)?, field, asked),
        _ => Err(not_there()),
    }
}

fn not_there() -> Refusal {
    Refusal::new("NOT_FOUND", "The requested resource does not exist")
}

/// The object, if the integration's user may have to do with it.
fn granted(name: &str) -> Result<&'static Object, Refusal> {
    let object = schema::object(name).ok_or_else(not_there)?;
    if object.is_granted {
        return Ok(object);
    }
    Err(Refusal::new("INSUFFICIENT_ACCESS", format!("insufficient access rights on object {}", object.name)))
}
