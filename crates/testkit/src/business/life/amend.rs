//! How contracts change while they run: what is bought, for how much, how long, and whether at all.

use super::{Account, Amended, AmendmentKind, Happening, Line, contracts::priced, due::Plan, ramp::amended};
use crate::business::{
    calendar::{DAY_MS, date_of, epoch_ms},
    catalog::PRODUCTS,
    chance::EventId,
    money::Price,
};

/// A line before and after.
pub type Change = (Option<Line>, Option<Line>);

impl Account {
    pub(super) fn amend(&mut self, at_ms: i64, contract: usize, id: EventId) -> Option<Happening> {
        if self.contracts[contract].cancelled || self.contracts[contract].suspended {
            return None;
        }
        if self.chance.share(0.4) {
            let again = at_ms + DAY_MS * self.chance.between(30, 80);
            let flow = self.contracts[contract].flow;
            self.plan(again, contract, Some(flow), Plan::Amend);
        }
        match self.chance.below(100) {
            0..=6 => Some(self.suspend(at_ms, contract, id)),
            7..=12 if self.can_extend(at_ms, contract) => Some(self.extend(at_ms, contract)),
            drawn => {
                let (kind, changes) = self.changes(contract, drawn);
                Some(self.change(at_ms, contract, id, kind, changes))
            }
        }
    }

    /// What becomes of the lines.
    fn changes(&mut self, contract: usize, drawn: u64) -> (AmendmentKind, Vec<Change>) {
        let extra = self.chance.between(1, 10);
        let state = &self.contracts[contract];
        let (market, annual, number) = (state.market, state.annual, state.line_count + 1);
        let place = self.chance.below(state.lines.len() as u64) as usize;
        let old = state.lines[place].clone();
        let absent = (0..PRODUCTS.len()).rev().find(|product| state.lines.iter().all(|line| line.product != *product));
        let to = |line: Line| (Some(old.clone()), Some(line));
        match (drawn, absent) {
            (13..=27, Some(product)) => {
                let new = priced(market, number, product, extra, 0, annual);
                (AmendmentKind::Add, vec![(None, Some(new))])
            }
            (28..=35, _) if state.lines.len() > 1 => (AmendmentKind::Remove, vec![(Some(old), None)]),
            (36..=44, Some(product)) => {
                let new = priced(market, number, product, old.seats, 10, annual);
                (AmendmentKind::PlanChange, vec![(Some(old), None), (None, Some(new))])
            }
            (45..=54, _) => {
                let percent = 100 + self.chance.between(-15, 10);
                let price = Price::of_minor((old.price.times(1) * percent / 100).max(1));
                let price = if price == old.price { Price::of_minor(old.price.times(1) + 1) } else { price };
                (AmendmentKind::Price, vec![to(Line { price, ..old.clone() })])
            }
            (55..=68, _) if old.seats > 1 => {
                let fewer = extra.min(old.seats - 1);
                (AmendmentKind::Quantity, vec![to(Line { seats: old.seats - fewer, ..old.clone() })])
            }
            _ => (AmendmentKind::Quantity, vec![to(Line { seats: old.seats + extra, ..old.clone() })]),
        }
    }

    /// Makes the change; a fifth of them hold since some time.
    fn change(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        kind: AmendmentKind,
        changes: Vec<Change>,
    ) -> Happening {
        let effective_ms = self.since(at_ms, contract);
        let is_retrospective = effective_ms < at_ms && self.chance.one_in(2);
        let state = &mut self.contracts[contract];
        for (before, after) in &changes {
            let place = before.as_ref().and_then(|old| state.lines.iter().position(|line| line.number == old.number));
            match (place, after) {
                (Some(place), Some(line)) => state.lines[place] = line.clone(),
                (Some(place), None) => drop(state.lines.remove(place)),
                (None, Some(line)) => {
                    state.line_count = line.number;
                    state.lines.push(line.clone());
                }
                (None, None) => {}
            }
        }
        let amendment = Amended { kind, changes, effective_ms, is_retrospective, ..Amended::default() };
        let amendment = self.cost(at_ms, contract, id, amendment);
        amended(&mut self.contracts[contract], amendment)
    }

    /// Since when a change holds: not before the running term.
    fn since(&mut self, at_ms: i64, contract: usize) -> i64 {
        let days = self.chance.between(3, 35);
        let since = at_ms - days * DAY_MS;
        let first = epoch_ms(self.contracts[contract].term_start()) + DAY_MS;
        if self.chance.one_in(5) && since > first { since } else { at_ms }
    }

    fn can_extend(&self, at_ms: i64, contract: usize) -> bool {
        let state = &self.contracts[contract];
        (state.term_start()..state.end()).contains(&date_of(at_ms))
    }

    /// The same for longer.
    fn extend(&mut self, at_ms: i64, contract: usize) -> Happening {
        let more = self.chance.between(1, 3) as u32;
        let state = &mut self.contracts[contract];
        let more = if state.annual { 12 } else { more };
        state.term.1 += more;
        let delta_value = state.amount() * i64::from(more / state.period_months());
        let kind = AmendmentKind::TermExtension;
        let happening = amended(state, Amended { kind, effective_ms: at_ms, delta_value, ..Amended::default() });
        self.plan_decision(contract);
        happening
    }

    /// Nothing is used, billed or changed until it is resumed.
    fn suspend(&mut self, at_ms: i64, contract: usize, id: EventId) -> Happening {
        let back = at_ms + DAY_MS * self.chance.between(14, 60);
        self.plan(back, contract, Some(id), Plan::Resume);
        let state = &mut self.contracts[contract];
        state.suspended = true;
        let (kind, whole) = (AmendmentKind::Suspend, -state.amount());
        amended(state, Amended { kind, effective_ms: at_ms, whole, ..Amended::default() })
    }

    pub(super) fn resume(&mut self, at_ms: i64, contract: usize) -> Option<Happening> {
        let state = self.contracts.get_mut(contract).filter(|state| !state.cancelled && state.suspended)?;
        state.suspended = false;
        let (kind, whole) = (AmendmentKind::Resume, state.amount());
        Some(amended(state, Amended { kind, effective_ms: at_ms, whole, ..Amended::default() }))
    }
}
