//! I3: effects of a key take place in the order of its topic.

use super::finding::{Finding, unchecked};
use crate::{Check, Known, input::Input};
use events::EventSet as _;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

const RULE: &str = "effects of a key take place in the order of its topic";

/// What is compared of an event that has effects.
struct Source {
    topic: Arc<str>,
    offset: i64,
    key: String,
    /// Subject and version.
    version: Option<(String, i64)>,
}

/// The events that the effect log names, at the first place where each was published.
#[derive(Default)]
pub struct Order(HashMap<String, Option<Source>>);

impl Order {
    pub fn of(known: &Known) -> Self {
        let effects = known.effects.iter().flatten();
        Self(effects.filter_map(|effect| Some((effect.event_id.clone()?, None))).collect())
    }

    pub fn take(&mut self, input: &Input) {
        let Some(slot) = input.event_id.as_ref().and_then(|id| self.0.get_mut(id)) else { return };
        if slot.as_ref().is_none_or(|earlier| input.place.offset < earlier.offset) {
            let version =
                input.event.as_ref().and_then(|event| Some((event.subject().to_owned(), event.entity_version()?)));
            *slot = Some(Source {
                topic: input.place.topic.clone(),
                offset: input.place.offset,
                key: input.key.clone(),
                version,
            });
        }
    }

    pub fn finish(self, known: &Known) -> Check {
        let mut finding = Finding::new();
        let Some(effects) = &known.effects else { return unchecked("I3", RULE) };
        let mut newest: BTreeMap<(usize, &str, &str), &Source> = BTreeMap::new();
        for effect in effects {
            let source = effect.event_id.as_deref().and_then(|id| self.0.get(id)).and_then(Option::as_ref);
            let Some(source) = source else { continue };
            let last = newest.entry((effect.system, &source.key, &source.topic)).or_insert(source);
            finding.expect(source.offset >= last.offset || is_later_version(source, last), || {
                let Source { topic, offset, key, .. } = source;
                format!("effect {} of key {key} is for {topic}@{offset}, after one for @{}", effect.seq, last.offset)
            });
            if source.offset >= last.offset {
                *last = source;
            }
        }
        finding.check("I3", RULE, "effects")
    }
}

/// A later version that was published before an earlier one of its subject waits for it, whatever their offsets say.
fn is_later_version(source: &Source, before: &Source) -> bool {
    match (&source.version, &before.version) {
        (Some((subject, version)), Some((other, earlier))) => subject == other && version > earlier,
        _ => false,
    }
}
