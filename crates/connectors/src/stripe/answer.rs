//! What Stripe's answers mean. An error in Stripe's own words below 500 means that nothing was changed.

use super::SYSTEM;
use crate::{Error, error::queue, http::Answer, text::shown};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Problem,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    message: Option<String>,
    param: Option<String>,
}

pub(super) fn problem(answer: &Answer) -> Problem {
    let read = || serde_json::from_slice::<Body>(&answer.body).ok();
    if answer.is_whole { read().unwrap_or_default().error } else { Problem::default() }
}

impl Problem {
    fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// A resource with the id that we choose is there already.
    pub(super) fn is_there(&self) -> bool {
        self.is("resource_already_exists")
    }

    pub(super) fn is_about(&self, param: &str) -> bool {
        self.param.as_deref() == Some(param)
    }

    /// The idempotency key belongs to a request with other parameters.
    pub(super) fn is_other_request(&self) -> bool {
        self.kind == "idempotency_error" && !self.is("idempotency_key_in_use")
    }

    pub(super) fn is_missing(&self) -> bool {
        self.is("resource_missing")
    }
}

/// The answer to a first request was given again; the request was not carried out.
pub(super) fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

pub(super) fn failure(is_write: bool, answer: &Answer) -> Error {
    let (status, problem) = (answer.status.as_u16(), problem(answer));
    let said = problem.code.as_deref().unwrap_or(&problem.kind);
    let reason = format!("{status} {said}: {}", shown(problem.message.as_deref().unwrap_or("no reason given")));
    let (system, retry_after, field) = (SYSTEM, answer.retry_after, problem.param.clone());
    let may_try_again = answer.header("stripe-should-retry") == Some("true");
    match status {
        // The first request with the key is still being carried out: what becomes of it is what becomes of this one.
        409 if problem.is("idempotency_key_in_use") => Error::OutcomeUnknown { system, reason },
        409 => Error::Changed { system, reason },
        429 if problem.is("lock_timeout") => Error::Changed { system, reason },
        429 => Error::RateLimited { system, reason, retry_after },
        424 => Error::Unavailable { system, reason, retry_after },
        403 => Error::Unauthorized { system, reason },
        402 => Error::Refused { code: "REFUSED_BY_BILLING", queue: queue::FINANCE, field, reason },
        400 if problem.is_other_request() => Error::Malformed { system, field, reason },
        400 | 404 if is_malformed(&problem) => Error::Malformed { system, field, reason },
        400 | 404 if may_try_again => Error::Unavailable { system, reason, retry_after },
        400 | 404 => Error::Refused { code: "REFUSED_BY_BILLING", queue: queue::REVENUE_OPERATIONS, field, reason },
        200..=299 | 408 | 500.. if is_write => Error::OutcomeUnknown { system, reason },
        200..=399 | 408 | 500.. => Error::Unavailable { system, reason, retry_after },
        _ => Error::Malformed { system, field, reason },
    }
}

/// Whether the request itself is at fault, not what it says.
fn is_malformed(problem: &Problem) -> bool {
    let code = problem.code.as_deref().unwrap_or_default();
    problem.kind.is_empty() || code == "parameter_unknown" || code == "parameter_missing"
}

/// What Stripe leaves empty it may leave out, or say to be nothing.
pub(super) fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// The body of a good answer.
pub(super) fn read<T: DeserializeOwned>(is_write: bool, answer: &Answer) -> Result<T, Error> {
    let good = answer.status.as_u16() == 200 && answer.is_whole;
    let read = if good { serde_json::from_slice(&answer.body).ok() } else { None };
    read.ok_or_else(|| failure(is_write, answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::{Class, Failure};
    use reqwest::StatusCode;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer {
            status,
            location: None,
            retry_after: None,
            headers: Default::default(),
            body: body.into(),
            is_whole: true,
        }
    }

    fn class(is_write: bool, status: u16, kind: &str, code: &str) -> (Class, String) {
        let body = format!(r#"{{"error": {{"type": "{kind}", "code": "{code}", "message": "why"}}}}"#);
        let failure = Failure::from(failure(is_write, &answer(status, &body)));
        (failure.class, failure.code.to_string())
    }

    #[test]
    fn each_refusal_has_the_class_that_its_certainty_allows() {
        let expect = |status, kind, code, class_of: Class, named: &str| {
            assert_eq!(class(true, status, kind, code), (class_of, named.to_owned()), "{status} {code}");
        };
        let invalid = "invalid_request_error";
        expect(402, "card_error", "card_declined", Class::Business, "REFUSED_BY_BILLING");
        expect(400, invalid, "resource_missing", Class::Business, "REFUSED_BY_BILLING");
        expect(400, invalid, "parameter_unknown", Class::Bug, "REQUEST_INVALID");
        expect(403, invalid, "", Class::Dependency, "AUTH_FAILED");
        expect(409, "idempotency_error", "idempotency_key_in_use", Class::Unknown, "OUTCOME_UNKNOWN");
        expect(424, "api_error", "", Class::Dependency, "BILLING_UNAVAILABLE");
        expect(429, invalid, "lock_timeout", Class::Dependency, "BILLING_UNAVAILABLE");
        expect(429, invalid, "rate_limit", Class::Dependency, "RATE_LIMITED");
        expect(500, "api_error", "", Class::Unknown, "OUTCOME_UNKNOWN");
    }

    #[test]
    fn a_question_that_fails_changed_nothing() {
        assert_eq!(class(false, 500, "api_error", "").0, Class::Dependency);
        assert_eq!(class(false, 200, "", "").0, Class::Dependency, "half an answer");
        assert_eq!(class(true, 200, "", "").0, Class::Unknown, "half an answer to a write");
    }
}
