//! Why a request was not served, in the one form that every answer of the API has for it.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// A refusal. Nothing was changed, unless the message says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Error {
    pub kind: Kind,
    /// Upper-case and stable.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

pub type Result<T> = std::result::Result<T, Error>;

/// What a caller must do differently. The command line's exit code follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be meant.
    Invalid,
    /// The body is longer than is read.
    TooLarge,
    /// Nobody knows who asks.
    Unauthenticated,
    /// Whoever asks may not.
    Forbidden,
    NotFound,
    /// What was asked about has changed since it was looked at.
    Stale,
    /// A rule wants something first: another person, fewer letters, an explicit word.
    Policy,
    /// A ledger, the broker or the registry does not answer; the same request may succeed later.
    Unavailable,
    /// Our own fault.
    Internal,
}

impl Kind {
    const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Stale => StatusCode::CONFLICT,
            Self::Policy => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Error {
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: String::new() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "INVALID", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, "NOT_FOUND", message)
    }

    pub fn stale(message: impl Into<String>) -> Self {
        Self::new(Kind::Stale, "STALE", message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// As JSON, with the id under which the log knows the request.
    #[must_use]
    pub fn body(&self, request_id: &str) -> Value {
        let retryable = self.kind == Kind::Unavailable;
        let Self { code, message, hint, .. } = self;
        json!({ "v": 1, "error": {
            "code": code, "message": message, "hint": hint, "retryable": retryable, "request_id": request_id } })
    }

    pub(crate) fn response(&self, request_id: &str) -> Response {
        (self.kind.status(), Json(self.body(request_id))).into_response()
    }
}

impl From<ledger::Error> for Error {
    fn from(error: ledger::Error) -> Self {
        let (kind, code) = match &error {
            ledger::Error::Unavailable(_) => (Kind::Unavailable, "LEDGER_UNAVAILABLE"),
            ledger::Error::NewerSchema { .. } => (Kind::Internal, "LEDGER_NEWER"),
            ledger::Error::Corrupt(_) => (Kind::Internal, "LEDGER_CORRUPT"),
            ledger::Error::Config(_) => (Kind::Internal, "LEDGER_CONFIG"),
            ledger::Error::Misuse(_) => (Kind::Invalid, "LEDGER_REFUSED"),
        };
        Self::new(kind, code, error.to_string())
    }
}

impl From<kafka::Error> for Error {
    fn from(error: kafka::Error) -> Self {
        match &error {
            kafka::Error::UnknownTopic { .. } => Self::new(Kind::NotFound, "TOPIC_UNKNOWN", error.to_string()),
            _ if error.is_passing() => Self::new(Kind::Unavailable, "BROKER_UNAVAILABLE", error.to_string()),
            _ => Self::new(Kind::Internal, "BROKER_ERROR", error.to_string()),
        }
    }
}
