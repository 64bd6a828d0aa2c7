//! The way of a contract from the closed deal to its first use. Its steps are told by different systems and may be read in any order:
//! whatever the order, the row in the end is the same.
//!
//! Steps count by the timestamps of their records. What events say of their time is what they were made of: each step of a process
//! repeats the time of the deal, so that between them no time would pass.

use super::{Plan, Source};
use crate::document::{Activation, Deal, FeedDocument, Journey, Known, Won, key, kind};
use consumer::TimerChange;
use events::{
    AnalyticsOrderToActivation, ContractActivated, EntitlementGranted, OpportunityClosedWon, OpportunityReopened,
    OrderAccepted,
};
use jiff::Timestamp;
use ledger::{DocumentKey, Millis};
use serde_json::{Value, json};

#[must_use]
pub fn of_deal(opportunity_id: &str) -> Vec<DocumentKey> {
    vec![key(kind::DEAL, opportunity_id)]
}

#[must_use]
pub fn of_contract(contract_id: &str) -> Vec<DocumentKey> {
    vec![key(kind::JOURNEY, contract_id)]
}

/// Documents of an activation: none where the contract came of no deal.
#[must_use]
pub fn of_activation(event: &ContractActivated) -> Vec<DocumentKey> {
    let Some(opportunity_id) = &event.opportunity_id else { return Vec::new() };
    of_deal(opportunity_id).into_iter().chain(of_contract(&event.contract_id)).collect()
}

/// A deal was won, at first or again.
#[must_use]
pub fn won(known: Known<'_>, event: &OpportunityClosedWon, record_ms: Millis) -> Plan {
    changed(known, &event.opportunity_id, &event.account_id, |deal| {
        let won = Won { deal_type: event.deal_type, closed_won_at: event.recorded_at, received_ms: record_ms };
        deal.won.entry(event.entity_version).or_insert(won);
    })
}

#[must_use]
pub fn reopened(known: Known<'_>, event: &OpportunityReopened, record_ms: Millis) -> Plan {
    changed(known, &event.opportunity_id, &event.account_id, |deal| {
        deal.reopened.entry(event.entity_version).or_insert(record_ms);
    })
}

/// Contracts that were active before their deal was read are told by timers: their documents are not among those of the deal.
fn changed(known: Known<'_>, opportunity_id: &str, account_id: &str, change: impl FnOnce(&mut Deal)) -> Plan {
    let before = known.deal(opportunity_id).cloned().unwrap_or_else(|| Deal::new(account_id));
    let mut after = before.clone();
    change(&mut after);
    let mut plan = Plan::default();
    for (contract_id, activated_ms) in &after.contracts {
        let won = after.won_before(*activated_ms);
        if won != before.won_before(*activated_ms) {
            let payload = json!({ JOURNEY_OF: contract_id, "won": won });
            plan.timers.push(TimerChange::Set { id: format!("journey/{contract_id}"), due_ms: *activated_ms, payload });
        }
    }
    plan.put(kind::DEAL, opportunity_id, FeedDocument::Deal(after));
    plan
}

const JOURNEY_OF: &str = "journey_of";

/// The contract whose journey a timer is about.
#[must_use]
pub fn of_timer(payload: &Value) -> Option<&str> {
    payload.get(JOURNEY_OF).and_then(Value::as_str)
}

/// The deal of a contract became known, or was won again before the contract.
#[must_use]
pub fn told(known: Known<'_>, contract_id: &str, payload: &Value) -> Plan {
    let won = payload.get("won").cloned().and_then(|won| serde_json::from_value(won).ok()).flatten();
    let Some(journey) = known.journey(contract_id) else { return Plan::default() };
    step(contract_id, Journey { won, ..journey.clone() })
}

/// The ERP took the order of a contract.
#[must_use]
pub fn accepted(known: Known<'_>, contract_id: &str, event: &OrderAccepted, record_ms: Millis) -> Plan {
    let journey = known.journey(contract_id).cloned().unwrap_or_else(|| Journey::new(&event.account_id));
    step(contract_id, Journey { accepted_ms: earliest(journey.accepted_ms, record_ms), ..journey })
}

/// The customer may use something of the contract.
#[must_use]
pub fn entitled(known: Known<'_>, event: &EntitlementGranted, record_ms: Millis) -> Plan {
    let journey = known.journey(&event.contract_id).cloned().unwrap_or_else(|| Journey::new(&event.account_id));
    let first = earliest(journey.entitled_ms, record_ms);
    if first == journey.entitled_ms {
        return Plan::default();
    }
    step(&event.contract_id, Journey { entitled_ms: first, ..journey })
}

/// Adds what the activation of a contract that came of a deal tells.
pub fn activated(plan: &mut Plan, known: Known<'_>, source: Source<'_, ContractActivated>) {
    let event = source.event;
    let Some(opportunity_id) = &event.opportunity_id else { return };
    let mut deal = known.deal(opportunity_id).cloned().unwrap_or_else(|| Deal::new(&event.account_id));
    deal.contracts.insert(event.contract_id.clone(), source.record_ms);
    let journey = known.journey(&event.contract_id).cloned().unwrap_or_else(|| Journey::new(&event.account_id));
    let activation = Activation {
        opportunity_id: opportunity_id.clone(),
        order_id: event.order_id.clone(),
        legal_entity_id: source.entity(),
        holds_at: event.effective_at,
        activated_ms: source.record_ms,
    };
    let won = deal.won_before(source.record_ms).cloned();
    plan.put(kind::DEAL, opportunity_id, FeedDocument::Deal(deal));
    let told = step(&event.contract_id, Journey { won, activation: Some(activation), ..journey });
    plan.rows.extend(told.rows);
    plan.documents.extend(told.documents);
}

fn earliest(known: Option<Millis>, at: Millis) -> Option<Millis> {
    Some(known.map_or(at, |known| known.min(at)))
}

fn step(contract_id: &str, journey: Journey) -> Plan {
    let mut plan = Plan::default();
    if let (Some(won), Some(activation)) = (&journey.won, &journey.activation) {
        plan.state(row(contract_id, &journey, won, activation));
    }
    plan.put(kind::JOURNEY, contract_id, FeedDocument::Journey(Box::new(journey)));
    plan
}

fn row(contract_id: &str, journey: &Journey, won: &Won, activation: &Activation) -> AnalyticsOrderToActivation {
    let times = [Some(won.received_ms), Some(activation.activated_ms), journey.accepted_ms, journey.entitled_ms];
    let known = times.into_iter().flatten();
    AnalyticsOrderToActivation {
        account_id: journey.account_id.clone(),
        entity_version: i64::try_from(known.clone().count()).unwrap_or(i64::MAX),
        occurred_at: activation.holds_at,
        recorded_at: at(known.max().unwrap_or_default()),
        legal_entity_id: activation.legal_entity_id.clone(),
        contract_id: contract_id.to_owned(),
        order_id: activation.order_id.clone(),
        opportunity_id: activation.opportunity_id.clone(),
        deal_type: won.deal_type,
        closed_won_at: won.closed_won_at,
        deal_received_at: at(won.received_ms),
        order_accepted_at: journey.accepted_ms.map(at),
        activated_at: at(activation.activated_ms),
        first_entitlement_at: journey.entitled_ms.map(at),
        deal_to_order_ms: journey.accepted_ms.map(|accepted| accepted.saturating_sub(won.received_ms)),
        deal_to_activation_ms: activation.activated_ms.saturating_sub(won.received_ms),
        activation_to_use_ms: journey.entitled_ms.map(|entitled| entitled.saturating_sub(activation.activated_ms)),
        ..AnalyticsOrderToActivation::default()
    }
}

fn at(ms: Millis) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

impl Deal {
    fn new(account_id: &str) -> Self {
        Self { account_id: account_id.to_owned(), ..Self::default() }
    }

    /// How the deal was won that led to a contract: the first winning after the last reopening before it.
    fn won_before(&self, activated_ms: Millis) -> Option<&Won> {
        let earlier = self.reopened.iter().filter(|(_, at)| **at <= activated_ms);
        let reopened = earlier.map(|(version, _)| *version).max().unwrap_or(0);
        self.won.iter().find(|(version, _)| **version > reopened).map(|(_, won)| won)
    }
}

impl Journey {
    fn new(account_id: &str) -> Self {
        Self { account_id: account_id.to_owned(), ..Self::default() }
    }
}
