//! Where records are, and a few bytes about each of them: what is compared may be millions of records long.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

impl Place {
    pub fn of(record: &events::Record) -> Self {
        Self { topic: record.topic.clone(), partition: record.partition, offset: record.offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

/// A small value for each of many places.
#[derive(Debug)]
pub struct ByPlace<T>(BTreeMap<(Arc<str>, i32), BTreeMap<i64, T>>);

impl<T> Default for ByPlace<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByPlace<T> {
    pub fn get(&self, place: &Place) -> Option<&T> {
        self.0.get(&(place.topic.clone(), place.partition))?.get(&place.offset)
    }

    pub fn insert(&mut self, place: Place, value: T) {
        self.0.entry((place.topic, place.partition)).or_default().insert(place.offset, value);
    }

    /// Changes what is there, or puts the first value there.
    pub fn update(&mut self, place: Place, first: T, change: impl FnOnce(&mut T)) {
        let offsets = self.0.entry((place.topic, place.partition)).or_default();
        offsets.entry(place.offset).and_modify(change).or_insert(first);
    }

    pub fn remove(&mut self, place: &Place) -> Option<T> {
        self.0.get_mut(&(place.topic.clone(), place.partition))?.remove(&place.offset)
    }

    pub fn into_places(self) -> impl Iterator<Item = Place> {
        self.0.into_iter().flat_map(|((topic, partition), offsets)| {
            offsets.into_keys().map(move |offset| Place { topic: topic.clone(), partition, offset })
        })
    }
}
