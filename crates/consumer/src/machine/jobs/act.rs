//! What a job does about one item, now that its row is known.

use super::{LoadedRow, Phase, edit, moved};
use crate::handler::Handler;
use crate::machine::{Arrived, Machine, lane::Lane, reports::Origin};
use failure::{Class, Failure};
use ledger::{ItemResult, ItemState, JobItem, Millis, ParkedFate, ParkedRecord, ParkedState, RowKey, Verb};
use std::sync::Arc;

/// Sequences of one record that nobody could read begin so: they are no business key.
pub(in crate::machine) fn is_alone(sequence: &str) -> bool {
    sequence.starts_with('!')
}

impl<H: Handler> Machine<H> {
    pub(super) fn act(&mut self, name: &Arc<str>, loaded: LoadedRow<H::Event>, now: Millis) {
        let Some(flight) = self.jobs.flights.get(name) else { return };
        let (verb, Some(item)) = (flight.verb, flight.items.front().cloned()) else { return };
        let LoadedRow { item: key, row, head, passed, .. } = loaded;
        let Some((row, arrived)) = row else { return self.settle(name, &key, ItemState::Changed, now) };
        if verb == Verb::Predict && row.no != key.no {
            return self.predict_item(name, row, arrived, false, now);
        }
        if let Some(result) = early(verb, &item, &row, now) {
            self.item_result(name, key.no, result, now);
            return;
        }
        let is_head = head == Some(key.no);
        let is_next = is_head || self.holds_up(name, &row);
        if self.jobs.flights.get(name).is_some_and(|flight| flight.tried == Some(key.no)) {
            return self.settle(name, &key, ItemState::Blocked, now);
        }
        match verb {
            Verb::Retry if !is_next => self.settle(name, &key, ItemState::Blocked, now),
            Verb::Retry => self.try_item(name, row, arrived, now),
            Verb::Edit => self.edit_item(name, &item, row, arrived, is_next, now),
            Verb::Discard => self.give_up(name, row, ParkedState::Discarded, is_head, now),
            Verb::Move => self.move_away(name, row, is_head, now),
            Verb::Erase => self.erase(name, row, is_head, now),
            Verb::Restore => self.restore_item(name, row, passed, now),
            Verb::Predict => self.predict_item(name, row, arrived, is_next, now),
        }
    }

    /// Whether the sequence waits for people because of this row although it is not the first: the first waits for what this one
    /// brings, so that each try lets it go ahead.
    fn holds_up(&self, name: &Arc<str>, row: &ParkedRecord) -> bool {
        let Some(parked) = self.lanes.get(name).and_then(|lane| lane.parked.as_ref()) else { return false };
        let shown = |failure: &Failure| {
            failure.class == parked.class && *failure.code == *parked.code && failure.reason == parked.reason
        };
        parked.next_attempt_ms.is_none() && row.fate.failure.as_ref().is_some_and(shown)
    }

    /// A result that says nothing more than its state.
    pub(super) fn settle(&mut self, name: &Arc<str>, key: &RowKey, state: ItemState, now: Millis) {
        self.item_result(name, key.no, ItemResult::new(state, now), now);
    }

    pub(super) fn refuse(&mut self, name: &Arc<str>, no: i64, code: &str, note: String, now: Millis) {
        let result =
            ItemResult { code: Some(code.to_owned()), note: Some(note), ..ItemResult::new(ItemState::Refused, now) };
        self.item_result(name, no, result, now);
    }

    pub(super) fn phase(&mut self, name: &Arc<str>, phase: Phase<H>) {
        if let Some(flight) = self.jobs.flights.get_mut(name) {
            flight.phase = phase;
        }
    }

    /// The head is tried as if it were due; its result comes with what becomes of it.
    fn try_item(&mut self, name: &Arc<str>, row: ParkedRecord, arrived: Arrived<H::Event>, now: Millis) {
        if is_alone(name) && arrived.event.is_ok() {
            return self.move_home(name, row, &arrived, now);
        }
        let Some(lane) = self.lanes.get_mut(name) else { return };
        Self::try_soon(&mut self.due, name, lane, now);
        if let Some(flight) = self.jobs.flights.get_mut(name) {
            (flight.phase, flight.tried) = (Phase::Trying, Some(row.no));
        }
    }

    fn edit_item(
        &mut self,
        name: &Arc<str>,
        item: &JobItem,
        mut row: ParkedRecord,
        arrived: Arrived<H::Event>,
        is_head: bool,
        now: Millis,
    ) {
        let no = row.no;
        if !edit::is_in_place(&row, &item.job) {
            let event = match &arrived.event {
                Ok(event) => event,
                Err(failure) => return self.refuse(name, no, &failure.code, failure.reason.clone(), now),
            };
            let home = self.handler.sequence(event, arrived.key());
            if !is_alone(name) && home != **name {
                let note = format!("the edited event belongs to sequence `{home}`");
                return self.refuse(name, no, "EDIT_MOVES_SEQUENCE", note, now);
            }
            let Some(edit) = &item.edit else { return self.settle(name, &item.row, ItemState::Changed, now) };
            let edit = edit::edited(&row, edit, &item.job);
            row.fate =
                ParkedFate { edit: Some(Box::new(edit)), version: row.fate.version + 1, changed_ms: now, ..row.fate };
            self.batch.fate(name, no, row.fate.clone());
            if let Some(lane) = self.lanes.get_mut(name) {
                // The try must read it with the edit.
                lane.last_insert = self.batch.entry;
            }
        }
        if is_head {
            return self.try_item(name, row, arrived, now);
        }
        let note = Some("the edit is in place, and waits behind an earlier row".to_owned());
        self.item_result(name, no, ItemResult { note, ..ItemResult::new(ItemState::Done, now) }, now);
    }

    /// The row ends and its bytes are forgotten; one that was given up before has ended already.
    fn erase(&mut self, name: &Arc<str>, mut row: ParkedRecord, is_head: bool, now: Millis) {
        row.fate.edit = None;
        if row.fate.state.is_alive() {
            return self.give_up(name, row, ParkedState::Erased, is_head, now);
        }
        let (no, version) = (row.no, row.fate.version + 1);
        self.batch.fate(name, no, ParkedFate { state: ParkedState::Erased, changed_ms: now, version, ..row.fate });
        self.item_ended(name, no, ParkedState::Erased, now);
    }

    /// The row ends, and its copy goes to where its job says with the same commit, unless people have put it there already.
    fn move_away(&mut self, name: &Arc<str>, row: ParkedRecord, is_head: bool, now: Millis) {
        let running = self.jobs.flights.get(name).and_then(|flight| self.jobs.running.get(&flight.job));
        let spec = running.map(|running| &running.job.spec);
        if let Some((to, spec)) = spec.and_then(|spec| Some((spec.to.as_ref()?, spec))) {
            if to.topic == row.topic {
                let note = format!("it came from `{}`: there it would fail again", to.topic);
                return self.refuse(name, row.no, "MOVED_TO_ORIGIN", note, now);
            }
            let copy = moved::copy(self.handler.name(), &row, to, (&spec.who, &spec.reason), now);
            self.outbox.add(&mut self.batch, copy, None);
        }
        self.give_up(name, row, ParkedState::Moved, is_head, now);
    }

    /// The row ends by the word of people; its sequence goes on.
    fn give_up(&mut self, name: &Arc<str>, row: ParkedRecord, ended: ParkedState, is_head: bool, now: Millis) {
        let holds_up = self.holds_up(name, &row);
        let Some(mut lane) = self.lanes.remove(name) else { return };
        if let Some(parked) = lane.parked.as_mut().filter(|_| is_head) {
            // Rows before it may have ended out of turn.
            parked.head_no = row.no;
        }
        let next = lane.parked.as_ref().and_then(|parked| parked.next_attempt_ms);
        self.end_parked(name, &mut lane, row.no, row.fate.clone(), &Origin::from(&row), ended, now);
        if let Some(parked) = lane.parked.as_mut().filter(|_| !is_head && !holds_up) {
            // The head is as it was: whoever waits for people goes on waiting.
            parked.next_attempt_ms = next;
            self.batch.put_sequence(name, parked);
        }
        self.lanes.insert(name.clone(), lane);
        self.make_runnable(name);
    }

    /// What nobody could read belongs to no sequence; now that it can be read, it goes on behind what waits in its own.
    fn move_home(&mut self, name: &Arc<str>, row: ParkedRecord, arrived: &Arrived<H::Event>, now: Millis) {
        let Ok(event) = &arrived.event else { return };
        let home: Arc<str> = self.handler.sequence(event, arrived.key()).into();
        let Some(mut alone) = self.lanes.remove(name) else { return };
        self.end_parked(name, &mut alone, row.no, row.fate.clone(), &Origin::from(&row), ParkedState::Moved, now);
        self.lanes.insert(name.clone(), alone);
        self.make_runnable(name);
        let mut lane = self.lanes.remove(&home).unwrap_or_default();
        let is_first = lane.parked.is_none();
        let fate = ParkedFate { state: ParkedState::Waiting, changed_ms: now, version: 0, ..row.fate.clone() };
        self.bring_home(&home, &mut lane, row, fate, now);
        if is_first {
            Self::try_soon(&mut self.due, &home, &mut lane, now);
        }
        self.lanes.insert(home, lane);
    }

    fn bring_home(&mut self, home: &Arc<str>, lane: &mut Lane<H>, row: ParkedRecord, fate: ParkedFate, now: Millis) {
        let failure = fate.failure.clone();
        let failure = failure.unwrap_or_else(|| Failure::bug("INVARIANT_BROKEN", "a letter without a failure"));
        let is_first = lane.parked.is_none();
        let sequence = lane.parked.get_or_insert_with(|| Box::new(self.new_sequence(home, now)));
        if is_first {
            shows(sequence, &failure);
        }
        let no = sequence.tail_no;
        sequence.tail_no += 1;
        sequence.depth += 1;
        lane.last_insert = self.batch.entry;
        self.batch.put_sequence(home, sequence);
        let row = ParkedRecord { sequence: home.to_string(), no, parked_ms: now, fate, ..row };
        self.batch.park(home, row);
    }
}

/// People see the failure that the head has had so far.
pub(super) fn shows(sequence: &mut ledger::ParkedSequence, failure: &Failure) {
    sequence.class = failure.class;
    sequence.code = failure.code.to_string();
    sequence.reason.clone_from(&failure.reason);
    sequence.owner.clone_from(&failure.owner);
    sequence.field.clone_from(&failure.field);
    sequence.awaits = failure.awaits.clone().filter(|_| failure.class == Class::NotYet);
}

const fn is_given_up(state: ParkedState) -> bool {
    matches!(state, ParkedState::Discarded | ParkedState::Erased)
}

/// What can be said without touching the row: it ended, or it is not what people saw.
fn early(verb: Verb, item: &JobItem, row: &ParkedRecord, now: Millis) -> Option<ItemResult> {
    let state = row.fate.state;
    let ended = || ItemResult { ended: Some(state), ..ItemResult::new(ItemState::Done, now) };
    let changed = || ItemResult::new(ItemState::Changed, now);
    let is_same = row.fate.version == item.version;
    let is_edited = row.fate.version == item.version + 1 && edit::is_in_place(row, &item.job);
    match verb {
        Verb::Retry | Verb::Edit | Verb::Predict if is_given_up(state) => Some(changed()),
        Verb::Retry | Verb::Edit | Verb::Predict if !state.is_alive() => Some(ended()),
        Verb::Move if state == ParkedState::Moved => Some(ended()),
        Verb::Erase if state == ParkedState::Erased => Some(ended()),
        Verb::Erase if !state.is_alive() && state != ParkedState::Discarded => Some(changed()),
        Verb::Discard | Verb::Move if !state.is_alive() => Some(changed()),
        Verb::Restore if state != ParkedState::Discarded => Some(changed()),
        Verb::Edit if is_edited => None,
        _ => (!is_same).then(changed),
    }
}
