//! The invariants, each as a comparison of two things that were read independently.

use crate::{Check, World, analytics, money, topics::Input, topics::letter_place};
use consumer::machine::CLAIM_CHECK;
use ledger::Disposition;
use std::collections::{BTreeMap, BTreeSet};

/// Collects what was compared and what did not hold.
pub(crate) struct Finding {
    pub(crate) counted: u64,
    pub(crate) breaks: Vec<String>,
}

impl Finding {
    pub(crate) const fn new() -> Self {
        Self { counted: 0, breaks: Vec::new() }
    }

    pub(crate) fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.counted += 1;
        if !holds {
            self.breaks.push(what());
        }
    }

    pub(crate) fn check(self, id: &'static str, rule: &'static str, unit: &str) -> Check {
        const SHOWN: usize = 5;
        let ok = self.breaks.is_empty();
        let detail = if ok {
            format!("{} {unit}", self.counted)
        } else {
            let more = self.breaks.len().saturating_sub(SHOWN);
            let shown = self.breaks.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
            if more > 0 { format!("{shown}; and {more} more") } else { shown }
        };
        Check { service: String::new(), id, rule, ok, counted: self.counted, detail }
    }
}

pub fn all(world: &World) -> Vec<Check> {
    vec![
        one_disposition(world),
        effects_once(world),
        order_per_key(world),
        if world.publishes_analytics() { analytics::adds_up(world) } else { money_adds_up(world) },
        nothing_open(world),
        outbox_published(world),
        letters_equal_sources(world),
        copies_change_nothing(world),
    ]
}

fn one_disposition(world: &World) -> Check {
    let mut finding = Finding::new();
    for place in world.topics.inputs.keys() {
        let (topic, partition, offset) = place;
        let position = world.journal.positions.get(&(topic.clone(), *partition)).copied().unwrap_or(0);
        let count = world.journal.dispositions.get(place).map_or(0, Vec::len);
        let expected = usize::from(*offset < position && !world.journal.accepted.passed(place));
        finding.expect(count == expected || (expected == 0 && count == 1), || {
            format!("{topic}/{partition}@{offset} has {count} dispositions, the position is {position}")
        });
    }
    for (topic, partition, offset) in world.journal.dispositions.keys() {
        let low = world.topics.ranges.get(&(topic.clone(), *partition)).map_or(0, |range| range.0);
        let known = world.topics.inputs.contains_key(&(topic.clone(), *partition, *offset));
        if !known && *offset >= low {
            finding.breaks.push(format!("{topic}/{partition}@{offset} is in the journal and not in the topic"));
        }
    }
    finding.check("I1", "every offset below a position has exactly one disposition", "records")
}

fn effects_once(world: &World) -> Check {
    let mut finding = Finding::new();
    let Some(effects) = &world.effects else { return unchecked("I2", "each effect took place exactly once outside") };
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
    let events: BTreeSet<&str> =
        by_event.keys().copied().chain(world.journal.done.keys().map(String::as_str)).collect();
    for event in events {
        let outside = by_event.get(event).copied().unwrap_or(0);
        let journal = world.journal.done.get(event).map_or(0, Vec::len);
        finding.expect(outside == journal, || {
            format!("event {event}: {outside} effects outside, {journal} in the journal")
        });
    }
    finding.check("I2", "each effect took place exactly once outside", "effects and events compared")
}

fn order_per_key(world: &World) -> Check {
    let mut finding = Finding::new();
    let Some(effects) = &world.effects else {
        return unchecked("I3", "effects of a key take place in the order of its topic");
    };
    let mut places: BTreeMap<&str, (&str, i64, &Input)> = BTreeMap::new();
    for ((topic, _, offset), input) in &world.topics.inputs {
        if let Some(id) = &input.event_id {
            let place = places.entry(id).or_insert((topic, *offset, input));
            if *offset < place.1 {
                *place = (topic, *offset, input);
            }
        }
    }
    let mut newest: BTreeMap<(&str, &str), (i64, &Input)> = BTreeMap::new();
    for effect in effects {
        let Some((topic, offset, input)) = effect.event_id.as_deref().and_then(|id| places.get(id)) else { continue };
        let (last, before) = newest.entry((&input.key, topic)).or_insert((*offset, input));
        finding.expect(*offset >= *last || is_later_version(input, before), || {
            format!("effect {} of key {} is for {topic}@{offset}, after one for @{last}", effect.seq, input.key)
        });
        if *offset >= *last {
            (*last, *before) = (*offset, input);
        }
    }
    finding.check("I3", "effects of a key take place in the order of its topic", "effects")
}

/// A later version that was published before an earlier one of its subject waits for it, whatever their offsets say.
fn is_later_version(input: &Input, before: &Input) -> bool {
    match (&input.version, &before.version) {
        (Some((subject, version)), Some((other, earlier))) => subject == other && version > earlier,
        _ => false,
    }
}

fn money_adds_up(world: &World) -> Check {
    let mut finding = Finding::new();
    if world.effects.is_none() {
        return unchecked("I4", "per currency: published = took effect + parked + dead-lettered + written off");
    }
    let mut told = Vec::new();
    for ((object, currency), sums) in money::sums(world) {
        finding.expect(sums.difference() == 0, || {
            format!(
                "{object} {currency}: published {}, accounted for {}",
                sums.published,
                sums.published - sums.difference()
            )
        });
        told.push(format!("{object} {currency} {} = {} done", sums.published, sums.effects));
        let rest = [
            ("waiting to be charged", sums.waiting),
            ("parked", sums.parked),
            ("dead-lettered", sums.dead_lettered),
            ("written off", sums.written_off),
            ("unread", sums.unread),
        ];
        for (name, amount) in rest.into_iter().filter(|(_, amount)| *amount != 0) {
            told.push(format!("+ {amount} {name}"));
        }
    }
    let mut check =
        finding.check("I4", "per currency: published = took effect + parked + dead-lettered + written off", "sums");
    if check.ok {
        check.detail = told.join(", ");
    }
    check
}

fn nothing_open(world: &World) -> Check {
    let mut finding = Finding::new();
    for ((topic, partition), (low, end)) in &world.topics.ranges {
        let position = world.journal.positions.get(&(topic.clone(), *partition)).copied().unwrap_or(*low);
        finding.expect(position >= *end, || format!("{topic}/{partition}: {} records to read", end - position));
    }
    for step in &world.journal.open_steps {
        finding.expect(false, || format!("the outcome of {step} is not known"));
    }
    for intent in &world.journal.intents {
        finding.expect(false, || format!("intent {intent} is open"));
    }
    finding.expect(world.journal.open_entries == 0, || {
        format!("{} journal entries are not closed", world.journal.open_entries)
    });
    finding.check("I6", "lag is zero and no intent stays open", "partitions and intents")
}

fn outbox_published(world: &World) -> Check {
    let mut finding = Finding::new();
    let mut first: BTreeMap<(i32, &str, i32), Vec<i64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for ((topic, partition), records) in &world.topics.outputs {
        for published in records {
            let header = published.record.headers.text(consumer::runtime::NUMBER_HEADER);
            let slice = header
                .and_then(|text| text.strip_prefix(&format!("{}/", world.service))?.split_once('/')?.0.parse().ok());
            if let (Some(slice), Some(number)) = (slice, published.number) {
                let place = (slice, topic.as_str(), *partition);
                if seen.insert((place, number)) {
                    first.entry(place).or_default().push(number);
                }
            }
        }
    }
    for ((slice, topic, partition), events) in &world.journal.outgoing {
        let numbers = first.remove(&(*slice, topic.as_str(), *partition)).unwrap_or_default();
        let committed: Vec<i64> = events.iter().copied().collect();
        finding.counted += committed.len() as u64;
        if numbers != committed {
            let missing = committed.iter().filter(|number| !numbers.contains(number)).count();
            finding.breaks.push(format!("{topic}/{partition} of slice {slice}: {missing} missing or out of order"));
        }
    }
    for ((slice, topic, partition), numbers) in first {
        finding
            .breaks
            .push(format!("{topic}/{partition}: {} events of slice {slice} that no journal holds", numbers.len()));
    }
    finding.check("I8", "published events are the committed ones, first appearances in order", "events")
}

fn letters_equal_sources(world: &World) -> Check {
    let mut finding = Finding::new();
    let letters = format!("dlq.{}", world.service);
    for published in
        world.topics.outputs.iter().filter(|((topic, _), _)| *topic == letters).flat_map(|(_, records)| records)
    {
        let letter = &published.record;
        let Some(place) = letter_place(letter) else {
            finding.expect(false, || format!("letter @{} does not say where it came from", letter.offset));
            continue;
        };
        let Some(source) = world.topics.letter_sources.get(&place) else {
            finding.expect(false, || format!("letter @{}: its source {place:?} is not there", letter.offset));
            continue;
        };
        let carries_value = letter.headers.get(CLAIM_CHECK).is_none();
        let headers_equal =
            letter.headers.get("dlq.headers_dropped").is_some() || letter.headers.0.starts_with(&source.headers.0);
        let equal = letter.key == source.key && (!carries_value || letter.value == source.value) && headers_equal;
        finding.expect(equal, || format!("letter @{} differs from {place:?}", letter.offset));
    }
    finding.check("I9", "a dead letter equals its source byte for byte", "letters")
}

fn copies_change_nothing(world: &World) -> Check {
    let mut finding = Finding::new();
    let mut effective: BTreeMap<events::Uid, u64> = BTreeMap::new();
    let mut copies = 0;
    for (place, input) in &world.topics.inputs {
        let Some(uid) = input.uid else { continue };
        let Some(disposition) = world.journal.dispositions.get(place).and_then(|found| found.first()) else { continue };
        match disposition {
            Disposition::Duplicate | Disposition::Conflict | Disposition::OutsideHorizon => copies += 1,
            Disposition::Applied
            | Disposition::Superseded
            | Disposition::Parked
            | Disposition::DeadLettered
            | Disposition::Skipped => *effective.entry(uid).or_default() += 1,
        }
    }
    for (uid, count) in effective {
        finding.expect(count == 1, || format!("event {uid} was taken {count} times"));
    }
    let mut check = finding.check("I10", "reading an event again changes nothing", "events");
    if check.ok {
        check.detail = format!("{} events, {copies} copies without effect", check.counted);
    }
    check
}

fn unchecked(id: &'static str, rule: &'static str) -> Check {
    let detail = "not checked: no outside system was given".to_owned();
    Check { service: String::new(), id, rule, ok: true, counted: 0, detail }
}
