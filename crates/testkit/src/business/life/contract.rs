//! A contract as it stands.

use super::ramp::Ramp;
use crate::business::{
    calendar::months_after,
    catalog::Market,
    chance::EventId,
    money::{Charge, Price},
};
use jiff::civil::Date;

/// One product of a contract, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub number: u16,
    pub product: usize,
    pub seats: i64,
    /// Price of a seat and billing period.
    pub price: Price,
}

impl Line {
    /// For one billing period, in minor units.
    pub fn amount(&self) -> i64 {
        self.price.times(self.seats)
    }
}

#[derive(Debug, Clone)]
pub struct Contract {
    pub number: u32,
    /// Who sells it, in which currency.
    pub market: &'static Market,
    pub start: Date,
    /// The running term in months from the start: its first one, and the first after it.
    pub term: (u32, u32),
    /// What a renewal adds.
    pub renewal_months: u32,
    pub annual: bool,
    pub lines: Vec<Line>,
    /// Line numbers given out: none is used twice.
    pub line_count: u16,
    pub meter: Option<usize>,
    /// Steps that were agreed when it was signed.
    pub ramp: Option<Ramp>,
    /// Version of the last event about the contract.
    pub version: i64,
    pub amendments: i32,
    pub renewals: u32,
    /// Billing periods begun.
    pub billed: u32,
    pub cancelled: bool,
    pub suspended: bool,
    /// To be billed with the next invoice: usage, and what changes cost until then.
    pub unbilled: Vec<Charge>,
    /// Identity of its activation: what everything about it is correlated by.
    pub flow: EventId,
}

impl Contract {
    pub const fn period_months(&self) -> u32 {
        if self.annual { 12 } else { 1 }
    }

    /// First day of billing period `n` (from 0) and of the next one.
    pub fn period(&self, n: u32) -> (Date, Date) {
        let months = self.period_months();
        (months_after(self.start, n * months), months_after(self.start, (n + 1) * months))
    }

    /// The billing period that was billed last.
    pub fn current_period(&self) -> (Date, Date) {
        self.period(self.billed.saturating_sub(1))
    }

    pub fn term_start(&self) -> Date {
        months_after(self.start, self.term.0)
    }

    /// The day after the last one of the running term.
    pub fn end(&self) -> Date {
        months_after(self.start, self.term.1)
    }

    /// Billing periods of the running term.
    pub const fn periods(&self) -> u32 {
        (self.term.1 - self.term.0) / self.period_months()
    }

    /// For one billing period as it stands, in minor units.
    pub fn amount(&self) -> i64 {
        self.lines.iter().map(Line::amount).sum()
    }

    /// What the running term is worth, with the steps that were agreed, in minor units.
    pub fn value(&self) -> i64 {
        let Some(ramp) = self.ramp.filter(|_| self.renewals == 0) else {
            return self.amount() * i64::from(self.periods());
        };
        let mut lines = self.lines.clone();
        let mut value = 0;
        for period in 0..self.periods() {
            if ramp.steps_at(period * self.period_months()) {
                lines[0] = ramp.stepped(&lines[0]);
            }
            value += lines.iter().map(Line::amount).sum::<i64>();
        }
        value
    }
}
