//! Money that goes back: what was paid too much, what was paid in error, and what is credited after it was paid.
//!
//! What a refund opens again stays open: how much an invoice has open in the end must not depend on the order in which the topics are read.

use super::{
    Account, OutOf, Paid, Why,
    due::{Pay, Plan},
};
use crate::business::{calendar::DAY_MS, chance::EventId, money::Charge};

impl Account {
    /// What becomes of a payment after it was received: mostly nothing.
    pub(super) fn after_payment(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        paid: &Paid,
        returned: Option<Charge>,
    ) {
        let pays_back = (paid.payment, paid.version + 1);
        let Some(&(invoice, amount)) = paid.allocations.first() else { return };
        if let Some(charge) = returned {
            let (charges, pays_back) = (vec![charge], Some(pays_back));
            let plan = Plan::Credit { invoice: Some(invoice), charges, why: Why::Returned, pays_back };
            self.plan(at_ms + 3 * DAY_MS, contract, Some(id), plan);
        } else if paid.unapplied > 0 {
            self.pay_back_the_rest(at_ms, contract, id, pays_back, paid.unapplied);
        } else if self.chance.share(0.02) {
            let amount = self.whole_or_part(amount);
            self.refund(at_ms, contract, id, pays_back, OutOf::Invoice(invoice), amount);
        } else if self.can_be_disputed() && self.chance.share(0.06) {
            let amount = self.whole_or_part(amount);
            self.open_dispute(at_ms, contract, id, pays_back, (invoice, amount));
        }
    }

    /// What was paid too much goes back, at once or for the most part.
    fn pay_back_the_rest(&mut self, at_ms: i64, contract: usize, id: EventId, of: (u32, i64), rest: i64) {
        if self.chance.share(0.5) {
            let amount = self.whole_or_part(rest);
            self.refund(at_ms, contract, id, of, OutOf::Balance, amount);
        }
    }

    /// The whole amount, or a part of it above zero.
    fn whole_or_part(&mut self, amount: i64) -> i64 {
        if self.chance.share(0.6) { amount } else { self.chance.between(1, amount) }
    }

    fn refund(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        (payment, version): (u32, i64),
        out_of: OutOf,
        amount: i64,
    ) {
        let back_ms = at_ms + DAY_MS * self.chance.between(4, 20);
        self.plan(back_ms, contract, Some(id), Plan::Refund { payment, version, out_of, amount });
    }

    /// An invoice that is paid, then credited in part, and the credit paid out.
    pub(super) fn pay_and_take_back(
        &mut self,
        at_ms: i64,
        contract: usize,
        cause: EventId,
        (invoice, open): (u32, i64),
        charges: &[Charge],
    ) {
        let returned = self.part_of(charges);
        let pay = Pay { allocations: Box::new([(invoice, open)]), returned, ..Pay::default() };
        self.plan(at_ms, contract, Some(cause), Plan::Pay(Box::new(pay)));
    }

    /// What a credit note gives back is paid out.
    pub(super) fn pay_out(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        of: (u32, i64),
        credit_note: u32,
        charges: &[Charge],
    ) {
        let amount = charges.iter().map(Charge::gross).sum();
        self.refund(at_ms, contract, id, of, OutOf::CreditNote(credit_note), amount);
    }
}
