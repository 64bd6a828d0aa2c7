//! Σ in = Σ took effect + Σ waiting + Σ parked + Σ dead-lettered + Σ written off, per object and currency, in exact minor units.

use super::{
    disputes::{self, Steps},
    finding::{Finding, unchecked},
};
use crate::{Check, Known, input::Input};
use events::{Event, Uid, UsageRated, common::DisputeStatus};
use ledger::{Disposition, ParkedState};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

const RULE: &str = "per currency: published = took effect + parked + dead-lettered + written off";

/// Money that an event moves, by the object it becomes outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    pub object: &'static str,
    pub currency: String,
    pub amount_minor: i64,
}

/// Where a record ended: by the journal, and by its parked row if it has one.
pub type Ended = (Option<Disposition>, Option<ParkedState>);

/// Sum of one object and currency.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Sum {
    published: i128,
    /// By the outside system's own log.
    effects: i128,
    parked: i128,
    dead_lettered: i128,
    written_off: i128,
    /// Added up by the service and not sent yet.
    waiting: i128,
    /// In the topic and not taken yet.
    unread: i128,
}

impl Sum {
    /// Counts what an event moves, where it ended.
    fn put(&mut self, amount: i128, (disposition, parked): Ended) {
        self.published += amount;
        let Some(disposition) = disposition else {
            self.unread += amount;
            return;
        };
        match parked {
            Some(ParkedState::Waiting | ParkedState::LetterPending) => self.parked += amount,
            Some(ParkedState::DeadLettered) => self.dead_lettered += amount,
            Some(
                ParkedState::Discarded
                | ParkedState::Skipped
                | ParkedState::Superseded
                | ParkedState::Moved
                | ParkedState::Erased,
            ) => self.written_off += amount,
            Some(ParkedState::Applied | ParkedState::Duplicate) => {}
            None if disposition == Disposition::Applied => {}
            None => self.written_off += amount,
        }
    }

    const fn difference(&self) -> i128 {
        self.published - self.effects - self.waiting - self.parked - self.dead_lettered - self.written_off - self.unread
    }
}

/// By object and currency, in minor units.
type ByObject = BTreeMap<(String, String), Sum>;

#[derive(Default)]
pub struct Sums {
    sums: ByObject,
    /// Events that were counted: each counts once, by its identity, for a copy moves no money.
    seen: HashMap<Arc<str>, HashSet<Uid>>,
    /// What each batch of usage counts for: a correction moves the difference.
    charged: HashMap<String, i64>,
    disputes: Steps,
}

impl Sums {
    pub fn take(&mut self, input: &Input) {
        let Some(event) = &input.event else { return };
        let (money, step) = (self.moved(event), disputes::step(event));
        if (money.is_none() && step.is_none()) || input.is_copy() {
            return;
        }
        let is_first = input.uid.is_none_or(|uid| self.seen.entry(input.place.topic.clone()).or_default().insert(uid));
        if !is_first {
            return;
        }
        let ended = (input.told.map(|told| told.first), input.parked);
        if let Some(money) = money {
            put(&mut self.sums, money, ended);
        }
        if let Some(step) = step {
            self.disputes.add(step, ended);
        }
    }

    fn moved(&mut self, event: &Event) -> Option<Money> {
        let (object, currency, amount_minor) = match event {
            Event::InvoicePosted(invoice) => ("invoice", &invoice.currency, invoice.totals.tax_inclusive_minor),
            Event::CreditNoteIssued(credit) => ("creditMemo", &credit.currency, credit.totals.tax_inclusive_minor),
            Event::PaymentReceived(payment) => ("customerPayment", &payment.currency, payment.amount_minor),
            Event::InvoiceMarkedUncollectible(off) => ("creditMemo", &off.currency, off.write_off_minor),
            Event::PaymentRefunded(refund) => ("customerRefund", &refund.currency, refund.amount_minor),
            Event::PaymentDisputed(dispute) if dispute.status == DisputeStatus::Lost => {
                ("customerRefund", &dispute.currency, dispute.amount_minor)
            }
            Event::UsageRated(usage) => ("charge", &usage.currency, self.rated(usage)),
            _ => return None,
        };
        Some(Money { object, currency: currency.clone(), amount_minor })
    }

    fn rated(&mut self, usage: &UsageRated) -> i64 {
        let before = self.charged.insert(usage.usage_batch_id.clone(), usage.amount_minor).unwrap_or(0);
        let corrected = usage.corrects_usage_batch_id.as_ref().and_then(|id| self.charged.insert(id.clone(), 0));
        usage.amount_minor - before - corrected.unwrap_or(0)
    }

    pub fn finish(mut self, known: &Known) -> Check {
        let Some(effects) = &known.effects else { return unchecked("I4", RULE) };
        for (money, ended) in self.disputes.journals() {
            put(&mut self.sums, money, ended);
        }
        for (place, amount) in &known.waiting {
            if let Some(sum) = self.sums.get_mut(place) {
                sum.waiting += amount;
            }
        }
        for effect in effects.iter().filter(|effect| effect.operation == "create") {
            if let (Some(amount), Some(currency)) = (effect.amount_minor, &effect.currency)
                && let Some(sum) = self.sums.get_mut(&(effect.object.clone(), currency.clone()))
            {
                sum.effects += i128::from(amount);
            }
        }
        told(&self.sums)
    }
}

fn put(sums: &mut ByObject, money: Money, ended: Ended) {
    let sum = sums.entry((money.object.to_owned(), money.currency)).or_default();
    sum.put(i128::from(money.amount_minor), ended);
}

fn told(sums: &ByObject) -> Check {
    let mut finding = Finding::new();
    let mut told = Vec::new();
    for ((object, currency), sum) in sums {
        finding.expect(sum.difference() == 0, || {
            let accounted = sum.published - sum.difference();
            format!("{object} {currency}: published {}, accounted for {accounted}", sum.published)
        });
        told.push(format!("{object} {currency} {} = {} done", sum.published, sum.effects));
        let rest = [
            ("waiting to be charged", sum.waiting),
            ("parked", sum.parked),
            ("dead-lettered", sum.dead_lettered),
            ("written off", sum.written_off),
            ("unread", sum.unread),
        ];
        for (name, amount) in rest.into_iter().filter(|(_, amount)| *amount != 0) {
            told.push(format!("+ {amount} {name}"));
        }
    }
    let mut check = finding.check("I4", RULE, "sums");
    if check.ok {
        check.detail = told.join(", ");
    }
    check
}
