//! What is used: in time, late, or wrong at first.

use super::{Account, Happening, Used, Why, count, due::Plan, happening::Replaced};
use crate::business::{
    calendar::DAY_MS,
    catalog::METERS,
    chance::EventId,
    money::Charge,
    rating::{Rated, amount, included, rated},
};
use jiff::civil::Date;

impl Account {
    /// Usage of the billing period that ends when the next one is billed.
    pub(super) fn measure(&mut self, at_ms: i64, contract: usize, id: EventId) -> Option<Happening> {
        let meter = self.metered(contract)?;
        let state = &self.contracts[contract];
        let period = state.current_period();
        let quantity = self.quantity(METERS[meter].included);
        let late = if self.chance.one_in(10) { quantity * self.chance.between(5, 25) / 100 } else { 0 };
        let in_time = quantity - late;
        if in_time > METERS[meter].included {
            self.plan(at_ms + 60_000, contract, Some(id), Plan::Cross { period, observed: in_time });
        }
        let used = self.used(contract, meter, period, (0, in_time));
        if late > 0 {
            let at_ms = at_ms + DAY_MS * self.chance.between(3, 12);
            self.plan(at_ms, contract, Some(id), Plan::UseLate { period, used: in_time, more: late });
        } else if self.chance.one_in(16) {
            let wrong = Replaced { batch: used.batch, quantity, amount: amount(&used.rated) };
            let at_ms = at_ms + DAY_MS * self.chance.between(2, 14);
            self.plan(at_ms, contract, Some(id), Plan::Correct { period, wrong });
        }
        self.bill_next(contract, &used.rated);
        Some(Happening::Used(used))
    }

    /// Goes on where the batch before it ended, in the tiers of the same period, and is billed with the next one.
    pub(super) fn measure_late(
        &mut self,
        contract: usize,
        period: (Date, Date),
        used: i64,
        more: i64,
    ) -> Option<Happening> {
        let meter = self.metered(contract)?;
        let used = Used { is_late: true, ..self.used(contract, meter, period, (used, used + more)) };
        self.bill_next(contract, &used.rated);
        Some(Happening::Used(used))
    }

    /// Rates the whole period again. What it is more is billed next, what it is less is credited.
    pub(super) fn correct(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        period: (Date, Date),
        wrong: Replaced,
    ) -> Option<Happening> {
        let meter = self.metered(contract)?;
        let market = self.contracts[contract].market;
        let right = wrong.quantity * self.chance.between(70, 130) / 100;
        let used = Used { replaces: Some(wrong), ..self.used(contract, meter, period, (0, right)) };
        self.bill_next(contract, &rated(market, &METERS[meter], wrong.quantity, right));
        let tax = self.tax(contract, period.1);
        let too_much = rated(market, &METERS[meter], right, wrong.quantity).into_iter();
        let charges: Vec<Charge> = too_much.map(|part| part.charge.taxed(tax)).filter(|part| part.net > 0).collect();
        if !charges.is_empty() {
            let plan = Plan::Credit { invoice: None, charges, why: Why::UsageCorrected, pays_back: None };
            self.plan(at_ms + DAY_MS, contract, Some(id), plan);
        }
        Some(Happening::Used(used))
    }

    pub(super) fn cross(&mut self, contract: usize, period: (Date, Date), observed: i64) -> Happening {
        let meter = self.contracts[contract].meter.unwrap_or_default();
        Happening::Crossed { threshold: count(&mut self.counters.thresholds), meter, period, observed }
    }

    /// The meter of a contract that runs.
    fn metered(&self, contract: usize) -> Option<usize> {
        let state = &self.contracts[contract];
        state.meter.filter(|_| !state.cancelled && !state.suspended)
    }

    /// A third stays below what is included, a few go far above it.
    fn quantity(&mut self, included: i64) -> i64 {
        match self.chance.below(12) {
            0..=3 => self.chance.between(included / 10, included),
            4..=10 => self.chance.between(included, included * 3),
            _ => self.chance.between(included * 3, included * 30),
        }
    }

    fn used(&mut self, contract: usize, meter: usize, period: (Date, Date), (from, to): (i64, i64)) -> Used {
        let market = self.contracts[contract].market;
        Used {
            batch: count(&mut self.counters.batches),
            meter,
            period,
            quantity: to - from,
            included: included(&METERS[meter], from, to),
            rated: rated(market, &METERS[meter], from, to),
            is_late: false,
            replaces: None,
        }
    }

    fn bill_next(&mut self, contract: usize, rated: &[Rated]) {
        self.contracts[contract].unbilled.extend(rated.iter().map(|part| part.charge.clone()));
    }
}
