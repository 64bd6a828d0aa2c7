//! Usage of one month, added up.

use crate::document::{Usage, UsageMonth};
use crate::plan::revenue::schedule::month;
use jiff::{ToSpan as _, civil::Date};
use rust_decimal::Decimal;

/// What one event adds; a correction adds the difference.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addition {
    pub(super) events: u64,
    pub(super) quantity: Decimal,
    pub(super) amount_minor: i64,
}

/// Adds to the month in which the used period starts.
pub(super) fn add(usage: &mut Usage, start_on: Date, addition: &Addition) {
    let waiting = usage.months.entry(month(start_on)).or_default();
    waiting.events += addition.events;
    waiting.quantity += addition.quantity;
    waiting.amount_minor += addition.amount_minor;
}

impl UsageMonth {
    pub(super) const fn waits(&self) -> bool {
        self.events > 0
    }
}

/// First day of `YYYY-MM`, and the day after its last one.
pub(super) fn span(period: &str) -> Option<(Date, Date)> {
    let start: Date = format!("{period}-01").parse().ok()?;
    Some((start, start.last_of_month().tomorrow().ok()?))
}

/// The first day on which a month may be charged.
pub(super) fn open_until(period: &str, grace_days: i64) -> Option<Date> {
    span(period).and_then(|(_, end)| end.checked_add(grace_days.days()).ok())
}
