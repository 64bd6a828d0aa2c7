//! How invoices are paid, credited, or not.

use super::{
    Account, Happening, Paid, Why, count,
    due::{Pay, Plan},
};
use crate::business::{calendar::DAY_MS, chance::EventId, money::Charge};

impl Account {
    /// Decides how an invoice will be paid. What is credited, paid and written off never exceeds what it asks for.
    pub(super) fn settle(&mut self, at_ms: i64, contract: usize, id: EventId, invoice: u32, charges: &[Charge]) {
        let open: i64 = charges.iter().map(Charge::gross).sum();
        let due_ms = at_ms
            + DAY_MS * (i64::from(self.terms.1) + self.chance.between(-5, 10))
            + self.chance.between(0, 3_600_000);
        match self.chance.below(100) {
            0..=57 => self.pay_with_carried(due_ms, contract, id, invoice, open),
            58..=68 => {
                let first = open * self.chance.between(30, 70) / 100;
                self.pay(due_ms - 5 * DAY_MS, contract, id, &[(invoice, first)], 0);
                self.pay(due_ms + 9 * DAY_MS, contract, id, &[(invoice, open - first)], 0);
            }
            69..=72 => {
                self.pay(due_ms, contract, id, &[(invoice, open / 2)], 0);
                self.give_up(due_ms, contract, id, invoice, open - open / 2);
            }
            73..=77 => {
                let too_much = 1 + open / self.chance.between(10, 100);
                self.pay(due_ms, contract, id, &[(invoice, open)], too_much);
            }
            78..=84 => {
                let payment = count(&mut self.counters.payments);
                let plan = Plan::Fail { payment, attempt: 1, invoice, amount: open };
                self.plan(due_ms, contract, Some(id), plan);
            }
            85..=90 => self.credit_then_pay(at_ms, due_ms, contract, id, (invoice, open), charges),
            91..=93 => self.carried.push((contract, invoice, open)),
            94 => self.goodwill(due_ms, contract, id, charges),
            95..=96 => self.pay_and_take_back(due_ms, contract, id, (invoice, open), charges),
            // Never paid: it stays open until nobody expects the money any more.
            _ => self.give_up(due_ms, contract, id, invoice, open),
        }
    }

    pub(super) fn pay(
        &mut self,
        at_ms: i64,
        contract: usize,
        cause: EventId,
        allocations: &[(u32, i64)],
        unapplied: i64,
    ) {
        let allocations: Box<[_]> = allocations.iter().copied().filter(|(_, amount)| *amount > 0).collect();
        if !allocations.is_empty() {
            let pay = Pay { allocations, unapplied, ..Pay::default() };
            self.plan(at_ms, contract, Some(cause), Plan::Pay(Box::new(pay)));
        }
    }

    /// Money arrives; some of it will not stay.
    pub(super) fn receive(&mut self, at_ms: i64, contract: usize, id: EventId, pay: Pay) -> Happening {
        let Pay { known, allocations, unapplied, returned } = pay;
        let (payment, version) = known.unwrap_or_else(|| (count(&mut self.counters.payments), 1));
        let paid = Paid { payment, version, allocations, unapplied };
        self.after_payment(at_ms, contract, id, &paid, returned);
        Happening::Paid(paid)
    }

    pub(super) fn pay_with_carried(&mut self, at_ms: i64, contract: usize, cause: EventId, invoice: u32, open: i64) {
        let carried = self.carried.extract_if(.., |(of, ..)| *of == contract);
        let mut allocations: Vec<_> = carried.map(|(_, invoice, open)| (invoice, open)).collect();
        allocations.push((invoice, open));
        self.pay(at_ms, contract, cause, &allocations, 0);
    }

    pub(super) fn credit_then_pay(
        &mut self,
        at_ms: i64,
        due_ms: i64,
        contract: usize,
        cause: EventId,
        (invoice, open): (u32, i64),
        charges: &[Charge],
    ) {
        let Some(charge) = self.part_of(charges) else { return };
        let rest = open - charge.gross();
        self.plan(
            at_ms + 2 * DAY_MS,
            contract,
            Some(cause),
            Plan::Credit { invoice: Some(invoice), charges: vec![charge], why: Why::Overcharge, pays_back: None },
        );
        self.pay(due_ms, contract, cause, &[(invoice, rest)], 0);
    }

    /// A credit that stands on the account.
    pub(super) fn goodwill(&mut self, at_ms: i64, contract: usize, cause: EventId, charges: &[Charge]) {
        if let Some(charge) = self.part_of(charges) {
            let plan = Plan::Credit { invoice: None, charges: vec![charge], why: Why::Goodwill, pays_back: None };
            self.plan(at_ms, contract, Some(cause), plan);
        }
    }

    /// A part of one charge, never more than the charge itself.
    pub(super) fn part_of(&mut self, charges: &[Charge]) -> Option<Charge> {
        let charge = charges.get(self.chance.below(charges.len() as u64) as usize)?;
        let part = charge.part(self.chance.between(1, charge.quantity));
        (part.net > 0).then_some(part)
    }

    /// Card declined; tried again up to twice, and paid or given up.
    pub(super) fn fail(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        (payment, attempt): (u32, i32),
        invoice: u32,
        amount: i64,
    ) -> Happening {
        let again = at_ms + 3 * DAY_MS;
        let recovers = self.chance.share(0.6);
        if recovers {
            let known = Some((payment, i64::from(attempt) + 1));
            let pay = Pay { known, allocations: Box::new([(invoice, amount)]), ..Pay::default() };
            self.plan(again, contract, Some(id), Plan::Pay(Box::new(pay)));
        } else if attempt < 3 {
            self.plan(again, contract, Some(id), Plan::Fail { payment, attempt: attempt + 1, invoice, amount });
        } else {
            self.give_up(at_ms, contract, id, invoice, amount);
        }
        let next_at = (recovers || attempt < 3).then_some(again);
        Happening::PaymentFailed { payment, attempt, invoice, amount, next_at }
    }
}
