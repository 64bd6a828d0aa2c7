//! What the ledger says: the disposition of each offset, what was sent, what is open.

use crate::{
    Error,
    accepted::Accepted,
    numbers::Numbers,
    places::{ByPlace, Place},
};
use events::Envelope;
use ledger::{Cause, Disposition, EffectResult, Entry, Ledger, ParkedFilter, ParkedState, Position, StepId};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Slice, topic and partition that events are published to.
pub type OutboxPlace = (i32, Arc<str>, i32);

/// What the journal says of one offset.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    pub first: Disposition,
    /// Entries that hold it: one, if all is well.
    pub count: u8,
}

#[derive(Debug, Default)]
pub struct JournalView {
    pub told: ByPlace<Told>,
    pub parked: ByPlace<ParkedState>,
    /// What operators decided about positions.
    pub accepted: Accepted,
    pub positions: BTreeMap<(Arc<str>, i32), i64>,
    /// Effects that the journal holds as done, by the id of the event they were for.
    pub done: HashMap<String, Vec<String>>,
    /// Steps without an end.
    pub open_steps: Vec<String>,
    pub intents: Vec<String>,
    /// Numbers of the events to publish.
    pub outgoing: BTreeMap<OutboxPlace, Numbers>,
    /// Entries that are not closed.
    pub open_entries: i64,
}

/// A step while the journal is read.
struct StepView {
    /// Absent for what a timer decided.
    event_id: Option<String>,
    effects: Vec<(String, bool)>,
    ended: bool,
}

const PAGE: usize = 500;

impl JournalView {
    pub async fn read(ledger: &dyn Ledger) -> Result<Self, Error> {
        let mut view = Self { accepted: Accepted::read(ledger).await?, ..Self::default() };
        let parked_events = view.read_parked(ledger).await?;
        for slice in ledger.slices().await? {
            view.open_entries += slice.next_entry - 1 - slice.closed_entry;
            view.intents.extend(slice.intents.iter().map(|intent| format!("{} ({})", intent.effect_key, intent.state)));
            for Position { topic, next_offset, .. } in slice.positions {
                view.positions.insert((topic.into(), slice.slice), next_offset);
            }
            view.read_slice(ledger, slice.slice, &parked_events).await?;
        }
        Ok(view)
    }

    /// Parked rows by place, and the ids of their events by row.
    async fn read_parked(&mut self, ledger: &dyn Ledger) -> Result<BTreeMap<(i32, String, i64), String>, Error> {
        let mut ids = BTreeMap::new();
        let filter = ParkedFilter { limit: usize::MAX >> 1, ..ParkedFilter::default() };
        for row in ledger.parked_records(&filter).await? {
            let place = Place { topic: row.topic.as_str().into(), partition: row.partition, offset: row.offset };
            self.parked.insert(place, row.fate.state);
            ids.insert((row.slice, row.sequence.clone(), row.no), event_id(&row.headers));
        }
        Ok(ids)
    }

    async fn read_slice(
        &mut self,
        ledger: &dyn Ledger,
        slice: i32,
        parked: &BTreeMap<(i32, String, i64), String>,
    ) -> Result<(), Error> {
        let mut steps: BTreeMap<StepId, StepView> = BTreeMap::new();
        let mut from = 0;
        loop {
            let entries = ledger.entries(slice, from, PAGE).await?;
            let Some(last) = entries.last() else { break };
            from = last.entry + 1;
            for stored in entries {
                self.take_entry(slice, stored.entry, stored.body, parked, &mut steps);
            }
        }
        for step in steps.into_values() {
            if !step.ended && step.effects.iter().any(|(_, done)| !done) {
                self.open_steps.push(step.effects.first().map(|(key, _)| key.clone()).unwrap_or_default());
            }
            for (key, _) in step.effects.into_iter().filter(|(_, done)| *done) {
                // An effect of a timer names itself where others name their event.
                let event_id = step.event_id.clone().unwrap_or_else(|| key.clone());
                self.done.entry(event_id).or_default().push(key);
            }
        }
        for keys in self.done.values_mut() {
            keys.sort();
            keys.dedup();
        }
        Ok(())
    }

    fn take_entry(
        &mut self,
        slice: i32,
        number: i64,
        entry: Entry,
        parked: &BTreeMap<(i32, String, i64), String>,
        steps: &mut BTreeMap<StepId, StepView>,
    ) {
        let topics: Vec<Arc<str>> = entry.topics.iter().map(|topic| topic.as_str().into()).collect();
        for record in &entry.records {
            let topic = topics.get(usize::from(record.topic)).cloned().unwrap_or_default();
            if self.accepted.is_gone(&topic, slice, number) {
                continue;
            }
            let place = Place { topic, partition: slice, offset: record.offset };
            let first = Told { first: record.disposition, count: 1 };
            self.told.update(place, first, |told| told.count = told.count.saturating_add(1));
        }
        for (index, step) in (0..).zip(entry.steps) {
            let event_id = match step.causes.last() {
                Some(Cause::Record(source)) => Some(event_id(&source.headers)),
                Some(Cause::Parked { no }) => {
                    Some(parked.get(&(slice, step.sequence.clone(), *no)).cloned().unwrap_or_default())
                }
                Some(Cause::Timer { .. }) => None,
                None => Some(String::new()),
            };
            let effects = step.effects.into_iter().map(|effect| (effect.key, effect.receipt.is_some())).collect();
            steps.insert(StepId { entry: number, index }, StepView { event_id, effects, ended: false });
        }
        for outcome in entry.outcomes {
            let Some(step) = steps.get_mut(&outcome.step) else { continue };
            match outcome.result {
                EffectResult::Done { .. } => {
                    let effect = usize::try_from(outcome.effect).ok().and_then(|index| step.effects.get_mut(index));
                    if let Some((_, done)) = effect {
                        *done = true;
                    }
                }
                EffectResult::Refused { .. } => step.ended = true,
                EffectResult::Unknown => {}
            }
        }
        for outgoing in entry.outgoing {
            let place = (slice, outgoing.event.topic.as_str().into(), outgoing.event.partition);
            // What it says is read from the topic; only that it is there counts here.
            self.outgoing.entry(place).or_default().add(outgoing.number);
        }
    }
}

fn event_id(headers: &events::Headers) -> String {
    Envelope::from_headers(headers)
        .map_or_else(|_| headers.text("ce_id").unwrap_or_default().to_owned(), |envelope| envelope.id)
}
