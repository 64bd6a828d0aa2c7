//! Invoices that end without money: drafts that are voided, and posted ones that nobody expects to be paid any more.

use super::{Account, Happening, count, due::Plan};
use crate::business::{
    calendar::{DAY_MS, date_of},
    catalog::PRODUCTS,
    chance::EventId,
    money::{Charge, Kind},
};

impl Account {
    /// A draft with a wrong quantity. It was never posted, so it may be voided; the right invoice follows under the next number.
    pub(super) fn void_draft(&mut self, at_ms: i64, contract: usize, id: EventId) -> Happening {
        let line = &self.contracts[contract].lines[0];
        let (sold, seats) = ((&PRODUCTS[line.product]).into(), line.seats * 10);
        let tax = self.tax(contract, date_of(at_ms));
        let draft = Charge::new(Kind::Recurring, line.number, sold, seats, line.price).taxed(tax);
        self.plan(at_ms + 7_200_000, contract, Some(id), Plan::Bill { is_redone: true });
        Happening::Voided { invoice: count(&mut self.counters.invoices), payable: draft.gross() }
    }

    /// What is open for long is written off, mostly.
    pub(super) fn give_up(&mut self, at_ms: i64, contract: usize, cause: EventId, invoice: u32, amount: i64) {
        if amount > 0 && self.chance.share(0.6) {
            let late_ms = at_ms + DAY_MS * self.chance.between(45, 100);
            self.plan(late_ms, contract, Some(cause), Plan::WriteOff { invoice, amount });
        }
    }
}
