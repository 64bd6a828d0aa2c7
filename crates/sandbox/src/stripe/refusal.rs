//! Errors as Stripe words them.

use serde_json::json;

use crate::{call::Reply, rest::App};

/// Codes, their types, and the status they travel with.
const CODES: &[(&str, &str, u16)] = &[
    ("parameter_unknown", "invalid_request_error", 400),
    ("parameter_missing", "invalid_request_error", 400),
    ("parameter_invalid_empty", "invalid_request_error", 400),
    ("parameter_invalid_integer", "invalid_request_error", 400),
    ("invalid_request", "invalid_request_error", 400),
    ("resource_already_exists", "invalid_request_error", 400),
    ("invoice_not_editable", "invalid_request_error", 400),
    ("invoice_no_payment_due", "invalid_request_error", 400),
    ("amount_invalid", "invalid_request_error", 400),
    ("idempotency_key_invalid", "invalid_request_error", 400),
    ("idempotency_error", "idempotency_error", 400),
    ("INVALID_TOKEN", "invalid_request_error", 401),
    ("card_declined", "card_error", 402),
    ("FORBIDDEN", "invalid_request_error", 403),
    ("resource_missing", "invalid_request_error", 404),
    ("NOT_FOUND", "invalid_request_error", 404),
    ("METHOD_NOT_ALLOWED", "invalid_request_error", 404),
    ("idempotency_key_in_use", "idempotency_error", 409),
    ("external_dependency_failed", "api_error", 424),
    ("lock_timeout", "invalid_request_error", 429),
    ("RATE_LIMITED", "invalid_request_error", 429),
    ("api_error", "api_error", 500),
    ("UNAVAILABLE", "api_error", 503),
];

/// The status of a code; `None` if Stripe has no such code.
pub fn status_of(code: &str) -> Option<u16> {
    CODES.iter().find(|(known, _, _)| *known == code).map(|(_, _, status)| *status)
}

/// An error answer. Codes in capital letters are the stand-in's own words for what has no code at Stripe, or another one.
pub fn problem(status: u16, code: &str, detail: &str) -> Reply {
    about(status, code, detail, None)
}

fn about(status: u16, code: &str, detail: &str, param: Option<&str>) -> Reply {
    let kind = CODES.iter().find(|(known, _, _)| *known == code).map_or("api_error", |(_, kind, _)| kind);
    let mut error = json!({ "type": kind, "message": detail });
    let named = match code {
        "RATE_LIMITED" => Some("rate_limit"),
        "idempotency_error" | "idempotency_key_invalid" | "api_error" | "invalid_request" => None,
        code if code.chars().any(|c| c.is_ascii_uppercase()) => None,
        code => Some(code),
    };
    if let Some(code) = named {
        error["code"] = code.into();
    }
    if let Some(param) = param {
        error["param"] = param.into();
    }
    let reply = Reply::json(status, "application/json", &json!({ "error": error }));
    let should_retry = axum::http::HeaderName::from_static("stripe-should-retry");
    match status {
        409 | 424 | 429 | 503 => reply.with(should_retry, axum::http::HeaderValue::from_static("true")),
        400..=404 => reply.with(should_retry, axum::http::HeaderValue::from_static("false")),
        _ => reply,
    }
}

/// An error of a parameter.
pub fn wrong(code: &str, param: &str, detail: &str) -> Reply {
    about(status_of(code).unwrap_or(400), code, detail, Some(param))
}

/// There is no such object.
pub fn missing(app: &App, kind: &str, id: &str, param: Option<&str>) -> Reply {
    // What a parameter names and is not there is a bad request; what the address names is not found.
    let status = if param.is_some() { 400 } else { (app.api.status_of)("resource_missing").unwrap_or(404) };
    about(status, "resource_missing", &format!("No such {kind}: '{id}'"), Some(param.unwrap_or("id")))
}
