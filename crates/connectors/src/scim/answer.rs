//! What the answers of a SCIM service mean (RFC 7644 §3.12). A refusal in SCIM's own words means that nothing was changed.

use super::SYSTEM;
use crate::{Error, error::queue, http::Answer, text::shown};
use serde::Deserialize;
use serde_json::Value;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Problem {
    scim_type: String,
    detail: String,
}

fn problem(answer: &Answer) -> Problem {
    if answer.is_whole { serde_json::from_slice(&answer.body).unwrap_or_default() } else { Problem::default() }
}

pub(super) fn is_taken(answer: &Answer) -> bool {
    answer.status.as_u16() == 409 && problem(answer).scim_type == "uniqueness"
}

pub(super) fn failure(is_write: bool, answer: &Answer) -> Error {
    let (status, problem) = (answer.status.as_u16(), problem(answer));
    let reason = format!("{status} {}: {}", problem.scim_type, shown(&problem.detail));
    let (system, retry_after) = (SYSTEM, answer.retry_after);
    let refused = |code, field: Option<&str>| Error::Refused {
        code,
        queue: queue::MASTER_DATA,
        field: field.map(str::to_owned),
        reason: reason.clone(),
    };
    match (problem.scim_type.as_str(), status) {
        ("uniqueness", _) => refused("IDENTITY_DUPLICATE", Some("userName")),
        ("invalidValue" | "mutability", _) => refused("REFUSED_BY_IDENTITY", None),
        ("invalidSyntax" | "invalidFilter" | "invalidPath" | "noTarget", _) => {
            Error::Malformed { system, field: None, reason }
        }
        (_, 403) => Error::Unauthorized { system, reason },
        (_, 429) => Error::RateLimited { system, reason, retry_after },
        (_, 503) => Error::Unavailable { system, reason, retry_after },
        (_, 200..=299 | 408 | 500..) if is_write => Error::OutcomeUnknown { system, reason },
        (_, 200..=399 | 404 | 408 | 500..) => Error::Unavailable { system, reason, retry_after },
        _ => Error::Malformed { system, field: None, reason },
    }
}

/// Ids of the resources in a list.
pub(super) fn listed(answer: &Answer) -> Result<Vec<String>, Error> {
    let broken = || Error::Unavailable { system: SYSTEM, reason: "the list cannot be read".into(), retry_after: None };
    let list: Value = serde_json::from_slice(&answer.body).map_err(|_| broken())?;
    // RFC 7644 §3.4.2: there is no `Resources` where nothing is found.
    if list["totalResults"] == 0 {
        return Ok(Vec::new());
    }
    let resources = list["Resources"].as_array().ok_or_else(broken)?;
    resources.iter().map(|resource| resource["id"].as_str().map(str::to_owned).ok_or_else(broken)).collect()
}

/// Id of a resource that was made.
pub(super) fn made(answer: &Answer) -> Result<String, Error> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let unknown = || Error::OutcomeUnknown { system: SYSTEM, reason: "the answer has no id".into() };
    body["id"].as_str().map(str::to_owned).ok_or_else(unknown)
}
