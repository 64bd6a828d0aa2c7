//! What can go wrong with the broker, in the few kinds that callers treat differently.

use failure::Failure;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

pub type Result<T> = std::result::Result<T, Error>;

/// Errors of this crate. The text names what was tried; it never holds secrets or record contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Every problem of the configuration at once, each with the key it is about.
    #[error("the Kafka configuration is wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The broker cannot be reached, or answered with an error that passes.
    #[error("{doing}: {reason}")]
    Unavailable { doing: String, reason: String },
    /// Our credentials or rights do not suffice.
    #[error("{doing}: refused: {reason}")]
    Denied { doing: String, reason: String },
    #[error("topic `{topic}` does not exist, or has no such partition")]
    UnknownTopic { topic: String },
    /// The record is larger than the topic or the producer takes; `bytes` are key, value and headers.
    #[error("a record of {bytes} bytes is too large for topic `{topic}`")]
    TooLarge { topic: String, bytes: usize },
    /// The producer's queue is full; nothing was queued.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The record may or may not be in the topic.
    #[error("topic `{topic}` did not acknowledge a record: {reason}")]
    NotAcknowledged { topic: String, reason: String },
    /// The client cannot go on and must be started anew.
    #[error("the Kafka client cannot go on: {reason}")]
    Fatal { reason: String },
    /// The client was closed.
    #[error("the Kafka client is closed")]
    Closed,
}

impl Error {
    /// Sorts a client error by what it means. `doing` says what was tried.
    pub(crate) fn from_client(doing: impl Into<String>, error: &KafkaError) -> Self {
        let doing = doing.into();
        match error.rdkafka_error_code() {
            Some(code) => Self::from_code(doing, code),
            None => Self::Unavailable { doing, reason: error.to_string() },
        }
    }

    pub(crate) fn from_code(doing: impl Into<String>, code: RDKafkaErrorCode) -> Self {
        let (doing, reason) = (doing.into(), code.to_string());
        match code {
            RDKafkaErrorCode::Fatal | RDKafkaErrorCode::Fenced | RDKafkaErrorCode::FencedInstanceId => {
                Self::Fatal { reason: format!("{doing}: {reason}") }
            }
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Authentication => Self::Denied { doing, reason },
            RDKafkaErrorCode::QueueFull => Self::QueueFull,
            _ => Self::Unavailable { doing, reason },
        }
    }

    /// Whether doing the same again later can help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::QueueFull | Self::NotAcknowledged { .. } => true,
            Self::Config(_)
            | Self::Denied { .. }
            | Self::UnknownTopic { .. }
            | Self::TooLarge { .. }
            | Self::Fatal { .. }
            | Self::Closed => false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::TooLarge { .. } => Self::poison("TOO_LARGE", reason),
            Error::Denied { .. } => Self::dependency("AUTH_FAILED", reason),
            Error::Unavailable { .. }
            | Error::UnknownTopic { .. }
            | Error::QueueFull
            | Error::NotAcknowledged { .. }
            | Error::Fatal { .. }
            | Error::Closed => Self::dependency("BROKER_UNAVAILABLE", reason),
            Error::Config(_) => Self::bug("INVARIANT_BROKEN", reason),
        }
    }
}
