//! NetSuite's answers, read into what is certain about the call.
//!
//! The code decides; the message is consulted only for `USER_ERROR`, under which NetSuite reports closed periods, credit holds
//! and duplicates alike. A code that we do not know is a refusal like any other, never a crash.

use super::SYSTEM;
use crate::{Error, error::queue, http::Answer, text::shown};
use serde::Deserialize;

/// Whether a call can change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// What an answer other than success means for the call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The token is no longer good.
    Reauthenticate(String),
    /// Somebody changed a record at the same moment: worth an immediate second try.
    Changed(String),
    /// A record with this id, number or name exists.
    Duplicate {
        field: Option<String>,
        reason: String,
    },
    /// NetSuite says that the record does not exist.
    Nonexistent,
    Failed(Error),
}

#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(rename = "o:errorDetails", default)]
    details: Vec<Detail>,
}

#[derive(Debug, Default, Clone, Deserialize)]
struct Detail {
    #[serde(default)]
    detail: String,
    #[serde(rename = "o:errorCode", default)]
    code: String,
    #[serde(rename = "o:errorPath", default)]
    path: Option<String>,
}

/// NetSuite's error codes, as far as they decide anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Concurrency,
    Login,
    Permission,
    ServiceUnavailable,
    Unexpected,
    Changed,
    Reference,
    Nonexistent,
    Duplicate,
    User,
    MissingField,
    Malformed,
    Other,
}

impl Code {
    fn read(code: &str) -> Self {
        match code {
            "CONCURRENCY_LIMIT_EXCEEDED"
            | "SSS_REQUEST_LIMIT_EXCEEDED"
            | "WS_REQUEST_BLOCKED"
            | "WS_CONCUR_SESSION_DISALLWD" => Self::Concurrency,
            "INVALID_LOGIN" | "INVALID_LOGIN_ATTEMPT" => Self::Login,
            "INSUFFICIENT_PERMISSION" => Self::Permission,
            "SERVICE_UNAVAILABLE" => Self::ServiceUnavailable,
            "UNEXPECTED_ERROR" => Self::Unexpected,
            "RCRD_HAS_BEEN_CHANGED" => Self::Changed,
            "INVALID_KEY_OR_REF" => Self::Reference,
            "NONEXISTENT_ID" | "RCRD_DSNT_EXIST" => Self::Nonexistent,
            "DUP_RCRD" | "DUP_ENTITY" | "UNIQUE_CUST_ID_REQD" => Self::Duplicate,
            "USER_ERROR" => Self::User,
            "MISSING_REQD_FIELD" => Self::MissingField,
            "INVALID_CONTENT"
            | "INVALID_HEADER"
            | "INVALID_PARAMETER"
            | "METHOD_NOT_ALLOWED"
            | "REQUEST_ENTITY_TOO_LARGE"
            | "DUPLICATE_KEYS"
            | "IDEMPOTENCY_ERROR" => Self::Malformed,
            _ => Self::Other,
        }
    }
}

/// Reads an answer whose status is not a success.
pub(super) fn verdict(access: Access, answer: &Answer) -> Verdict {
    let status = answer.status.as_u16();
    let detail = most_telling(answer);
    let reason = reason(status, detail.as_ref());
    let retry_after = answer.retry_after;
    let unavailable = |reason| Verdict::Failed(Error::Unavailable { system: SYSTEM, reason, retry_after });
    match (status, &detail) {
        (401, _) => Verdict::Reauthenticate(reason),
        (429, _) => Verdict::Failed(Error::RateLimited { system: SYSTEM, reason, retry_after }),
        (_, None) if !answer.is_whole => {
            Verdict::Failed(no_answer(access, format!("{reason}; the answer was cut short")))
        }
        (408 | 500.., Some(detail)) if Code::read(&detail.code) == Code::ServiceUnavailable => unavailable(reason),
        (408 | 500.., _) => Verdict::Failed(no_answer(access, reason)),
        (400..=499, Some(detail)) => refused(access, answer, detail, reason),
        (403, None) => Verdict::Failed(Error::Unauthorized { system: SYSTEM, reason }),
        (400 | 405 | 406 | 411..=415 | 422 | 431, None) => malformed(None, reason),
        // A redirect, or a 404 that is not NetSuite's: whoever answered did not let the request through.
        (200..=299, _) => Verdict::Failed(no_answer(access, reason)),
        (_, _) => unavailable(format!("{reason}; does the address serve SuiteTalk?")),
    }
}

/// A call without a readable answer: for a write nobody knows, a read simply has to be done again.
pub(super) fn no_answer(access: Access, reason: String) -> Error {
    match access {
        Access::Write => Error::OutcomeUnknown { system: SYSTEM, reason },
        Access::Read => Error::Unavailable { system: SYSTEM, reason, retry_after: None },
    }
}

fn refused(access: Access, answer: &Answer, detail: &Detail, reason: String) -> Verdict {
    let field = detail.path.clone();
    let retry_after = answer.retry_after;
    let by_rule = |code, queue, field, reason| Verdict::Failed(Error::Refused { code, queue, field, reason });
    match Code::read(&detail.code) {
        Code::Concurrency => Verdict::Failed(Error::RateLimited { system: SYSTEM, reason, retry_after }),
        Code::Login => Verdict::Reauthenticate(reason),
        Code::Permission => Verdict::Failed(Error::Unauthorized { system: SYSTEM, reason }),
        Code::ServiceUnavailable => Verdict::Failed(Error::Unavailable { system: SYSTEM, reason, retry_after }),
        Code::Unexpected => Verdict::Failed(no_answer(access, reason)),
        Code::Changed => Verdict::Changed(reason),
        Code::Nonexistent if access == Access::Read => Verdict::Nonexistent,
        Code::Nonexistent | Code::Reference => {
            by_rule(reference_code(field.as_deref()), queue::MASTER_DATA, field, reason)
        }
        Code::Duplicate => Verdict::Duplicate { field, reason },
        Code::User | Code::Other => by_message(field, reason),
        Code::MissingField => by_rule("REFUSED_BY_ERP", queue::MASTER_DATA, field, reason),
        Code::Malformed => malformed(field, reason),
    }
}

fn malformed(field: Option<String>, reason: String) -> Verdict {
    Verdict::Failed(Error::Malformed { system: SYSTEM, field, reason })
}

/// Whether the unknown reference is a line's item (`item.items[2].item`) or another one.
fn reference_code(path: Option<&str>) -> &'static str {
    match path {
        Some(path) if path.ends_with("item") || path.ends_with("item.id") || path == "saleItem" => "ITEM_UNKNOWN",
        Some(_) | None => "REFERENCE_UNKNOWN",
    }
}

/// `USER_ERROR` says in words what other systems say in codes.
fn by_message(field: Option<String>, reason: String) -> Verdict {
    let said = reason.to_lowercase();
    let says = |words: &[&str]| words.iter().all(|word| said.contains(word));
    let refused =
        |code, queue| Verdict::Failed(Error::Refused { code, queue, field: field.clone(), reason: reason.clone() });
    if says(&["period", "closed"]) || says(&["period", "locked"]) {
        return refused("PERIOD_CLOSED", queue::FINANCE);
    }
    if says(&["credit", "hold"]) {
        return refused("CREDIT_HOLD", queue::CREDIT_CONTROL);
    }
    if says(&["locked", "workflow"]) {
        return Verdict::Changed(reason);
    }
    if says(&["already exists"]) || says(&["already been used"]) {
        return Verdict::Duplicate { field, reason };
    }
    refused("REFUSED_BY_ERP", queue::FINANCE)
}

/// The first detail with a code that decides something, else the first one.
fn most_telling(answer: &Answer) -> Option<Detail> {
    if !answer.is_whole {
        return None;
    }
    let body: ErrorBody = serde_json::from_slice(&answer.body).ok()?;
    let telling = body.details.iter().find(|detail| Code::read(&detail.code) != Code::Other);
    telling.or(body.details.first()).cloned()
}

/// Whether an error body has this code.
pub(super) fn has_code(answer: &Answer, code: &str) -> bool {
    let body: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    body.details.iter().any(|detail| detail.code == code)
}

fn reason(status: u16, detail: Option<&Detail>) -> String {
    match detail {
        Some(detail) => shown(&format!("{SYSTEM} says {}: {}", detail.code, detail.detail)),
        None => format!("{SYSTEM} answers {status} without saying why"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::{Class, Failure};
    use reqwest::StatusCode;
    use serde_json::json;
    use std::time::Duration;

    fn answer(status: u16, code: &str, detail: &str, path: Option<&str>) -> Answer {
        let mut entry = json!({"detail": detail, "o:errorCode": code});
        if let Some(path) = path {
            entry["o:errorPath"] = path.into();
        }
        let body = json!({"title": "Error", "status": status, "o:errorDetails": [entry]});
        plain(status, body.to_string().as_bytes())
    }

    fn plain(status: u16, body: &[u8]) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer {
            status,
            location: None,
            retry_after: None,
            headers: Default::default(),
            body: body.to_vec(),
            is_whole: true,
        }
    }

    fn class(verdict: Verdict) -> (Class, String) {
        match verdict {
            Verdict::Failed(error) => {
                let failure = Failure::from(error);
                (failure.class, failure.code.into_owned())
            }
            other => panic!("not a failure: {other:?}"),
        }
    }

    #[track_caller]
    fn assert_write(answer: &Answer, expected: (Class, &str)) {
        let (class, code) = class(verdict(Access::Write, answer));
        assert_eq!((class, code.as_str()), expected, "{answer:?}");
    }

    #[test]
    fn server_errors_leave_a_write_unknown_unless_netsuite_says_it_did_nothing() {
        assert_write(&answer(503, "SERVICE_UNAVAILABLE", "", None), (Class::Dependency, "ERP_UNAVAILABLE"));
        assert_write(&answer(500, "UNEXPECTED_ERROR", "", None), (Class::Unknown, "OUTCOME_UNKNOWN"));
        assert_write(&plain(503, b"<html>"), (Class::Unknown, "OUTCOME_UNKNOWN"));
        assert_write(&plain(502, b""), (Class::Unknown, "OUTCOME_UNKNOWN"));
        assert_write(&plain(504, b""), (Class::Unknown, "OUTCOME_UNKNOWN"));
        assert_write(&plain(408, b""), (Class::Unknown, "OUTCOME_UNKNOWN"));
        let read = class(verdict(Access::Read, &plain(502, b"")));
        assert_eq!(read, (Class::Dependency, "ERP_UNAVAILABLE".into()));
    }

    #[test]
    fn limits_are_dependencies_with_the_wait_that_was_asked_for() {
        let mut limited = answer(429, "CONCURRENCY_LIMIT_EXCEEDED", "", None);
        limited.retry_after = Some(Duration::from_secs(3));
        let Verdict::Failed(error) = verdict(Access::Write, &limited) else { panic!("a failure") };
        assert_eq!(Failure::from(error).retry_after, Some(Duration::from_secs(3)));
        assert_write(&answer(400, "SSS_REQUEST_LIMIT_EXCEEDED", "", None), (Class::Dependency, "RATE_LIMITED"));
    }

    #[test]
    fn rules_of_the_business_name_the_field_and_the_owner() {
        let closed = answer(400, "USER_ERROR", "You cannot post to a closed period.", Some("tranDate"));
        let Verdict::Failed(error) = verdict(Access::Write, &closed) else { panic!("a failure") };
        let failure = Failure::from(error);
        assert_eq!((failure.code.as_ref(), failure.owner.as_deref()), ("PERIOD_CLOSED", Some("finance")));
        assert_eq!(failure.field.as_deref(), Some("tranDate"));
        assert_write(&answer(400, "USER_ERROR", "Customer is on Credit Hold", None), (Class::Business, "CREDIT_HOLD"));
        let item = answer(400, "INVALID_KEY_OR_REF", "Invalid Field Value X", Some("item.items[1].item"));
        assert_write(&item, (Class::Business, "ITEM_UNKNOWN"));
        let terms = answer(400, "INVALID_KEY_OR_REF", "Invalid Field Value X", Some("terms"));
        assert_write(&terms, (Class::Business, "REFERENCE_UNKNOWN"));
        assert_write(&answer(400, "SOME_NEW_CODE", "no", None), (Class::Business, "REFUSED_BY_ERP"));
    }

    #[test]
    fn a_malformed_request_is_our_bug() {
        assert_write(
            &answer(400, "INVALID_CONTENT", "Unknown field foo", Some("foo")),
            (Class::Bug, "REQUEST_INVALID"),
        );
        assert_write(&plain(415, b""), (Class::Bug, "REQUEST_INVALID"));
    }

    #[test]
    fn a_redirect_or_a_foreign_404_is_a_wrong_address_not_a_missing_record() {
        assert_write(&plain(302, b""), (Class::Dependency, "ERP_UNAVAILABLE"));
        let read = verdict(Access::Read, &plain(404, b"<html>not here"));
        assert_eq!(class(read).0, Class::Dependency);
        assert_eq!(verdict(Access::Read, &answer(404, "NONEXISTENT_ID", "", None)), Verdict::Nonexistent);
    }

    #[test]
    fn duplicates_are_recognised_by_code_and_by_words() {
        for answer in [
            answer(400, "DUP_RCRD", "This record already exists", Some("externalId")),
            answer(400, "USER_ERROR", "A record with this number already exists", Some("tranId")),
        ] {
            assert!(matches!(verdict(Access::Write, &answer), Verdict::Duplicate { .. }), "{answer:?}");
        }
    }

    #[test]
    fn a_record_that_a_workflow_holds_is_worth_another_try() {
        let held = answer(400, "USER_ERROR", "This record has been locked by a user defined workflow.", None);
        assert!(matches!(verdict(Access::Write, &held), Verdict::Changed(_)));
    }

    #[test]
    fn an_answer_cut_short_is_not_believed() {
        for status in [400, 500, 503] {
            let mut cut = answer(status, "SERVICE_UNAVAILABLE", "", None);
            cut.is_whole = false;
            assert_write(&cut, (Class::Unknown, "OUTCOME_UNKNOWN"));
        }
    }
}
