//! The way of every vendor request: read, misbehave if told to, authenticate, take a slot, carry out, note.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Response},
};
use bytes::Bytes;
use serde_json::Value;

use crate::{
    app::App,
    books::refusal::{Code, Refusal},
    call::{Call, Reply},
    clock::timestamp,
    connection::Cut,
    faults::Fault,
    journal::Seen,
    suitetalk::{self, Manner, TOKEN_PATH, errors, token},
};

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
    let limit = app.settings().max_body_bytes;
    let (call, too_large) = match to_bytes(body, limit).await {
        Ok(body) => (Call::new(head.method, &head.uri, head.headers, body), false),
        Err(_) => (Call::new(head.method, &head.uri, head.headers, Bytes::new()), true),
    };
    let mut seen = Seen {
        seq: 0,
        at: timestamp(app.clock.now_ms()),
        method: call.method.to_string(),
        path: call.path.clone(),
        status: None,
        fault: None,
    };
    let route = call.route();
    let outcome = if too_large {
        let detail = format!("The request body is larger than {limit} bytes.");
        Outcome::Answer(errors::reply(&Refusal::new(Code::RequestTooLarge, detail)))
    } else {
        let decided = app.faults().decide(call.method.as_str(), &call.path, &call.body);
        let (fault_id, fault) = decided.unzip();
        seen.fault = fault_id;
        match fault {
            Some(fault) => misbehave(&app, call, &fault).await,
            None => Outcome::Answer(carry_out(&app, &call, Manner::default()).await),
        }
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

async fn misbehave(app: &Arc<App>, call: Call, fault: &Fault) -> Outcome {
    let error = || fault.answers().map_or(Outcome::Cut, |status| Outcome::Answer(error_answer(fault, status)));
    if fault.down {
        return error();
    }
    if fault.drop_before {
        return Outcome::Cut;
    }
    if fault.answers().is_some() && !fault.after_commit {
        delay(fault).await;
        return error();
    }
    if let Some(late_ms) = fault.late_commit_ms {
        return commit_late(app, call, fault, late_ms).await;
    }
    let reply = carry_out(app, &call, Manner { visibility_ms: fault.visibility_ms }).await;
    delay(fault).await;
    if fault.drop_after_commit {
        return Outcome::Cut;
    }
    if fault.broken_json {
        return Outcome::Answer(Reply {
            status: 200,
            headers: Vec::new(),
            body: Bytes::from_static(b"{\"links\": [{\"rel\":"),
        });
    }
    match fault.answers() {
        Some(status) => Outcome::Answer(error_answer(fault, status)),
        None => Outcome::Answer(reply),
    }
}

/// Accepts the request as usual, closes the connection, and carries the request out when its time has come.
async fn commit_late(app: &Arc<App>, call: Call, fault: &Fault, late_ms: u64) -> Outcome {
    if let Err(refusal) = admit(app, &call) {
        return Outcome::Answer(errors::reply(&refusal));
    }
    let due = app.clock.now_ms().saturating_add_unsigned(late_ms);
    let late = app.clone();
    let manner = Manner { visibility_ms: fault.visibility_ms };
    tokio::spawn(async move {
        late.clock.wait_until(due).await;
        suitetalk::answer(&late, &call, manner);
    });
    delay(fault).await;
    Outcome::Cut
}

async fn delay(fault: &Fault) {
    if let Some(delay_ms) = fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
}

fn admit(app: &App, call: &Call) -> Result<Option<crate::app::Slot>, Refusal> {
    if call.path == TOKEN_PATH {
        return Ok(None);
    }
    token::authenticate(app, call)?;
    let slot = app.admit().ok_or_else(|| {
        let detail = "Concurrent request limit exceeded. Request blocked.";
        Refusal::new(Code::ConcurrencyLimitExceeded, detail)
    })?;
    Ok(Some(slot))
}

async fn carry_out(app: &App, call: &Call, manner: Manner) -> Reply {
    let slot = match admit(app, call) {
        Ok(slot) => slot,
        Err(refusal) => return errors::reply(&refusal),
    };
    let latency = app.settings().latency_ms;
    if latency > 0 && slot.is_some() {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    suitetalk::answer(app, call, manner)
}

fn error_answer(fault: &Fault, status: u16) -> Reply {
    let mut reply = match &fault.body {
        Some(Value::String(text)) => Reply { status, headers: Vec::new(), body: text.clone().into() },
        Some(body) => Reply::json(status, suitetalk::RESOURCE, body),
        None if status < 300 => Reply::empty(status),
        None => {
            let code = fault.code();
            let detail = fault.detail.clone().unwrap_or_else(|| format!("A fault rule says {}.", code.as_str()));
            errors::with_status(&Refusal::new(code, detail), status)
        }
    };
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            reply = reply.with(name, value);
        }
    }
    reply
}
