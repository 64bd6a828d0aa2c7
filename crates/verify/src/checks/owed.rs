//! Σ invoiced − credited − written off − paid + paid back = Σ shown in the CRM + Σ parked + Σ dead-lettered, per currency and exactly.

use super::finding::{Finding, unchecked};
use crate::{Check, Known, input::Input};
use events::{Event, Uid, common::DisputeStatus, currency::exponent};
use ledger::{Disposition, ParkedState};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashSet};

const RULE: &str = "per currency: owed by what was published = shown in the CRM + parked + dead-lettered";

/// In minor units.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    published: i128,
    /// Of events that did not take effect: parked, dead-lettered, discarded, unread.
    held: i128,
}

#[derive(Default)]
pub struct Sums {
    sums: BTreeMap<String, Sum>,
    /// A copy moves no money.
    seen: HashSet<Uid>,
}

impl Sums {
    pub fn take(&mut self, input: &Input) {
        let Some((currency, amount)) = input.event.as_ref().and_then(moved) else { return };
        if input.is_copy() || input.uid.is_some_and(|uid| !self.seen.insert(uid)) {
            return;
        }
        let sum = self.sums.entry(currency.to_owned()).or_default();
        sum.published += i128::from(amount);
        if !took_effect(input) {
            sum.held += i128::from(amount);
        }
    }

    pub fn finish(self, known: &Known) -> Check {
        let Some(owed) = &known.owed else { return unchecked("I4", RULE) };
        let mut finding = Finding::new();
        let mut told = Vec::new();
        for (currency, Sum { published, held }) in &self.sums {
            let places = exponent(currency).unwrap_or_default();
            let shown = owed.get(currency).copied().unwrap_or_default();
            let expected = Decimal::from_i128_with_scale(published - held, places);
            finding.expect(shown == expected, || {
                format!("{currency}: the CRM shows {shown}, what was published and took effect comes to {expected}")
            });
            told.push(format!("{currency} {expected} shown"));
            if *held != 0 {
                told.push(format!("+ {} held back", Decimal::from_i128_with_scale(*held, places)));
            }
        }
        for (currency, shown) in owed.iter().filter(|(currency, _)| !self.sums.contains_key(*currency)) {
            finding.expect(shown.is_zero(), || format!("{currency}: the CRM shows {shown}, nothing was published"));
        }
        let mut check = finding.check("I4", RULE, "currencies");
        if check.ok {
            check.detail = told.join(", ");
        }
        check
    }
}

/// Whether the event is part of what is shown. One that a later state of the same thing replaced is.
fn took_effect(input: &Input) -> bool {
    match input.parked {
        Some(ParkedState::Applied | ParkedState::Duplicate | ParkedState::Superseded) => true,
        Some(
            ParkedState::Waiting
            | ParkedState::LetterPending
            | ParkedState::DeadLettered
            | ParkedState::Discarded
            | ParkedState::Skipped
            | ParkedState::Moved
            | ParkedState::Erased,
        ) => false,
        None => input.told.is_some_and(|told| matches!(told.first, Disposition::Applied | Disposition::Superseded)),
    }
}

/// By how much an event changes what is owed, and in which currency.
fn moved(event: &Event) -> Option<(&str, i64)> {
    match event {
        Event::InvoicePosted(invoice) => Some((&invoice.currency, invoice.totals.payable_minor)),
        Event::CreditNoteIssued(note) => Some((&note.currency, -note.totals.payable_minor)),
        Event::InvoiceMarkedUncollectible(off) => Some((&off.currency, -off.write_off_minor)),
        Event::PaymentReceived(payment) => {
            let given =
                |allocation: &events::common::PaymentAllocation| allocation.discount_minor + allocation.write_off_minor;
            let without_money: i64 = payment.allocations.iter().map(given).sum();
            Some((&payment.currency, -payment.amount_minor - without_money))
        }
        Event::PaymentRefunded(refund) => Some((&refund.currency, refund.amount_minor)),
        Event::PaymentDisputed(dispute) if dispute.status == DisputeStatus::Lost => {
            Some((&dispute.currency, dispute.amount_minor))
        }
        _ => None,
    }
}
