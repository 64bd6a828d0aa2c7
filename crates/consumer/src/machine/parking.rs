//! Parking: one mechanism for waiting, retry and dead letters. A failing event is set aside with everything that follows it in
//! its sequence, as rows in order; others go on. A try takes the rows from the front again, exactly as live events.
//!
//! What must never happen: a live event of the sequence overtakes a parked one, except the one the head itself waits for; a row
//! is lost between the last try and the next live event (one writer per slice, one transaction); a letter counts as
//! dead-lettered before the broker has acknowledged it.

use super::{
    Arrived, Machine, Output, Wake,
    io::millis,
    lane::{Item, Lane, OpenStep, Work},
    letters::Letter,
};
use crate::handler::Handler;
use events::EventSet;
use failure::{Class, Failure};
use ledger::{Disposition, Millis, ParkedFate, ParkedRecord, ParkedSequence, ParkedState, SequenceChange};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// A page is doubled at most so often: what is looked for further behind comes when the rows before it are done.
const MOST_DOUBLINGS: i32 = 6;

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
                self.insert(name, lane, &arrived, Place::Behind, fate(ParkedState::Waiting, None, 0, now), now);
                self.dispose_first(&arrived, Disposition::Parked);
            }
            if is_awaited {
                Self::try_soon(&mut self.due, name, lane, now);
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
                let state = self.letter_state(&failure);
                let fate = fate(state, Some(failure.clone()), 1, now);
                let no = self.insert(name, lane, &arrived, Place::Front, fate, now);
                self.dispose_first(&arrived, Disposition::Parked);
                self.head_failed(name, lane, no, &arrived, failure, 1, now);
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
        let attempts = old.attempts + 1;
        let state = self.letter_state(&failure);
        let fate = ParkedFate { state, failure: Some(failure.clone()), attempts, changed_ms: now, ..old };
        self.batch.fate(name, no, fate);
        lane.page = None;
        lane.overtaken.clear();
        self.head_failed(name, lane, no, &arrived, failure, attempts, now);
    }

    /// Lets a record of the page go first that the failed one waits for; gives the failed one back if there is none. Each record
    /// overtakes once in a try, so that a try ends.
    fn overtake(
        &self,
        lane: &mut Lane<H>,
        no: i64,
        fate: &ParkedFate,
        arrived: Box<Arrived<H::Event>>,
        failure: &Failure,
    ) -> Option<Box<Arrived<H::Event>>> {
        let awaited = failure.awaits.as_deref().filter(|_| failure.class == Class::NotYet);
        let event = arrived.event.as_ref().ok();
        let Some(page) = lane.page.as_mut() else { return Some(arrived) };
        let helps = |item: &Item<H::Event>| {
            let is_new = item.work.row_no().is_some_and(|no| !lane.overtaken.contains(&no));
            is_new && brings(&*self.handler, item, awaited) && !is_later(item.work.event(), event)
        };
        let Some(awaited_at) = page.iter().position(helps) else { return Some(arrived) };
        let topic = page[awaited_at].work.topic();
        // Order within a topic holds for the one that goes first, too: what lies before it in its topic goes before it.
        let first =
            page.iter().position(|item| item.work.topic() == topic).filter(|_| topic != Some(&*arrived.record.topic));
        let index = first.unwrap_or(awaited_at);
        if page[index].work.row_no().is_none_or(|no| lane.overtaken.contains(&no)) {
            return Some(arrived);
        }
        let Some(overtaker) = page.remove(index) else { return Some(arrived) };
        lane.overtaken.extend(overtaker.work.row_no());
        page.push_front(self.item(Work::Parked { no, fate: fate.clone(), arrived }));
        page.push_front(overtaker);
        None
    }

    /// Waiting for another event has an end.
    fn deadline(&self, lane: &Lane<H>, failure: Failure, now: Millis) -> Failure {
        let since = lane.parked.as_ref().map_or(now, |sequence| sequence.since_ms);
        if failure.class == Class::NotYet && now - since > millis(self.settings.not_yet_deadline) {
            return Failure::contract("AWAITED_TOO_LONG", format!("{}: {}", failure.code, failure.reason));
        }
        failure
    }

    const fn letter_state(&self, failure: &Failure) -> ParkedState {
        match failure.class {
            Class::Poison | Class::Contract | Class::Bug => ParkedState::LetterPending,
            Class::Business | Class::Dependency | Class::Unknown | Class::NotYet => ParkedState::Waiting,
        }
    }

    /// The sequence takes the class of its head, and with it what happens next.
    #[allow(clippy::too_many_arguments)]
    fn head_failed(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        no: i64,
        arrived: &Arrived<H::Event>,
        failure: Failure,
        attempts: i32,
        now: Millis,
    ) {
        let next_attempt_ms = match failure.class {
            Class::Dependency | Class::NotYet | Class::Unknown => self.next_try(attempts, no, now),
            Class::Business => None,
            Class::Poison | Class::Contract | Class::Bug => {
                self.send_letter(name, no, arrived, &failure, attempts, now);
                None
            }
        };
        if let Some(at) = next_attempt_ms {
            self.wake_at(at, Wake::Retry(name.clone()));
        }
        let Some(sequence) = lane.parked.as_mut() else { return };
        sequence.class = failure.class;
        sequence.code = failure.code.into_owned();
        sequence.reason = failure.reason;
        sequence.owner = failure.owner;
        sequence.field = failure.field;
        sequence.awaits = failure.awaits;
        sequence.attempts = attempts;
        sequence.next_attempt_ms = next_attempt_ms;
        self.batch.put_sequence(name, sequence);
    }

    fn next_try(&self, attempts: i32, seed: i64, now: Millis) -> Option<Millis> {
        let attempt = u32::try_from(attempts).unwrap_or(1).max(1);
        let delay = self.settings.parked_retry.delay_after(attempt, seed.unsigned_abs())?;
        Some(now + millis(delay))
    }

    fn send_letter(
        &mut self,
        name: &Arc<str>,
        no: i64,
        arrived: &Arrived<H::Event>,
        failure: &Failure,
        attempts: i32,
        now: Millis,
    ) {
        let service = self.handler.name();
        let record = &arrived.record;
        let letter = Letter { service, slice: self.slice, sequence: name, no, record, failure, attempts, now };
        let outgoing = letter.outgoing(&self.settings);
        self.outbox.add(&mut self.batch, outgoing, Some((name.to_string(), no)));
        let fate = fate(ParkedState::LetterPending, Some(failure.clone()), attempts, now);
        self.letters.insert((name.clone(), no), fate);
        self.letters_in_row += 1;
        if self.letters_in_row > self.settings.letters_in_row {
            let reason = format!("{} dead letters in a row, the last: {failure}", self.letters_in_row);
            self.stop("TOO_MANY_DEAD_LETTERS", reason);
        }
    }

    /// The broker has the letter: only now does it count as dead-lettered.
    pub(super) fn letter_acknowledged(&mut self, name: &Arc<str>, no: i64, now: Millis) {
        if let Some(fate) = self.letters.remove(&(name.clone(), no)) {
            self.batch.fate(name, no, ParkedFate { state: ParkedState::DeadLettered, changed_ms: now, ..fate });
        }
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
        let mut items = step.items;
        let Some(acting) = items.pop() else { return };
        match acting.work {
            Work::Live(arrived) => {
                let mut fate = fate(self.letter_state(&failure), Some(failure.clone()), 1, now);
                (fate.receipts, fate.unknown) = (receipts, unknown);
                let no = self.insert(name, lane, &arrived, Place::Front, fate, now);
                self.head_failed(name, lane, no, &arrived, failure, 1, now);
            }
            Work::Parked { no, fate, arrived } => {
                let fate = ParkedFate { receipts, unknown, ..fate };
                self.try_failed(name, lane, no, fate, arrived, failure, now);
            }
            Work::Timer { row, payload } => {
                let work = attempted_timer(row, payload, receipts, unknown);
                self.failed(name, lane, Item { work, ..acting }, failure, now);
            }
        }
        // What was coalesced into it waits in front, undone like the rest. Parked rows never left their place.
        for item in items.into_iter().rev() {
            if let Work::Live(arrived) = item.work {
                self.insert(name, lane, &arrived, Place::Front, fate(ParkedState::Waiting, None, 0, now), now);
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

    fn new_sequence(&self, name: &Arc<str>, now: Millis) -> ParkedSequence {
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

    /// A parked record ended: took effect, was superseded or skipped.
    pub(super) fn end_parked(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        no: i64,
        fate: ParkedFate,
        state: ParkedState,
        now: Millis,
    ) {
        self.letters.remove(&(name.clone(), no));
        self.batch.fate(name, no, ParkedFate { state, changed_ms: now, ..fate });
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

    /// After a try: everything done unparks the sequence, a finished page asks for the next.
    pub(super) fn page_done(&mut self, name: &Arc<str>, lane: &mut Lane<H>) {
        let Some(sequence) = &lane.parked else { return };
        if lane.step.is_some() {
            return;
        }
        if sequence.depth <= 0 {
            lane.parked = None;
            lane.page = None;
            lane.ended.clear();
            lane.overtaken.clear();
            self.batch.sequence(name, SequenceChange::Remove { sequence: name.to_string() });
            if !lane.waiting.is_empty() {
                self.make_runnable(name);
            }
        } else if lane.page.as_ref().is_some_and(VecDeque::is_empty) {
            lane.page = None;
            self.due.push_back(name.clone());
        }
    }

    /// What the head waited for is there.
    pub(super) fn try_soon(due: &mut VecDeque<Arc<str>>, name: &Arc<str>, lane: &mut Lane<H>, now: Millis) {
        if let Some(sequence) = lane.parked.as_mut() {
            sequence.next_attempt_ms = Some(now);
            due.push_back(name.clone());
        }
    }

    /// An operator or a rule says so: also where nothing would be tried by itself.
    pub(super) fn retry_now(&mut self, name: &Arc<str>, now: Millis) {
        if let Some(lane) = self.lanes.get_mut(name) {
            Self::try_soon(&mut self.due, name, lane, now);
        }
    }

    /// Asks for the rows of sequences whose try is due, once everything they must hold is durable.
    pub(super) fn ask_due_pages(&mut self, now: Millis) {
        for _ in 0..self.due.len() {
            let Some(name) = self.due.pop_front() else { break };
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            let Some(sequence) = &lane.parked else { continue };
            let is_due = sequence.next_attempt_ms.is_some_and(|at| at <= now);
            if !is_due || lane.page_asked || lane.page.is_some() || lane.step.is_some() {
                continue;
            }
            if lane.last_insert > self.durable {
                self.due.push_back(name);
                continue;
            }
            lane.page_asked = true;
            // What the head waits for may lie behind more rows than a page has: each try looks further.
            let further = if sequence.awaits.is_some() { sequence.attempts.clamp(0, MOST_DOUBLINGS) } else { 0 };
            let (from_no, limit) = (sequence.head_no, self.settings.parked_page << further);
            self.out.push(Output::LoadParked { sequence: name, from_no, limit });
        }
    }

    pub(super) fn page_loaded(&mut self, name: &Arc<str>, records: Vec<(ParkedRecord, Arrived<H::Event>)>) {
        let Some(mut lane) = self.lanes.remove(name) else { return };
        lane.page_asked = false;
        let last = records.last().map(|(row, _)| row.no);
        let fresh: Vec<_> = records.into_iter().filter(|(row, _)| !lane.ended.contains(&row.no)).collect();
        let mut page = VecDeque::with_capacity(fresh.len());
        for (row, arrived) in fresh {
            page.push_back(self.item(Work::Parked { no: row.no, fate: row.fate, arrived: Box::new(arrived) }));
        }
        if page.is_empty()
            && let Some(sequence) = lane.parked.as_mut()
        {
            match last {
                // All rows of this page ended out of turn, in entries that the page does not show yet; others follow behind.
                Some(no) => sequence.head_no = no + 1,
                // All rows of the sequence have ended: the count follows the rows, never the other way round.
                None => sequence.depth = 0,
            }
        }
        lane.page = Some(page);
        self.lanes.insert(name.clone(), lane);
        self.make_runnable(name);
    }
}

/// Whether the item is what a parked head waits for.
fn brings<H: Handler>(handler: &H, item: &Item<H::Event>, awaited: Option<&str>) -> bool {
    awaited.is_some_and(|awaited| {
        item.work.event().is_some_and(|event| handler.provides(event).iter().any(|name| name == awaited))
    })
}

/// A later version of the same thing cannot be what an earlier one waits for.
fn is_later<E: EventSet>(candidate: Option<&E>, waiting: Option<&E>) -> bool {
    let (Some(candidate), Some(waiting)) = (candidate, waiting) else { return false };
    candidate.subject() == waiting.subject() && candidate.entity_version() >= waiting.entity_version()
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Front,
    Behind,
}

fn fate(state: ParkedState, failure: Option<Failure>, attempts: i32, now: Millis) -> ParkedFate {
    ParkedFate { state, failure, attempts, receipts: BTreeMap::new(), unknown: Vec::new(), changed_ms: now }
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
