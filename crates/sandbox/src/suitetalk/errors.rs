//! The vendor's error body.

use axum::http::{HeaderValue, header};
use serde_json::{Value, json};

use crate::{
    books::refusal::{At, Code, Refusal},
    call::Reply,
};

/// Content type of every error body.
pub const ERROR: &str = "application/vnd.oracle.resource+json; type=error";

/// The answer for a refusal, with the status its code travels with.
pub fn reply(refusal: &Refusal) -> Reply {
    with_status(refusal, refusal.code.status())
}

/// The answer for a refusal under another status, as a fault rule may ask.
pub fn with_status(refusal: &Refusal, status: u16) -> Reply {
    let reply = Reply::json(status, ERROR, &body(refusal, status));
    if refusal.code != Code::InvalidLogin {
        return reply;
    }
    let challenge = "OAuth realm=\"SANDBOX\", error=\"token_rejected\", error_description=\"Invalid login attempt.\"";
    reply.with(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

/// `{type, title, status, o:errorDetails: [{detail, o:errorCode, where}]}`.
pub fn body(refusal: &Refusal, status: u16) -> Value {
    let mut detail = json!({ "detail": refusal.detail, "o:errorCode": refusal.code.as_str() });
    match &refusal.at {
        At::Request => {}
        At::Body(path) => detail["o:errorPath"] = path.as_str().into(),
        At::Url(path) => detail["o:errorUrlPath"] = path.as_str().into(),
        At::Header(name) => detail["o:errorHeader"] = (*name).into(),
        At::Query(name) => detail["o:errorQueryParam"] = (*name).into(),
    }
    let (title, section) = title(refusal.code, status);
    json!({
        "type": format!("https://www.rfc-editor.org/rfc/rfc9110.html#section-{section}"),
        "title": title,
        "status": status,
        "o:errorDetails": [detail],
    })
}

fn title(code: Code, status: u16) -> (&'static str, &'static str) {
    match (code, status) {
        // The vendor's oddity: a repeated idempotency key is a 400 that calls itself a conflict.
        (Code::IdempotencyError, _) => ("Conflict", "15.5.10"),
        (_, 401) => ("Unauthorized", "15.5.2"),
        (_, 403) => ("Forbidden", "15.5.4"),
        (_, 404) => ("Not Found", "15.5.5"),
        (_, 405) => ("Method Not Allowed", "15.5.6"),
        (_, 413) => ("Content Too Large", "15.5.14"),
        (_, 429) => ("Too Many Requests", "15.5"),
        (_, 500) => ("Internal Server Error", "15.6.1"),
        (_, 503) => ("Service Unavailable", "15.6.4"),
        (_, 500..) => ("Server Error", "15.6"),
        _ => ("Bad Request", "15.5.1"),
    }
}
