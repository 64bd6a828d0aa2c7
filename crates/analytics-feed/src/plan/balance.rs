//! What an account owes one legal entity in one currency: each booking adds to it, and the whole state is published.

use super::{Plan, Source, add};
use crate::document::{FeedDocument, Known, kind};
use events::{AnalyticsAccountBalance, Payload};
use failure::Failure;
use jiff::civil::Date;
use ledger::DocumentKey;

/// The key of the balance that an event books on.
#[must_use]
pub fn id(event: &impl Payload, currency: &str) -> String {
    format!("{}/{}/{currency}", event.account_id(), event.legal_entity_id())
}

/// The document that an event books on.
#[must_use]
pub fn read(event: &impl Payload, currency: &str) -> DocumentKey {
    crate::document::key(kind::BALANCE, &id(event, currency))
}

/// What one event changes, all amounts as they add to their column.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub invoiced: i64,
    pub credited: i64,
    pub paid: i64,
    pub refunded: i64,
    pub discount: i64,
    pub written_off: i64,
}

/// Books one event, and publishes the new state. Times and days are the newest of all bookings, so that the order in which late
/// events come does not matter to the outcome.
///
/// # Errors
/// Amounts that do not fit.
pub fn book<T: Payload>(
    plan: &mut Plan,
    known: Known<'_>,
    source: Source<'_, T>,
    (currency, booked_on): (&str, Date),
    change: Change,
) -> Result<(), Failure> {
    let event = source.event;
    let balance_id = id(event, currency);
    let mut state = known.balance(&balance_id).cloned().unwrap_or_else(|| AnalyticsAccountBalance {
        account_id: source.account(),
        legal_entity_id: source.entity(),
        balance_id: balance_id.clone(),
        currency: currency.to_owned(),
        occurred_at: event.effective_at(),
        recorded_at: event.recorded_at(),
        last_booked_on: booked_on,
        ..AnalyticsAccountBalance::default()
    });
    state.entity_version += 1;
    state.occurred_at = state.occurred_at.max(event.effective_at());
    state.recorded_at = state.recorded_at.max(event.recorded_at());
    state.last_booked_on = state.last_booked_on.max(booked_on);
    add(&mut state.invoiced_minor, change.invoiced)?;
    add(&mut state.credited_minor, change.credited)?;
    add(&mut state.paid_minor, change.paid)?;
    add(&mut state.refunded_minor, change.refunded)?;
    add(&mut state.discount_minor, change.discount)?;
    add(&mut state.written_off_minor, change.written_off)?;
    state.balance_minor = owed(&state)?;
    plan.state(state.clone());
    plan.put(kind::BALANCE, &balance_id, FeedDocument::Balance(Box::new(state)));
    Ok(())
}

fn owed(state: &AnalyticsAccountBalance) -> Result<i64, Failure> {
    let less = [state.credited_minor, state.paid_minor, state.discount_minor, state.written_off_minor];
    let mut owed = state.invoiced_minor;
    add(&mut owed, state.refunded_minor)?;
    less.into_iter().try_for_each(|amount| add(&mut owed, super::negated(amount)?))?;
    Ok(owed)
}
