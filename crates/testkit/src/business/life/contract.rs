//! A contract as it stands.

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

#[derive(Debug, Clone)]
pub struct Contract {
    pub number: u32,
    /// Who sells it, in which currency.
    pub market: &'static Market,
    pub start: Date,
    /// The day after the last one of the running term.
    pub end: Date,
    pub term_months: u32,
    pub annual: bool,
    pub lines: Vec<Line>,
    pub meter: Option<usize>,
    /// Version of the last event about the contract.
    pub version: i64,
    pub amendments: i32,
    pub renewals: u32,
    /// Billing periods begun.
    pub billed: u32,
    pub cancelled: bool,
    /// Rated and not billed yet.
    pub unbilled_usage: Vec<Charge>,
    /// Identity of its activation: what everything about it is correlated by.
    pub flow: EventId,
}

impl Contract {
    /// First day of billing period `n` (from 0) and of the next one.
    pub fn period(&self, n: u32) -> (Date, Date) {
        let months = if self.annual { 12 } else { 1 };
        (months_after(self.start, n * months), months_after(self.start, (n + 1) * months))
    }
}
