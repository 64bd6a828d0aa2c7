//! What a run left behind, and whether it is what its twin left behind.

use super::outside::Committed;
use super::world::{PublishedEvent, now_or_never};
use consumer::machine::Arrived;
use events::topics;
use ledger::{
    Disposition, DocumentFilter, DocumentKey, Ledger, NewOutgoing, ParkedFilter, ParkedSequence, ParkedState,
    memory::MemoryLedger,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The end of a run, without clocks and ids of attempts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    pub documents: BTreeMap<DocumentKey, String>,
    pub effects: Vec<Committed>,
    /// Per topic and partition, first appearances only: key and value; of a state topic only the newest of each key.
    pub published: BTreeMap<(String, i32), Vec<String>>,
    /// What reached the topics, first appearances only, in the order of each topic.
    pub told: Vec<NewOutgoing>,
    /// Fate of each event by its id.
    pub fates: BTreeMap<String, &'static str>,
    /// What waits for people, as they see it.
    pub cases: Vec<ParkedSequence>,
}

const ALL: usize = 1_000_000;

impl Observed {
    pub(super) fn read<E>(
        ledger: &MemoryLedger,
        log: &BTreeMap<Arc<str>, Vec<Arrived<E>>>,
        effects: Vec<Committed>,
        published: BTreeMap<(String, i32), Vec<PublishedEvent>>,
    ) -> Result<Self, String> {
        once(&effects)?;
        let filter = DocumentFilter { limit: ALL, ..DocumentFilter::default() };
        let documents = now_or_never(ledger.documents(&filter)).map_err(|error| error.to_string())?;
        let fates = fates(ledger, log)?;
        let order = topics_of(log);
        in_order(&effects, &order)?;
        let told = published.values().flat_map(|events| {
            let mut seen = BTreeSet::new();
            events.iter().filter(move |(number, _)| seen.insert(*number)).map(|(_, event)| event.clone())
        });
        Ok(Self {
            told: told.collect(),
            documents: documents.into_iter().map(|row| (row.key, row.body)).collect(),
            effects,
            published: published
                .into_iter()
                .map(|(place, events)| {
                    let events = first_appearances(&place.0, events);
                    (place, events)
                })
                .collect(),
            fates,
            cases: now_or_never(ledger.sequences(None)).map_err(|error| error.to_string())?,
        })
    }
}

/// I2: one committed effect per key, in the outside system's own log.
fn once(effects: &[Committed]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match effects.iter().find(|effect| !seen.insert(&effect.key)) {
        Some(twice) => Err(format!("I2: effect `{}` took place twice", twice.key)),
        None => Ok(()),
    }
}

type Places = BTreeMap<String, (String, Arc<str>, i64)>;

/// Event id → (key, topic, first offset).
fn topics_of<E>(log: &BTreeMap<Arc<str>, Vec<Arrived<E>>>) -> Places {
    let mut places = Places::new();
    for (topic, records) in log {
        for arrived in records {
            if let Some(envelope) = &arrived.envelope {
                let place = (arrived.key().to_owned(), topic.clone(), arrived.record.offset);
                places.entry(envelope.id.clone()).or_insert(place);
            }
        }
    }
    places
}

/// I3: effects of one key and topic take place in the order of the topic.
fn in_order(effects: &[Committed], places: &Places) -> Result<(), String> {
    let mut newest: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for effect in effects {
        let Some((key, topic, offset)) = places.get(&effect.event_id) else { continue };
        let last = newest.entry((key, topic)).or_insert(*offset);
        if *offset < *last {
            return Err(format!("I3: effect `{}` of key `{key}` took place after one of a later event", effect.key));
        }
        *last = *offset;
    }
    Ok(())
}

/// I1: every offset has exactly one disposition; a parked record's row says how it went on.
fn fates<E>(
    ledger: &MemoryLedger,
    log: &BTreeMap<Arc<str>, Vec<Arrived<E>>>,
) -> Result<BTreeMap<String, &'static str>, String> {
    let entries = now_or_never(ledger.entries(0, 0, ALL)).map_err(|error| error.to_string())?;
    let mut dispositions: BTreeMap<(String, i64), Disposition> = BTreeMap::new();
    for entry in &entries {
        for record in &entry.body.records {
            let topic = entry.body.topics.get(usize::from(record.topic)).cloned().unwrap_or_default();
            if dispositions.insert((topic.clone(), record.offset), record.disposition).is_some() {
                return Err(format!("I1: {topic}@{} has two dispositions", record.offset));
            }
        }
    }
    let filter = ParkedFilter { limit: ALL, ..ParkedFilter::default() };
    let parked = now_or_never(ledger.parked_records(&filter)).map_err(|error| error.to_string())?;
    let parked: BTreeMap<(String, i64), ParkedState> =
        parked.into_iter().map(|row| ((row.topic, row.offset), row.fate.state)).collect();
    let mut fates = BTreeMap::new();
    for (topic, records) in log {
        for arrived in records {
            let place = (topic.to_string(), arrived.record.offset);
            let Some(disposition) = dispositions.get(&place) else {
                return Err(format!("I1: {topic}@{} has no disposition", arrived.record.offset));
            };
            let fate = parked.get(&place).map_or(disposition.as_str(), |state| state.as_str());
            if let Some(envelope) = arrived.envelope.as_ref().filter(|_| *disposition != Disposition::Duplicate) {
                fates.insert(format!("{}#{}", envelope.id, arrived.hash.0), fate);
            }
        }
    }
    Ok(fates)
}

/// Of a compacted topic the newest state of each key is what counts: what was there in between depends on the order in which
/// topics were read.
fn first_appearances(topic: &str, events: Vec<PublishedEvent>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let fresh = events.into_iter().filter(|(number, _)| seen.insert(*number));
    let is_state = topics::find(topic).is_some_and(|subject| subject.kind == topics::Kind::State);
    if !is_state {
        return fresh.map(|(_, event)| format!("{:?} {:?}", event.key, event.value)).collect();
    }
    let newest: BTreeMap<_, _> = fresh.map(|(_, event)| (format!("{:?}", event.key), event.value)).collect();
    newest.into_iter().map(|(key, value)| format!("{key} {value:?}")).collect()
}

/// I11: the end equals that of a run without faults; order between different keys is free. Of effects that coalesce the last one on each
/// entity counts, and whether an event's own effect was sent or a later event's is chance.
pub fn compare(twin: &Observed, run: &Observed) -> Result<(), String> {
    same("documents", &twin.documents, &run.documents)?;
    same("fates of events", &ends(&twin.fates), &ends(&run.fates))?;
    same("effects", &by_key(&twin.effects), &by_key(&run.effects))?;
    let sorted = |observed: &Observed| {
        let places = observed.published.iter().map(|(place, events)| {
            let mut events = events.clone();
            events.sort();
            (place.clone(), events)
        });
        places.collect::<BTreeMap<_, _>>()
    };
    same("published events", &sorted(twin), &sorted(run))
}

fn by_key(effects: &[Committed]) -> BTreeMap<&str, &str> {
    let named = effects.iter().map(|effect| {
        let name = if effect.coalesces { &effect.entity } else { &effect.key };
        (name.as_str(), effect.payload.as_str())
    });
    // Later ones replace earlier ones under the same name.
    named.collect()
}

fn ends<'a>(fates: &'a BTreeMap<String, &'static str>) -> BTreeMap<&'a str, &'static str> {
    let end = |fate| if fate == Disposition::Superseded.as_str() { Disposition::Applied.as_str() } else { fate };
    fates.iter().map(|(event, fate)| (event.as_str(), end(*fate))).collect()
}

fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    twin: &BTreeMap<K, V>,
    run: &BTreeMap<K, V>,
) -> Result<(), String> {
    let keys: BTreeSet<&K> = twin.keys().chain(run.keys()).collect();
    for key in keys {
        if twin.get(key) != run.get(key) {
            return Err(format!(
                "I11: {what} differ at {key:?}: without faults {:?}, with faults {:?}",
                twin.get(key),
                run.get(key)
            ));
        }
    }
    Ok(())
}
