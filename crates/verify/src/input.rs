//! One record of an input topic beside what the ledger says of it, while it passes by.

use crate::{journal::Told, places::Place};
use events::{Event, Uid};
use ledger::{Disposition, ParkedState};

pub struct Input {
    pub place: Place,
    /// What the journal says; nothing of a record that was not taken.
    pub told: Option<Told>,
    /// Where its parked row stands, which overrides the journal.
    pub parked: Option<ParkedState>,
    pub uid: Option<Uid>,
    pub event_id: Option<String>,
    pub key: String,
    /// The event, if anybody can read it.
    pub event: Option<Event>,
}

impl Input {
    /// Whether the service took it for a copy, which moves no money.
    pub fn is_copy(&self) -> bool {
        self.told.is_some_and(|told| {
            matches!(told.first, Disposition::Duplicate | Disposition::Conflict | Disposition::OutsideHorizon)
        })
    }
}
