//! What Salesforce's answers mean, for a whole call and for one record of it.
//!
//! The classes follow what is certain: a code that Salesforce documents as a refusal means that nothing was written; a server error
//! without one leaves a write unknown.

use super::SYSTEM;
use crate::{Error, error::queue, http::Answer, text::shown};
use serde::Deserialize;

/// Whether a lost answer matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// One error, under both of its spellings: of a call, and of a record in a collection.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Complaint {
    #[serde(alias = "statusCode", rename = "errorCode")]
    pub(super) code: String,
    pub(super) message: String,
    pub(super) fields: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The session is over: sign in again, once.
    SignInAgain(String),
    /// The answer to a look-up: there is none.
    NotThere,
    Failed(Error),
}

/// What a code means. A new code of Salesforce's is read by the status it comes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    SessionOver,
    Limit,
    Busy,
    Down,
    Rights,
    Invalid,
    Malformed,
    Duplicate,
    /// A record that the request refers to.
    Missing,
    NotFound,
}

fn meaning(complaint: &Complaint) -> Option<Meaning> {
    Some(match complaint.code.as_str() {
        "INVALID_SESSION_ID" | "INVALID_AUTH_HEADER" => Meaning::SessionOver,
        "REQUEST_LIMIT_EXCEEDED" | "CONCURRENT_REQUESTS_LIMIT_EXCEEDED" => Meaning::Limit,
        "UNABLE_TO_LOCK_ROW" => Meaning::Busy,
        "SERVER_UNAVAILABLE" | "QUERY_TIMEOUT" => Meaning::Down,
        "TXN_SECURITY_METERING_ERROR"
        | "INSUFFICIENT_ACCESS"
        | "INSUFFICIENT_ACCESS_OR_READONLY"
        | "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
        | "API_DISABLED_FOR_ORG" => Meaning::Rights,
        // Salesforce says the same of a field that is not there and of a record that a relation names.
        "INVALID_FIELD" if complaint.message.starts_with("Foreign key external ID") => Meaning::Missing,
        "INVALID_CROSS_REFERENCE_KEY" | "ENTITY_IS_DELETED" => Meaning::Missing,
        "REQUIRED_FIELD_MISSING"
        | "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        | "STRING_TOO_LONG"
        | "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
        | "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" => Meaning::Invalid,
        "INVALID_FIELD"
        | "INVALID_TYPE"
        | "INVALID_TYPE_ON_FIELD_IN_RECORD"
        | "JSON_PARSER_ERROR"
        | "MALFORMED_QUERY"
        | "INVALID_QUERY_LOCATOR"
        | "EXCEEDED_ID_LIMIT"
        | "METHOD_NOT_ALLOWED"
        | "UNSUPPORTED_API_VERSION" => Meaning::Malformed,
        "DUPLICATE_VALUE" | "DUPLICATES_DETECTED" => Meaning::Duplicate,
        "NOT_FOUND" => Meaning::NotFound,
        _ => return None,
    })
}

/// The error of one record, or of a call whose code is known.
fn error(meaning: Meaning, complaint: &Complaint) -> Error {
    let reason = format!("{}: {}", complaint.code, shown(&complaint.message));
    let field = complaint.fields.first().cloned();
    let refused =
        |code| Error::Refused { code, queue: queue::REVENUE_OPERATIONS, field: field.clone(), reason: reason.clone() };
    match meaning {
        Meaning::SessionOver => Error::Unauthorized { system: SYSTEM, reason },
        // The quota counts a rolling day: asking again at once only makes it worse.
        Meaning::Limit => Error::RateLimited { system: SYSTEM, reason, retry_after: Some(super::limit::QUOTA_WAIT) },
        Meaning::Busy => Error::Changed { system: SYSTEM, reason },
        Meaning::Down => Error::Unavailable { system: SYSTEM, reason, retry_after: None },
        Meaning::Rights => Error::Unauthorized { system: SYSTEM, reason },
        Meaning::Invalid => refused("REFUSED_BY_CRM"),
        Meaning::Missing => refused("ACCOUNT_NOT_IN_CRM"),
        Meaning::Duplicate => refused("CRM_DUPLICATE"),
        Meaning::Malformed | Meaning::NotFound => Error::Malformed { system: SYSTEM, field, reason },
    }
}

/// What became of one record of a collection.
pub(super) fn of_record(complaints: &[Complaint]) -> Error {
    let unnamed = Complaint { message: "the record was refused without a reason".into(), ..Complaint::default() };
    let complaint = complaints.first().unwrap_or(&unnamed);
    match meaning(complaint) {
        Some(meaning) => error(meaning, complaint),
        // Salesforce writes a record or says why not: this one was not written.
        None => error(Meaning::Invalid, complaint),
    }
}

/// What an answer other than success means.
pub(super) fn verdict(access: Access, answer: &Answer) -> Verdict {
    let status = answer.status.as_u16();
    let complaints: Vec<Complaint> =
        if answer.is_whole { serde_json::from_slice(&answer.body).unwrap_or_default() } else { Vec::new() };
    if status == 300 {
        let complaint = Complaint {
            code: "300".into(),
            message: "several records have this external id".into(),
            ..Complaint::default()
        };
        return Verdict::Failed(error(Meaning::Duplicate, &complaint));
    }
    if let Some((complaint, meaning)) = complaints.iter().find_map(|of| Some((of, meaning(of)?))) {
        return match meaning {
            Meaning::SessionOver => Verdict::SignInAgain(complaint.code.clone()),
            Meaning::NotFound if access == Access::Read => Verdict::NotThere,
            _ => Verdict::Failed(error(meaning, complaint)),
        };
    }
    let reason = match complaints.first() {
        Some(complaint) => format!("{status} {}: {}", complaint.code, shown(&complaint.message)),
        None => format!("{status} without an error of theirs"),
    };
    Verdict::Failed(match (access, status) {
        (_, 401) => return Verdict::SignInAgain(reason),
        (_, 429) => Error::RateLimited { system: SYSTEM, reason, retry_after: answer.retry_after },
        (Access::Write, 406 | 408 | 500..) => Error::OutcomeUnknown { system: SYSTEM, reason },
        (Access::Read, 406 | 408 | 500..) => {
            Error::Unavailable { system: SYSTEM, reason, retry_after: answer.retry_after }
        }
        // A proxy, a redirect, a page: somebody else answers at this address.
        (_, 300..=399 | 404 | 420) => Error::Unavailable { system: SYSTEM, reason, retry_after: answer.retry_after },
        (_, 403) => Error::Unauthorized { system: SYSTEM, reason },
        (Access::Write, _) if !answer.is_whole => Error::OutcomeUnknown { system: SYSTEM, reason },
        _ => Error::Malformed { system: SYSTEM, field: None, reason },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::{Class, Failure, explain};
    use reqwest::StatusCode;
    use serde_json::json;

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

    fn says(status: u16, code: &str, message: &str) -> Answer {
        answer(status, &json!([{ "errorCode": code, "message": message, "fields": [] }]).to_string())
    }

    #[track_caller]
    fn class(access: Access, answer: &Answer) -> (Class, String) {
        match verdict(access, answer) {
            Verdict::Failed(error) => {
                let failure = Failure::from(error);
                assert_eq!(explain(&failure.code).map(|entry| entry.class), Some(failure.class), "{failure}");
                (failure.class, failure.code.into_owned())
            }
            other => panic!("not a failure: {other:?}"),
        }
    }

    #[test]
    fn every_documented_code_has_the_class_of_the_reference() {
        let table = [
            (403, "REQUEST_LIMIT_EXCEEDED", Class::Dependency, "RATE_LIMITED"),
            (403, "CONCURRENT_REQUESTS_LIMIT_EXCEEDED", Class::Dependency, "RATE_LIMITED"),
            (400, "UNABLE_TO_LOCK_ROW", Class::Dependency, "CRM_UNAVAILABLE"),
            (503, "SERVER_UNAVAILABLE", Class::Dependency, "CRM_UNAVAILABLE"),
            (400, "QUERY_TIMEOUT", Class::Dependency, "CRM_UNAVAILABLE"),
            (403, "TXN_SECURITY_METERING_ERROR", Class::Dependency, "AUTH_FAILED"),
            (403, "INSUFFICIENT_ACCESS", Class::Dependency, "AUTH_FAILED"),
            (403, "API_DISABLED_FOR_ORG", Class::Dependency, "AUTH_FAILED"),
            (400, "REQUIRED_FIELD_MISSING", Class::Business, "REFUSED_BY_CRM"),
            (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", Class::Business, "REFUSED_BY_CRM"),
            (400, "STRING_TOO_LONG", Class::Business, "REFUSED_BY_CRM"),
            (400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", Class::Business, "REFUSED_BY_CRM"),
            (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", Class::Business, "REFUSED_BY_CRM"),
            (400, "DUPLICATE_VALUE", Class::Business, "CRM_DUPLICATE"),
            (400, "DUPLICATES_DETECTED", Class::Business, "CRM_DUPLICATE"),
            (400, "INVALID_CROSS_REFERENCE_KEY", Class::Business, "ACCOUNT_NOT_IN_CRM"),
            (404, "ENTITY_IS_DELETED", Class::Business, "ACCOUNT_NOT_IN_CRM"),
            (400, "INVALID_FIELD", Class::Bug, "REQUEST_INVALID"),
            (400, "INVALID_TYPE", Class::Bug, "REQUEST_INVALID"),
            (400, "JSON_PARSER_ERROR", Class::Bug, "REQUEST_INVALID"),
            (400, "MALFORMED_QUERY", Class::Bug, "REQUEST_INVALID"),
            (404, "UNSUPPORTED_API_VERSION", Class::Bug, "REQUEST_INVALID"),
            (500, "UNKNOWN_EXCEPTION", Class::Unknown, "OUTCOME_UNKNOWN"),
        ];
        for (status, code, expected, name) in table {
            assert_eq!(class(Access::Write, &says(status, code, "")), (expected, name.to_owned()), "{code}");
        }
    }

    #[test]
    fn a_server_error_leaves_a_write_unknown_and_a_read_to_be_asked_again() {
        for status in [406, 408, 500, 502, 503, 504] {
            assert_eq!(class(Access::Write, &answer(status, "<html>")).0, Class::Unknown, "{status}");
            assert_eq!(class(Access::Read, &answer(status, "<html>")).0, Class::Dependency, "{status}");
        }
        let cut = Answer { is_whole: false, ..says(400, "STRING_TOO_LONG", "") };
        assert_eq!(class(Access::Write, &cut).0, Class::Unknown, "an answer cut short is not believed");
    }

    #[test]
    fn several_records_under_one_external_id_are_for_people() {
        assert_eq!(class(Access::Write, &answer(300, "[\"/a\", \"/b\"]")), (Class::Business, "CRM_DUPLICATE".into()));
        assert_eq!(class(Access::Read, &answer(300, "[\"/a\", \"/b\"]")), (Class::Business, "CRM_DUPLICATE".into()));
    }

    #[test]
    fn only_their_own_404_says_that_there_is_no_record() {
        assert_eq!(verdict(Access::Read, &says(404, "NOT_FOUND", "")), Verdict::NotThere);
        assert_eq!(class(Access::Read, &answer(404, "<html>")).0, Class::Dependency);
    }

    #[test]
    fn a_missing_account_is_told_from_a_field_that_does_not_exist() {
        let missing =
            says(400, "INVALID_FIELD", "Foreign key external ID: a-1 not found for field X in entity Account");
        assert_eq!(class(Access::Write, &missing), (Class::Business, "ACCOUNT_NOT_IN_CRM".into()));
    }

    #[test]
    fn a_session_that_is_over_is_renewed() {
        assert!(matches!(verdict(Access::Write, &says(401, "INVALID_SESSION_ID", "")), Verdict::SignInAgain(_)));
        assert!(matches!(verdict(Access::Read, &answer(401, "")), Verdict::SignInAgain(_)));
    }
}
