//! What is billed.

use super::{Account, Contract, Happening, count, due::Plan};
use crate::business::{
    calendar::{at_hour, date_of, days_after},
    catalog::PRODUCTS,
    chance::EventId,
    money::{Charge, Kind},
};
use jiff::civil::Date;

impl Account {
    pub(super) fn bill(&mut self, at_ms: i64, contract: usize, id: EventId, is_redone: bool) -> Option<Happening> {
        if self.contracts[contract].cancelled {
            return None;
        }
        // A month that is suspended is not billed; a year is paid whatever happens in it.
        let is_paused = self.contracts[contract].suspended && !self.contracts[contract].annual;
        if !is_paused && !is_redone && self.chance.share(0.02) {
            return Some(self.void_draft(at_ms, contract, id));
        }
        let tax = self.tax(contract, date_of(at_ms));
        let state = &mut self.contracts[contract];
        let period = state.period(state.billed);
        state.billed += 1;
        let metered = state.meter.is_some();
        let jitter = self.chance.unit();
        if metered {
            self.plan(at_hour(period.1, 6, jitter), contract, Some(id), Plan::Use);
        }
        self.plan(at_hour(period.1, 9, jitter), contract, Some(id), Plan::Bill { is_redone: false });
        if is_paused {
            return None;
        }
        let charges = due(&mut self.contracts[contract]).into_iter().map(|charge| charge.taxed(tax)).collect();
        Some(self.invoice(at_ms, contract, id, period, charges))
    }

    /// An invoice out of turn.
    pub(super) fn bill_extra(&mut self, at_ms: i64, contract: usize, id: EventId, charges: Vec<Charge>) -> Happening {
        let day = date_of(at_ms);
        let tax = self.tax(contract, day);
        let period = (day, self.contracts[contract].current_period().1.max(days_after(day, 1)));
        let charges = charges.into_iter().map(|charge| charge.taxed(tax)).collect();
        self.invoice(at_ms, contract, id, period, charges)
    }

    fn invoice(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        period: (Date, Date),
        charges: Vec<Charge>,
    ) -> Happening {
        let invoice = count(&mut self.counters.invoices);
        self.settle(at_ms, contract, id, invoice, &charges);
        Happening::Billed { invoice, period, charges, sum_error: 0 }
    }
}

/// The next period of every line, and what waits for the next invoice.
fn due(state: &mut Contract) -> Vec<Charge> {
    let recurring = state.lines.iter().map(|line| {
        Charge::new(Kind::Recurring, line.number, (&PRODUCTS[line.product]).into(), line.seats, line.price)
    });
    recurring.chain(std::mem::take(&mut state.unbilled)).collect()
}
