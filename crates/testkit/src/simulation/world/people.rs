//! People who look after what was refused: everything refused for good is tried again, first in vain, then with the cause mended.

use super::World;
use consumer::{Handler, machine::Input};
use failure::Class;
use ledger::{Ledger as _, ParkedFilter, ParkedRecord, ParkedState};
use std::collections::BTreeSet;

/// Refusals of one event after which people leave it where it is: one of its own, one in vain, one after the mending.
const PATIENCE: i32 = 3;
/// Faults while people act, in a run that has faults.
const FAULTS: u32 = 10;

impl<H: Handler> World<'_, H> {
    /// Tries what can be tried; false if nothing is left to people. A retry that a crash swallowed is given again, because the
    /// ledger tells what it did.
    pub(super) fn people_act(&mut self) -> Result<bool, String> {
        if !self.case.is_looked_after || self.member.as_ref().is_none_or(|member| member.over.is_some()) {
            return Ok(false);
        }
        if !std::mem::replace(&mut self.people_began, true) && self.options.faults > 0 {
            self.faults_left += FAULTS;
        }
        let refused = self.refused()?;
        let mut again: BTreeSet<_> = in_vain(&refused).collect();
        if again.is_empty() {
            self.outside.mend();
            again = mended(&refused).collect();
        }
        if self.case.by_jobs {
            let heads = refused.iter().filter(|row| again.contains(row.sequence.as_str()) && class(row).is_some());
            return self.act_by_jobs(heads.collect());
        }
        self.note(|| format!("people try {again:?} again"));
        let Some(member) = &mut self.member else { return Ok(false) };
        for sequence in &again {
            member.step(self.now, Input::Retry { sequence: (*sequence).into() });
        }
        Ok(!again.is_empty())
    }

    fn refused(&self) -> Result<Vec<ParkedRecord>, String> {
        let filter = ParkedFilter { limit: usize::MAX, ..ParkedFilter::default() };
        let rows = super::now_or_never(self.ledger.parked_records(&filter)).map_err(|error| error.to_string())?;
        let is_open = |row: &ParkedRecord| {
            matches!(row.fate.state, ParkedState::Waiting | ParkedState::LetterPending | ParkedState::DeadLettered)
        };
        // Records that nobody can read are letters of their own.
        Ok(rows.into_iter().filter(|row| is_open(row) && !row.sequence.starts_with('!')).collect())
    }
}

fn class(row: &ParkedRecord) -> Option<Class> {
    row.fate.failure.as_ref().map(|failure| failure.class)
}

fn in_vain(rows: &[ParkedRecord]) -> impl Iterator<Item = &str> {
    let rows = rows.iter().filter(|row| matches!(class(row), Some(Class::Business | Class::Contract)));
    rows.filter(|row| row.fate.refusals < PATIENCE - 1).map(|row| row.sequence.as_str())
}

fn mended(rows: &[ParkedRecord]) -> impl Iterator<Item = &str> {
    let rows = rows.iter().filter(|row| class(row) == Some(Class::Business) && row.fate.refusals < PATIENCE);
    rows.map(|row| row.sequence.as_str())
}
