//! How contracts come, change and go.

use super::{Account, Contract, Happening, Line, due::Plan};
use crate::business::{
    calendar::{DAY_MS, at_hour, date_of, days_after, months_after},
    catalog::{METERS, Market, PRODUCTS},
    chance::EventId,
    money::Price,
};
use jiff::civil::Date;

impl Account {
    pub(super) fn sign(&mut self, start: Date, market: &'static Market) {
        let annual = self.chance.one_in(5);
        let term_months = if annual { 12 } else { [1, 3, 3, 6, 12][self.chance.below(5) as usize] };
        let lines = self.first_lines(market, annual);
        let meter = (!annual && self.chance.share(0.4)).then(|| self.chance.below(METERS.len() as u64) as usize);
        let number = self.contracts.len();
        self.contracts.push(Contract {
            number: number as u32 + 1,
            market,
            start,
            end: months_after(start, term_months),
            term_months,
            annual,
            lines,
            meter,
            version: 0,
            amendments: 0,
            renewals: 0,
            billed: 0,
            cancelled: false,
            unbilled_usage: Vec::new(),
            flow: EventId::NIL,
        });
        let jitter = self.chance.unit();
        self.plan(at_hour(start, 5, jitter), number, None, Plan::Activate);
    }

    /// Most customers are small; one in forty is big, and its account is a hot key.
    pub(super) fn first_lines(&mut self, market: &Market, annual: bool) -> Vec<Line> {
        let (products, seats) = match self.chance.below(40) {
            0 => (PRODUCTS.len() as u64, self.chance.between(200, 5_000)),
            1..=9 => (self.chance.between(2, 4) as u64, self.chance.between(20, 200)),
            _ => (self.chance.between(1, 2) as u64, self.chance.between(1, 25)),
        };
        let rebate_percent = self.chance.between(0, 6) * 5;
        (0..products as usize)
            .map(|product| priced(market, product as u16 + 1, product, seats, rebate_percent, annual))
            .collect()
    }

    pub(super) fn activate(&mut self, contract: usize, id: EventId) -> Happening {
        let jitter = self.chance.unit();
        let state = &mut self.contracts[contract];
        (state.flow, state.version) = (id, 1);
        let (start, end) = (state.start, state.end);
        self.plan(at_hour(start, 9, jitter), contract, Some(id), Plan::Bill { is_redone: false });
        self.plan_decision(contract, end);
        if self.chance.share(0.3) {
            let day = days_after(start, self.chance.between(5, 60));
            self.plan(at_hour(day, 8, jitter), contract, Some(id), Plan::Amend);
        }
        if self.chance.share(0.06) {
            let day = days_after(start, self.chance.between(15, 120));
            self.plan(at_hour(day, 12, jitter), contract, Some(id), Plan::Leave);
        }
        Happening::Activated
    }

    pub(super) fn plan_decision(&mut self, contract: usize, end: Date) {
        let day = days_after(end, -self.chance.between(5, 9));
        let jitter = self.chance.unit();
        let flow = self.contracts[contract].flow;
        self.plan(at_hour(day, 7, jitter), contract, Some(flow), Plan::Decide);
    }

    pub(super) fn amend(&mut self, at_ms: i64, contract: usize) -> Option<Happening> {
        let wants_more = self.chance.share(0.7);
        let extra = self.chance.between(1, 10);
        let place = self.chance.below(self.contracts[contract].lines.len() as u64) as usize;
        let added = PRODUCTS.len() - 1;
        let Contract { market, annual, .. } = self.contracts[contract];
        let new_line = priced(market, 50, added, extra, 0, annual);
        let flow = self.contracts[contract].flow;
        let state = &mut self.contracts[contract];
        if state.cancelled {
            return None;
        }
        state.version += 1;
        state.amendments += 1;
        let has_it = state.lines.iter().any(|line| line.product == added);
        let (before, after) = if wants_more || has_it {
            let before = state.lines[place].clone();
            state.lines[place].seats += extra;
            (Some(before), state.lines[place].clone())
        } else {
            state.lines.push(new_line.clone());
            (None, new_line)
        };
        if self.chance.share(0.4) {
            let again = at_ms + DAY_MS * self.chance.between(30, 80);
            self.plan(again, contract, Some(flow), Plan::Amend);
        }
        Some(Happening::Amended { before, after })
    }

    pub(super) fn decide(&mut self, contract: usize) -> Option<Happening> {
        let renews = self.chance.share(0.85);
        let uplift = self.chance.between(0, 10) * 50;
        let state = &mut self.contracts[contract];
        if state.cancelled {
            return None;
        }
        state.version += 1;
        if !renews {
            state.cancelled = true;
            return Some(Happening::Cancelled { on: state.end, at_once: false });
        }
        let before = state.lines.clone();
        for line in &mut state.lines {
            line.price = Price::of_minor((line.price.times(1) * (10_000 + uplift) + 5_000) / 10_000);
        }
        state.renewals += 1;
        state.end = months_after(state.start, state.term_months * (state.renewals + 1));
        let end = state.end;
        self.plan_decision(contract, end);
        Some(Happening::Renewed { before, uplift_basis_points: uplift })
    }

    pub(super) fn leave(&mut self, at_ms: i64, contract: usize) -> Option<Happening> {
        let state = &mut self.contracts[contract];
        if state.cancelled {
            return None;
        }
        (state.cancelled, state.version) = (true, state.version + 1);
        Some(Happening::Cancelled { on: date_of(at_ms), at_once: true })
    }
}

/// A line at the list price of its market less a rebate.
fn priced(market: &Market, number: u16, product: usize, seats: i64, rebate_percent: i64, annual: bool) -> Line {
    let monthly = (PRODUCTS[product].price * market.price_level * (100 - rebate_percent) / 100).max(1);
    Line { number, product, seats, price: Price::of_minor(if annual { monthly * 12 } else { monthly }) }
}
