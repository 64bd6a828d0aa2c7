//! What is used, billed and measured.

use super::{Account, Happening, count, due::Plan};
use crate::business::{
    calendar::{at_hour, date_of, days_after},
    catalog::{METERS, PRODUCTS},
    chance::EventId,
    money::{Charge, Kind, rated},
};

impl Account {
    /// Usage of the billing period that ends when the next one is billed.
    pub(super) fn measure(&mut self, at_ms: i64, contract: usize, id: EventId) -> Option<Happening> {
        let state = &self.contracts[contract];
        let meter = state.meter.filter(|_| !state.cancelled)?;
        let period = state.period(state.billed.saturating_sub(1));
        let included = METERS[meter].included;
        // A third stays below what is included, a few go far above it.
        let quantity = match self.chance.below(12) {
            0..=3 => self.chance.between(included / 10, included),
            4..=10 => self.chance.between(included, included * 3),
            _ => self.chance.between(included * 3, included * 30),
        };
        let charges = rated(state.market, &METERS[meter], 100, quantity);
        self.contracts[contract].unbilled_usage.extend(charges.iter().cloned());
        if quantity > included {
            self.plan(at_ms + 60_000, contract, Some(id), Plan::Cross { observed: quantity });
        }
        let batch = count(&mut self.counters.batches);
        Some(Happening::Used { batch, meter, period, quantity, charges })
    }

    pub(super) fn cross(&mut self, at_ms: i64, contract: usize, observed: i64) -> Happening {
        let state = &self.contracts[contract];
        let day = date_of(at_ms);
        let (meter, period) = (state.meter.unwrap_or_default(), (month_before(day), day));
        Happening::Crossed { threshold: count(&mut self.counters.thresholds), meter, period, observed }
    }

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

fn month_before(day: jiff::civil::Date) -> jiff::civil::Date {
    days_after(day, -30)
}
