//! Event to dated facts: pure functions, one file a theme. What follows from the facts is [`carry_out`]'s to say, alike for all of them.

pub mod catalogue;
pub mod contract;
pub mod money;

use crate::{
    document::{AccessDocument, Account, kind},
    effect::AccessEffect,
    fold::instant,
    handler::Provisioning,
    reply::Told,
};
use connectors::{AdminGroup, AdminUser};
use consumer::TimerChange;
use events::common::Customer;
use failure::Failure;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use ledger::Millis;
use serde_json::json;

/// What is to be done about one input.
pub type Decision = consumer::Decision<Provisioning>;

/// When something is decided, and for when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    pub at_ms: Millis,
    pub effective_at: Timestamp,
    pub recorded_at: Timestamp,
}

impl When {
    /// Of a change whose time has come.
    pub(crate) fn due(at_ms: Millis) -> Self {
        Self { at_ms, effective_at: instant(at_ms), recorded_at: instant(at_ms) }
    }
}

/// Brings the account's access to what holds now: what is sent, what is told, what is remembered, and when to look again.
pub(crate) fn carry_out(
    service: &Provisioning,
    mut decision: Decision,
    mut account: Account,
    admin: Option<&Customer>,
    when: When,
) -> Decision {
    let at = when.at_ms.max(account.as_of_ms);
    let (effects, steps) = account.advance(at, &service.policy);
    decision.effects.extend(effects);
    if let Some(effects) =
        admin.filter(|_| service.makes_admins && !account.has_admin).and_then(|of| first_user(&account, of))
    {
        account.has_admin = true;
        decision.effects.extend(effects);
    }
    let Account { account_id, contracts, .. } = &account;
    let told = Told { account_id, contracts, when, policy: &service.policy };
    decision.publish.extend(steps.iter().map(|step| service.replies.change(step, told)));
    let next = account.next_after(at);
    if next != account.timer_ms {
        decision.timers.push(timer(&account.account_id, next));
        account.timer_ms = next;
    }
    let account_id = account.account_id.clone();
    decision.put(kind::ACCOUNT, account_id, AccessDocument::Account(Box::new(account)))
}

/// The account's one timer: for the next change that is due by itself.
fn timer(account_id: &str, due: Option<Millis>) -> TimerChange {
    let id = format!("access/{account_id}");
    match due {
        Some(due_ms) => TimerChange::Set { id, due_ms, payload: json!({ "account_id": account_id, "at_ms": due_ms }) },
        None => TimerChange::Clear { id },
    }
}

/// The customer's contact, as the tenant's first user and the first of its administrators.
fn first_user(account: &Account, customer: &Customer) -> Option<[AccessEffect; 2]> {
    let email = customer.email.as_ref()?.reveal().trim().to_owned();
    let account_id = account.account_id.clone();
    let user_id = format!("{account_id}/admin");
    let display_name = customer.trading_name.as_ref().unwrap_or(&customer.legal_name).reveal().to_owned();
    let locale = customer.locale.clone();
    let group = AdminGroup {
        group_id: format!("{account_id}/admins"),
        account_id: account_id.clone(),
        member_id: user_id.clone(),
    };
    let user = AdminUser { user_id, account_id, email, display_name, locale };
    (!user.email.is_empty()).then_some([AccessEffect::EnsureUser { user }, AccessEffect::EnsureGroup { group }])
}

/// The first instant of a day.
fn midnight(field: &str, day: Date, timezone: &str) -> Result<Millis, Failure> {
    let wrong = |reason: String| Failure::contract("FIELD_INVALID", reason).at_field(field);
    let zone = TimeZone::get(timezone).map_err(|_| wrong(format!("`{timezone}` is no IANA zone")))?;
    let start = day.to_zoned(zone).map_err(|error| wrong(format!("{day} in {timezone}: {error}")))?;
    Ok(start.timestamp().as_millisecond())
}

/// Days after a day.
fn later(field: &str, day: Date, days: i32) -> Result<Date, Failure> {
    let wrong = |_| Failure::contract("FIELD_INVALID", format!("{day}: is beyond the calendar")).at_field(field);
    day.checked_add(days.days()).map_err(wrong)
}
