//! What a slice remembers in memory: identities it has seen and documents it has loaded. Both are bounded and both are exact:
//! only what is durable may be forgotten.

use super::Map;
use crate::handler::Document;
use events::{PayloadHash, Uid};
use ledger::{DocumentKey, Millis};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Identities of records that are under way (never forgotten) and of the newest decided ones.
#[derive(Debug)]
pub struct Seen {
    known: Map<Uid, PayloadHash>,
    /// In the order of their decisions, with the entry that makes each durable.
    decided: VecDeque<(Uid, i64)>,
    capacity: usize,
    /// Memory holds every identity with a time at or after this that the slice has ever seen: the ledger need not be asked for one.
    low: Millis,
    /// The same for all identities without a time.
    holds_untimed: bool,
}

impl Seen {
    /// `complete`: the slice has never seen anything before.
    pub fn new(capacity: usize, complete: bool) -> Self {
        let low = if complete { Millis::MIN } else { Millis::MAX };
        Self { known: Map::default(), decided: VecDeque::new(), capacity, low, holds_untimed: complete }
    }

    pub fn get(&self, uid: &Uid) -> Option<PayloadHash> {
        self.known.get(uid).copied()
    }

    /// Whether only the ledger can tell if this identity was seen before.
    pub fn must_ask(&self, uid: &Uid) -> bool {
        let is_held = uid.time_ms().map_or(self.holds_untimed, |time| time >= self.low);
        !is_held && !self.known.contains_key(uid)
    }

    /// The record is under way: from here on a second one is a duplicate.
    pub fn enter(&mut self, uid: Uid, hash: PayloadHash) {
        self.known.insert(uid, hash);
    }

    /// The record is decided; `entry` makes its identity durable.
    pub fn decide(&mut self, uid: Uid, entry: i64) {
        self.decided.push_back((uid, entry));
    }

    /// Forgets the oldest beyond the bound; only what `durable_entry` has made safe, or a duplicate could slip in between.
    pub fn trim(&mut self, durable_entry: i64) {
        while self.decided.len() > self.capacity
            && self.decided.front().is_some_and(|(_, entry)| *entry <= durable_entry)
        {
            if let Some((oldest, _)) = self.decided.pop_front() {
                self.known.remove(&oldest);
                match oldest.time_ms() {
                    Some(time) => self.low = self.low.max(time.saturating_add(1)),
                    None => self.holds_untimed = false,
                }
            }
        }
    }
}

struct Cached<D> {
    document: Option<Arc<D>>,
    bytes: usize,
    used: u64,
    /// The entry that makes this state durable: until then it must not be forgotten.
    entry: i64,
}

/// The documents of a slice, as of the last decision. While the epoch holds nobody else writes them, so a cached one is the truth.
pub struct Cache<D> {
    documents: Map<DocumentKey, Cached<D>>,
    bytes: usize,
    capacity: usize,
    clock: u64,
}

impl<D: Document> Cache<D> {
    pub fn new(capacity: usize) -> Self {
        Self { documents: Map::default(), bytes: 0, capacity, clock: 0 }
    }

    pub fn contains(&self, key: &DocumentKey) -> bool {
        self.documents.contains_key(key)
    }

    pub fn get(&mut self, key: &DocumentKey) -> Option<Arc<D>> {
        self.clock += 1;
        let cached = self.documents.get_mut(key)?;
        cached.used = self.clock;
        cached.document.clone()
    }

    /// `bytes`: length of the stored form. `entry`: what makes it durable; 0 for one that was loaded.
    pub fn put(&mut self, key: DocumentKey, document: Option<Arc<D>>, bytes: usize, entry: i64) {
        self.clock += 1;
        let bytes = bytes * 2 + 200;
        self.bytes += bytes;
        let cached = Cached { document, bytes, used: self.clock, entry };
        if let Some(old) = self.documents.insert(key, cached) {
            self.bytes -= old.bytes;
        }
    }

    /// Forgets the longest unused tenth when over the bound; only what `durable_entry` has made safe.
    pub fn trim(&mut self, durable_entry: i64) {
        if self.bytes <= self.capacity {
            return;
        }
        let mut by_age: BTreeMap<u64, DocumentKey> = BTreeMap::new();
        for (key, cached) in self.documents.iter().filter(|(_, cached)| cached.entry <= durable_entry) {
            by_age.insert(cached.used, key.clone());
        }
        for key in by_age.into_values() {
            if self.bytes <= self.capacity / 10 * 9 {
                break;
            }
            if let Some(old) = self.documents.remove(&key) {
                self.bytes -= old.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Note;

    impl Document for Note {
        fn status(&self) -> &str {
            "there"
        }
        fn account_id(&self) -> &str {
            "a"
        }
    }

    fn uid(n: u8) -> Uid {
        Uid([n; 16])
    }

    #[test]
    fn identities_under_way_are_never_forgotten() {
        let mut seen = Seen::new(2, true);
        seen.enter(uid(0), PayloadHash(0));
        for n in 1..10 {
            seen.enter(uid(n), PayloadHash(0));
            seen.decide(uid(n), i64::from(n));
        }
        seen.trim(5);
        assert!(seen.get(&uid(0)).is_some());
        assert!(seen.get(&uid(1)).is_none() && seen.must_ask(&uid(1)));
        assert!(seen.get(&uid(6)).is_some(), "not durable yet");
    }

    #[test]
    fn a_fresh_slice_answers_from_memory_until_it_forgets_something() {
        let mut seen = Seen::new(1, true);
        assert!(!seen.must_ask(&uid(1)));
        for n in 0..2 {
            seen.enter(uid(n), PayloadHash(0));
            seen.decide(uid(n), 1);
        }
        seen.trim(1);
        assert!(seen.must_ask(&uid(8)));
    }

    #[test]
    fn only_what_is_not_newer_than_something_forgotten_is_asked_for() {
        let at = |millis: u64, n: u8| {
            let id = uuid::Builder::from_unix_timestamp_millis(millis, &[n; 10]).into_uuid();
            Uid::derive("urn:test", &id.to_string())
        };
        let mut seen = Seen::new(1, true);
        for millis in [1_000, 2_000, 3_000] {
            seen.enter(at(millis, 0), PayloadHash(0));
            seen.decide(at(millis, 0), 1);
        }
        seen.trim(1);
        assert!(seen.must_ask(&at(1_000, 0)) && seen.must_ask(&at(2_000, 7)));
        assert!(!seen.must_ask(&at(2_001, 7)) && !seen.must_ask(&at(3_000, 0)));
        assert!(!seen.must_ask(&Uid::derive("urn:test", "no time")), "none without a time was forgotten");
        assert!(Seen::new(1, false).must_ask(&at(9_000, 0)), "another owner may have seen it");
    }

    #[test]
    fn an_uncommitted_document_is_never_forgotten() {
        let mut cache = Cache::new(1_000);
        let key = |n: i64| DocumentKey::new("note", n.to_string());
        (1..=20).for_each(|n| cache.put(key(n), Some(Arc::new(Note)), 100, n));
        cache.trim(10);
        assert!((11..=20).all(|n| cache.contains(&key(n))));
        assert!(!cache.contains(&key(1)));
    }
}
