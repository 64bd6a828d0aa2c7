//! Σ in = Σ took effect + Σ waiting + Σ parked + Σ dead-lettered + Σ written off, per object and currency, in exact minor units.

use crate::{World, disputes, topics::Money};
use ledger::{Disposition, ParkedState};
use std::collections::{BTreeMap, BTreeSet};

/// Sums of one object and currency.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sums {
    pub published: i128,
    /// By the outside system's own log.
    pub effects: i128,
    pub parked: i128,
    pub dead_lettered: i128,
    pub written_off: i128,
    /// Added up by the service and not sent yet.
    pub waiting: i128,
    /// In the topic and not taken yet.
    pub unread: i128,
}

impl Sums {
    /// Counts what an event moves, where it ended.
    fn put(&mut self, amount: i128, disposition: Option<&Disposition>, parked: Option<&ParkedState>) {
        self.published += amount;
        let Some(disposition) = disposition else {
            self.unread += amount;
            return;
        };
        match parked {
            Some(ParkedState::Waiting | ParkedState::LetterPending) => self.parked += amount,
            Some(ParkedState::DeadLettered) => self.dead_lettered += amount,
            Some(ParkedState::Discarded | ParkedState::Skipped | ParkedState::Superseded | ParkedState::Moved) => {
                self.written_off += amount
            }
            Some(ParkedState::Applied | ParkedState::Duplicate) => {}
            None if *disposition == Disposition::Applied => {}
            None => self.written_off += amount,
        }
    }

    pub fn difference(&self) -> i128 {
        self.published - self.effects - self.waiting - self.parked - self.dead_lettered - self.written_off - self.unread
    }
}

/// Each event counts once, by its identity: a copy moves no money.
pub fn sums(world: &World) -> BTreeMap<(String, String), Sums> {
    let mut sums: BTreeMap<(String, String), Sums> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let journals = disputes::journals(world);
    for (place, input) in &world.topics.inputs {
        let moved: Vec<&Money> = input.money.iter().chain(journals.get(place)).collect();
        let disposition = world.journal.dispositions.get(place).and_then(|found| found.first());
        let is_copy =
            matches!(disposition, Some(Disposition::Duplicate | Disposition::Conflict | Disposition::OutsideHorizon));
        if moved.is_empty() || is_copy || !seen.insert((input.uid, place.0.clone())) {
            continue;
        }
        for money in moved {
            let sum = sums.entry((money.object.to_owned(), money.currency.clone())).or_default();
            sum.put(i128::from(money.amount_minor), disposition, world.journal.parked.get(place));
        }
    }
    for ((object, currency), amount) in &world.waiting {
        if let Some(sum) = sums.get_mut(&(object.clone(), currency.clone())) {
            sum.waiting += amount;
        }
    }
    for effect in world.effects.iter().flatten().filter(|effect| effect.operation == "create") {
        if let (Some(amount), Some(currency)) = (effect.amount_minor, &effect.currency)
            && let Some(sum) = sums.get_mut(&(effect.object.clone(), currency.clone()))
        {
            sum.effects += i128::from(amount);
        }
    }
    sums
}
