//! The micro-batch under construction: what has been decided since the last commit. Later changes of one row replace earlier
//! ones, so that a commit names each row once.

use crate::machine::io::Settings;
use events::{PayloadHash, Uid};
use ledger::{
    Disposition, DocumentChange, DocumentKey, EffectResult, Entry, EntryRecord, IdentityRow, IntentChange, IntentRow,
    ItemChange, JobStop, Millis, NewOutgoing, Outcome, Outgoing, ParkedChange, ParkedFate, ParkedRecord,
    ParkedSequence, PublishedMark, SequenceChange, SliceCommit, Step, StepId, TimerChange,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

#[derive(Debug, Default)]
pub struct Batch {
    pub entry: i64,
    body: Entry,
    identities: Vec<IdentityRow>,
    documents: BTreeMap<DocumentKey, DocumentChange>,
    sequences: BTreeMap<Arc<str>, SequenceChange>,
    parked: BTreeMap<(Arc<str>, i64), ParkedChange>,
    intents: BTreeMap<String, IntentChange>,
    timers: BTreeMap<String, TimerChange>,
    /// The topics of the body, each with the highest offset decided here.
    topics: Vec<(Arc<str>, i64)>,
    pub stopped: Option<String>,
    items: Vec<ItemChange>,
    job_stops: Vec<JobStop>,
}

impl Batch {
    #[must_use]
    pub fn new(entry: i64) -> Self {
        Self { entry, ..Self::default() }
    }

    #[must_use]
    pub fn records(&self) -> usize {
        self.body.records.len()
    }

    /// Whether there is anything that must not wait.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
            && self.documents.is_empty()
            && self.sequences.is_empty()
            && self.parked.is_empty()
            && self.intents.is_empty()
            && self.timers.is_empty()
            && self.stopped.is_none()
            && self.items.is_empty()
            && self.job_stops.is_empty()
    }

    pub fn record(
        &mut self,
        topic: &Arc<str>,
        offset: i64,
        uid: Option<Uid>,
        hash: PayloadHash,
        disposition: Disposition,
    ) {
        let index = match self.topics.iter().position(|(known, _)| Arc::ptr_eq(known, topic) || known == topic) {
            Some(index) => index,
            None => {
                self.topics.push((topic.clone(), offset));
                self.body.topics.push(topic.to_string());
                self.topics.len() - 1
            }
        };
        let highest = &mut self.topics[index].1;
        *highest = (*highest).max(offset);
        let topic_index = u16::try_from(index).expect("a service reads fewer than 65 536 topics");
        self.body.records.push(EntryRecord { topic: topic_index, offset, uid, hash, disposition });
    }

    /// Highest offset decided here, per topic: the entry stays open until the position has passed it.
    pub fn highest(&self) -> HashMap<Arc<str>, i64> {
        self.topics.iter().cloned().collect()
    }

    pub fn identity(&mut self, uid: Uid, hash: PayloadHash) {
        self.identities.push(IdentityRow { uid, hash });
    }

    pub fn step(&mut self, step: Step) -> StepId {
        let index = i32::try_from(self.body.steps.len()).expect("a batch opens fewer than 2^31 steps");
        self.body.steps.push(step);
        StepId { entry: self.entry, index }
    }

    pub fn outcome(&mut self, step: StepId, effect: usize, result: EffectResult) {
        let effect = i32::try_from(effect).expect("a step has fewer than 2^31 effects");
        self.body.outcomes.push(Outcome { step, effect, result });
    }

    pub fn document(&mut self, change: DocumentChange) {
        self.documents.insert(change.key.clone(), change);
    }

    pub fn sequence(&mut self, name: &Arc<str>, change: SequenceChange) {
        self.sequences.insert(name.clone(), change);
    }

    pub fn put_sequence(&mut self, name: &Arc<str>, sequence: &ParkedSequence) {
        self.sequence(name, SequenceChange::Put(sequence.clone()));
    }

    pub fn park(&mut self, name: &Arc<str>, row: ParkedRecord) {
        self.parked.insert((name.clone(), row.no), ParkedChange::Insert(row));
    }

    pub fn fate(&mut self, name: &Arc<str>, no: i64, fate: ParkedFate) {
        match self.parked.get_mut(&(name.clone(), no)) {
            Some(ParkedChange::Insert(row)) => row.fate = fate,
            _ => {
                let change = ParkedChange::Update { sequence: name.to_string(), no, fate };
                self.parked.insert((name.clone(), no), change);
            }
        }
    }

    pub fn intent(&mut self, row: IntentRow) {
        self.intents.insert(row.effect_key.clone(), IntentChange::Put(row));
    }

    pub fn intent_ended(&mut self, effect_key: &str) {
        self.intents.insert(effect_key.to_owned(), IntentChange::Remove { effect_key: effect_key.to_owned() });
    }

    pub fn timer(&mut self, change: TimerChange) {
        let id = match &change {
            TimerChange::Set(row) => row.id.clone(),
            TimerChange::Clear { id } => id.clone(),
        };
        self.timers.insert(id, change);
    }

    pub fn item(&mut self, change: ItemChange) {
        self.items.push(change);
    }

    pub fn stop_job(&mut self, stop: JobStop) {
        self.job_stops.push(stop);
    }

    pub fn outgoing(&mut self, number: i64, event: NewOutgoing, letter_of: Option<(String, i64)>) {
        self.body.outgoing.push(Outgoing { number, event, letter_of });
    }

    #[must_use]
    pub fn outgoing_events(&self) -> &[Outgoing] {
        &self.body.outgoing
    }

    /// The commit of this batch; positions, marks and what is closed are known only now.
    #[must_use]
    pub fn into_commit(self, slice: i32, epoch: i64, now: Millis, tail: Tail) -> SliceCommit {
        SliceCommit {
            slice,
            epoch,
            entry: self.entry,
            at_ms: now,
            body: self.body,
            positions: tail.positions,
            identities: self.identities,
            documents: self.documents.into_values().collect(),
            sequences: self.sequences.into_values().collect(),
            parked: self.parked.into_values().collect(),
            intents: self.intents.into_values().collect(),
            timers: self.timers.into_values().collect(),
            closed_entry: tail.closed_entry,
            published: tail.published,
            stopped: self.stopped,
            items: self.items,
            job_stops: self.job_stops,
        }
    }
}

/// What is added to a batch when it is committed.
#[derive(Debug, Default)]
pub struct Tail {
    pub positions: Vec<ledger::Position>,
    pub closed_entry: Option<i64>,
    pub published: Vec<PublishedMark>,
}

/// Numbers outgoing events per topic and partition without gaps, and knows how far they are acknowledged.
#[derive(Debug, Default)]
pub struct Outbox {
    next: HashMap<(String, i32), i64>,
    marks: BTreeMap<(String, i32), PublishedMark>,
    dirty: bool,
    /// Committed or not, but not acknowledged yet: number → (entry, letter).
    open: HashMap<(String, i32), BTreeMap<i64, Waiting>>,
    /// What the open events occupy in memory, roughly.
    bytes: usize,
}

#[derive(Debug)]
pub struct Waiting {
    pub entry: i64,
    pub letter_of: Option<(String, i64)>,
    bytes: usize,
}

impl Waiting {
    fn new(entry: i64, event: &NewOutgoing, letter_of: Option<(String, i64)>) -> Self {
        /// The event's own fields and its place among those that wait.
        const FIXED: usize = 200;
        /// A header's name and the handle of its value.
        const HEADER: usize = 56;
        let payload = [&event.key, &event.value].into_iter().flatten().map(|part| part.len()).sum::<usize>();
        let headers = event.headers.size_bytes() + event.headers.0.len() * HEADER;
        Self { entry, letter_of, bytes: FIXED + payload + headers }
    }
}

impl Outbox {
    /// Where the numbers go on: after the marks and after what open entries hold.
    pub fn restore(marks: Vec<PublishedMark>) -> Self {
        let mut outbox = Self::default();
        for mark in marks {
            let place = (mark.topic.clone(), mark.partition);
            outbox.next.insert(place.clone(), mark.number + 1);
            outbox.marks.insert(place, mark);
        }
        outbox
    }

    /// Takes an event of an open entry back; false if it is acknowledged already.
    pub fn reopen(&mut self, entry: i64, outgoing: &Outgoing) -> bool {
        let place = (outgoing.event.topic.clone(), outgoing.event.partition);
        let next = self.next.entry(place.clone()).or_insert(1);
        *next = (*next).max(outgoing.number + 1);
        if self.marks.get(&place).is_some_and(|mark| mark.number >= outgoing.number) {
            return false;
        }
        let waiting = Waiting::new(entry, &outgoing.event, outgoing.letter_of.clone());
        self.bytes += waiting.bytes;
        self.open.entry(place).or_default().insert(outgoing.number, waiting);
        true
    }

    pub fn add(&mut self, batch: &mut Batch, event: NewOutgoing, letter_of: Option<(String, i64)>) {
        let place = (event.topic.clone(), event.partition);
        let next = self.next.entry(place.clone()).or_insert(1);
        let number = *next;
        *next += 1;
        let waiting = Waiting::new(batch.entry, &event, letter_of.clone());
        self.bytes += waiting.bytes;
        self.open.entry(place).or_default().insert(number, waiting);
        batch.outgoing(number, event, letter_of);
    }

    /// Everything up to the mark is acknowledged; returns what was waiting for it.
    pub fn acknowledge(&mut self, mark: PublishedMark) -> Vec<Waiting> {
        let place = (mark.topic.clone(), mark.partition);
        if self.marks.get(&place).is_some_and(|known| known.number >= mark.number) {
            return Vec::new();
        }
        let Some(open) = self.open.get_mut(&place) else { return Vec::new() };
        let later = open.split_off(&(mark.number + 1));
        let done = std::mem::replace(open, later);
        self.bytes -= done.values().map(|waiting| waiting.bytes).sum::<usize>();
        self.marks.insert(place, mark);
        self.dirty = true;
        done.into_values().collect()
    }

    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open.values().map(BTreeMap::len).sum()
    }

    /// Bytes of the events that wait for their acknowledgement.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    #[must_use]
    pub const fn has_news(&self) -> bool {
        self.dirty
    }

    /// All marks, once after each change.
    pub fn take_marks(&mut self) -> Vec<PublishedMark> {
        if std::mem::take(&mut self.dirty) { self.marks.values().cloned().collect() } else { Vec::new() }
    }
}

/// Partition of an event by its key, as Java's clients choose it.
#[must_use]
pub fn partition_of(settings: &Settings, topic: &str, key: &str) -> i32 {
    events::partition::partition_for_key(key.as_bytes(), settings.partitions.get(topic).copied().unwrap_or(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Headers;

    fn event(partition: i32) -> NewOutgoing {
        NewOutgoing {
            topic: "out.v1".into(),
            partition,
            key: None,
            value: None,
            headers: Headers::default(),
            timestamp_ms: 0,
        }
    }

    fn mark(partition: i32, number: i64) -> PublishedMark {
        PublishedMark { topic: "out.v1".into(), partition, number, offset: number * 2 }
    }

    #[test]
    fn numbers_count_per_partition_and_go_on_after_a_take_over() {
        let mut outbox = Outbox::default();
        let mut batch = Batch::new(1);
        for partition in [0, 0, 1] {
            outbox.add(&mut batch, event(partition), None);
        }
        let numbers: Vec<_> = batch.outgoing_events().iter().map(|outgoing| outgoing.number).collect();
        assert_eq!(numbers, [1, 2, 1]);

        let mut restored = Outbox::restore(vec![mark(0, 1)]);
        let reopened: Vec<_> = batch.outgoing_events().iter().map(|outgoing| restored.reopen(1, outgoing)).collect();
        assert_eq!(reopened, [false, true, true]);
        let mut next = Batch::new(2);
        restored.add(&mut next, event(0), None);
        assert_eq!(next.outgoing_events()[0].number, 3);
    }

    #[test]
    fn an_acknowledgement_covers_all_before_it_and_counts_once() {
        let mut outbox = Outbox::default();
        let mut batch = Batch::new(1);
        (0..3).for_each(|_| outbox.add(&mut batch, event(0), None));
        let all = outbox.bytes();
        assert_eq!(outbox.acknowledge(mark(0, 2)).len(), 2);
        assert_eq!(outbox.acknowledge(mark(0, 2)).len(), 0);
        assert_eq!((outbox.waiting(), outbox.bytes()), (1, all / 3));
        assert_eq!(outbox.take_marks(), [mark(0, 2)]);
        assert!(outbox.take_marks().is_empty());
    }
}
