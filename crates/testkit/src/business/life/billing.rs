//! What is billed.

use super::{Account, Happening, count, due::Plan};
use crate::business::{
    calendar::{at_hour, date_of},
    catalog::PRODUCTS,
    chance::EventId,
    money::{Charge, Kind},
};

impl Account {
    pub(super) fn bill(&mut self, at_ms: i64, contract: usize, id: EventId, is_redone: bool) -> Option<Happening> {
        if self.contracts[contract].cancelled {
            return None;
        }
        if !is_redone && self.chance.share(0.02) {
            return Some(self.void_draft(at_ms, contract, id));
        }
        let tax = self.tax(contract, date_of(at_ms));
        let state = &mut self.contracts[contract];
        let period = state.period(state.billed);
        state.billed += 1;
        let recurring = state.lines.iter().map(|line| {
            Charge::new(Kind::Recurring, line.number, (&PRODUCTS[line.product]).into(), line.seats, line.price)
        });
        let charges = recurring.chain(std::mem::take(&mut state.unbilled_usage));
        let charges: Vec<Charge> = charges.map(|charge| charge.taxed(tax)).collect();
        let metered = state.meter.is_some();
        let jitter = self.chance.unit();
        if metered {
            self.plan(at_hour(period.1, 6, jitter), contract, Some(id), Plan::Use);
        }
        self.plan(at_hour(period.1, 9, jitter), contract, Some(id), Plan::Bill { is_redone: false });
        let invoice = count(&mut self.counters.invoices);
        self.settle(at_ms, contract, id, invoice, &charges);
        Some(Happening::Billed { invoice, period, charges, sum_error: 0 })
    }
}
