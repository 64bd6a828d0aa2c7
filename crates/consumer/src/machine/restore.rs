//! A slice goes on where its last owner stopped: open intents, unpublished events, what is decided above the position, parked
//! sequences, timers. Whatever an earlier owner may have sent is looked up before it is sent again.

use super::{
    Arrived, Cache, Inbox, Machine, Map, OpenEntry, Seen, Set, Settings, Wake,
    batch::{Batch, Outbox},
    frontier::Frontier,
    io::millis,
    lane::{Item, Lane, OpenStep, Planned, StepState, Work},
    latency::{KIND, Minutes},
};
use crate::handler::{Handler, Receipt};
use async_trait::async_trait;
use events::Record;
use ledger::{
    Cause, DocumentKey, EffectResult, Error, Ledger, LoadRequest, Millis, Outgoing, ParkedFate, ParkedRecord,
    SourceRecord, Step, StepId, Takeover,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

/// Turns a record into what the machine takes; a record that cannot be read is an answer, not an error.
#[async_trait]
pub trait Decoder<E>: Send + Sync {
    async fn decode(&self, record: Record) -> Arrived<E>;
}

/// One input topic of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputTopic {
    pub name: Arc<str>,
    /// Kafka's id of the topic, where the broker tells it.
    pub id: Option<String>,
    /// Where a slice that has no position yet starts.
    pub first_offset: i64,
}

/// An input topic as the broker has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicExtent {
    pub input: InputTopic,
    /// The offset of the next record to come.
    pub end: i64,
}

/// A position that the topic cannot have led to: never reset by itself, because that would lose or repeat records.
#[must_use]
pub fn impossible_position(takeover: &Takeover, topics: &[TopicExtent]) -> Option<(&'static str, String)> {
    for topic in topics {
        let name = &topic.input.name;
        let Some(position) = takeover.positions.iter().find(|position| *position.topic == **name) else { continue };
        let (at, low, end) = (position.next_offset, topic.input.first_offset, topic.end);
        if let (Some(known), Some(found)) = (&position.topic_id, &topic.input.id)
            && known != found
        {
            return Some((
                "TOPIC_RECREATED",
                format!("`{name}` has id {found}, the position {at} was taken from {known}"),
            ));
        }
        if at > end {
            return Some(("POSITION_BEYOND_END", format!("`{name}` ends at {end}, the position is {at}")));
        }
        if at < low {
            return Some((
                "POSITION_BELOW_START",
                format!("`{name}` starts at {low}, the position is {at}: {} offsets are gone", low - at),
            ));
        }
    }
    None
}

/// All that a machine starts from.
pub struct Prepared<E> {
    takeover: Takeover,
    topics: Vec<InputTopic>,
    steps: Vec<(StepId, Step, Vec<Work<E>>)>,
    letters: HashMap<(Arc<str>, i64), ParkedFate>,
    latency: Minutes,
}

impl<E> Prepared<E> {
    /// Reads what the take-over left open and decodes it again.
    pub async fn read(
        ledger: &dyn Ledger,
        decoder: &dyn Decoder<E>,
        slice: i32,
        takeover: Takeover,
        topics: Vec<InputTopic>,
    ) -> Result<Self, Error> {
        let mut steps = Vec::new();
        for (id, step) in open_steps(&takeover) {
            let mut works = Vec::with_capacity(step.causes.len());
            for cause in &step.causes {
                works.push(work(ledger, decoder, slice, &step, cause).await?);
            }
            steps.push((id, step, works));
        }
        let mut letters = HashMap::new();
        for entry in &takeover.open_entries {
            for (sequence, no) in entry.body.outgoing.iter().filter_map(|outgoing| outgoing.letter_of.as_ref()) {
                if let Some(row) = parked_row(ledger, slice, sequence, *no).await? {
                    letters.insert((Arc::from(sequence.as_str()), *no), row.fate);
                }
            }
        }
        let latency = minutes(ledger, slice).await?;
        Ok(Self { takeover, topics, steps, letters, latency })
    }

    /// Where each topic of the slice is to be read from.
    #[must_use]
    pub fn start_offsets(&self) -> Vec<(Arc<str>, i64)> {
        self.topics.iter().map(|topic| (topic.name.clone(), self.start_of(topic))).collect()
    }

    fn start_of(&self, topic: &InputTopic) -> i64 {
        let known = self.takeover.positions.iter().find(|position| *position.topic == *topic.name);
        known.map_or(topic.first_offset, |position| position.next_offset)
    }

    fn decided_above(&self, topic: &InputTopic) -> BTreeSet<i64> {
        let start = self.start_of(topic);
        let mut offsets = BTreeSet::new();
        for entry in &self.takeover.open_entries {
            let records = entry.body.records.iter();
            let here = records
                .filter(|record| entry.body.topics.get(usize::from(record.topic)).is_some_and(|t| **t == *topic.name));
            offsets.extend(here.map(|record| record.offset).filter(|offset| *offset >= start));
        }
        offsets
    }
}

/// Steps whose last outcome is not in the journal, with what is known of their effects.
fn open_steps(takeover: &Takeover) -> Vec<(StepId, Step)> {
    let mut steps: BTreeMap<StepId, Step> = BTreeMap::new();
    for entry in &takeover.open_entries {
        for (index, step) in (0..).zip(&entry.body.steps) {
            steps.insert(StepId { entry: entry.entry, index }, step.clone());
        }
    }
    for outcome in takeover.open_entries.iter().flat_map(|entry| &entry.body.outcomes) {
        let Some(step) = steps.get_mut(&outcome.step) else { continue };
        match &outcome.result {
            EffectResult::Done { receipt } => {
                let effect = usize::try_from(outcome.effect).ok().and_then(|index| step.effects.get_mut(index));
                if let Some(effect) = effect {
                    effect.receipt = Some(receipt.clone());
                }
            }
            EffectResult::Refused { .. } => {
                steps.remove(&outcome.step);
            }
            EffectResult::Unknown => {}
        }
    }
    steps.into_iter().filter(|(_, step)| step.effects.iter().any(|effect| effect.receipt.is_none())).collect()
}

async fn work<E>(
    ledger: &dyn Ledger,
    decoder: &dyn Decoder<E>,
    slice: i32,
    step: &Step,
    cause: &Cause,
) -> Result<Work<E>, Error> {
    match cause {
        Cause::Record(source) => {
            let partition = source.partition;
            let arrived = decoder.decode(record(source, partition)).await;
            Ok(Work::Live(Box::new(arrived)))
        }
        Cause::Parked { no } => {
            let missing = || {
                Error::Corrupt(format!("step of `{}` refers to parked record {no}, which is not there", step.sequence))
            };
            let row = parked_row(ledger, slice, &step.sequence, *no).await?.ok_or_else(missing)?;
            let arrived = decoder.decode(parked_as_record(&row)).await;
            Ok(Work::Parked { no: row.no, fate: row.fate, arrived: Box::new(arrived) })
        }
        Cause::Timer { id, payload } => {
            let row = ledger::TimerRow {
                id: id.clone(),
                due_ms: 0,
                sequence: step.sequence.clone(),
                payload: payload.clone(),
            };
            let payload = serde_json::from_str(payload).unwrap_or(serde_json::Value::Null);
            Ok(Work::Timer { row, payload })
        }
    }
}

/// The open minutes of the last owner.
async fn minutes(ledger: &dyn Ledger, slice: i32) -> Result<Minutes, Error> {
    let key = DocumentKey::new(KIND, slice.to_string());
    let request = LoadRequest { slice, documents: vec![key.clone()], ..LoadRequest::default() };
    let Some(row) = ledger.load(&request).await?.documents.remove(&key) else { return Ok(Minutes::default()) };
    Minutes::read(&row.body).map_err(|error| Error::Corrupt(format!("document {KIND}/{slice}: {error}")))
}

async fn parked_row(ledger: &dyn Ledger, slice: i32, sequence: &str, no: i64) -> Result<Option<ParkedRecord>, Error> {
    let rows = ledger.parked_page(slice, sequence, no, 1).await?;
    Ok(rows.into_iter().find(|row| row.no == no))
}

fn record(source: &SourceRecord, partition: i32) -> Record {
    Record {
        topic: source.topic.as_str().into(),
        partition,
        offset: source.offset,
        timestamp_ms: source.timestamp_ms,
        key: source.key.clone(),
        value: source.value.clone(),
        headers: source.headers.clone(),
    }
}

/// A parked record as Kafka delivered it, with the edit of people in place of value and headers if there is one.
#[must_use]
pub fn parked_as_record(row: &ParkedRecord) -> Record {
    let edit = row.fate.edit.as_deref();
    Record {
        topic: row.topic.as_str().into(),
        partition: row.partition,
        offset: row.offset,
        timestamp_ms: row.timestamp_ms,
        key: row.key.clone(),
        value: edit.map_or(&row.value, |edit| &edit.value).clone(),
        headers: edit.map_or(&row.headers, |edit| &edit.headers).clone(),
    }
}

impl<H: Handler> Machine<H> {
    /// The machine of a slice that was just taken over. Events that may not be published yet are in [`Machine::unpublished`].
    pub fn new(handler: Arc<H>, settings: Settings, slice: i32, prepared: Prepared<H::Event>, now: Millis) -> Self {
        let frontiers = prepared
            .topics
            .iter()
            .map(|topic| (topic.name.clone(), Frontier::new(prepared.start_of(topic), prepared.decided_above(topic))));
        let frontiers: BTreeMap<_, _> = frontiers.collect();
        let takeover = &prepared.takeover;
        let names = prepared.topics.iter().map(|topic| topic.name.clone());
        let inbox = Inbox::new(names, settings.inbox_records, settings.inbox_bytes, millis(settings.merge_wait));
        let mut machine = Self {
            handler,
            slice,
            epoch: takeover.epoch,
            floor_ms: takeover.floor_ms,
            topic_ids: prepared.topics.iter().map(|topic| (topic.name.clone(), topic.id.clone())).collect(),
            committed: takeover.positions.iter().map(|p| (p.topic.as_str().into(), p.next_offset)).collect(),
            frontiers,
            inbox,
            pending: Vec::new(),
            known: Map::default(),
            loading: false,
            asked: LoadRequest::default(),
            changed_while_loading: Set::default(),
            lanes: Map::default(),
            runnable: VecDeque::new(),
            is_runnable: Set::default(),
            steps: Map::default(),
            unheard: Vec::new(),
            seen: Seen::new(settings.recent_identities, takeover.next_entry <= 1),
            cache: Cache::new(settings.document_cache_bytes),
            outbox: Outbox::restore(takeover.published.clone()),
            batch: Batch::new(takeover.next_entry),
            started: Vec::new(),
            committing: None,
            entries: BTreeMap::new(),
            closed: takeover.closed_entry,
            durable: takeover.next_entry - 1,
            wakes: BTreeMap::new(),
            timers: HashMap::new(),
            due: VecDeque::new(),
            letters: HashMap::new(),
            jobs: super::jobs::Jobs::default(),
            line: super::line::Line::default(),
            latency: Minutes::default(),
            held: 0,
            held_bytes: 0,
            step_bytes: 0,
            calls_out: 0,
            marks_due: None,
            gate_closed: false,
            draining: false,
            drained: false,
            halted: false,
            stopping: None,
            unpublished: Vec::new(),
            out: Vec::new(),
            settings,
        };
        machine.restore(prepared, now);
        machine
    }

    fn restore(&mut self, prepared: Prepared<H::Event>, now: Millis) {
        let Prepared { takeover, steps, letters, latency, .. } = prepared;
        (self.letters, self.latency) = (letters, latency);
        for sequence in takeover.sequences {
            let name: Arc<str> = sequence.sequence.as_str().into();
            if let Some(at) = sequence.next_attempt_ms {
                self.wake_at(at.max(now), Wake::Retry(name.clone()));
            }
            if sequence.depth <= 0 {
                // Its last record ended with the last owner, who had no time left to say that nothing is parked any more.
                self.make_runnable(&name);
            }
            self.lanes.insert(name, Lane::parked(sequence));
        }
        for timer in takeover.timers {
            self.set_timer(&ledger::TimerChange::Set(timer));
        }
        for entry in &takeover.open_entries {
            let mut open = OpenEntry::default();
            for record in &entry.body.records {
                if let Some(topic) = entry.body.topics.get(usize::from(record.topic)) {
                    let highest = open.highest.entry(topic.as_str().into()).or_insert(record.offset);
                    *highest = (*highest).max(record.offset);
                }
            }
            for outgoing in &entry.body.outgoing {
                if self.outbox.reopen(entry.entry, outgoing) {
                    open.outgoing += 1;
                    self.unpublished.push(outgoing.clone());
                }
            }
            open.steps = steps.iter().filter(|(id, ..)| id.entry == entry.entry).count();
            self.entries.insert(entry.entry, open);
        }
        for (id, step, works) in steps {
            self.restore_step(id, step, works, now);
        }
    }

    fn restore_step(&mut self, id: StepId, step: Step, works: Vec<Work<H::Event>>, now: Millis) {
        let name: Arc<str> = step.sequence.as_str().into();
        let mut effects = Vec::with_capacity(step.effects.len());
        for row in step.effects {
            let effect = serde_json::from_str::<H::Effect>(&row.payload);
            let receipt = row.receipt.as_deref().map(serde_json::from_str::<Receipt>).transpose();
            match (effect, receipt) {
                // An effect without an outcome may have been sent by the last owner.
                (Ok(effect), Ok(receipt)) => effects.push(Planned { look_up: receipt.is_none(), row, effect, receipt }),
                (Err(error), _) | (_, Err(error)) => {
                    let reason = format!("intent `{}` of the journal does not read back: {error}", row.key);
                    return self.stop("INVARIANT_BROKEN", reason);
                }
            }
        }
        let items: Vec<Item<_>> = works.into_iter().map(|work| self.item(work)).collect();
        let until = now + millis(self.settings.visibility);
        let state = StepState::Resting(until);
        let next = effects.iter().take_while(|planned| planned.receipt.is_some()).count();
        let staged = step.staged;
        // The last owner may have shown people a row of the intent: it has to go when the step ends.
        let step = OpenStep {
            id,
            items,
            effects,
            next,
            staged,
            state,
            answer: None,
            attempts: 0,
            absences: 0,
            shown: true,
            since: now,
        };
        self.step_bytes += step.weight();
        self.lanes.entry(name.clone()).or_default().step = Some(Box::new(step));
        self.steps.insert(id, name);
        self.wake_at(until, Wake::Step(id));
    }

    /// Events of the journal whose acknowledgement is not known: the relay looks for its place in the tail of each topic,
    /// reports what is there already and publishes the rest, in this order.
    #[must_use]
    pub fn unpublished(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.unpublished)
    }
}
