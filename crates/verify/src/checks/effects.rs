//! I2: each effect took place exactly once, by the outside system's own log.

use super::finding::{Finding, unchecked};
use crate::{Check, Known};
use std::collections::{BTreeMap, BTreeSet};

const RULE: &str = "each effect took place exactly once outside";

pub fn once(known: &Known) -> Check {
    let mut finding = Finding::new();
    let Some(effects) = &known.effects else { return unchecked("I2", RULE) };
    let mut created: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut by_event: BTreeMap<&str, usize> = BTreeMap::new();
    for effect in effects {
        if let (Some(id), "create") = (&effect.external_id, effect.operation.as_str()) {
            *created.entry((&effect.object, id)).or_default() += 1;
        }
        if let Some(event) = &effect.event_id {
            *by_event.entry(event).or_default() += 1;
        }
    }
    for ((object, id), count) in created {
        finding.expect(count == 1, || format!("{object} {id} was created {count} times"));
    }
    let done = &known.journal.done;
    let events: BTreeSet<&str> = by_event.keys().copied().chain(done.keys().map(String::as_str)).collect();
    for event in events {
        let outside = by_event.get(event).copied().unwrap_or(0);
        let keys = done.get(event).map_or(&[][..], Vec::as_slice);
        let (journal, ensured) = (keys.len(), keys.iter().filter(|key| is_ensured(key)).count());
        finding.expect((journal - ensured..=journal).contains(&outside), || {
            format!("event {event}: {outside} effects outside, {journal} in the journal")
        });
    }
    finding.check("I2", RULE, "effects and events compared")
}

/// An effect that sees to it that something is there: the second for one account finds what the first has made.
fn is_ensured(key: &str) -> bool {
    key.starts_with("billing_customer:")
}
