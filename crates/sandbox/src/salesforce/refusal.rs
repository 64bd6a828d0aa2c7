//! The vendor's errors: a JSON array of `{message, errorCode, fields}`, and the same per record under other names.

use axum::http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::call::Reply;

/// Error codes and the status they travel with when they are about a whole request.
const CODES: &[(&str, u16)] = &[
    ("INVALID_SESSION_ID", 401),
    ("INVALID_AUTH_HEADER", 401),
    ("REQUEST_LIMIT_EXCEEDED", 403),
    ("CONCURRENT_REQUESTS_LIMIT_EXCEEDED", 403),
    ("TXN_SECURITY_METERING_ERROR", 403),
    ("INSUFFICIENT_ACCESS", 403),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", 400),
    ("API_DISABLED_FOR_ORG", 403),
    ("UNABLE_TO_LOCK_ROW", 400),
    ("SERVER_UNAVAILABLE", 503),
    ("QUERY_TIMEOUT", 400),
    ("UNKNOWN_EXCEPTION", 500),
    ("REQUIRED_FIELD_MISSING", 400),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", 400),
    ("INVALID_FIELD", 400),
    ("INVALID_TYPE", 400),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", 400),
    ("STRING_TOO_LONG", 400),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", 400),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", 400),
    ("JSON_PARSER_ERROR", 400),
    ("MALFORMED_QUERY", 400),
    ("INVALID_QUERY_LOCATOR", 400),
    ("UNSUPPORTED_API_VERSION", 404),
    ("DUPLICATE_VALUE", 400),
    ("DUPLICATES_DETECTED", 400),
    ("EXCEEDED_ID_LIMIT", 400),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", 400),
    ("NOT_FOUND", 404),
    ("METHOD_NOT_ALLOWED", 405),
    ("ENTITY_IS_DELETED", 404),
    ("INVALID_CROSS_REFERENCE_KEY", 400),
];

/// The status of a code; `None` if the vendor has no such code.
pub fn status_of(code: &str) -> Option<u16> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, status)| *status)
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    pub fields: Vec<String>,
}

impl Refusal {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        debug_assert!(status_of(code).is_some(), "{code} has no status");
        Self { code, message: message.into(), fields: Vec::new() }
    }

    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.fields.push(field.into());
        self
    }

    /// As the answer to a whole request.
    pub fn reply(&self) -> Reply {
        reply(self.code, &self.message, &self.fields, status_of(self.code).unwrap_or(400))
    }

    /// As one of the `errors` of a record.
    pub fn of_record(&self) -> Value {
        json!({ "statusCode": self.code, "message": self.message, "fields": self.fields })
    }
}

/// An error answer under a status of its own, as a fault rule may ask.
pub fn reply(code: &str, message: &str, fields: &[String], status: u16) -> Reply {
    let mut error = json!({ "message": message, "errorCode": code });
    if !fields.is_empty() {
        error["fields"] = json!(fields);
    }
    json_reply(status, &json!([error]))
}

/// A JSON answer as this vendor sends it.
pub fn json_reply(status: u16, body: &Value) -> Reply {
    Reply::json(status, "application/json;charset=UTF-8", body)
}

/// A header by its name; one that no HTTP message can carry is left out.
pub fn header(reply: Reply, name: &'static str, value: &str) -> Reply {
    match HeaderValue::from_str(value) {
        Ok(value) => reply.with(HeaderName::from_static(name), value),
        Err(_) => reply,
    }
}
