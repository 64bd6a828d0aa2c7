//! I10: reading an event again changes nothing.

use super::Finding;
use crate::{Check, input::Input};
use events::Uid;
use ledger::Disposition;
use std::collections::HashSet;

#[derive(Default)]
pub struct Copies {
    effective: HashSet<Uid>,
    copies: u64,
    finding: Finding,
}

impl Copies {
    pub fn take(&mut self, input: &Input) {
        let (Some(uid), Some(told)) = (input.uid, input.told) else { return };
        match told.first {
            Disposition::Duplicate | Disposition::Conflict | Disposition::OutsideHorizon => self.copies += 1,
            Disposition::Applied
            | Disposition::Superseded
            | Disposition::Parked
            | Disposition::DeadLettered
            | Disposition::Skipped => {
                let is_first = self.effective.insert(uid);
                self.finding.expect(is_first, || format!("event {uid} was taken again at {}", input.place));
            }
        }
    }

    pub fn finish(self) -> Check {
        let mut check = self.finding.check("I10", "reading an event again changes nothing", "events");
        if check.ok {
            check.detail = format!("{} events, {} copies without effect", check.counted, self.copies);
        }
        check
    }
}
