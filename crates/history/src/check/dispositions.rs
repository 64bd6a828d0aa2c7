//! I1 and I10: where each record ended, and that copies end without effect.

use super::{Report, View};
use std::collections::{BTreeMap, HashMap};

/// I1: every offset below a position has exactly one disposition, and none is decided that was never published.
pub(super) fn one_each(view: &View<'_>, report: &mut Report) {
    let mut decided: HashMap<_, Vec<&str>> = HashMap::new();
    for line in &view.decided {
        decided.entry(&line.place).or_default().push(&line.disposition);
    }
    report.count("I1", view.published.len());
    for published in &view.published {
        let place = &published.place;
        let position = view.positions.get(&(place.topic.as_str(), place.partition)).copied().unwrap_or(0);
        let found = decided.remove(place).unwrap_or_default();
        let name = || format!("{}/{}@{}", place.topic, place.partition, place.offset);
        if found.len() > 1 {
            report.broken("I1", format!("{} has {} dispositions: {}", name(), found.len(), found.join(", ")));
        } else if found.is_empty() && place.offset < position {
            report.broken("I1", format!("{} has no disposition, the position is {position}", name()));
        }
    }
    for place in decided.into_keys() {
        let what = format!("{}/{}@{} is decided and was never published", place.topic, place.partition, place.offset);
        report.broken("I1", what);
    }
}

/// I10: an event takes effect from one of its copies only; reading everything again changes nothing and calls nobody.
pub(super) fn copies_are_free(view: &View<'_>, report: &mut Report) {
    let by_place: HashMap<_, _> = view.published.iter().map(|published| (&published.place, published)).collect();
    let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
    for decided in &view.decided {
        let is_copy = matches!(decided.disposition.as_str(), "duplicate" | "conflict" | "outside_horizon");
        let event = by_place.get(&decided.place).and_then(|published| published.event.as_deref());
        if let Some(event) = event.filter(|_| !is_copy) {
            *taken.entry(event).or_default() += 1;
        }
    }
    report.count("I10", taken.len() + view.rereads.len());
    for (event, count) in taken.into_iter().filter(|(_, count)| *count > 1) {
        report.broken("I10", format!("event {event} was taken {count} times"));
    }
    for (records, documents, effects, published) in &view.rereads {
        if documents + effects + published > 0 {
            let what = format!(
                "reading {records} records again changed {documents} documents, sent {effects} effects and published {published} events"
            );
            report.broken("I10", what);
        }
    }
}
