//! What a change in the middle of a period costs, or gives back. Receivers never compute it again.
//!
//! A year is paid in advance, so the rest of it is billed or credited at once; a month that is over is billed with the next one; what changes
//! within a month costs from the next one on.

use super::{Account, Amended, Why, due::Plan};
use crate::business::{
    calendar::{DAY_MS, date_of},
    catalog::PRODUCTS,
    chance::EventId,
    money::{Charge, Kind, Price, Sold},
};
use jiff::civil::Date;

impl Account {
    /// Completes a change of lines with what it does to the value of the term and to the period that is paid.
    pub(super) fn cost(&mut self, at_ms: i64, contract: usize, id: EventId, mut amendment: Amended) -> Amended {
        let amounts = amendment.changes.iter().map(|(before, after)| {
            after.as_ref().map_or(0, super::Line::amount) - before.as_ref().map_or(0, super::Line::amount)
        });
        let delta: i64 = amounts.sum();
        let on = date_of(amendment.effective_ms);
        let Some(line) = amendment.changes.iter().rev().find_map(|(before, after)| after.as_ref().or(before.as_ref()))
        else {
            return amendment;
        };
        let part = self.prorated(contract, line.number, line.product, delta.abs(), on);
        let state = &mut self.contracts[contract];
        let periods_left = i64::from((state.term.1 / state.period_months()).saturating_sub(state.billed));
        amendment.delta_value = delta * periods_left;
        let is_over = amendment.effective_ms < at_ms;
        if part.net == 0 || (!state.annual && (!is_over || delta < 0)) {
            return amendment;
        }
        amendment.delta_value += delta.signum() * part.net;
        amendment.is_given_back = delta < 0;
        amendment.proration = Some(part.clone());
        if !state.annual {
            state.unbilled.push(part);
        } else if delta > 0 {
            self.plan(at_ms + DAY_MS, contract, Some(id), Plan::BillExtra { charges: vec![part] });
        } else {
            let tax = self.tax(contract, self.contracts[contract].current_period().0);
            let charges = vec![part.taxed(tax)];
            let plan = Plan::Credit { invoice: None, charges, why: Why::Unserved, pays_back: None };
            self.plan(at_ms + DAY_MS, contract, Some(id), plan);
        }
        amendment
    }

    /// The share of a billing period's amount from a day to the end of the period that is billed, by days; rounded down.
    pub(super) fn prorated(&self, contract: usize, line: u16, product: usize, amount: i64, on: Date) -> Charge {
        let (start, end) = self.contracts[contract].current_period();
        let days = |from: Date, to: Date| i128::from(to.duration_since(from).as_hours() / 24);
        let net = i128::from(amount) * days(on, end).max(0) / days(start, end).max(1);
        let what = Sold { unit: "period", ..Sold::from(&PRODUCTS[product]) };
        Charge::new(Kind::Proration, line, what, 1, Price::of_minor(net as i64))
    }
}
