//! Errors as AvaTax words them.

use serde_json::json;

use crate::call::Reply;

/// Codes, their numbers, and the status they travel with.
const CODES: &[(&str, u32, u16)] = &[
    ("EntityNotFoundError", 4, 404),
    ("ValueRequiredError", 5, 400),
    ("StringLengthError", 13, 400),
    ("DateFormatError", 26, 400),
    ("AuthenticationException", 30, 401),
    ("AuthorizationException", 31, 403),
    ("JsonFormatError", 47, 400),
    ("UnhandledException", 50, 500),
    ("ModelStateInvalid", 70, 400),
    ("InvalidCountry", 125, 400),
    ("JurisdictionNotFoundError", 130, 400),
    ("InvalidEnumValue", 164, 400),
    ("GetTaxError", 300, 400),
    ("DocumentCodeConflict", 303, 400),
    ("MissingAddress", 304, 400),
    ("AddressIncomplete", 309, 400),
    ("MissingLine", 311, 400),
    ("ServerUnreachable", 500, 503),
    ("CannotModifyLockedTransaction", 1100, 400),
];

/// What the shared parts call what AvaTax has its own words for.
const OTHERS: &[(&str, &str, u16)] = &[
    ("INVALID_TOKEN", "AuthenticationException", 401),
    ("FORBIDDEN", "AuthorizationException", 403),
    ("NOT_FOUND", "EntityNotFoundError", 404),
    ("METHOD_NOT_ALLOWED", "EntityNotFoundError", 404),
    ("RATE_LIMITED", "RATE_LIMITED", 429),
    ("UNAVAILABLE", "ServerUnreachable", 503),
];

/// The status of a code; `None` if AvaTax has no such code.
pub fn status_of(code: &str) -> Option<u16> {
    let own = CODES.iter().find(|(known, _, _)| *known == code).map(|(_, _, status)| *status);
    own.or_else(|| OTHERS.iter().find(|(known, _, _)| *known == code).map(|(_, _, status)| *status))
}

/// An error answer.
pub fn problem(status: u16, code: &str, detail: &str) -> Reply {
    about(status, code, detail, "Unknown")
}

/// An error of a field.
pub fn wrong(code: &str, target: &str, detail: &str) -> Reply {
    about(status_of(code).unwrap_or(400), code, detail, target)
}

fn about(status: u16, code: &str, detail: &str, target: &str) -> Reply {
    let code = OTHERS.iter().find(|(known, _, _)| *known == code).map_or(code, |(_, own, _)| own);
    let number = CODES.iter().find(|(known, _, _)| *known == code).map_or(0, |(_, number, _)| *number);
    let fault = if status < 500 { "Client" } else { "Server" };
    let said = json!({
        "code": code, "number": number, "message": detail, "description": detail, "faultCode": fault, "severity": "Error",
    });
    let body = json!({ "error": { "code": code, "message": detail, "target": target, "details": [said] } });
    Reply::json(status, "application/json", &body)
}
