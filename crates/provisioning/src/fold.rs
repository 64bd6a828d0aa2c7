//! Dated facts and an instant to the access that holds then, and what has to change for it: pure, and the same whatever the order in which
//! the facts came.

use crate::{
    document::{Account, Change, Contract, Dated, Line},
    effect::AccessEffect,
    policy::Policy,
};
use connectors::{EntitlementState, EntitlementStatus as Status, TenantState};
use events::common::EntitlementReason as Reason;
use jiff::Timestamp;
use ledger::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// A change of access, and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub before: Option<EntitlementState>,
    pub after: EntitlementState,
    pub reason: Reason,
    pub legal_entity_id: String,
    /// When access was to end, of a contract that was cancelled.
    pub ends_ms: Option<Millis>,
}

/// A contract at an instant.
#[derive(Debug, Default)]
struct Terms {
    lines: BTreeMap<String, Line>,
    valid_to_ms: Option<Millis>,
    ends_ms: Option<Millis>,
    is_suspended: bool,
    reason: Reason,
}

impl Contract {
    fn in_order(&self) -> Vec<&Dated> {
        let mut changes: Vec<&Dated> = self.changes.iter().collect();
        changes.sort_by_key(|dated| (dated.at_ms, dated.version));
        changes
    }

    fn terms(&self, at: Millis) -> Terms {
        let mut terms = Terms::default();
        for dated in self.in_order().into_iter().filter(|dated| dated.at_ms <= at) {
            match &dated.change {
                Change::Lines(lines) => {
                    for (id, line) in lines {
                        match line {
                            Some(line) => terms.lines.insert(id.clone(), line.clone()),
                            None => terms.lines.remove(id),
                        };
                    }
                }
                Change::Term(end) => terms.valid_to_ms = *end,
                Change::Suspend => terms.is_suspended = true,
                Change::Resume => terms.is_suspended = false,
                Change::End(end) => terms.ends_ms = Some(*end),
            }
            terms.reason = dated.reason;
        }
        terms.valid_to_ms = [terms.valid_to_ms, terms.ends_ms].into_iter().flatten().min();
        terms
    }

    /// Everything that changes something by itself when its time comes.
    fn instants(&self) -> impl Iterator<Item = Millis> {
        self.changes.iter().flat_map(|dated| {
            let end = match dated.change {
                // It holds from the later of both.
                Change::End(end) => Some(end.max(dated.at_ms)),
                _ => None,
            };
            std::iter::once(dated.at_ms).chain(end)
        })
    }
}

impl Account {
    fn instants(&self) -> impl Iterator<Item = Millis> {
        let of_contracts = self.contracts.values().flat_map(Contract::instants);
        let of_dunning = self.dunning.values().flat_map(|of| std::iter::once(of.from_ms).chain(of.paid_ms));
        of_contracts.chain(of_dunning)
    }

    /// When something changes next by itself.
    pub(crate) fn next_after(&self, at: Millis) -> Option<Millis> {
        self.instants().filter(|instant| *instant > at).min()
    }

    /// Brings access to what holds at `at`: what to send, in order, and what is to be told.
    pub(crate) fn advance(&mut self, at: Millis, policy: &Policy) -> (Vec<AccessEffect>, Vec<Step>) {
        self.as_of_ms = self.instants().filter(|instant| *instant <= at).max().unwrap_or(0).max(self.as_of_ms);
        let is_over = |of: &crate::document::Suspension| of.paid_ms.is_some_and(|paid| paid <= at);
        let unpaid = self.dunning.values().any(|of| of.from_ms <= at && !is_over(of));
        let was_paid = self.dunning.values().any(is_over);
        self.dunning.retain(|_, of| !is_over(of));
        let (mut effects, mut steps, mut tier) = (Vec::new(), Vec::new(), None);
        let contracts: Vec<(String, Terms, Contract)> =
            self.contracts.iter().map(|(id, contract)| (id.clone(), contract.terms(at), contract.clone())).collect();
        for (_, terms, _) in contracts.iter().filter(|(_, terms, _)| !terms.has_ended(at)) {
            for line in terms.lines.values() {
                tier = policy.better(tier, line.support_tier.as_deref());
            }
        }
        effects.extend(self.set_tenant(tier.map(str::to_owned)));
        for (id, terms, contract) in &contracts {
            for after in self.wanted(id, terms, contract, (at, unpaid)) {
                let before = self.set.get(&after.entitlement_id).cloned();
                let Some(after) = changed(before.as_ref(), after) else { continue };
                let reason = reason(before.as_ref(), &after, terms, (at, unpaid, was_paid));
                effects.push(AccessEffect::SetEntitlement { entitlement: after.clone() });
                self.set.insert(after.entitlement_id.clone(), after.clone());
                let (legal_entity_id, ends_ms) = (contract.legal_entity_id.clone(), terms.ends_ms);
                steps.push(Step { before, after, reason, legal_entity_id, ends_ms });
            }
        }
        (effects, steps)
    }

    fn set_tenant(&mut self, support_tier: Option<String>) -> Option<AccessEffect> {
        if self.contracts.is_empty() || self.tenant.as_ref().is_some_and(|known| known.support_tier == support_tier) {
            return None;
        }
        let revision = self.tenant.as_ref().map_or(0, |known| known.revision) + 1;
        let tenant = TenantState { tenant_id: self.account_id.clone(), support_tier, revision };
        self.tenant = Some(tenant.clone());
        Some(AccessEffect::SetTenant { tenant })
    }

    /// The entitlements of a contract as they are to be, those that it gave before and does not any more last.
    fn wanted(
        &self,
        contract_id: &str,
        terms: &Terms,
        contract: &Contract,
        (at, unpaid): (Millis, bool),
    ) -> Vec<EntitlementState> {
        let status = match () {
            () if terms.has_ended(at) => Status::Revoked,
            () if terms.is_suspended || unpaid => Status::Suspended,
            () => Status::Active,
        };
        let mut wanted = Vec::new();
        for (line_id, line) in &terms.lines {
            for (feature, quantity) in &line.features {
                wanted.push(EntitlementState {
                    entitlement_id: format!("{contract_id}/{line_id}/{feature}"),
                    tenant_id: self.account_id.clone(),
                    contract_id: contract_id.to_owned(),
                    contract_line_id: (line_id != NO_LINE).then(|| line_id.clone()),
                    feature: feature.clone(),
                    quantity: *quantity,
                    status,
                    valid_from: instant(contract.valid_from_ms),
                    // The platform ends it by itself; it never ends before it began.
                    valid_to: terms.valid_to_ms.map(|end| instant(end.max(contract.valid_from_ms))),
                    revision: 0,
                });
            }
        }
        let kept: BTreeSet<String> = wanted.iter().map(|state| state.entitlement_id.clone()).collect();
        let gone = self.set.values().filter(|state| state.contract_id == contract_id);
        let gone = gone.filter(|state| !kept.contains(&state.entitlement_id));
        wanted.extend(gone.map(|state| EntitlementState { status: Status::Revoked, ..state.clone() }));
        wanted
    }
}

/// The line of what no line pays for.
pub(crate) const NO_LINE: &str = "-";

impl Terms {
    fn has_ended(&self, at: Millis) -> bool {
        self.ends_ms.is_some_and(|end| end <= at)
    }
}

pub(crate) fn instant(ms: Millis) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The new state with its revision, where it differs. What was never given is not taken away.
fn changed(before: Option<&EntitlementState>, after: EntitlementState) -> Option<EntitlementState> {
    match before {
        None if after.status == Status::Revoked => None,
        None => Some(EntitlementState { revision: 1, ..after }),
        // What is revoked is over: later dates of its contract change nothing of it.
        Some(before) if before.status == Status::Revoked && after.status == Status::Revoked => None,
        Some(before) => {
            let after = EntitlementState { revision: before.revision, ..after };
            (after != *before).then(|| EntitlementState { revision: before.revision + 1, ..after })
        }
    }
}

fn reason(
    before: Option<&EntitlementState>,
    after: &EntitlementState,
    terms: &Terms,
    (at, unpaid, was_paid): (Millis, bool, bool),
) -> Reason {
    let was = before.map(|before| before.status);
    match (was, after.status) {
        (_, Status::Revoked) if terms.has_ended(at) => Reason::Cancelled,
        (Some(Status::Active | Status::Revoked), Status::Suspended) if unpaid => Reason::NonPayment,
        (Some(Status::Active | Status::Revoked), Status::Suspended) => Reason::Suspended,
        (Some(Status::Suspended), Status::Active) if was_paid => Reason::Paid,
        (Some(Status::Suspended), Status::Active) => Reason::Resumed,
        (
            None | Some(Status::Active | Status::Suspended | Status::Revoked),
            Status::Active | Status::Suspended | Status::Revoked,
        ) => terms.reason,
    }
}
