//! A contract that came of a deal, as far as its own process needs it: its newest version, its lines, its term. Nothing personal.

use crate::{
    change::{Change, ChangeStage},
    course::Court,
    document::{FlowDocument, Known, kind},
    follow,
    handler::OrderFlow,
    step::Step,
};
use consumer::{Decision, TimerChange};
use events::{
    ContractAmended, ContractCancelled, OrderRequested, SubscriptionRenewalAccepted,
    common::{ContractLine, LineChange, Term},
    version,
};
use failure::Failure;
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::json;

type Decided = Result<Decision<OrderFlow>, Failure>;

/// A timer that tells of a renewal that is coming.
pub(crate) const RENEWAL_DUE: &str = "renewal_due";

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContractState {
    pub account_id: String,
    pub opportunity_id: String,
    pub legal_entity_id: String,
    pub entity_version: i64,
    pub currency: String,
    pub timezone: String,
    pub is_cancelled: bool,
    /// The day after the last one of the term; absent for an open-ended one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_on: Option<Date>,
    #[serde(default)]
    pub auto_renews: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_days: Option<i32>,
    #[serde(default)]
    pub value_minor: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<ContractLine>,
    /// Amendments so far.
    #[serde(default)]
    pub amendments: i32,
    /// The end of the term whose renewal was announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<Date>,
    /// Language of the customer's documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

impl ContractState {
    /// The contract of an order, when it becomes active.
    pub(crate) fn of(request: &OrderRequested) -> Self {
        let mut contract = Self {
            account_id: request.account_id.clone(),
            opportunity_id: request.opportunity_id.clone(),
            legal_entity_id: request.legal_entity_id.clone(),
            entity_version: 1,
            currency: request.currency.clone(),
            value_minor: request.total_net_minor,
            lines: request.lines.clone(),
            locale: request.customer.locale.clone(),
            ..Self::default()
        };
        contract.take(&request.term);
        contract
    }

    fn take(&mut self, term: &Term) {
        self.timezone.clone_from(&term.timezone);
        self.end_on = term.end_on;
        self.auto_renews = term.auto_renew;
        self.notice_days = term.renewal_notice_days;
    }

    pub(crate) fn amend(&mut self, event: &ContractAmended) {
        self.entity_version = event.entity_version;
        self.amendments = self.amendments.max(event.sequence_no);
        self.value_minor = self.value_minor.saturating_add(event.delta_tcv_minor);
        change(&mut self.lines, &event.changes);
        if let Some(term) = &event.new_term {
            self.take(term);
        }
    }

    /// A contract that was cancelled before stays so.
    pub(crate) fn renew(&mut self, event: &SubscriptionRenewalAccepted) {
        self.entity_version = event.entity_version;
        if self.is_cancelled {
            return;
        }
        self.take(&event.renewed_term);
        self.value_minor = event.total_contract_value_minor.unwrap_or(self.value_minor);
        if !event.lines_after.is_empty() {
            self.lines.clone_from(&event.lines_after);
        }
    }

    /// The first instant of the day by which notice must be given, and that day; only a contract that renews by itself has one.
    pub(crate) fn notice(&self) -> Option<(Timestamp, Date)> {
        let end_on = self.end_on.filter(|_| self.auto_renews && !self.is_cancelled)?;
        let day = end_on.checked_sub(i64::from(self.notice_days?).days()).ok()?;
        let zone = TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC);
        Some((day.to_zoned(zone).ok()?.timestamp(), day))
    }

    /// The timer of its next renewal: set anew with each change, so that it fires for the term that holds.
    fn reminder(&self, contract_id: &str, cause: Option<&str>) -> TimerChange {
        let id = format!("{RENEWAL_DUE}:{contract_id}");
        let due = self.notice().filter(|_| self.announced != self.end_on);
        let Some((due, _)) = due else { return TimerChange::Clear { id } };
        let payload = json!({
            "what": RENEWAL_DUE, "account_id": self.account_id, "opportunity_id": self.opportunity_id, "contract_id": contract_id,
            "event_id": cause, "effective_at": due, "recorded_at": due, "ends_on": self.end_on,
        });
        TimerChange::Set { id, due_ms: due.as_millisecond(), payload }
    }
}

fn change(lines: &mut Vec<ContractLine>, changes: &[LineChange]) {
    for change in changes {
        let known = lines.iter().position(|line| line.contract_line_id == change.contract_line_id);
        match (known, &change.after) {
            (Some(at), Some(after)) => lines[at] = after.clone(),
            (Some(at), None) => drop(lines.remove(at)),
            (None, Some(after)) => lines.push(after.clone()),
            (None, None) => {}
        }
    }
}

impl Step<'_> {
    /// Keeps a contract of the deal, and the timer of its next renewal.
    pub(crate) fn keep(&mut self, contract_id: &str, contract: ContractState) {
        self.decision.timers.push(contract.reminder(contract_id, self.cause.event_id.as_deref()));
        self.put(kind::CONTRACT, contract_id, FlowDocument::Contract(Box::new(contract)));
    }
}

/// A contract of ours was amended outside of its process: noted in the order of its versions, and billed.
pub(crate) fn amended(step: Step<'_>, known: Known<'_>, court: Court<'_>, event: &ContractAmended) -> Decided {
    noted(step, known, (&event.contract_id, event.entity_version), |step, contract| {
        contract.amend(event);
        let Some(order) = follow::amendment(&step.deal, contract, event) else { return };
        let change = Change {
            contract_id: event.contract_id.clone(),
            legal_entity_id: event.legal_entity_id.clone(),
            entity_version: event.entity_version,
            stage: ChangeStage::Done,
            currency: event.currency.clone(),
            amount_minor: event.delta_tcv_minor.saturating_abs(),
            contract_version: Some(event.entity_version),
            order: Some(order),
            ..Change::default()
        };
        step.deal.changes.insert(event.amendment_id.clone(), change);
        follow::go_on(step, court, &event.contract_id);
    })
}

/// The same for a cancellation.
pub(crate) fn cancelled(step: Step<'_>, known: Known<'_>, event: &ContractCancelled) -> Decided {
    noted(step, known, (&event.contract_id, event.entity_version), |_, contract| {
        contract.entity_version = event.entity_version;
        contract.is_cancelled = true;
    })
}

fn noted(
    mut step: Step<'_>,
    known: Known<'_>,
    (contract_id, entity_version): (&str, i64),
    change: impl FnOnce(&mut Step<'_>, &mut ContractState),
) -> Decided {
    let mut contract = known_contract(known, contract_id)?.clone();
    if step.is_ours() && entity_version <= contract.entity_version {
        return Ok(Decision::skip("order-flow told it itself"));
    }
    version::next(contract_id, Some(contract.entity_version), entity_version)?;
    change(&mut step, &mut contract);
    step.keep(contract_id, contract);
    Ok(step.done())
}

/// A contract of a deal that is known: it comes with the acceptance of its order.
pub(crate) fn known_contract<'a>(known: Known<'a>, contract_id: &str) -> Result<&'a ContractState, Failure> {
    known.contract(contract_id).ok_or_else(|| {
        let reason = format!("contract `{contract_id}` is not active yet");
        Failure::not_yet("CONTRACT_NOT_ACTIVE", contract_id, reason).at_field("contract_id")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn contract() -> ContractState {
        ContractState {
            end_on: Some(date(2027, 1, 1)),
            auto_renews: true,
            notice_days: Some(30),
            timezone: "America/New_York".into(),
            ..ContractState::default()
        }
    }

    #[test]
    fn notice_is_due_at_midnight_of_the_contracts_own_zone_and_only_where_it_renews_by_itself() {
        let (at, day) = contract().notice().expect("a day");
        assert_eq!((at.to_string().as_str(), day), ("2026-12-02T05:00:00Z", date(2026, 12, 2)));
        for other in [
            ContractState { auto_renews: false, ..contract() },
            ContractState { is_cancelled: true, ..contract() },
            ContractState { end_on: None, ..contract() },
            ContractState { notice_days: None, ..contract() },
        ] {
            assert_eq!(other.notice(), None, "{other:?}");
        }
    }

    #[test]
    fn a_term_that_was_announced_is_not_announced_again_and_the_next_one_is() {
        let announced = ContractState { announced: Some(date(2027, 1, 1)), ..contract() };
        assert!(matches!(announced.reminder("C-1", None), TimerChange::Clear { .. }));
        let next = ContractState { end_on: Some(date(2028, 1, 1)), ..announced };
        assert!(matches!(next.reminder("C-1", None), TimerChange::Set { .. }));
    }
}
