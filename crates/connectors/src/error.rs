//! How a call can end other than well, and what that means for the event behind it.
//!
//! The variants are sorted by what is *certain*: nothing was sent, the other side refused, or nobody knows. A new variant does
//! not compile until [`From<Error> for Failure`] has decided where its record goes.

use failure::Failure;
use std::time::Duration;

/// Work queues of the people who mend business exceptions.
pub mod queue {
    pub const FINANCE: &str = "finance";
    pub const CREDIT_CONTROL: &str = "credit-control";
    pub const MASTER_DATA: &str = "master-data";
    pub const REVENUE_OPERATIONS: &str = "revenue-operations";
    pub const TAX: &str = "tax";
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection: nothing was sent.
    #[error("{system} cannot be reached: {reason}")]
    Unreachable { system: &'static str, reason: String },
    /// The system said that it cannot serve us, before it did anything.
    #[error("{system} is not available: {reason}")]
    Unavailable { system: &'static str, reason: String, retry_after: Option<Duration> },
    /// The remote account's limit is reached; nothing was done.
    #[error("{system} asks us to slow down: {reason}")]
    RateLimited { system: &'static str, reason: String, retry_after: Option<Duration> },
    /// Our credentials or rights were refused, also after a renewal; nothing was done.
    #[error("{system} refuses our credentials: {reason}")]
    Unauthorized { system: &'static str, reason: String },
    /// Somebody else changed the record at the same time; nothing was done.
    #[error("{system}: the record was changed by somebody else meanwhile: {reason}")]
    Changed { system: &'static str, reason: String },
    /// The call was sent and no answer says what became of it.
    #[error("{system}: the outcome of the call is not known: {reason}")]
    OutcomeUnknown { system: &'static str, reason: String },
    /// The content was refused by a rule of the business.
    #[error("{reason}")]
    Refused { code: &'static str, queue: &'static str, field: Option<String>, reason: String },
    /// Another record has the id or number.
    #[error("{reason}")]
    Taken { field: &'static str, reason: String },
    /// The system says that our request is malformed.
    #[error("{system} does not understand the request: {reason}")]
    Malformed { system: &'static str, field: Option<String>, reason: String },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::Unreachable { system, .. } | Error::Changed { system, .. } => {
                Self::dependency(unavailable(system), reason)
            }
            Error::Unavailable { system, retry_after, .. } => {
                wait(Self::dependency(unavailable(system), reason), retry_after)
            }
            Error::RateLimited { retry_after, .. } => wait(Self::dependency("RATE_LIMITED", reason), retry_after),
            Error::Unauthorized { .. } => Self::dependency("AUTH_FAILED", reason),
            Error::OutcomeUnknown { .. } => Self::unknown("OUTCOME_UNKNOWN", reason),
            Error::Refused { code, queue, field, .. } => at(Self::business(code, queue, reason), field),
            Error::Taken { field, .. } => {
                Self::business("DOCUMENT_NUMBER_TAKEN", queue::FINANCE, reason).at_field(field)
            }
            Error::Malformed { field, .. } => at(Self::bug("REQUEST_INVALID", reason), field),
        }
    }
}

/// What people are told to look after.
fn unavailable(system: &str) -> &'static str {
    match system {
        crate::salesforce::SYSTEM => "CRM_UNAVAILABLE",
        crate::entitlement::SYSTEM => "PRODUCT_UNAVAILABLE",
        crate::scim::SYSTEM => "IDENTITY_UNAVAILABLE",
        crate::stripe::SYSTEM => "BILLING_UNAVAILABLE",
        crate::avatax::SYSTEM => "TAX_UNAVAILABLE",
        _ => "ERP_UNAVAILABLE",
    }
}

fn wait(failure: Failure, retry_after: Option<Duration>) -> Failure {
    match retry_after {
        Some(wait) => failure.retry_after(wait),
        None => failure,
    }
}

fn at(failure: Failure, field: Option<String>) -> Failure {
    match field {
        Some(field) => failure.at_field(field),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::{Class, explain};

    #[test]
    fn every_error_has_a_code_that_can_be_explained_with_the_same_class() {
        let system = "NetSuite";
        let reason = String::from("why");
        let errors = [
            (Error::Unreachable { system, reason: reason.clone() }, Class::Dependency),
            (Error::Unavailable { system, reason: reason.clone(), retry_after: None }, Class::Dependency),
            (Error::RateLimited { system, reason: reason.clone(), retry_after: None }, Class::Dependency),
            (Error::Unauthorized { system, reason: reason.clone() }, Class::Dependency),
            (Error::Changed { system, reason: reason.clone() }, Class::Dependency),
            (Error::OutcomeUnknown { system, reason: reason.clone() }, Class::Unknown),
            (Error::Taken { field: "tranId", reason: reason.clone() }, Class::Business),
            (Error::Malformed { system, field: None, reason }, Class::Bug),
        ];
        for (error, class) in errors {
            let failure = Failure::from(error);
            assert_eq!(failure.class, class, "{failure}");
            assert_eq!(explain(&failure.code).map(|entry| entry.class), Some(class), "{failure}");
        }
    }

    #[test]
    fn a_wait_that_the_other_side_asked_for_is_passed_on() {
        let error =
            Error::RateLimited { system: "NetSuite", reason: "busy".into(), retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(Failure::from(error).retry_after, Some(Duration::from_secs(7)));
    }
}
