//! The rows of one partition of two generations, and how they differ.

use events::{Record, topics::Kind};
use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
};

/// The rows that one partition comes to: of facts each id once, of states the last value of each key.
///
/// A publication that was repeated after a crash is one row; so is what readers make of it.
#[derive(Debug, Default)]
pub(super) struct Side {
    rows: HashMap<String, u64>,
    /// Where to read on.
    pub(super) next: i64,
}

impl Side {
    pub(super) fn add(&mut self, kind: Kind, record: &Record) {
        self.next = record.offset + 1;
        let Some(id) = id_of(kind, record) else { return };
        match &record.value {
            Some(value) => {
                let mut hasher = DefaultHasher::new();
                value.hash(&mut hasher);
                self.rows.insert(id, hasher.finish());
            }
            None => {
                self.rows.remove(&id);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// What makes a row that row: the id of a fact, the key of a state.
pub(super) fn id_of(kind: Kind, record: &Record) -> Option<String> {
    match kind {
        Kind::Fact => record.headers.text("ce_id").map(str::to_owned),
        Kind::State => record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()),
    }
}

/// Ids of the rows that differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Readers have them, the new generation has not.
    pub(super) missing: Vec<String>,
    /// The new generation has them, readers have not.
    pub(super) extra: Vec<String>,
    pub(super) changed: Vec<String>,
}

impl Difference {
    pub(super) fn between(current: &Side, new: &Side) -> Self {
        let mut found = Self::default();
        for (id, value) in &current.rows {
            match new.rows.get(id) {
                None => found.missing.push(id.clone()),
                Some(other) if other != value => found.changed.push(id.clone()),
                Some(_) => {}
            }
        }
        found.extra.extend(new.rows.keys().filter(|id| !current.rows.contains_key(*id)).cloned());
        [&mut found.missing, &mut found.extra, &mut found.changed].into_iter().for_each(|ids| ids.sort_unstable());
        found
    }

    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.changed.is_empty()
    }
}

/// The names of the fields in which two rows differ. A state's `event_id` follows from its content and says nothing of its own.
pub(super) fn fields(before: &serde_json::Value, after: &serde_json::Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let (before, after) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let names: BTreeMap<&String, ()> = before.keys().chain(after.keys()).map(|name| (name, ())).collect();
    let differing = names.into_keys().filter(|name| *name != "event_id" && before.get(*name) != after.get(*name));
    differing.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Headers;
    use serde_json::json;

    fn record(offset: i64, id: &str, key: &str, value: Option<&str>) -> Record {
        let mut headers = Headers::default();
        headers.push("ce_id", id.to_owned());
        let value = value.map(|value| value.to_owned().into());
        Record {
            topic: "t".into(),
            partition: 0,
            offset,
            timestamp_ms: 0,
            key: Some(key.to_owned().into()),
            value,
            headers,
        }
    }

    fn side(kind: Kind, records: &[Record]) -> Side {
        let mut side = Side::default();
        records.iter().for_each(|record| side.add(kind, record));
        side
    }

    #[test]
    fn facts_that_were_published_again_are_the_same_rows_and_a_missing_or_changed_one_is_named() {
        let current = side(Kind::Fact, &[record(0, "a", "k", Some("1")), record(1, "b", "k", Some("2"))]);
        let again = side(
            Kind::Fact,
            &[record(0, "b", "k", Some("2")), record(1, "a", "k", Some("1")), record(2, "b", "k", Some("2"))],
        );
        assert!(Difference::between(&current, &again).is_none());
        assert_eq!((again.len(), again.next), (2, 3));
        let other = side(Kind::Fact, &[record(0, "b", "k", Some("3")), record(1, "c", "k", Some("1"))]);
        let found = Difference::between(&current, &other);
        assert_eq!((found.missing, found.extra, found.changed), (vec!["a".into()], vec!["c".into()], vec!["b".into()]));
    }

    #[test]
    fn of_states_the_last_value_counts_and_a_deleted_one_is_none() {
        let current = side(Kind::State, &[record(0, "a", "k", Some("1")), record(1, "b", "k", Some("2"))]);
        let compacted = side(Kind::State, &[record(9, "b", "k", Some("2"))]);
        assert!(Difference::between(&current, &compacted).is_none());
        let deleted = side(Kind::State, &[record(0, "a", "k", Some("1")), record(1, "c", "k", None)]);
        assert_eq!(Difference::between(&current, &deleted).missing, ["k"]);
    }

    #[test]
    fn differing_fields_are_named_and_the_id_of_a_state_is_none_of_them() {
        let (before, after) =
            (json!({"event_id": "1", "a": 1, "b": 2}), json!({"event_id": "2", "a": 1, "b": 3, "c": 4}));
        assert_eq!(fields(&before, &after), ["b", "c"]);
    }
}
