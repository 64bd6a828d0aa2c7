//! How invoices are paid, credited, or not.

use super::{Account, Happening, Plan, count};
use crate::business::{calendar::DAY_MS, chance::EventId, money::Charge};

impl Account {
    /// Decides how an invoice will be paid. What is credited and paid never exceeds what it asks for.
    pub(super) fn settle(&mut self, at_ms: i64, contract: usize, id: EventId, invoice: u32, charges: &[Charge]) {
        let open: i64 = charges.iter().map(Charge::gross).sum();
        let due_ms = at_ms
            + DAY_MS * (i64::from(self.terms.1) + self.chance.between(-5, 10))
            + self.chance.between(0, 3_600_000);
        match self.chance.below(100) {
            0..=59 => self.pay_with_carried(due_ms, contract, id, invoice, open),
            60..=70 => {
                let first = open * self.chance.between(30, 70) / 100;
                self.pay(due_ms - 5 * DAY_MS, contract, id, &[(invoice, first)], 0);
                self.pay(due_ms + 9 * DAY_MS, contract, id, &[(invoice, open - first)], 0);
            }
            71..=74 => self.pay(due_ms, contract, id, &[(invoice, open / 2)], 0),
            75..=79 => {
                let too_much = 1 + open / self.chance.between(10, 100);
                self.pay(due_ms, contract, id, &[(invoice, open)], too_much);
            }
            80..=86 => {
                let payment = count(&mut self.counters.payments);
                let plan = Plan::Fail { payment, attempt: 1, invoice, amount: open };
                self.plan(due_ms, contract, Some(id), plan);
            }
            87..=92 => self.credit_then_pay(at_ms, due_ms, contract, id, (invoice, open), charges),
            93..=95 => self.carried.push((invoice, open)),
            96 => self.goodwill(due_ms, contract, id, charges),
            // Never paid: it stays open.
            _ => {}
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
            self.plan(at_ms, contract, Some(cause), Plan::Pay { payment: None, version: 1, allocations, unapplied });
        }
    }

    pub(super) fn pay_with_carried(&mut self, at_ms: i64, contract: usize, cause: EventId, invoice: u32, open: i64) {
        let mut allocations = std::mem::take(&mut self.carried);
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
            Plan::Credit { invoice: Some(invoice), charge: Box::new(charge) },
        );
        self.pay(due_ms, contract, cause, &[(invoice, rest)], 0);
    }

    /// A credit that stands on the account.
    pub(super) fn goodwill(&mut self, at_ms: i64, contract: usize, cause: EventId, charges: &[Charge]) {
        if let Some(charge) = self.part_of(charges) {
            self.plan(at_ms, contract, Some(cause), Plan::Credit { invoice: None, charge: Box::new(charge) });
        }
    }

    /// A part of one charge, never more than the charge itself.
    pub(super) fn part_of(&mut self, charges: &[Charge]) -> Option<Charge> {
        let charge = charges.get(self.chance.below(charges.len() as u64) as usize)?;
        let part = charge.part(self.market, self.chance.between(1, charge.quantity));
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
            let allocations = Box::new([(invoice, amount)]);
            let version = i64::from(attempt) + 1;
            self.plan(
                again,
                contract,
                Some(id),
                Plan::Pay { payment: Some(payment), version, allocations, unapplied: 0 },
            );
        } else if attempt < 3 {
            self.plan(again, contract, Some(id), Plan::Fail { payment, attempt: attempt + 1, invoice, amount });
        }
        let next_at = (recovers || attempt < 3).then_some(again);
        Happening::PaymentFailed { payment, attempt, invoice, amount, next_at }
    }
}
