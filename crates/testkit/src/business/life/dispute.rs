//! Payments that a bank asks back: opened, perhaps looked at again, then won or lost. What is lost is open again and stays so.

use super::{Account, Disputed, Happening, Step, count, due::Plan};
use crate::business::{calendar::DAY_MS, chance::EventId};

impl Account {
    /// Cards and direct debits; nobody takes a bank transfer back.
    pub(super) fn can_be_disputed(&self) -> bool {
        self.index % 4 < 2
    }

    pub(super) fn open_dispute(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        (payment, version): (u32, i64),
        (invoice, amount): (u32, i64),
    ) {
        let opened_ms = at_ms + DAY_MS * self.chance.between(2, 30);
        let dispute = count(&mut self.counters.disputes);
        let due_by = opened_ms + 14 * DAY_MS;
        let opened = Disputed { payment, version, dispute, invoice, amount, step: Step::Opened, due_by };
        self.plan(opened_ms, contract, Some(id), Plan::Dispute(Box::new(opened)));
    }

    /// Takes a step of a dispute, and plans the next.
    pub(super) fn dispute(&mut self, at_ms: i64, contract: usize, id: EventId, dispute: Disputed) -> Happening {
        if matches!(dispute.step, Step::Opened | Step::UnderReview) {
            let is_looked_at = dispute.step == Step::Opened && self.chance.share(0.4);
            let step = match self.chance.below(100) {
                _ if is_looked_at => Step::UnderReview,
                0..=54 => Step::Won,
                _ => Step::Lost,
            };
            let days = if is_looked_at { self.chance.between(3, 8) } else { self.chance.between(12, 40) };
            let next = Disputed { step, version: dispute.version + 1, ..dispute };
            self.plan(at_ms + days * DAY_MS, contract, Some(id), Plan::Dispute(Box::new(next)));
        }
        Happening::Disputed(dispute)
    }
}
