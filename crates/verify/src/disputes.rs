//! Journal entries of disputes: what is disputed stands on an account of its own from the first step until it is decided. Which step is the
//! first follows from the versions of the payment, not from the order in which the records lie in the topic.

use crate::{
    World,
    topics::{Money, Place},
};
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

/// The entry that each step must make, by the place of its record; a copy of a step makes none.
pub fn journals(world: &World) -> BTreeMap<&Place, Money> {
    let mut disputes: BTreeMap<&str, BTreeMap<i64, (&Place, &Step)>> = BTreeMap::new();
    for (place, input) in &world.topics.inputs {
        if let Some(step) = &input.dispute {
            disputes.entry(&step.dispute_id).or_default().entry(step.version).or_insert((place, step));
        }
    }
    let mut journals = BTreeMap::new();
    for (place, step) in disputes.into_values().flat_map(entries) {
        let (currency, amount_minor) = (step.0.currency.clone(), step.1);
        journals.insert(place, Money { object: "journalEntry", currency, amount_minor });
    }
    journals
}

/// Opened once, and taken back by what was opened.
fn entries<'a>(steps: BTreeMap<i64, (&'a Place, &'a Step)>) -> Vec<(&'a Place, (&'a Step, i64))> {
    let mut open = None;
    let mut entries = Vec::new();
    for (place, step) in steps.into_values() {
        let amount = match (step.status, open) {
            (DisputeStatus::Opened | DisputeStatus::UnderReview, None) => {
                open = Some(step.amount_minor);
                open
            }
            (DisputeStatus::Won | DisputeStatus::Lost, Some(_)) => open.take(),
            _ => None,
        };
        entries.extend(amount.map(|amount| (place, (step, amount))));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked(steps: &[(i64, DisputeStatus, i64)]) -> Vec<(i64, i64)> {
        let place: Place = ("payment.disputed.v1".to_owned(), 0, 0);
        let steps: Vec<Step> = steps
            .iter()
            .map(|(version, status, amount_minor)| Step {
                dispute_id: "D-1".to_owned(),
                version: *version,
                status: *status,
                currency: "GBP".to_owned(),
                amount_minor: *amount_minor,
            })
            .collect();
        let by_version = steps.iter().map(|step| (step.version, (&place, step))).collect();
        entries(by_version).into_iter().map(|(_, (step, amount))| (step.version, amount)).collect()
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
