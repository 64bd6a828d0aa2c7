//! Parking: one mechanism for waiting, retry and dead letters. A failing event is set aside with everything that follows it in
//! its sequence, as rows in order; others go on. A try takes the rows from the front again, exactly as live events.
//!
//! What must never happen: a live event of the sequence overtakes a parked one, except the one the head itself waits for; a row
//! is lost between the last try and the next live event (one writer per slice, one transaction).

use super::{
    Arrived, Machine,
    io::millis,
    lane::{Item, Lane, OpenStep, Work},
    pages::brings,
    reports::Origin,
    verdict::{failed_once_more, untried},
};
use crate::handler::Handler;
use failure::{Class, Failure};
use ledger::{Disposition, Millis, ParkedFate, ParkedRecord, ParkedSequence, ParkedState};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Room in front of the first row of a new parked sequence, so that an awaited event that fails can be set before it.
const ROOM_IN_FRONT: i64 = 1 << 19;
/// Numbers of one incarnation of a sequence; they never collide with those of an earlier one, whose ended rows stay.
const NUMBERS: u32 = 20;

impl<H: Handler> Machine<H> {
    /// A record nobody can read belongs to no sequence: it is a letter of its own and blocks nobody.
    pub(super) fn letter_alone(&mut self, item: Item<H::Event>, failure: Failure, now: Millis) {
        let Some(record) = item.work.arrived().map(|arrived| &arrived.record) else { return };
        let name: Arc<str> = format!("!{}/{}/{}", record.topic, record.partition, record.offset).into();
        let mut lane = Lane::default();
        self.failed(&name, &mut lane, item, failure, now);
        self.lanes.insert(name, lane);
    }

    /// Live records behind a parked head become rows. If one is what the head waits for, the sequence is tried at once: the try
    /// lets it go first, together with what must come before it.
    pub(super) fn park_behind(&mut self, name: &Arc<str>, lane: &mut Lane<H>, now: Millis) {
        if lane.parked.is_none() {
            return;
        }
        let mut timers = VecDeque::new();
        while let Some(item) = lane.waiting.pop_front() {
            if matches!(item.work, Work::Timer { .. }) {
                // Its row stays where it is; it goes on when the sequence does.
                timers.push_back(item);
                continue;
            }
            let is_awaited = brings(&*self.handler, &item, lane.awaits());
            if let Work::Live(arrived) = item.work {
                self.insert(name, lane, &arrived, Place::Behind, untried(now), now);
                self.dispose_first(&arrived, Disposition::Parked);
            }
            if is_awaited {
                Self::try_soon(&mut self.due, name, lane, now);
                // What is not tried by itself would not be tried by the next owner either.
                if let Some(parked) = &lane.parked {
                    self.batch.put_sequence(name, parked);
                }
            }
        }
        lane.waiting = timers;
    }

    /// A verdict on one item: it becomes (or stays) the head of its parked sequence.
    pub(super) fn failed(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        item: Item<H::Event>,
        failure: Failure,
        now: Millis,
    ) {
        match item.work {
            Work::Live(arrived) => {
                let fate = failed_once_more((self.handler.name(), &arrived.record.topic), untried(now), &failure, now);
                let no = self.insert(name, lane, &arrived, Place::Front, fate.clone(), now);
                self.dispose_first(&arrived, Disposition::Parked);
                self.head_failed(name, lane, no, &arrived, failure, fate, now);
            }
            Work::Parked { no, fate, arrived } => self.try_failed(name, lane, no, fate, arrived, failure, now),
            Work::Timer { mut row, .. } => {
                row.due_ms = now + millis(self.settings.parked_retry.max);
                let change = ledger::TimerChange::Set(row);
                self.set_timer(&change);
                self.batch.timer(change);
            }
        }
    }

    /// A parked record failed again. If what it waits for is parked behind it, that goes first.
    #[allow(clippy::too_many_arguments)]
    fn try_failed(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        no: i64,
        old: ParkedFate,
        arrived: Box<Arrived<H::Event>>,
        failure: Failure,
        now: Millis,
    ) {
        let arrived = match self.overtake(lane, no, &old, arrived, &failure) {
            Some(arrived) => arrived,
            None => return,
        };
        let failure = self.deadline(lane, failure, now);
        let fate = failed_once_more((self.handler.name(), &arrived.record.topic), old, &failure, now);
        self.batch.fate(name, no, fate.clone());
        // The next try must read what this one left: what is done of it, and how often it was refused.
        lane.last_insert = self.batch.entry;
        lane.page = None;
        lane.overtaken.clear();
        self.item_failed(name, no, &arrived.record.topic, &failure, now);
        self.head_failed(name, lane, no, &arrived, failure, fate, now);
    }

    /// The events of a step that was refused go back, in order, in front of all that waits.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn park_step(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        step: OpenStep<H>,
        failure: Failure,
        receipts: BTreeMap<String, String>,
        unknown: Vec<String>,
        now: Millis,
    ) {
        let planned: Vec<String> = step.effects.iter().map(|planned| planned.row.key.clone()).collect();
        let mut items = step.items;
        let Some(acting) = items.pop() else { return };
        match acting.work {
            Work::Live(arrived) => {
                let tried = ParkedFate { receipts, unknown, ..untried(now) };
                let fate = failed_once_more((self.handler.name(), &arrived.record.topic), tried, &failure, now);
                let no = self.insert(name, lane, &arrived, Place::Front, fate.clone(), now);
                self.head_failed(name, lane, no, &arrived, failure, fate, now);
            }
            Work::Parked { no, fate, arrived } => {
                let (receipts, unknown) = together((&fate.receipts, &fate.unknown), &planned, receipts, unknown);
                let fate = ParkedFate { receipts, unknown, ..fate };
                self.try_failed(name, lane, no, fate, arrived, failure, now);
            }
            Work::Timer { row, payload } => {
                let (before, open) = attempted(&payload);
                let (receipts, unknown) = together((&before, &open), &planned, receipts, unknown);
                let work = attempted_timer(row, payload, receipts, unknown);
                self.failed(name, lane, Item { work, ..acting }, failure, now);
            }
        }
        // What was coalesced into it waits in front, undone like the rest. Parked rows never left their place.
        for item in items.into_iter().rev() {
            if let Work::Live(arrived) = item.work {
                self.insert(name, lane, &arrived, Place::Front, untried(now), now);
            }
        }
    }

    /// Adds a row; the first one of a sequence parks it.
    fn insert(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        arrived: &Arrived<H::Event>,
        place: Place,
        fate: ParkedFate,
        now: Millis,
    ) -> i64 {
        let sequence = lane.parked.get_or_insert_with(|| Box::new(self.new_sequence(name, now)));
        let no = match place {
            Place::Behind => sequence.tail_no,
            Place::Front if sequence.depth == 0 => sequence.head_no,
            Place::Front => sequence.head_no - 1,
        };
        sequence.head_no = sequence.head_no.min(no);
        sequence.tail_no = sequence.tail_no.max(no + 1);
        sequence.depth += 1;
        lane.last_insert = self.batch.entry;
        self.batch.put_sequence(name, sequence);
        let record = &arrived.record;
        let row = ParkedRecord {
            slice: self.slice,
            sequence: name.to_string(),
            no,
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
            uid: arrived.uid,
            hash: arrived.hash,
            parked_ms: now,
            fate,
        };
        self.batch.park(name, row);
        no
    }

    pub(super) fn new_sequence(&self, name: &Arc<str>, now: Millis) -> ParkedSequence {
        let first = (self.batch.entry << NUMBERS) + ROOM_IN_FRONT;
        ParkedSequence {
            slice: self.slice,
            sequence: name.to_string(),
            class: Class::Bug,
            code: String::new(),
            reason: String::new(),
            owner: None,
            field: None,
            awaits: None,
            attempts: 0,
            next_attempt_ms: None,
            since_ms: now,
            head_no: first,
            tail_no: first,
            depth: 0,
        }
    }

    /// A parked record ended: took effect, was superseded or skipped, or people gave it up.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn end_parked(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        no: i64,
        fate: ParkedFate,
        of: &Origin<'_>,
        state: ParkedState,
        now: Millis,
    ) {
        self.letters.remove(&(name.clone(), no));
        let fate = ParkedFate { state, changed_ms: now, version: fate.version + 1, ..fate };
        self.report_recovery(name, no, &fate, of, now);
        self.batch.fate(name, no, fate);
        self.item_ended(name, no, state, now);
        lane.ended.insert(no);
        lane.overtaken.clear();
        let Some(sequence) = lane.parked.as_mut() else { return };
        sequence.depth -= 1;
        if no == sequence.head_no {
            sequence.head_no = no + 1;
        }
        // Whoever owns the slice goes on with the next row at once.
        sequence.next_attempt_ms = Some(now);
        self.batch.put_sequence(name, sequence);
        if lane.page.is_none() {
            self.due.push_back(name.clone());
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Front,
    Behind,
}

/// What is known of effects after an attempt that may not have come as far as the one before: what it did not plan is as it was.
fn together(
    (before, open): (&BTreeMap<String, String>, &[String]),
    planned: &[String],
    receipts: BTreeMap<String, String>,
    unknown: Vec<String>,
) -> (BTreeMap<String, String>, Vec<String>) {
    let mut all = before.clone();
    all.extend(receipts);
    let mut still: Vec<String> = open.iter().filter(|key| !planned.contains(key)).cloned().collect();
    still.extend(unknown);
    (all, still)
}

/// Where a timer's payload keeps what earlier attempts left, as a parked record keeps it in its row.
const ATTEMPTED: &str = "$attempted";

/// The timer with what was done and what is unknown of its effects, so that its next attempt sends neither blindly again.
fn attempted_timer<E>(
    mut row: ledger::TimerRow,
    mut payload: serde_json::Value,
    receipts: BTreeMap<String, String>,
    unknown: Vec<String>,
) -> Work<E> {
    if let Some(object) = payload.as_object_mut() {
        object.insert(ATTEMPTED.to_owned(), serde_json::json!({ "receipts": receipts, "unknown": unknown }));
        row.payload = payload.to_string();
    }
    Work::Timer { row, payload }
}

/// Receipts and unknown effects of a timer's earlier attempts.
pub(super) fn attempted(payload: &serde_json::Value) -> (BTreeMap<String, String>, Vec<String>) {
    let part = |name: &str| payload.get(ATTEMPTED).and_then(|of| of.get(name)).cloned().unwrap_or_default();
    let receipts = serde_json::from_value(part("receipts")).unwrap_or_default();
    (receipts, serde_json::from_value(part("unknown")).unwrap_or_default())
}
