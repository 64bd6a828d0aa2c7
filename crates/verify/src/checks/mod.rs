//! The invariants, each as a comparison of two things that were read independently. Records pass by one at a time; a check keeps
//! no more of them than it compares.

mod access;
mod analytics;
mod copies;
mod course;
mod dispositions;
mod disputes;
mod effects;
mod finding;
mod letters;
mod money;
mod open;
mod order;
mod outbox;
mod owed;

use crate::{Check, Known, effects::Course, input::Input, places::Place};
use events::{Dataset, Envelope, Event, Record, Reply, Request, Saga};
use finding::Finding;
use std::collections::BTreeMap;

/// Start and end of each input partition.
pub type Ranges = BTreeMap<(std::sync::Arc<str>, i32), (i64, i64)>;

/// All checks while records pass by: first what the service published, then what it reads.
pub struct Checks {
    dispositions: dispositions::Dispositions,
    order: order::Order,
    money: Money,
    outbox: outbox::Outbox,
    letters: letters::Letters,
    copies: copies::Copies,
}

/// I4, in the words of the service: what is said and what is there come to the same.
enum Money {
    Outside(Box<money::Sums>),
    Analytics(Box<analytics::Sums>),
    Owed(Box<owed::Sums>),
    Access(access::Told),
    Course(course::Told),
}

impl Checks {
    pub fn new(known: &Known) -> Self {
        Self {
            dispositions: dispositions::Dispositions::default(),
            order: order::Order::of(known),
            money: if known.publishes_analytics() {
                Money::Analytics(Box::default())
            } else if known.owed.is_some() {
                Money::Owed(Box::default())
            } else if known.access.is_some() {
                Money::Access(access::Told::default())
            } else if known.course.is_some() {
                Money::Course(course::Told::default())
            } else {
                Money::Outside(Box::default())
            },
            outbox: outbox::Outbox::default(),
            letters: letters::Letters::default(),
            copies: copies::Copies::default(),
        }
    }

    /// A record of a topic that the service publishes to.
    pub fn published(&mut self, known: &Known, record: &Record) {
        self.outbox.take(known, record);
    }

    pub fn letter(&mut self, letter: Record) {
        self.letters.take(letter);
    }

    pub fn row(&mut self, envelope: &Envelope, row: &Dataset) {
        if let Money::Analytics(sums) = &mut self.money {
            sums.row(envelope, row);
        }
    }

    /// What the service said of what it did outside.
    pub fn reply(&mut self, reply: &Reply) {
        if let Money::Access(told) = &mut self.money {
            told.take(reply);
        }
    }

    /// What the service asked another one for.
    pub fn request(&mut self, request: &Request) {
        if let Money::Course(told) = &mut self.money {
            told.request(request);
        }
    }

    /// What the service said of contracts.
    pub fn contract(&mut self, event: &Event) {
        if let Money::Course(told) = &mut self.money {
            told.contract(event);
        }
    }

    /// What the service said of its processes.
    pub fn saga(&mut self, saga: &Saga) {
        if let Money::Course(told) = &mut self.money {
            told.saga(saga);
        }
    }

    pub fn input(&mut self, known: &Known, input: &Input, record: &Record) {
        self.dispositions.take(known, input);
        self.order.take(input);
        match &mut self.money {
            Money::Outside(sums) if known.effects.is_some() => sums.take(input),
            Money::Outside(_) | Money::Access(_) | Money::Course(_) => {}
            Money::Analytics(sums) => sums.take(input),
            Money::Owed(sums) => sums.take(input),
        }
        self.letters.compare(&input.place, record);
        self.copies.take(input);
    }

    /// `untold`: places of the journal that no topic holds.
    pub fn finish(self, known: &Known, ranges: &Ranges, untold: impl Iterator<Item = Place>) -> Vec<Check> {
        vec![
            self.dispositions.finish(ranges, untold),
            effects::once(known),
            self.order.finish(known),
            match self.money {
                Money::Outside(sums) => sums.finish(known),
                Money::Analytics(sums) => sums.finish(),
                Money::Owed(sums) => sums.finish(known),
                Money::Access(told) => told.finish(known),
                Money::Course(told) => told.finish(known.course.as_ref().unwrap_or(&Course::default())),
            },
            open::nothing(known, ranges),
            self.outbox.finish(known),
            self.letters.finish(),
            self.copies.finish(),
        ]
    }
}

#[cfg(test)]
mod tests;
