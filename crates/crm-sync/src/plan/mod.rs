//! Event and known state to what is shown: pure functions, one file a theme.
//!
//! A plan looks the version up first, then whether the account is there, then says the whole state that follows.

pub mod case;
pub mod contract;
pub mod credit;
pub mod dunning;
pub mod invoice;
pub mod payment;
pub mod usage;

use crate::{
    document::{CrmDocument, Known, Receivable, Subject, key, kind, receivable_key},
    effect::CrmEffect,
    handler::CrmSync,
};
use connectors::IsoCurrency;
use events::{Payload, currency::exponent};
use failure::Failure;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use ledger::DocumentKey;

/// What is to be done about one event.
pub type Decision = consumer::Decision<CrmSync>;

fn currency(code: &str) -> Result<IsoCurrency, Failure> {
    let exponent = exponent(code).ok_or_else(|| {
        Failure::contract("CURRENCY_UNKNOWN", format!("`{code}` is not an active ISO 4217 code")).at_field("currency")
    })?;
    Ok(IsoCurrency { code: code.to_owned(), exponent })
}

/// The CRM has the account as soon as a contract of it was shown.
fn account(known: Known<'_>, event: &impl Payload) -> Result<(), Failure> {
    let account_id = event.account_id();
    if known.has_account(account_id) {
        return Ok(());
    }
    let reason = format!("no contract of account `{account_id}` was activated yet, so that the CRM does not have it");
    Err(Failure::not_yet("CUSTOMER_NOT_CREATED", account_id, reason).at_field("account_id"))
}

/// The receivable that an event changes, as it was; its revision counts this change already.
fn receivable(known: Known<'_>, event: &impl Payload, code: &str) -> Result<Receivable, Failure> {
    account(known, event)?;
    let mut receivable = match known.receivable(event.account_id(), code) {
        Some(receivable) => receivable.clone(),
        None => Receivable::new(event.account_id(), currency(code)?),
    };
    receivable.revision += 1;
    Ok(receivable)
}

/// Keeps a receivable and shows it.
fn show(decision: Decision, receivable: Receivable) -> Result<Decision, Failure> {
    let effect = CrmEffect::ShowReceivable { receivable: receivable.shown()?, revision: receivable.revision };
    let key = receivable_key(&receivable.account_id, &receivable.currency.code);
    Ok(decision.effect(effect).put(kind::RECEIVABLE, key, CrmDocument::Receivable(receivable)))
}

/// The newest version of something.
fn subject(event: &impl Payload, status: &str, due_on: Option<Date>) -> CrmDocument {
    CrmDocument::Subject(Subject {
        account_id: event.account_id().to_owned(),
        entity_version: event.entity_version(),
        status: status.to_owned(),
        due_on,
    })
}

fn version_of(known: Known<'_>, kind: &str, id: &str) -> Option<i64> {
    known.subject(kind, id).map(|subject| subject.entity_version)
}

/// The account, and what it owes in a currency.
fn reads_of(account_id: &str, currency: &str) -> Vec<DocumentKey> {
    vec![key(kind::ACCOUNT, account_id), key(kind::RECEIVABLE, &receivable_key(account_id, currency))]
}

/// The local day of an instant; in UTC where the zone is none.
fn day(at: Timestamp, timezone: &str) -> Date {
    at.to_zoned(TimeZone::get(timezone).unwrap_or(TimeZone::UTC)).date()
}
