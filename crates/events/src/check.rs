//! The rules of the wire contract that need no knowledge of the business: versions, currencies, sums, periods.

mod access;
mod analytics;
mod deals;
mod document;
mod events;
mod lifecycle;
mod replies;

use crate::{Payload, currency, period};
use failure::Failure;

/// Rules of one event type, besides those of every event.
pub trait Check {
    fn check(&self) -> Result<(), Failure>;
}

/// All rules of an event; a failure names the field and the topic's owner.
pub fn payload<T: Payload>(event: &T) -> Result<(), Failure> {
    common(event).and_then(|()| event.check()).map_err(|failure| failure.owned_by(T::OWNER))
}

fn common<T: Payload>(event: &T) -> Result<(), Failure> {
    filled(T::SUBJECT_FIELD, event.subject())?;
    if !T::IS_ABOUT_WORK {
        filled("account_id", event.account_id())?;
        filled("legal_entity_id", event.legal_entity_id())?;
    }
    if event.entity_version() < 1 {
        return Err(invalid("entity_version", "versions count from 1"));
    }
    Ok(())
}

pub(crate) fn invalid(field: impl Into<String>, reason: &str) -> Failure {
    Failure::contract("FIELD_INVALID", reason.to_owned()).at_field(field)
}

pub(crate) fn mismatch(field: impl Into<String>, reason: String) -> Failure {
    Failure::contract("SUM_MISMATCH", reason).at_field(field)
}

fn filled(field: &str, text: &str) -> Result<(), Failure> {
    if text.trim().is_empty() { Err(invalid(field, "must not be empty")) } else { Ok(()) }
}

fn active(field: &str, code: &str) -> Result<(), Failure> {
    if currency::is_active(code) {
        return Ok(());
    }
    let shown: String = code.chars().filter(|letter| letter.is_ascii_graphic()).take(8).collect();
    let reason = format!("`{shown}` is not an active ISO 4217 code");
    Err(Failure::contract("CURRENCY_UNKNOWN", reason).at_field(field))
}

fn zone(field: &str, name: &str) -> Result<(), Failure> {
    if period::is_zone(name) { Ok(()) } else { Err(invalid(field, "is not an IANA time zone such as Europe/London")) }
}

/// Most that one amount may be, either way, in minor units: ten trillion dollars. Sums of thousands of these fit into 64 bits, so that
/// whoever adds up what events say need not fear an overflow.
pub const MOST_MINOR: i64 = 1_000_000_000_000_000;

fn within(field: &str, amount: i64) -> Result<(), Failure> {
    if amount.unsigned_abs() <= MOST_MINOR.unsigned_abs() {
        return Ok(());
    }
    Err(invalid(field, "is more than 1,000,000,000,000,000 minor units, which no amount may be"))
}

fn not_negative(field: &str, amount: i64) -> Result<(), Failure> {
    if amount < 0 { Err(invalid(field, "must not be negative")) } else { within(field, amount) }
}
