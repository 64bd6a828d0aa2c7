//! One slice and its ledger, driven by hand: everything that is asked for is answered at once.
#![allow(dead_code, reason = "each test binary uses its part")]

use async_trait::async_trait;
use bytes::Bytes;
use consumer::machine::{
    Arrived, Decoder, Input as In, InputTopic, Machine, Output, Prepared, Settings, StopTheLine, parked_as_record,
};
use consumer::{Context, Decision, Document, Documents, Handler, Input, NoEffect, replay};
use events::{
    AnalyticsEventRecovery, Dataset, Envelope, EventSet, Headers, PayloadHash, Record, WriterSchema,
    topics::ANALYTICS_EVENT_RECOVERY,
};
use failure::Failure;
use futures::executor::block_on;
use ledger::memory::MemoryLedger;
use ledger::{
    Creation, DocumentFilter, DocumentKey, Edit, ItemFilter, ItemState, Job, JobFilter, JobItem, JobSpec, JobState,
    Ledger, NewAudit, NewItem, NewJob, NewOutgoing, Outgoing, ParkedFilter, ParkedRecord, ParkedSequence, ParkedState,
    PublishedMark, RowKey, StopRule, Verb,
};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const TOPIC: &str = "fact.v1";
const LANE: &str = "replay.taker";

#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    account: String,
    id: String,
    amount: i64,
}

impl EventSet for Fact {
    fn topics() -> Vec<&'static str> {
        vec![TOPIC]
    }
    fn decode_avro(_: &str, _: &WriterSchema, _: &[u8]) -> Result<Self, Failure> {
        Err(Failure::bug("INVARIANT_BROKEN", "not decoded here"))
    }
    fn decode_json(_: &str, _: &serde_json::Value) -> Result<Self, Failure> {
        Err(Failure::bug("INVARIANT_BROKEN", "not decoded here"))
    }
    fn account_id(&self) -> &str {
        &self.account
    }
    fn subject(&self) -> &str {
        &self.id
    }
    fn entity_version(&self) -> Option<i64> {
        None
    }
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Taken {
    account: String,
    ids: Vec<String>,
}

impl Document for Taken {
    fn status(&self) -> &str {
        "taken"
    }
    fn account_id(&self) -> &str {
        &self.account
    }
}

/// What is older than what is known.
pub const STALE: i64 = 500;

/// What an event waits for, that comes as `bringer-<account>`.
pub const WAITS: i64 = 600;

/// Refuses amounts from the number of the beast on, until it is mended.
#[derive(Default)]
pub struct Taker {
    taken: AtomicI64,
    all: AtomicBool,
}

impl Handler for Taker {
    type Event = Fact;
    type Document = Taken;
    type Effect = NoEffect;

    fn name(&self) -> &'static str {
        "taker"
    }
    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(fact) => vec![DocumentKey::new("taken", &fact.account)],
            Input::Timer { .. } | Input::Outcome { .. } | Input::Refused { .. } => Vec::new(),
        }
    }
    fn decide(
        &self,
        documents: &Documents<'_, Taken>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let Input::Event(fact) = input else { return Ok(Decision::skip("only facts")) };
        let is_taken =
            fact.amount < 666 || self.all.load(Ordering::Relaxed) || fact.amount == self.taken.load(Ordering::Relaxed);
        if !is_taken {
            return Err(Failure::contract("FIELD_INVALID", format!("amount {}", fact.amount)));
        }
        if fact.amount == STALE {
            return Ok(Decision::skip("stale"));
        }
        let mut taken = documents.get("taken", &fact.account).cloned().unwrap_or_default();
        let bringer = format!("bringer-{}", fact.account);
        if fact.amount == WAITS && !taken.ids.contains(&bringer) {
            return Err(Failure::not_yet("ORDER_MISSING", bringer, "what it belongs to is not there"));
        }
        taken.account.clone_from(&fact.account);
        taken.ids.push(context.envelope.map_or_else(String::new, |envelope| envelope.id.clone()));
        Ok(Decision::new().put("taken", &fact.account, taken))
    }
}

/// Key, id and amount; the value is the amount as text.
pub fn fact(account: &str, id: &str, amount: i64) -> (String, String, String) {
    (account.to_owned(), id.to_owned(), amount.to_string())
}

/// A record that nobody can read yet.
pub fn poison(account: &str) -> (String, String, String) {
    (account.to_owned(), format!("poison-{account}"), "?7".to_owned())
}

#[derive(Default)]
struct Reader {
    reads_all: AtomicBool,
}

#[async_trait]
impl Decoder<Fact> for Reader {
    async fn decode(&self, record: Record) -> Arrived<Fact> {
        let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
        let text = if self.reads_all.load(Ordering::Relaxed) { text.trim_start_matches('?') } else { &text };
        let id = record.headers.text("ce_id").unwrap_or_default().to_owned();
        let account = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let event = match text.parse() {
            Ok(amount) => Ok(Fact { account, id: id.clone(), amount }),
            Err(_) => Err(Failure::poison("BYTES_NOT_AVRO", "the value is no number")),
        };
        let event = match replay::is_replay(&record.topic) {
            true => replay::origin(&record, &[TOPIC], 1).and(event),
            false => event,
        };
        // Without an id nobody knows the record again.
        let envelope = Envelope { id, source: "urn:test".into(), ..Envelope::default() };
        let envelope = Some(envelope).filter(|envelope| !envelope.id.is_empty());
        let hash = PayloadHash::of(record.key.as_deref(), record.value.as_deref());
        Arrived::new(record, envelope, hash, event, 0)
    }
}

fn taken_over(ledger: &MemoryLedger, reader: &Reader, handler: &Arc<Taker>, settings: &Settings) -> Machine<Taker> {
    let takeover = block_on(ledger.take_over(0, "rig")).expect("a take-over");
    let topics = [TOPIC, LANE].map(|name| InputTopic { name: name.into(), id: None, first_offset: 0 }).to_vec();
    let prepared = block_on(Prepared::read(ledger, reader, 0, takeover, topics)).expect("memory");
    Machine::new(handler.clone(), settings.clone(), 0, prepared, 0)
}

pub struct Rig {
    ledger: MemoryLedger,
    machine: Machine<Taker>,
    handler: Arc<Taker>,
    reader: Reader,
    outputs: VecDeque<Output<NoEffect>>,
    now: i64,
    jobs: u32,
    copies: i64,
    settings: Settings,
    /// All that was ever published.
    log: Vec<(String, String, String)>,
    stopped: Option<String>,
    /// All that was published: dead letters, but for what rules put elsewhere.
    letters: Vec<Outgoing>,
}

impl Rig {
    pub fn new(records: Vec<(String, String, String)>) -> Self {
        Self::with(records, |settings| settings.line = StopTheLine { in_row: 100, percent: 0, ..settings.line })
    }

    pub fn with(records: Vec<(String, String, String)>, change: impl FnOnce(&mut Settings)) -> Self {
        let ledger = MemoryLedger::new();
        let handler = Arc::new(Taker::default());
        let reader = Reader::default();
        let mut settings =
            Settings { partitions: Arc::new(HashMap::from([("dlq.taker".to_owned(), 1)])), ..Settings::default() };
        change(&mut settings);
        let machine = taken_over(&ledger, &reader, &handler, &settings);
        let mut rig = Self {
            ledger,
            machine,
            handler,
            reader,
            outputs: VecDeque::new(),
            now: 1_000,
            jobs: 0,
            copies: 0,
            settings,
            log: records,
            stopped: None,
            letters: Vec::new(),
        };
        rig.read_from(0);
        rig.settle();
        rig
    }

    /// What was put on a topic, in order.
    #[allow(dead_code, reason = "one of the tests that share the rig looks at other topics than that of dead letters")]
    pub fn put_on(&self, topic: &str) -> Vec<&NewOutgoing> {
        self.letters.iter().map(|outgoing| &outgoing.event).filter(|event| event.topic == topic).collect()
    }

    /// The rest of the topic is delivered.
    fn read_from(&mut self, first: i64) {
        let rest = self.log.iter().cloned().zip(0i64..).skip(first as usize);
        let records = rest.map(|(record, offset)| self.arrive(offset, record)).collect();
        self.step(In::Arrived { topic: TOPIC.into(), records });
        self.step(In::End { topic: TOPIC.into(), offset: self.log.len() as i64 });
        self.step(In::End { topic: LANE.into(), offset: self.copies });
    }

    /// Another owner takes the slice over, as the runtime does: one that is stopped is not begun. False if it is.
    pub fn take_over(&mut self) -> bool {
        self.outputs.clear();
        self.stopped = self.stopped_in_ledger();
        if self.stopped.is_some() {
            return false;
        }
        self.machine = taken_over(&self.ledger, &self.reader, &self.handler, &self.settings);
        let first = self.machine.positions().iter().find(|(topic, _)| **topic == *TOPIC).map_or(0, |(_, at)| *at);
        self.read_from(first);
        self.settle();
        true
    }

    pub fn ledger(&self) -> &MemoryLedger {
        &self.ledger
    }

    pub const fn now(&self) -> i64 {
        self.now
    }

    /// What was told of events that failed and ended, in order.
    pub fn recoveries(&self) -> Vec<AnalyticsEventRecovery> {
        let told = self.letters.iter().filter(|outgoing| outgoing.event.topic == ANALYTICS_EVENT_RECOVERY);
        let row = |outgoing: &Outgoing| {
            let schema = WriterSchema::own(ANALYTICS_EVENT_RECOVERY).expect("a topic of ours");
            let value = outgoing.event.value.as_deref().expect("a row");
            match Dataset::decode_avro(ANALYTICS_EVENT_RECOVERY, &schema, &value[5..]).expect("readable") {
                Dataset::AnalyticsEventRecovery(row) => *row,
                other => panic!("{other:?}"),
            }
        };
        told.map(row).collect()
    }

    /// Rows of the audit: actor, action and subject.
    pub fn audited(&self) -> Vec<(String, String, String)> {
        let rows = block_on(self.ledger.audit(999)).expect("memory");
        rows.into_iter().map(|row| (row.row.actor, row.row.action, row.row.subject)).collect()
    }

    /// Why the slice is stopped, as everybody can read it.
    pub fn stopped_in_ledger(&self) -> Option<String> {
        block_on(self.ledger.slices()).expect("memory").remove(0).stopped
    }

    /// An operator lets the slice go on.
    pub fn resume(&mut self) -> bool {
        let audit = self.audit("slice.resume", "slice 0");
        block_on(self.ledger.set_stopped(0, None, &audit)).expect("memory");
        self.take_over()
    }

    /// Further records are published and read.
    pub fn publish(&mut self, records: Vec<(String, String, String)>) {
        let first = self.log.len() as i64;
        self.log.extend(records);
        self.read_from(first);
        self.settle();
    }

    /// Time passes.
    pub fn wait(&mut self, millis: i64) {
        self.now += millis;
        self.step(In::Tick);
        self.settle();
    }

    fn arrive(&self, offset: i64, (key, id, value): (String, String, String)) -> Arrived<Fact> {
        let mut headers = Headers::default();
        headers.push("ce_id", id);
        let record = Record {
            topic: TOPIC.into(),
            partition: 0,
            offset,
            timestamp_ms: offset,
            key: Some(Bytes::from(key)),
            value: Some(Bytes::from(value)),
            headers,
        };
        block_on(self.reader.decode(record))
    }

    fn step(&mut self, input: In<Fact>) {
        self.outputs.extend(self.machine.step(self.now, input));
    }

    fn answer(&mut self, output: Output<NoEffect>) {
        match output {
            Output::Load(request) => {
                let loaded = block_on(self.ledger.load(&request)).expect("memory");
                self.step(In::Loaded(loaded));
            }
            Output::LoadParked { sequence, from_no, limit } => {
                let rows = block_on(self.ledger.parked_page(0, &sequence, from_no, limit)).expect("memory");
                let decode = |row: ParkedRecord| {
                    let arrived = block_on(self.reader.decode(parked_as_record(&row)));
                    (row, arrived)
                };
                let records = rows.into_iter().map(decode).collect();
                self.step(In::ParkedLoaded { sequence, records });
            }
            Output::LoadJobItems { job, after, limit } => {
                let filter = ItemFilter { slice: Some(0), state: Some(ItemState::Pending), after, limit };
                let items = block_on(self.ledger.job_items(&job, &filter)).expect("memory");
                self.step(In::JobItems { job, items });
            }
            Output::LoadRow(request) => {
                let loaded = block_on(request.read(&self.ledger, &self.reader)).expect("memory");
                self.step(In::RowLoaded(Box::new(loaded)));
            }
            Output::Commit(commit) => {
                block_on(self.ledger.commit(&[*commit])).expect("memory");
                self.step(In::Committed);
            }
            Output::Publish(events) => {
                self.letters.extend(events.iter().cloned());
                let mark = |outgoing: Outgoing| PublishedMark {
                    topic: outgoing.event.topic,
                    partition: outgoing.event.partition,
                    number: outgoing.number,
                    offset: outgoing.number,
                };
                let marks = events.into_iter().map(mark).collect();
                self.step(In::Published(marks));
            }
            Output::Stopped { code, reason } => self.stopped = Some(format!("{code}: {reason}")),
            Output::Call(_) | Output::Pause { .. } | Output::Resume { .. } | Output::Drained => {}
        }
    }

    /// Until nothing is under way, and nothing waits for a time within the next hour.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.stopped.is_some() {
                return;
            }
            if let Some(output) = self.outputs.pop_front() {
                self.answer(output);
                continue;
            }
            let filter = JobFilter { live: true, pending_in: Some(0), limit: 9, ..JobFilter::default() };
            let jobs = block_on(self.ledger.jobs(&filter)).expect("memory");
            let rests = jobs.iter().all(|job| job.state == JobState::Paused);
            self.step(In::Jobs(jobs));
            if !self.outputs.is_empty() {
                continue;
            }
            match self.machine.next_wake() {
                Some(at) => {
                    self.now = at.max(self.now + 1);
                    self.step(In::Tick);
                }
                None if rests => return,
                None => panic!("a job waits for nothing"),
            }
        }
        panic!("the rig does not come to rest");
    }

    pub fn mend(&self) {
        self.handler.all.store(true, Ordering::Relaxed);
    }

    pub fn mend_only(&self, amount: i64) {
        self.handler.taken.store(amount, Ordering::Relaxed);
    }

    pub fn readable(&self) {
        self.reader.reads_all.store(true, Ordering::Relaxed);
    }

    /// Copies a parked record to the replay topic, as any tool does.
    pub fn copy(&mut self, name: &str) {
        let row = self.row(name);
        let mut record = parked_as_record(&row);
        record.headers.push("dlq.original.topic", TOPIC);
        self.replay(record);
        self.step(In::End { topic: LANE.into(), offset: self.copies });
        self.settle();
    }

    /// Copies the newest dead letter to the replay topic.
    pub fn copy_letter(&mut self) {
        let letter = self.letters.last().expect("a letter").event.clone();
        let (key, value, headers) = (letter.key, letter.value, letter.headers);
        let topic = LANE.into();
        self.replay(Record { topic, partition: 0, offset: 0, timestamp_ms: 0, key, value, headers });
        self.step(In::End { topic: LANE.into(), offset: self.copies });
        self.settle();
    }

    /// A record arrives by the replay topic; whether more will is not known yet.
    fn replay(&mut self, record: Record) {
        let record = Record { topic: LANE.into(), offset: self.copies, ..record };
        self.copies += 1;
        let id = record.headers.text("ce_id").unwrap_or_default().to_owned();
        let mut arrived = block_on(self.reader.decode(record));
        let rows = self.rows().into_iter().filter(|(_, row)| row.fate.state.is_alive());
        let row = rows.map(|(_, row)| row).find(|row| !id.is_empty() && row.headers.text("ce_id") == Some(&id));
        arrived.waits_in = row.map(|row| row.sequence.into());
        self.step(In::Arrived { topic: LANE.into(), records: vec![arrived] });
        self.settle_but_for_time();
    }

    /// Live records arrive, and wait: the replay topic may hold older ones.
    pub fn publish_behind_a_silent_topic(&mut self, records: Vec<(String, String, String)>) {
        let mut headers = Headers::default();
        headers.push("ce_id", "ping");
        headers.push("dlq.original.topic", TOPIC);
        let (key, value) = (Some(Bytes::from_static(b"ping")), Some(Bytes::from_static(b"1")));
        let topic = LANE.into();
        self.replay(Record { topic, partition: 0, offset: 0, timestamp_ms: 0, key, value, headers });
        let first = self.log.len();
        self.log.extend(records);
        let rest = self.log.iter().cloned().zip(0i64..).skip(first);
        let records = rest.map(|(record, offset)| self.arrive(offset, record)).collect();
        self.step(In::Arrived { topic: TOPIC.into(), records });
        self.settle_but_for_time();
    }

    /// Answers what is asked for, without letting time pass.
    fn settle_but_for_time(&mut self) {
        while let Some(output) = self.outputs.pop_front() {
            self.answer(output);
        }
    }

    pub fn letters(&self) -> &[Outgoing] {
        &self.letters
    }

    pub fn retry_by_hand(&mut self, sequence: &str) {
        self.step(In::Retry { sequence: sequence.into() });
        while let Some(output) = self.outputs.pop_front() {
            self.answer(output);
        }
    }

    /// Tries a sequence twice by hand, the second time before the first one is durable.
    pub fn retry_twice_before_the_commit(&mut self, sequence: &str) {
        let mut commits = VecDeque::new();
        for _ in 0..2 {
            self.step(In::Retry { sequence: sequence.into() });
            while let Some(output) = self.outputs.pop_front() {
                match output {
                    Output::Commit(_) => commits.push_back(output),
                    other => self.answer(other),
                }
            }
        }
        self.outputs.extend(commits);
        self.settle();
    }

    /// Rows as people call them: by event id, and what nobody can read as `!<its number among those>`.
    fn rows(&self) -> Vec<(String, ParkedRecord)> {
        let filter = ParkedFilter { limit: 1_000, ..ParkedFilter::default() };
        let mut rows = block_on(self.ledger.parked_records(&filter)).expect("memory");
        rows.sort_by_key(|row| row.offset);
        let mut alone = 0;
        let name = |row: ParkedRecord| {
            let id = row.headers.text("ce_id").unwrap_or_default().to_owned();
            let name = if row.sequence.starts_with('!') {
                alone += 1;
                format!("!{}", alone - 1)
            } else {
                id
            };
            (name, row)
        };
        rows.into_iter().map(name).collect()
    }

    pub fn row(&self, name: &str) -> ParkedRecord {
        self.rows().into_iter().find(|(known, _)| known == name).expect("the row is there").1
    }

    pub fn fates(&self) -> Vec<String> {
        let state = |state: ParkedState| match state {
            ParkedState::LetterPending | ParkedState::DeadLettered => "letter",
            other => other.as_str(),
        };
        self.rows().into_iter().map(|(name, row)| format!("{name} {}", state(row.fate.state))).collect()
    }

    /// Names of the rows that have not ended.
    pub fn waiting(&self) -> Vec<String> {
        self.rows().into_iter().filter(|(_, row)| row.fate.state.is_alive()).map(|(name, _)| name).collect()
    }

    pub fn sequences(&self) -> Vec<ParkedSequence> {
        block_on(self.ledger.sequences(None)).expect("memory")
    }

    pub fn cases(&self) -> usize {
        self.sequences().len()
    }

    /// Ids of the events of an account that took hold, in order.
    pub fn taken(&self, account: &str) -> Vec<String> {
        let filter = DocumentFilter { key: Some(account.to_owned()), limit: 9, ..DocumentFilter::default() };
        let rows = block_on(self.ledger.documents(&filter)).expect("memory");
        let documents = rows.iter().map(|row| serde_json::from_str::<Taken>(&row.body).expect("a document"));
        documents.flat_map(|document| document.ids).collect()
    }

    /// Rows, sequences and documents.
    pub fn everything(&self) -> String {
        let filter = DocumentFilter { limit: 99, ..DocumentFilter::default() };
        let documents = block_on(self.ledger.documents(&filter)).expect("memory");
        format!("{:?}{:?}{documents:?}", self.rows(), self.sequences())
    }

    pub fn prepared(&mut self, verb: Verb, names: &[&str]) -> NewJob {
        self.jobs += 1;
        let item = |name: &&str| {
            let row = self.row(name);
            let key = RowKey { slice: row.slice, sequence: row.sequence, no: row.no };
            NewItem { row: key, version: row.fate.version, edit: None }
        };
        let spec = JobSpec {
            verb,
            rate: None,
            ramp: Vec::new(),
            max: None,
            stop: StopRule::default(),
            plan_hash: None,
            who: "rig".into(),
            reason: "a test".into(),
            ticket: None,
            approver: None,
            to: None,
        };
        NewJob { id: format!("job-{}", self.jobs), at_ms: self.now, spec, items: names.iter().map(item).collect() }
    }

    pub fn create(&mut self, job: NewJob) -> String {
        let audit = self.audit("job.create", &job.id);
        match block_on(self.ledger.create_job(&job, &audit)) {
            Ok(Creation::Created(job)) => job.id,
            other => panic!("{other:?}"),
        }
    }

    /// Whether the ledger takes none of a job, because its rows are not fit for it.
    pub fn is_refused(&self, job: NewJob) -> bool {
        let created = block_on(self.ledger.create_job(&job, &self.audit("job.create", &job.id))).expect("memory");
        matches!(created, Creation::Refused { .. })
    }

    fn audit(&self, action: &str, subject: &str) -> NewAudit {
        NewAudit {
            at_ms: self.now,
            actor: "rig".into(),
            action: action.into(),
            subject: subject.into(),
            reason: "a test".into(),
            before: None,
            after: None,
        }
    }

    pub fn state_of(&self, id: &str) -> Job {
        block_on(self.ledger.job(id)).expect("memory").expect("the job is there")
    }

    /// Creates a job and works it off.
    pub fn job(&mut self, verb: Verb, names: &[&str], change: impl FnOnce(&mut JobSpec)) -> Job {
        let mut job = self.prepared(verb, names);
        change(&mut job.spec);
        let id = self.create(job);
        self.settle();
        self.state_of(&id)
    }

    pub fn edit(&mut self, name: &str, amount: i64) -> Job {
        self.edit_to(name, amount.to_string())
    }

    pub fn edit_to(&mut self, name: &str, value: String) -> Job {
        let headers = self.row(name).headers;
        let mut job = self.prepared(Verb::Edit, &[name]);
        let edit = Edit { number: 0, job: String::new(), value: Some(value.into()), headers };
        job.items[0].edit = Some(edit);
        let id = self.create(job);
        self.settle();
        self.state_of(&id)
    }

    pub fn items(&self, id: &str) -> Vec<JobItem> {
        let mut items =
            block_on(self.ledger.job_items(id, &ItemFilter { limit: 999, ..ItemFilter::default() })).expect("memory");
        items.sort_by(|a, b| (&a.row.sequence, a.row.no).cmp(&(&b.row.sequence, b.row.no)));
        items
    }
}
