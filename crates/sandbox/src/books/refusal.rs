//! Why a write or a read is refused, in the vendor's codes.

/// The vendor's machine-readable error codes the stand-in answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidContent,
    InvalidKeyOrRef,
    InvalidHeader,
    InvalidParameter,
    MissingRequiredField,
    UserError,
    DuplicateRecord,
    DuplicateEntity,
    UniqueCustomerId,
    DuplicateKeys,
    IdempotencyError,
    NonexistentId,
    NotFound,
    RecordHasBeenChanged,
    InsufficientPermission,
    InvalidLogin,
    ConcurrencyLimitExceeded,
    RequestTooLarge,
    MethodNotAllowed,
    ServiceUnavailable,
    UnexpectedError,
}

impl Code {
    /// The `o:errorCode` on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidContent => "INVALID_CONTENT",
            Code::InvalidKeyOrRef => "INVALID_KEY_OR_REF",
            Code::InvalidHeader => "INVALID_HEADER",
            Code::InvalidParameter => "INVALID_PARAMETER",
            Code::MissingRequiredField => "MISSING_REQD_FIELD",
            Code::UserError => "USER_ERROR",
            Code::DuplicateRecord => "DUP_RCRD",
            Code::DuplicateEntity => "DUP_ENTITY",
            Code::UniqueCustomerId => "UNIQUE_CUST_ID_REQD",
            Code::DuplicateKeys => "DUPLICATE_KEYS",
            Code::IdempotencyError => "IDEMPOTENCY_ERROR",
            Code::NonexistentId => "NONEXISTENT_ID",
            Code::NotFound => "NOT_FOUND",
            Code::RecordHasBeenChanged => "RCRD_HAS_BEEN_CHANGED",
            Code::InsufficientPermission => "INSUFFICIENT_PERMISSION",
            Code::InvalidLogin => "INVALID_LOGIN",
            Code::ConcurrencyLimitExceeded => "CONCURRENCY_LIMIT_EXCEEDED",
            Code::RequestTooLarge => "REQUEST_ENTITY_TOO_LARGE",
            Code::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Code::ServiceUnavailable => "SERVICE_UNAVAILABLE",
            Code::UnexpectedError => "UNEXPECTED_ERROR",
        }
    }

    /// The HTTP status the code travels with.
    pub fn status(self) -> u16 {
        match self {
            Code::InvalidLogin => 401,
            Code::InsufficientPermission => 403,
            Code::NonexistentId | Code::NotFound => 404,
            Code::MethodNotAllowed => 405,
            Code::RequestTooLarge => 413,
            Code::ConcurrencyLimitExceeded => 429,
            Code::UnexpectedError => 500,
            Code::ServiceUnavailable => 503,
            _ => 400,
        }
    }

    /// The code with this wire name; used by fault rules.
    pub fn parse(name: &str) -> Option<Code> {
        const ALL: [Code; 21] = [
            Code::InvalidContent,
            Code::InvalidKeyOrRef,
            Code::InvalidHeader,
            Code::InvalidParameter,
            Code::MissingRequiredField,
            Code::UserError,
            Code::DuplicateRecord,
            Code::DuplicateEntity,
            Code::UniqueCustomerId,
            Code::DuplicateKeys,
            Code::IdempotencyError,
            Code::NonexistentId,
            Code::NotFound,
            Code::RecordHasBeenChanged,
            Code::InsufficientPermission,
            Code::InvalidLogin,
            Code::ConcurrencyLimitExceeded,
            Code::RequestTooLarge,
            Code::MethodNotAllowed,
            Code::ServiceUnavailable,
            Code::UnexpectedError,
        ];
        ALL.into_iter().find(|code| code.as_str() == name)
    }
}

/// Where in the request the offending thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Nowhere in particular.
    Request,
    /// A JSON path of the body, such as `item.items[0].item`.
    Body(String),
    /// A part of the URL's path.
    Url(String),
    /// A header by name.
    Header(&'static str),
    /// A query parameter by name.
    Query(&'static str),
}

/// One refusal with everything its error body shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Refusal {
    pub code: Code,
    pub detail: String,
    pub at: At,
}

impl Refusal {
    /// A refusal about the request as a whole.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), at: At::Request }
    }

    /// A refusal about the body field at `path`.
    pub fn field(code: Code, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), at: At::Body(path.into()) }
    }

    /// A business rule said no.
    pub fn user(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::field(Code::UserError, path, detail)
    }

    /// A required field is missing.
    pub fn missing(path: impl Into<String>) -> Self {
        let path = path.into();
        let name = path.rsplit('.').next().unwrap_or(&path).to_owned();
        Self::field(Code::MissingRequiredField, path, format!("Please enter value(s) for: {name}"))
    }

    /// A value that names nothing known.
    pub fn unknown_value(path: impl Into<String>, value: &str) -> Self {
        let path = path.into();
        let name = path.rsplit('.').next().unwrap_or(&path).to_owned();
        Self::field(Code::InvalidKeyOrRef, path, format!("Invalid Field Value {value} for the following field: {name}"))
    }
}
