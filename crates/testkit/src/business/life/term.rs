//! How terms end: renewed, not renewed, left early, and come back from.

use super::{Account, Cancelled, Happening, Why, due::Plan};
use crate::business::{
    calendar::{DAY_MS, at_hour, date_of, days_after},
    chance::EventId,
    money::{Charge, Kind, Price, Sold},
};
use jiff::civil::Date;

/// An account that left this often has done with us.
const MOST_CONTRACTS: usize = 4;

impl Account {
    pub(super) fn plan_decision(&mut self, contract: usize) {
        let state = &self.contracts[contract];
        let (end, flow) = (state.end(), state.flow);
        let day = days_after(end, -self.chance.between(5, 9));
        let jitter = self.chance.unit();
        self.plan(at_hour(day, 7, jitter), contract, Some(flow), Plan::Decide { end });
    }

    /// Renews or not, if the term still ends on that day. What is suspended is not renewed.
    pub(super) fn decide(&mut self, contract: usize, end: Date) -> Option<Happening> {
        let renews = self.chance.share(0.85);
        let uplift = self.chance.between(0, 10) * 50;
        let state = self.contracts.get_mut(contract).filter(|state| !state.cancelled && state.end() == end)?;
        state.version += 1;
        if !renews || state.suspended {
            state.cancelled = true;
            self.come_back(contract, end);
            return Some(Happening::Cancelled(Cancelled { on: end, at_once: false, is_refunded: false, fee: None }));
        }
        let before = state.lines.clone();
        for line in &mut state.lines {
            line.price = Price::of_minor((line.price.times(1) * (10_000 + uplift) + 5_000) / 10_000);
        }
        state.renewals += 1;
        state.term = (state.term.1, state.term.1 + state.renewal_months);
        self.plan_decision(contract);
        Some(Happening::Renewed { before, uplift_basis_points: uplift })
    }

    /// Leaves before the end of the term: what was paid in advance for a year comes back, or is kept; a month costs a fee at times.
    pub(super) fn leave(&mut self, at_ms: i64, contract: usize, id: EventId) -> Option<Happening> {
        let on = date_of(at_ms);
        let has_fee = self.chance.share(0.4);
        let is_kept = self.chance.share(0.4);
        let state = self.contracts.get_mut(contract).filter(|state| !state.cancelled)?;
        (state.cancelled, state.version) = (true, state.version + 1);
        let is_refunded = state.annual && !is_kept;
        let fee = (!state.annual && has_fee).then(|| state.amount()).filter(|fee| *fee > 0);
        let mut charges = std::mem::take(&mut state.unbilled);
        if let Some(fee) = fee {
            let what = Sold { product: "FEE-TERMINATION", description: "Early termination fee", unit: "fee" };
            charges.push(Charge::new(Kind::Fee, 0, what, 1, Price::of_minor(fee)));
        }
        if !charges.is_empty() {
            self.plan(at_ms + 2 * DAY_MS, contract, Some(id), Plan::BillExtra { charges });
        }
        if is_refunded {
            self.give_back(at_ms, contract, id, on);
        }
        self.come_back(contract, on);
        Some(Happening::Cancelled(Cancelled { on, at_once: true, is_refunded, fee }))
    }

    /// Credits the days that were paid and are not served.
    fn give_back(&mut self, at_ms: i64, contract: usize, id: EventId, on: Date) {
        let lines = self.contracts[contract].lines.clone();
        let parts = lines.iter().map(|line| self.prorated(contract, line.number, line.product, line.amount(), on));
        let tax = self.tax(contract, self.contracts[contract].current_period().0);
        let charges: Vec<Charge> = parts.map(|part| part.taxed(tax)).filter(|part| part.net > 0).collect();
        if !charges.is_empty() {
            let plan = Plan::Credit { invoice: None, charges, why: Why::Unserved, pays_back: None };
            self.plan(at_ms + DAY_MS, contract, Some(id), plan);
        }
    }

    /// Every eighth customer that leaves signs again later.
    fn come_back(&mut self, contract: usize, left: Date) {
        if self.contracts.len() < MOST_CONTRACTS && self.chance.one_in(8) {
            let back = days_after(left, self.chance.between(20, 90));
            self.sign(back, self.contracts[contract].market);
        }
    }
}
