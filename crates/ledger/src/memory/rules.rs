//! Standing rules and outlooks of the memory ledger, and how long decisions are kept there.

use super::state::State;
use crate::Result;
use crate::jobs::{ItemFilter, ItemState, Verb};
use crate::rules::{self, DecisionHorizon, LetterRule, Outlook};
use crate::types::NewAudit;
use std::collections::{BTreeMap, HashSet};

#[derive(Default)]
pub(super) struct Rules {
    pub rules: BTreeMap<String, LetterRule>,
    pub outlooks: BTreeMap<(i32, String), Outlook>,
}

impl State {
    pub(super) fn add_rule(&mut self, rule: &LetterRule, audit: &NewAudit) -> Result<()> {
        rules::check(rule)?;
        if let Some(found) = self.rules.rules.get(&rule.id) {
            return rules::again(found, rule);
        }
        self.rules.rules.insert(rule.id.clone(), rule.clone());
        self.record(audit);
        Ok(())
    }

    pub(super) fn remove_rule(&mut self, id: &str, audit: &NewAudit) -> Result<()> {
        self.rules.rules.remove(id).ok_or_else(|| rules::unknown(id))?;
        self.record(audit);
        Ok(())
    }

    pub(super) fn put_outlooks(&mut self, slice: i32, outlooks: &[Outlook]) {
        self.rules.outlooks.retain(|(known, _), _| *known != slice);
        let rows = outlooks.iter().map(|outlook| ((slice, outlook.fingerprint.clone()), outlook.clone()));
        self.rules.outlooks.extend(rows);
    }

    pub(super) fn prune_decisions(&mut self, horizon: DecisionHorizon) -> u64 {
        let all = ItemFilter { limit: usize::MAX, ..ItemFilter::default() };
        let is_over = |id: &&String| {
            let Some(job) = self.jobs.job(id) else { return false };
            let is_prediction = job.spec.verb == Verb::Predict;
            let before = if is_prediction { horizon.predictions_ms } else { horizon.decisions_ms };
            let is_alive = |row| self.parked_record(row).is_some_and(|row| row.fate.state.is_alive());
            job.updated_ms < before
                && self.jobs.items(id, &all).iter().all(|item| {
                    item.result.state != ItemState::Pending
                        && item.result.changed_ms < before
                        && (is_prediction || !is_alive(&item.row))
                })
        };
        let over: Vec<String> = self.jobs.ids().filter(is_over).cloned().collect();
        over.iter().for_each(|id| self.jobs.forget(id));
        self.rules.rules.retain(|_, rule| rule.ends_ms >= horizon.decisions_ms);
        let known: HashSet<String> = self.all_parked().filter_map(|row| row.fate.fingerprint.clone()).collect();
        self.jobs.groups.retain(|fingerprint, group| {
            let newest = group.updated_ms.max(group.until_ms.unwrap_or(0));
            newest >= horizon.decisions_ms || known.contains(fingerprint)
        });
        over.len() as u64
    }
}
