//! What must come out of what was generated, so that a check from the outside has something to compare with.

use super::{
    Fate, Generated, Item,
    effects::{Effects, currency},
};
use events::Event;
use failure::Class;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was generated so far, counted by what must become of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Expectations {
    /// Records in all, with duplicates and unreadable ones.
    pub records: u64,
    /// Different events, by topic.
    pub events: BTreeMap<&'static str, u64>,
    /// Different events without an effect in the ERP.
    pub skipped: u64,
    /// Repetitions with the same bytes.
    pub duplicates: u64,
    /// Repetitions of an id with other bytes; also counted under `refused`.
    pub conflicts: u64,
    /// Records that must end with a person, by class.
    pub refused: BTreeMap<Class, u64>,
    /// Effects by currency.
    pub effects: BTreeMap<String, Effects>,
    /// Effects by account. Empty unless asked for: it grows with the number of accounts.
    #[serde(skip)]
    pub accounts: BTreeMap<String, Effects>,
    #[serde(skip)]
    by_account: bool,
    #[serde(skip)]
    customers: BTreeSet<String>,
}

impl Expectations {
    /// `by_account`: whether effects are counted for each account too.
    #[must_use]
    pub fn new(by_account: bool) -> Self {
        Self { by_account, ..Self::default() }
    }

    /// Different events in all.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.events.values().sum()
    }

    /// Records that must end with a person.
    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Effects in all currencies; the amounts are of no use, because currencies do not add up.
    #[must_use]
    pub fn effect_count(&self) -> u64 {
        self.effects.values().map(Effects::count).sum()
    }

    /// Counts one record.
    pub fn add(&mut self, generated: &Generated) {
        self.records += 1;
        match generated.fate {
            Fate::Duplicate => self.duplicates += 1,
            Fate::Conflict => {
                self.conflicts += 1;
                *self.refused.entry(Class::Contract).or_default() += 1;
            }
            Fate::Refused(class) => {
                *self.refused.entry(class).or_default() += 1;
                if class != Class::Poison {
                    *self.events.entry(generated.topic).or_default() += 1;
                }
            }
            Fate::Applied | Fate::Original => {
                *self.events.entry(generated.topic).or_default() += 1;
                if let Item::Event { event, .. } = &generated.item {
                    self.apply(generated, event);
                }
            }
            Fate::Skipped => {
                *self.events.entry(generated.topic).or_default() += 1;
                self.skipped += 1;
                if let Item::Event { event, .. } = &generated.item {
                    self.apply(generated, event);
                }
            }
        }
    }

    fn apply(&mut self, generated: &Generated, event: &Event) {
        let account = &generated.key;
        let Some(currency) = currency(event) else { return };
        let new_customer = matches!(event, Event::ContractActivated(_)) && self.customers.insert(account.clone());
        let mut count = |effects: &mut Effects| {
            effects.customers += u64::from(new_customer);
            effects.add(event);
            effects.rated_minor -= generated.replaced_minor;
        };
        if !self.effects.contains_key(currency) {
            self.effects.insert(currency.to_owned(), Effects::default());
        }
        self.effects.get_mut(currency).into_iter().for_each(&mut count);
        if self.by_account {
            count(self.accounts.entry(account.clone()).or_default());
        }
    }
}
