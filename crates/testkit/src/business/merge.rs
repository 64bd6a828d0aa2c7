//! All accounts side by side, in the order of time. Only accounts that have joined and are not over are in memory.

use super::{
    life::{Account, Moment, joins_ms},
    options::Options,
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// Steps through the moments of all accounts.
pub(super) struct Merge {
    options: Options,
    /// The next account to join.
    joins: u32,
    alive: HashMap<u32, Account>,
    next: BinaryHeap<Reverse<(i64, u32)>>,
}

impl Merge {
    pub(super) fn new(options: Options) -> Self {
        Self { options, joins: 0, alive: HashMap::new(), next: BinaryHeap::new() }
    }

    /// Takes the next step of any account and gives what it left to `shape`, while the account stands as it did then.
    /// `None` when all is over; `Some(None)` for a step that left no trace.
    pub(super) fn step<T>(&mut self, shape: impl FnOnce(&Account, &Moment) -> T) -> Option<Option<T>> {
        self.admit();
        let Reverse((_, index)) = self.next.pop()?;
        let account = self.alive.get_mut(&index)?;
        let shaped = account.live().map(|moment| shape(account, &moment));
        match account.next_at() {
            Some(at_ms) => self.next.push(Reverse((at_ms, index))),
            None => {
                self.alive.remove(&index);
            }
        }
        Some(shaped)
    }

    /// Lets every account join whose first event may be the next one of all.
    fn admit(&mut self) {
        while self.joins < self.options.accounts
            && self.next.peek().is_none_or(|next| joins_ms(&self.options, self.joins) <= next.0.0)
        {
            let account = Account::new(&self.options, self.joins);
            if let Some(at_ms) = account.next_at() {
                self.next.push(Reverse((at_ms, self.joins)));
                self.alive.insert(self.joins, account);
            }
            self.joins += 1;
        }
    }
}
