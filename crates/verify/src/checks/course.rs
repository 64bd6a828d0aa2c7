//! I4 on the way to cash: the tax of an order is with the engine what the order says, committed where its contract is active and void where
//! it was taken back; the tax of a renewal, whose amount no event tells, is committed where the renewal holds and void where it does not
//! happen; and nothing is billed without a contract.

use super::Finding;
use crate::{
    Check,
    effects::{Course, Taxed},
};
use events::{Event, Request, Saga, common::SagaKind, currency};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

const RULE: &str = "the tax of each order and renewal stands as it was told, and what bills has a contract";

/// The step of a process that leaves a document.
const DETERMINE: &str = "determine_tax";

/// What the service told, whatever copies there are.
#[derive(Default)]
pub struct Told {
    /// Tax of each order that was asked for, in minor units.
    taxes: BTreeMap<String, i64>,
    active: BTreeSet<String>,
    /// Orders whose taking back has begun, and whether it has ended.
    taken_back: BTreeMap<String, bool>,
    /// Changes of contracts, by their processes.
    changes: BTreeMap<String, Change>,
}

#[derive(Default)]
struct Change {
    currency: String,
    is_taxed: bool,
    is_completed: bool,
}

impl Told {
    pub fn request(&mut self, request: &Request) {
        if let Request::OrderRequested(order) = request
            && let Some(tax) = order.total_tax_minor
        {
            self.taxes.insert(order.order_id.clone(), tax);
        }
    }

    pub fn contract(&mut self, event: &Event) {
        if let Event::ContractActivated(contract) = event {
            self.active.insert(contract.contract_id.clone());
        }
    }

    pub fn saga(&mut self, saga: &Saga) {
        let Saga::SagaStep(step) = saga;
        if step.contract_id.as_ref().is_some_and(|contract| *contract != step.process_id) {
            let change = self.changes.entry(step.process_id.clone()).or_default();
            change.currency.clone_from(&step.currency);
            change.is_taxed |= step.kind == SagaKind::StepSucceeded && step.step.as_deref() == Some(DETERMINE);
            change.is_completed |= step.kind == SagaKind::Completed;
        }
        let Some(order) = step.order_id.clone() else { return };
        match step.kind {
            SagaKind::Compensating => drop(self.taken_back.entry(order).or_insert(false)),
            SagaKind::Compensated => drop(self.taken_back.insert(order, true)),
            _ => {}
        }
    }

    pub fn finish(self, course: &Course) -> Check {
        let mut finding = Finding::new();
        for (order, minor) in &self.taxes {
            let there = course.taxes.get(order);
            let Some(there) = there else {
                finding.expect(false, || format!("{order}: a tax of {minor} was told, the engine has no document"));
                continue;
            };
            finding.expect(in_minor(there) == Some((*minor).into()), || {
                format!(
                    "{order}: a tax of {minor} was told, the engine has {} {}",
                    there.total_tax, there.currency_code
                )
            });
            let back = self.taken_back.get(order).copied();
            let fits = match there.status.as_str() {
                "Committed" => back != Some(true),
                "Cancelled" => back.is_some(),
                _ => back != Some(true) && !self.active.contains(order),
            };
            finding.expect(fits, || {
                let state = match back {
                    None => "goes on",
                    Some(false) => "is being taken back",
                    Some(true) => "was taken back",
                };
                format!("{order}: its tax document is {}, and the order {state}", there.status)
            });
        }
        self.renewals(course, &mut finding);
        let is_told = |order: &String| self.taxes.contains_key(order) || self.changes.contains_key(order);
        for (order, there) in course.taxes.iter().filter(|(order, _)| !is_told(order)) {
            finding.expect(there.status == "Cancelled", || {
                format!("{order}: a tax document for an order that nobody asked for")
            });
        }
        let bills = |status: &str| matches!(status, "active" | "not_started");
        for (contract, status) in course.schedules.iter().filter(|(_, status)| bills(status)) {
            finding.expect(self.active.contains(contract), || {
                format!("{contract}: billing is {status}, and no contract was told")
            });
        }
        finding.check("I4", RULE, "tax documents and schedules compared")
    }

    /// Their amounts are told nowhere: state and currency are compared.
    fn renewals(&self, course: &Course, finding: &mut Finding) {
        for (id, change) in &self.changes {
            let Some(there) = course.taxes.get(id) else {
                finding.expect(!change.is_taxed, || format!("{id}: its tax was told, the engine has no document"));
                continue;
            };
            let fits = match (self.taken_back.get(id).copied(), there.status.as_str()) {
                (Some(true), status) => status == "Cancelled",
                (Some(false), _) => true,
                (None, status) => status == "Committed" || status == "Saved" && !change.is_completed,
            };
            finding
                .expect(fits, || format!("{id}: its tax document is {}, and that is not what was told", there.status));
            finding.expect(there.currency_code == change.currency, || {
                format!("{id}: it is in {}, its tax document in {}", change.currency, there.currency_code)
            });
        }
    }
}

fn in_minor(tax: &Taxed) -> Option<Decimal> {
    let exponent = currency::exponent(&tax.currency_code)?;
    let total: Decimal = tax.total_tax.to_string().parse().ok()?;
    total.checked_mul(Decimal::from(10_u64.pow(exponent)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{ContractActivated, OrderRequested, SagaStep};

    fn told(id: &str) -> Told {
        let mut told = Told::default();
        let order = OrderRequested { order_id: id.into(), total_tax_minor: Some(7250), ..OrderRequested::default() };
        told.request(&order.into());
        told.contract(&ContractActivated { contract_id: id.into(), ..ContractActivated::default() }.into());
        told
    }

    fn saga(told: &mut Told, id: &str, kind: SagaKind) {
        told.saga(&SagaStep { order_id: Some(id.into()), kind, ..SagaStep::default() }.into());
    }

    fn there(status: &str, tax: &str, schedule: &str) -> Course {
        let taxed = serde_json::json!({ "code": "O-1", "status": status, "currencyCode": "USD" });
        let mut taxed = taxed.as_object().expect("an object").clone();
        taxed.insert("totalTax".to_owned(), serde_json::from_str(tax).expect("a number"));
        let taxed: Taxed = serde_json::from_value(taxed.into()).expect("a document");
        let schedules = BTreeMap::from([("O-1".to_owned(), schedule.to_owned())]);
        Course { taxes: BTreeMap::from([("O-1".to_owned(), taxed)]), schedules }
    }

    #[test]
    fn an_active_contract_has_the_tax_that_was_told_committed() {
        for (status, tax, ok) in [
            ("Committed", "72.5", true),
            ("Committed", "72.49", false),
            ("Saved", "72.5", false),
            ("Cancelled", "72.5", false),
        ] {
            let check = told("O-1").finish(&there(status, tax, "active"));
            assert_eq!(check.ok, ok, "{status} {tax}: {}", check.detail);
        }
        assert!(!told("O-1").finish(&Course::default()).ok, "a document that is gone is found");
    }

    #[test]
    fn what_was_taken_back_is_void_and_what_is_being_taken_back_may_be_either() {
        for (kinds, status, ok) in [
            (&[SagaKind::Compensating][..], "Committed", true),
            (&[SagaKind::Compensating], "Cancelled", true),
            (&[SagaKind::Compensating, SagaKind::Compensated], "Committed", false),
            (&[SagaKind::Compensating, SagaKind::Compensated], "Cancelled", true),
        ] {
            let mut told = told("O-1");
            kinds.iter().for_each(|kind| saga(&mut told, "O-1", *kind));
            let check = told.finish(&there(status, "72.5", "canceled"));
            assert_eq!(check.ok, ok, "{kinds:?} {status}: {}", check.detail);
        }
    }

    #[test]
    fn the_tax_of_a_renewal_is_committed_where_it_holds_and_void_where_it_does_not_happen() {
        let all = [SagaKind::StepSucceeded, SagaKind::Completed, SagaKind::Compensating, SagaKind::Compensated];
        let [taxed, completed, compensating, compensated] = all;
        for (kinds, status, ok) in [
            (&[taxed][..], "Saved", true),
            (&[taxed, completed], "Saved", false),
            (&[taxed, completed], "Committed", true),
            (&[taxed, completed], "Cancelled", false),
            (&[taxed, compensating], "Committed", true),
            (&[taxed, compensating, compensated], "Committed", false),
            (&[taxed, compensating, compensated], "Cancelled", true),
        ] {
            let mut told = told("O-1");
            for kind in kinds {
                let step = SagaStep {
                    process_id: "O-1/R-1".into(),
                    order_id: Some("O-1/R-1".into()),
                    contract_id: Some("O-1".into()),
                    step: (*kind == taxed).then(|| DETERMINE.to_owned()),
                    kind: *kind,
                    currency: "USD".into(),
                    ..SagaStep::default()
                };
                told.saga(&step.into());
            }
            let mut course = there("Committed", "72.5", "active");
            let renewal = there(status, "5", "active").taxes.remove("O-1").expect("a document");
            course.taxes.insert("O-1/R-1".into(), renewal);
            let check = told.finish(&course);
            assert_eq!(check.ok, ok, "{kinds:?} {status}: {}", check.detail);
        }
    }

    #[test]
    fn nothing_is_billed_without_a_contract() {
        let check = Told::default().finish(&there("Cancelled", "72.5", "not_started"));
        assert!(!check.ok && check.detail.contains("no contract was told"), "{}", check.detail);
        assert!(Told::default().finish(&there("Cancelled", "72.5", "canceled")).ok);
        assert!(!Told::default().finish(&there("Saved", "72.5", "canceled")).ok, "nobody asked for it");
    }
}
