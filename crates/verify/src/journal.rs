//! What the ledger says: the disposition of each offset, what was sent, what is open.

use crate::{Error, accepted::Accepted, topics::Place};
use events::Envelope;
use ledger::{Cause, Disposition, EffectResult, Entry, Ledger, ParkedFilter, ParkedState, Position, StepId};
use std::collections::{BTreeMap, BTreeSet};

/// Events to publish: slice, topic, partition → their numbers.
pub type Outgoing = BTreeMap<(i32, String, i32), BTreeSet<i64>>;

#[derive(Debug, Default)]
pub struct JournalView {
    pub dispositions: BTreeMap<Place, Vec<Disposition>>,
    pub parked: BTreeMap<Place, ParkedState>,
    /// What operators decided about positions.
    pub accepted: Accepted,
    pub positions: BTreeMap<(String, i32), i64>,
    /// Effects that the journal holds as done, by the id of the event they were for.
    pub done: BTreeMap<String, Vec<String>>,
    /// Steps without an end.
    pub open_steps: Vec<String>,
    pub intents: Vec<String>,
    pub outgoing: Outgoing,
    /// Slice, topic, partition → number up to which the broker has acknowledged.
    pub published: BTreeMap<(i32, String, i32), i64>,
    /// Entries that are not closed.
    pub open_entries: i64,
    pub entries: u64,
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
                view.positions.insert((topic, slice.slice), next_offset);
            }
            for mark in slice.published {
                view.published.insert((slice.slice, mark.topic, mark.partition), mark.number);
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
            self.parked.insert((row.topic.clone(), row.partition, row.offset), row.fate.state);
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
                self.entries += 1;
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
        for record in &entry.records {
            let topic = entry.topics.get(usize::from(record.topic)).cloned().unwrap_or_default();
            if self.accepted.is_gone(&topic, slice, number) {
                continue;
            }
            self.dispositions.entry((topic, slice, record.offset)).or_default().push(record.disposition);
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
            let place = (slice, outgoing.event.topic.clone(), outgoing.event.partition);
            // What it says is read from the topic; only that it is there counts here.
            self.outgoing.entry(place).or_default().insert(outgoing.number);
        }
    }
}

fn event_id(headers: &events::Headers) -> String {
    Envelope::from_headers(headers)
        .map_or_else(|_| headers.text("ce_id").unwrap_or_default().to_owned(), |envelope| envelope.id)
}
