//! What goes wrong between the publisher and the topic: late, repeated, out of order, unreadable.
//!
//! The one order that is kept is the one that Kafka keeps: that of one key within one topic.

use super::{Fate, Generated, Item, chance::Chance, names::Names, options::Faults, poison};
use events::{
    Event,
    topics::{CONTRACT_ACTIVATED, INVOICE_POSTED},
};
use std::collections::{BTreeMap, VecDeque};

/// How many events of other keys may overtake a late one.
const LATEST: u64 = 64;
/// How much later a duplicate comes, at most.
const DUPLICATE_AFTER: u64 = 200;
/// Events held back for something that refers to them, at most: what bounds the memory.
const HELD: usize = 4_096;

pub(super) struct Disturb<S> {
    source: S,
    names: Names,
    faults: Faults,
    chance: Chance,
    position: u64,
    poisoned: u64,
    /// Keys that run late: all their events since, and when they arrive.
    late: BTreeMap<String, Vec<Generated>>,
    arrivals: BTreeMap<u64, Vec<String>>,
    /// Events that wait to be overtaken by the next one of their key on another topic.
    held: BTreeMap<String, Generated>,
    /// Copies on their way, by the position they come at.
    copies: BTreeMap<u64, Vec<Generated>>,
    ready: VecDeque<Generated>,
    ended: bool,
}

impl<S: Iterator<Item = Generated>> Disturb<S> {
    pub(super) fn new(source: S, names: Names, faults: Faults, chance: Chance) -> Self {
        Self {
            source,
            names,
            faults,
            chance,
            position: 0,
            poisoned: 0,
            late: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            held: BTreeMap::new(),
            copies: BTreeMap::new(),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    fn take(&mut self, event: Generated) {
        self.position += 1;
        self.arrive();
        if let Some(behind) = self.late.get_mut(&event.key) {
            behind.push(event);
        } else if self.chance.share(self.faults.disorder) {
            let arrives = self.position + 1 + self.chance.below(LATEST);
            self.arrivals.entry(arrives).or_default().push(event.key.clone());
            self.late.insert(event.key.clone(), vec![event]);
        } else {
            self.overtake(event);
        }
        if self.chance.share(self.faults.poison) {
            self.poisoned += 1;
            let record = poison::record(&mut self.chance, &self.names, self.poisoned);
            self.ready.push_back(record);
        }
    }

    /// What is due by now: late keys, then copies.
    fn arrive(&mut self) {
        while let Some(first) = self.arrivals.first_entry().filter(|first| *first.key() <= self.position) {
            for key in first.remove() {
                for event in self.late.remove(&key).unwrap_or_default() {
                    self.overtake(event);
                }
            }
        }
        while let Some(first) = self.copies.first_entry().filter(|first| *first.key() <= self.position) {
            self.ready.extend(first.remove());
        }
    }

    fn overtake(&mut self, event: Generated) {
        if !self.held.is_empty()
            && let Some(held) = self.held.remove(&event.key)
        {
            let (first, second) = if held.topic == event.topic { (held, event) } else { (event, held) };
            self.publish(first);
            self.publish(second);
        } else if can_be_overtaken(&event)
            && self.held.len() < HELD
            && self.chance.share(self.faults.cross_topic_disorder)
        {
            self.held.insert(event.key.clone(), event);
        } else {
            self.publish(event);
        }
    }

    fn publish(&mut self, event: Generated) {
        if event.fate == Fate::Original {
            self.copy(Generated { fate: Fate::Conflict, item: altered(&event.item), ..event.clone() });
        }
        if self.chance.share(self.faults.duplicates) {
            self.copy(Generated { fate: Fate::Duplicate, ..event.clone() });
        }
        self.ready.push_back(event);
    }

    fn copy(&mut self, event: Generated) {
        let due = self.position + 1 + self.chance.below(DUPLICATE_AFTER);
        self.copies.entry(due).or_default().push(event);
    }

    /// Nothing comes any more: whatever is on its way arrives.
    fn end(&mut self) {
        self.ended = true;
        self.position = u64::MAX - DUPLICATE_AFTER - 1;
        self.arrive();
        for event in std::mem::take(&mut self.held).into_values() {
            self.publish(event);
        }
        self.position = u64::MAX;
        self.arrive();
    }
}

impl<S: Iterator<Item = Generated>> Iterator for Disturb<S> {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if self.ended {
                return None;
            }
            match self.source.next() {
                Some(event) => self.take(event),
                None => self.end(),
            }
        }
    }
}

/// Other events refer to contracts and invoices; those of a refused kind shall stay the last of their account.
fn can_be_overtaken(event: &Generated) -> bool {
    event.fate == Fate::Applied && (event.topic == CONTRACT_ACTIVATED || event.topic == INVOICE_POSTED)
}

/// The same event with other bytes, though with the same meaning for every total: whichever comes first counts.
fn altered(item: &Item) -> Item {
    let mut item = item.clone();
    if let Item::Event { event: Event::PaymentReceived(payment), .. } = &mut item {
        payment.fees_minor += 1;
    }
    item
}
