//! How contracts are signed and become active.

use super::{Account, Contract, Happening, Line, due::Plan, ramp::Ramp};
use crate::business::{
    calendar::{at_hour, days_after},
    catalog::{METERS, Market, PRODUCTS},
    chance::EventId,
    money::Price,
};
use jiff::civil::Date;

impl Account {
    pub(super) fn sign(&mut self, start: Date, market: &'static Market) {
        let annual = self.chance.one_in(5);
        let renewal_months = if annual { 12 } else { [1, 3, 3, 6, 12][self.chance.below(5) as usize] };
        let ramp = self.ramp(annual, renewal_months);
        let lines = self.first_lines(market, annual);
        let meter = (!annual && self.chance.share(0.4)).then(|| self.chance.below(METERS.len() as u64) as usize);
        let place = self.contracts.len();
        self.contracts.push(Contract {
            number: place as u32 + 1,
            market,
            start,
            term: (0, ramp.map_or(renewal_months, |ramp| ramp.months)),
            renewal_months,
            annual,
            line_count: lines.len() as u16,
            lines,
            meter,
            ramp,
            version: 0,
            amendments: 0,
            renewals: 0,
            billed: 0,
            cancelled: false,
            suspended: false,
            unbilled: Vec::new(),
            flow: EventId::NIL,
        });
        let jitter = self.chance.unit();
        self.plan(at_hour(start, 5, jitter), place, None, Plan::Activate);
    }

    /// Every fourth annual contract runs for two or three years and grows from year to year; long monthly ones grow by the quarter.
    fn ramp(&mut self, annual: bool, months: u32) -> Option<Ramp> {
        let (every, months) = match months {
            _ if annual => (12, if self.chance.one_in(2) { 24 } else { 36 }),
            6 | 12 => (3, months),
            _ => return None,
        };
        self.chance.one_in(4).then(|| Ramp::new(&mut self.chance, every, months))
    }

    /// Most customers are small; one in forty is big, and its account is a hot key.
    fn first_lines(&mut self, market: &Market, annual: bool) -> Vec<Line> {
        let (products, seats) = match self.chance.below(40) {
            0 => (PRODUCTS.len(), self.chance.between(200, 5_000)),
            1..=9 => (self.chance.between(2, 4) as usize, self.chance.between(20, 200)),
            _ => (self.chance.between(1, 2) as usize, self.chance.between(1, 25)),
        };
        let rebate_percent = self.chance.between(0, 6) * 5;
        // A bundle sells its second product at half the price: what is billed for it is not what it is worth.
        let bundle_percent = if annual && self.chance.one_in(3) { 50 } else { 0 };
        (0..products)
            .map(|product| {
                let more = if product == 1 { bundle_percent } else { 0 };
                priced(market, product as u16 + 1, product, seats, rebate_percent + more, annual)
            })
            .collect()
    }

    pub(super) fn activate(&mut self, contract: usize, id: EventId) -> Happening {
        let jitter = self.chance.unit();
        let state = &mut self.contracts[contract];
        (state.flow, state.version) = (id, 1);
        let (start, is_ramped) = (state.start, state.ramp.is_some());
        self.plan(at_hour(start, 9, jitter), contract, Some(id), Plan::Bill { is_redone: false });
        self.plan_decision(contract);
        if is_ramped {
            self.plan_step(contract, 0);
            return Happening::Activated;
        }
        if self.chance.share(0.4) {
            let day = days_after(start, self.chance.between(5, 60));
            self.plan(at_hour(day, 8, jitter), contract, Some(id), Plan::Amend);
        }
        if self.chance.share(0.06) {
            let day = days_after(start, self.chance.between(15, 120));
            self.plan(at_hour(day, 12, jitter), contract, Some(id), Plan::Leave);
        }
        Happening::Activated
    }
}

/// A line at the list price of its market less a rebate.
pub(super) fn priced(
    market: &Market,
    number: u16,
    product: usize,
    seats: i64,
    rebate_percent: i64,
    annual: bool,
) -> Line {
    let price = (list_price(market, product, annual) * (100 - rebate_percent) / 100).max(1);
    Line { number, product, seats, price: Price::of_minor(price) }
}

/// Of a seat and billing period, in minor units.
pub fn list_price(market: &Market, product: usize, annual: bool) -> i64 {
    PRODUCTS[product].price * market.price_level * if annual { 12 } else { 1 }
}
