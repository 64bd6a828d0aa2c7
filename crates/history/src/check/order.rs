//! I3: order per sequence, in the outside system and in the journal.

use super::{Report, View, is_alive};
use crate::line::Published;
use std::collections::{BTreeMap, HashMap};

/// Effects of one sequence and topic take place in the order of the topic.
pub(super) fn of_effects(view: &View<'_>, report: &mut Report) {
    let events = view.events();
    let mut newest: BTreeMap<(&str, &str), &Published> = BTreeMap::new();
    let mut compared = 0;
    for effect in &view.effects {
        let Some(published) = events.get(effect.event.as_str()) else { continue };
        let Some(sequence) = &published.sequence else { continue };
        compared += 1;
        let last = newest.entry((sequence, &published.place.topic)).or_insert(published);
        if published.place.offset >= last.place.offset {
            *last = published;
        } else if !waited_for(published, last) {
            let what = format!(
                "effect `{}` of `{sequence}` for {}@{} took place after one for @{}",
                effect.key, published.place.topic, published.place.offset, last.place.offset
            );
            report.broken("I3", what);
        }
    }
    report.count("I3", compared);
}

/// A later version that was published before an earlier one of its subject waits for it, whatever their offsets say.
fn waited_for(late: &Published, before: &Published) -> bool {
    match (&late.version, &before.version) {
        (Some((subject, version)), Some((other, earlier))) => subject == other && version > earlier,
        _ => false,
    }
}

/// No live record of a sequence is decided while an earlier one of it still waits in its row.
pub(super) fn behind_parked(view: &View<'_>, report: &mut Report) {
    let by_place: HashMap<_, _> = view.published.iter().map(|published| (&published.place, published)).collect();
    let mut blocked: HashMap<&str, &str> = HashMap::new();
    for decided in &view.decided {
        let Some(sequence) = by_place.get(&decided.place).and_then(|published| published.sequence.as_deref()) else {
            continue;
        };
        if let Some(state) = view.parked.get(&decided.place) {
            if is_alive(state) {
                blocked.entry(sequence).or_insert(&decided.place.topic);
            }
            continue;
        }
        let is_live = matches!(decided.disposition.as_str(), "applied" | "superseded" | "skipped");
        if is_live && blocked.contains_key(sequence) {
            let place = &decided.place;
            let what =
                format!("{}@{} of `{sequence}` was decided although one before it waits", place.topic, place.offset);
            report.broken("I3", what);
        }
    }
}
