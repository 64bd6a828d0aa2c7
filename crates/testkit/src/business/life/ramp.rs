//! Ramps: a contract whose seats or price rise on days that were agreed when it was signed. Its value holds all of them.

use super::{Account, Amended, AmendmentKind, Contract, Happening, Line, due::Plan};
use crate::business::{
    calendar::{at_hour, months_after},
    chance::Chance,
    money::Price,
};

/// Steps of the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp {
    /// Months between two steps.
    pub every: u32,
    /// Months of the term: none steps at its end.
    pub months: u32,
    pub growth: Growth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    Seats(i64),
    PricePercent(i64),
}

impl Ramp {
    pub(super) fn new(chance: &mut Chance, every: u32, months: u32) -> Self {
        let growth = if chance.one_in(2) {
            Growth::Seats(chance.between(2, 15))
        } else {
            Growth::PricePercent(chance.between(5, 20))
        };
        Self { every, months, growth }
    }

    /// Whether it steps after so many months.
    pub const fn steps_at(&self, months: u32) -> bool {
        months > 0 && months < self.months && months.is_multiple_of(self.every)
    }

    pub fn stepped(&self, line: &Line) -> Line {
        match self.growth {
            Growth::Seats(more) => Line { seats: line.seats + more, ..line.clone() },
            Growth::PricePercent(percent) => {
                Line { price: Price::of_minor(line.price.times(1) * (100 + percent) / 100), ..line.clone() }
            }
        }
    }
}

impl Account {
    /// Plans the first step after `months` of the contract.
    pub(super) fn plan_step(&mut self, contract: usize, months: u32) {
        let state = &self.contracts[contract];
        let Some(ramp) = state.ramp else { return };
        let next = months + ramp.every;
        if ramp.steps_at(next) {
            let (day, flow) = (months_after(state.start, next), state.flow);
            // Before the invoice of the same day.
            self.plan(at_hour(day, 8, 0.0), contract, Some(flow), Plan::Step { months: next });
        }
    }

    pub(super) fn step_up(&mut self, at_ms: i64, contract: usize, months: u32) -> Option<Happening> {
        self.plan_step(contract, months);
        let state = self.contracts.get_mut(contract).filter(|state| !state.cancelled)?;
        let ramp = state.ramp?;
        let before = state.lines[0].clone();
        let after = ramp.stepped(&before);
        state.lines[0] = after.clone();
        let kind = match ramp.growth {
            Growth::Seats(_) => AmendmentKind::Quantity,
            Growth::PricePercent(_) => AmendmentKind::Price,
        };
        let changes = vec![(Some(before), Some(after))];
        Some(amended(state, Amended { kind, changes, effective_ms: at_ms, ..Amended::default() }))
    }
}

/// The next version of a contract.
pub(super) fn amended(state: &mut Contract, amended: Amended) -> Happening {
    state.version += 1;
    state.amendments += 1;
    Happening::Amended(Box::new(amended))
}
