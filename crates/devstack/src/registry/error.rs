//! What the registry refuses, with the codes and wording that clients of Confluent's registry match on.

use super::level::{Level, Mode};

/// A refused request. [`Error::code`] is the `error_code` of the body, [`Error::status`] the HTTP status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    #[error("Version {0} not found.")]
    VersionNotFound(i64),
    #[error("Schema {0} not found")]
    SchemaNotFound(String),
    #[error("Schema not found")]
    SchemaNotUnderSubject,
    #[error("Subject '{0}' was soft deleted. Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    #[error("Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently")]
    VersionSoftDeleted { subject: String, version: u32 },
    #[error("Subject '{subject}' Version {version} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted { subject: String, version: u32 },
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoSubjectCompatibility(String),
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoSubjectMode(String),
    #[error("Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]", details.join(", "))]
    Incompatible { subject: String, details: Vec<String> },
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    #[error("Invalid compatibility level '{0}'. Valid values are {known}", known = Level::names())]
    InvalidLevel(String),
    #[error("Invalid mode '{0}'. Valid values are {known}", known = Mode::names())]
    InvalidMode(String),
    #[error("{0}")]
    NotPermitted(String),
    #[error("One or more references exist to the schema {{subject={subject},version={version}}}.")]
    ReferenceExists { subject: String, version: u32 },
    #[error("The subject '{0}' is not valid: it must not be empty or hold control characters")]
    InvalidSubject(String),
    #[error("The request body is not valid JSON: {0}")]
    BadBody(String),
    #[error("Error in the backend data store: {0}")]
    Store(#[from] std::io::Error),
    #[error("{path}: line {line} of the registry's log is damaged ({reason}); restore the file or move it aside")]
    DamagedLog { path: String, line: usize, reason: String },
    #[error("{0}: another registry has this folder open; stop it, or give this one a folder of its own")]
    Locked(String),
}

impl Error {
    /// The `error_code` of the answer's body.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::BadBody(_) => 400,
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound(_) | Self::SchemaNotUnderSubject => 40403,
            Self::SubjectSoftDeleted(_) => 40404,
            Self::SubjectNotSoftDeleted(_) => 40405,
            Self::VersionSoftDeleted { .. } => 40406,
            Self::VersionNotSoftDeleted { .. } => 40407,
            Self::NoSubjectCompatibility(_) => 40408,
            Self::NoSubjectMode(_) => 40409,
            Self::Incompatible { .. } => 409,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidLevel(_) => 42203,
            Self::InvalidMode(_) => 42204,
            Self::NotPermitted(_) => 42205,
            Self::ReferenceExists { .. } => 42206,
            Self::InvalidSubject(_) => 42208,
            Self::Store(_) | Self::DamagedLog { .. } | Self::Locked(_) => 50001,
        }
    }

    /// The HTTP status: the first three digits of the code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        let code = self.code();
        let status = if code >= 1_000 { code / 100 } else { code };
        status as u16
    }
}
