//! Journal entries of disputes: what is disputed stands on an account of its own from the first step until it is decided. Which step is the
//! first follows from the versions of the payment, not from the order in which the records lie in the topic.

use super::money::{Ended, Money};
use events::{Event, common::DisputeStatus};
use std::collections::BTreeMap;

/// One step of a dispute.
#[derive(Debug, Clone)]
pub struct Step {
    dispute_id: String,
    version: i64,
    status: DisputeStatus,
    currency: String,
    amount_minor: i64,
}

pub fn step(event: &Event) -> Option<Step> {
    let Event::PaymentDisputed(event) = event else { return None };
    Some(Step {
        dispute_id: event.dispute_id.clone(),
        version: event.entity_version,
        status: event.status,
        currency: event.currency.clone(),
        amount_minor: event.amount_minor,
    })
}

/// The steps of all disputes, by dispute and version; of several with one version the first counts.
#[derive(Default)]
pub struct Steps(BTreeMap<String, BTreeMap<i64, (Step, Ended)>>);

impl Steps {
    pub fn add(&mut self, step: Step, ended: Ended) {
        let versions = self.0.entry(step.dispute_id.clone()).or_default();
        versions.entry(step.version).or_insert((step, ended));
    }

    /// The entry that each step must make.
    pub fn journals(&self) -> impl Iterator<Item = (Money, Ended)> {
        self.0.values().flat_map(entries).map(|(step, amount_minor, ended)| {
            (Money { object: "journalEntry", currency: step.currency.clone(), amount_minor }, ended)
        })
    }
}

/// Opened once, and taken back by what was opened.
fn entries(steps: &BTreeMap<i64, (Step, Ended)>) -> Vec<(&Step, i64, Ended)> {
    let mut open = None;
    let mut entries = Vec::new();
    for (step, ended) in steps.values() {
        let amount = match (step.status, open) {
            (DisputeStatus::Opened | DisputeStatus::UnderReview, None) => {
                open = Some(step.amount_minor);
                open
            }
            (DisputeStatus::Won | DisputeStatus::Lost, Some(_)) => open.take(),
            _ => None,
        };
        entries.extend(amount.map(|amount| (step, amount, *ended)));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked(steps: &[(i64, DisputeStatus, i64)]) -> Vec<(i64, i64)> {
        let mut disputes = Steps::default();
        for (version, status, amount_minor) in steps {
            let step = Step {
                dispute_id: "D-1".to_owned(),
                version: *version,
                status: *status,
                currency: "GBP".to_owned(),
                amount_minor: *amount_minor,
            };
            disputes.add(step, (None, None));
        }
        let booked = disputes.0.values().flat_map(entries);
        booked.map(|(step, amount_minor, _)| (step.version, amount_minor)).collect()
    }

    #[test]
    fn a_dispute_is_booked_when_it_is_opened_and_when_it_is_decided_whatever_the_order_of_its_records() {
        use DisputeStatus::{Lost, Opened, UnderReview, Won};
        assert_eq!(booked(&[(4, Won, 500), (2, Opened, 500), (3, UnderReview, 500)]), [(2, 500), (4, 500)]);
        assert_eq!(
            booked(&[(2, UnderReview, 300), (3, Lost, 200)]),
            [(2, 300), (3, 300)],
            "what was opened is taken back"
        );
        assert_eq!(booked(&[(2, Lost, 200)]), [], "a loss without a dispute moves no money between accounts");
    }
}
