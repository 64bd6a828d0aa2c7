//! What a registry's answer means, by its error code and kind, never by its text: registries word things differently.

use failure::Failure;
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;
use std::error::Error as _;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Every problem of the configuration at once.
    #[error("the registry's configuration is wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    /// No answer, or none that tells anything about the schema.
    #[error("the schema registry is not available: {0}")]
    Unavailable(String),
    #[error("the schema registry asks us to slow down")]
    RateLimited,
    #[error("the schema registry refuses our credentials or rights")]
    Denied,
    #[error("the schema registry has no `{what}`")]
    NotFound { what: String },
    /// The schema breaks the subject's compatibility level.
    #[error("the schema is not compatible with subject `{subject}`: {reason}")]
    Incompatible { subject: String, reason: String },
    #[error("the schema registry takes the schema of `{subject}` for invalid: {reason}")]
    Invalid { subject: String, reason: String },
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let reason = error.to_string();
        match error {
            RegistryError::Unavailable(_) => Self::dependency("REGISTRY_UNAVAILABLE", reason),
            RegistryError::RateLimited => Self::dependency("RATE_LIMITED", reason),
            RegistryError::Denied => Self::dependency("AUTH_FAILED", reason),
            RegistryError::NotFound { .. } => Self::poison("SCHEMA_ID_UNKNOWN", reason),
            RegistryError::Incompatible { .. } | RegistryError::Invalid { .. } => {
                Self::contract("SCHEMA_INCOMPATIBLE", reason)
            }
            RegistryError::Config(_) => Self::bug("INVARIANT_BROKEN", reason),
        }
    }
}

/// Sorts an error of the converter. Its own flags (retriable, cached) are of no use: it takes 429 and 500 for permanent.
pub(super) fn describe(what: &str, error: &SRCError) -> RegistryError {
    if let Some(answer) = error.source().and_then(|source| source.downcast_ref::<RawError>()) {
        return by_code(what, answer.error_code, &answer.message);
    }
    let is_timeout =
        error.source().and_then(|source| source.downcast_ref::<reqwest::Error>()).is_some_and(|e| e.is_timeout());
    RegistryError::Unavailable(if is_timeout { "no answer in time".to_owned() } else { error.error.clone() })
}

/// Codes are the HTTP status, with two digits more where the registry says exactly what it means. A bare 404 says nothing
/// about a schema: it also comes from a wrong path. Code 0 stands for an answer that is no registry's.
pub(super) fn by_code(what: &str, code: u32, message: &str) -> RegistryError {
    let status = if code >= 1_000 { code / 100 } else { code };
    let message: String = message.chars().take(500).collect();
    match (code, status) {
        (40_401..=40_403, _) => RegistryError::NotFound { what: what.to_owned() },
        (_, 409) => RegistryError::Incompatible { subject: what.to_owned(), reason: message },
        (_, 422) => RegistryError::Invalid { subject: what.to_owned(), reason: message },
        (_, 401 | 403) => RegistryError::Denied,
        (_, 429) => RegistryError::RateLimited,
        (0, _) => RegistryError::Unavailable("it answered with an error that is not a registry's".to_owned()),
        (_, 404) => RegistryError::Unavailable("it answers 404 to a path of its own API; check the URL".to_owned()),
        _ => RegistryError::Unavailable(format!("error code {code}")),
    }
}
