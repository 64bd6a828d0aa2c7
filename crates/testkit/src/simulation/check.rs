//! What a run left behind, and whether it is what its twin left behind.

use super::outside::Committed;
use super::topic::PublishedEvent;
use super::work::{self, Work};
use super::world::now_or_never;
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
    /// What the runtime told of its own work.
    pub work: Work,
}

const ALL: usize = 1_000_000;

impl Observed {
    pub(super) fn read<E>(
        ledger: &MemoryLedger,
        log: &BTreeMap<Arc<str>, Vec<Arrived<E>>>,
        effects: Vec<Committed>,
        published: BTreeMap<(String, i32), Vec<PublishedEvent>>,
    ) -> Result<Self, String> {
        let filter = DocumentFilter { limit: ALL, ..DocumentFilter::default() };
        let documents = now_or_never(ledger.documents(&filter)).map_err(|error| error.to_string())?;
        let fates = fates(ledger, log)?;
        let (reports, published): (BTreeMap<_, _>, BTreeMap<_, _>) =
            published.into_iter().partition(|((topic, _), _)| work::is_report(topic));
        let work = Work::read(ledger, &reports, &documents)?;
        let told = published.values().flat_map(|events| {
            let mut seen = BTreeSet::new();
            events.iter().filter(move |(number, _)| seen.insert(*number)).map(|(_, event)| event.clone())
        });
        Ok(Self {
            told: told.collect(),
            documents: documents
                .into_iter()
                .filter(|row| !work::is_minutes(&row.key))
                .map(|row| (row.key, row.body))
                .collect(),
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
            work,
        })
    }
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

/// I11: the end equals that of a run without faults; order between different keys is free.
///
/// # Errors
/// With the first difference.
pub fn compare(twin: &Observed, run: &Observed) -> Result<(), String> {
    same("documents", &twin.documents, &run.documents)?;
    same("fates of events", &twin.fates, &run.fates)?;
    same("effects", &by_key(&twin.effects), &by_key(&run.effects))?;
    same("events in step", &twin.work.in_step, &run.work.in_step)?;
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

/// The same where waiting events of one entity are coalesced: how many are depends on the schedule, what the last one leaves does not.
///
/// # Errors
/// With the first difference.
pub fn compare_coalesced(twin: &Observed, run: &Observed) -> Result<(), String> {
    fn last(observed: &Observed) -> BTreeMap<&str, &str> {
        observed.effects.iter().map(|effect| (effect.entity.as_str(), effect.payload.as_str())).collect()
    }
    fn fates(observed: &Observed) -> BTreeMap<&str, &str> {
        let named = |(event, fate)| (event, if fate == "superseded" { "applied" } else { fate });
        observed.fates.iter().map(|(event, fate)| (event.as_str(), *fate)).map(named).collect()
    }
    same("documents", &twin.documents, &run.documents)?;
    same("events in step", &twin.work.in_step, &run.work.in_step)?;
    same("fates of events", &fates(twin), &fates(run))?;
    same("last effects", &last(twin), &last(run))
}

fn by_key(effects: &[Committed]) -> BTreeMap<&str, &str> {
    effects.iter().map(|effect| (effect.key.as_str(), effect.payload.as_str())).collect()
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
