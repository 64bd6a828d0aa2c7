//! What the platform's answers mean. A code of its own means that nothing was changed; a server error without one leaves a write unknown.

use super::SYSTEM;
use crate::{Error, error::queue, http::Answer, text::shown};
use serde::{Deserialize, de::DeserializeOwned};

/// Problem details (RFC 9457) with a code.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
}

fn problem(answer: &Answer) -> Problem {
    if answer.is_whole { serde_json::from_slice(&answer.body).unwrap_or_default() } else { Problem::default() }
}

pub(super) fn says(answer: &Answer, code: &str) -> bool {
    problem(answer).code == code
}

/// What an answer other than success means.
pub(super) fn failure(is_write: bool, answer: &Answer) -> Error {
    let (status, problem) = (answer.status.as_u16(), problem(answer));
    let reason = format!("{status} {}: {}", problem.code, shown(&problem.detail));
    let (system, retry_after) = (SYSTEM, answer.retry_after);
    let refused = |code, queue, field: Option<&str>| Error::Refused {
        code,
        queue,
        field: field.map(str::to_owned),
        reason: reason.clone(),
    };
    match (problem.code.as_str(), status) {
        ("UNKNOWN_FEATURE", _) => refused("FEATURE_UNKNOWN", queue::MASTER_DATA, Some("feature")),
        ("LIMIT_EXCEEDED", _) => refused("ENTITLEMENT_LIMIT", queue::REVENUE_OPERATIONS, None),
        ("QUANTITY_NEGATIVE", _) => refused("REFUSED_BY_PRODUCT", queue::REVENUE_OPERATIONS, Some("quantity")),
        ("VALIDITY_INVALID", _) => refused("REFUSED_BY_PRODUCT", queue::REVENUE_OPERATIONS, Some("valid_to")),
        ("TENANT_UNKNOWN" | "STALE_REVISION", _) => refused("REFUSED_BY_PRODUCT", queue::REVENUE_OPERATIONS, None),
        ("INVALID_REQUEST" | "IDEMPOTENCY_KEY_REUSED" | "METHOD_NOT_ALLOWED", _) => {
            Error::Malformed { system, field: None, reason }
        }
        (_, 403) => Error::Unauthorized { system, reason },
        (_, 429) => Error::RateLimited { system, reason, retry_after },
        ("UNAVAILABLE", _) | (_, 503) => Error::Unavailable { system, reason, retry_after },
        (_, 408 | 500..) if is_write => Error::OutcomeUnknown { system, reason },
        // A proxy, a redirect, a page: somebody else answers at this address.
        (_, 300..=399 | 404 | 408 | 500..) => Error::Unavailable { system, reason, retry_after },
        // Done, and then the answer was cut.
        (_, 200..=299) if is_write => Error::OutcomeUnknown { system, reason },
        _ => Error::Malformed { system, field: None, reason },
    }
}

/// Reads what a question was answered.
pub(super) fn reads<T: DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    let broken = |reason: String| Error::Unavailable { system: SYSTEM, reason, retry_after: None };
    if !answer.is_whole {
        return Err(broken("the answer was cut short".into()));
    }
    serde_json::from_slice(&answer.body).map_err(|error| broken(format!("the answer cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::{Class, Failure, explain};
    use reqwest::StatusCode;

    fn class(is_write: bool, status: u16, code: &str) -> (Class, String) {
        let body = serde_json::json!({ "code": code, "detail": "why" }).to_string().into_bytes();
        let status = StatusCode::from_u16(status).expect("a status");
        let answer =
            Answer { status, location: None, retry_after: None, headers: Default::default(), body, is_whole: true };
        let failure = Failure::from(failure(is_write, &answer));
        assert_eq!(explain(&failure.code).map(|entry| entry.class), Some(failure.class), "{failure}");
        (failure.class, failure.code.into_owned())
    }

    #[test]
    fn every_answer_has_its_class() {
        let table = [
            (422, "UNKNOWN_FEATURE", Class::Business, "FEATURE_UNKNOWN"),
            (422, "LIMIT_EXCEEDED", Class::Business, "ENTITLEMENT_LIMIT"),
            (422, "QUANTITY_NEGATIVE", Class::Business, "REFUSED_BY_PRODUCT"),
            (409, "STALE_REVISION", Class::Business, "REFUSED_BY_PRODUCT"),
            (409, "IDEMPOTENCY_KEY_REUSED", Class::Bug, "REQUEST_INVALID"),
            (403, "FORBIDDEN", Class::Dependency, "AUTH_FAILED"),
            (429, "RATE_LIMITED", Class::Dependency, "RATE_LIMITED"),
            (503, "UNAVAILABLE", Class::Dependency, "PRODUCT_UNAVAILABLE"),
            (500, "", Class::Unknown, "OUTCOME_UNKNOWN"),
            (502, "", Class::Unknown, "OUTCOME_UNKNOWN"),
        ];
        for (status, code, expected, ours) in table {
            assert_eq!(class(true, status, code), (expected, ours.to_owned()), "{status} {code}");
        }
        assert_eq!(class(false, 500, "").0, Class::Dependency, "a question changes nothing");
    }
}
