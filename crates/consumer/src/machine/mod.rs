//! One slice, as a sans-I/O state machine: `step(now, input) -> outputs`. It owns every decision about records, order, parking,
//! effects and publishing, and it never waits, so that the simulation can run it under any schedule.
//!
//! What must never happen, and where it is prevented: a position passes a record without a disposition (`frontier`); a call
//! goes out before its intent is durable (`effects`, state `Committing`); a second call while the first one's outcome is unknown
//! (`effects`, `look_up`); a live event overtakes a parked one of its sequence (`parking`); something undurable is forgotten
//! (`effects`, `look_up`); a live event overtakes a parked one of its sequence (`parking`); something undurable is forgotten
//! (`memory`). `tests/schedules.rs` runs all of it against a twin without faults.

mod answers;
mod batch;
mod decide;
mod effects;
mod frontier;
mod inbox;
mod io;
mod jobs;
mod lane;
mod latency;
mod letters;
mod line;
mod memory;
mod pages;
mod parking;
mod reports;
mod restore;
mod verdict;

pub(crate) use io::millis as millis_of;
pub use io::*;
pub use jobs::{LoadedRow, RowRequest, edited, moved_headers};
pub use latency::KIND as LATENCY_KIND;
pub use letters::CLAIM_CHECK;
pub use reports::{REPORTS, Reports};
pub use restore::{Decoder, InputTopic, Prepared, TopicExtent, impossible_position, parked_as_record};

use crate::handler::Handler;
use batch::{Batch, Outbox, Tail};
use events::{PayloadHash, Uid};
use frontier::Frontier;
use inbox::Inbox;
use jobs::Jobs;
use lane::{Item, Lane, Work};
use ledger::{
    Disposition, DocumentKey, LoadRequest, Loaded, Millis, Outgoing, ParkedFate, Position, PublishedMark, StepId,
    TimerRow,
};
use memory::{Cache, Seen};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

/// Maps that are looked into several times for each record. Their keys come from publishers, so the hasher is seeded; the
/// standard one costs more than all else that is done with them.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
pub(crate) type Set<K> = HashSet<K, foldhash::fast::RandomState>;

/// Sends and publishes what a commit has made durable.
struct Committing {
    entry: i64,
    started: Vec<(StepId, Arc<str>)>,
    publish: Vec<Outgoing>,
}

/// Why a journal entry cannot be closed yet.
#[derive(Debug, Default)]
struct OpenEntry {
    steps: usize,
    outgoing: usize,
    highest: HashMap<Arc<str>, i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wake {
    Step(StepId),
    Retry(Arc<str>),
    Timer(String),
}

/// Counts for screens and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Records in memory that have no disposition yet.
    pub undecided: usize,
    /// Steps whose effects are not done.
    pub open_steps: usize,
    /// Parked sequences, and the records in them.
    pub parked_sequences: usize,
    pub parked_records: usize,
    /// Events that are durable but not acknowledged by the broker.
    pub outbox: usize,
    /// Intents whose outcome is unknown.
    pub unknown: usize,
}

/// The machine of one slice under one epoch.
pub struct Machine<H: Handler> {
    handler: Arc<H>,
    settings: Settings,
    slice: i32,
    epoch: i64,
    floor_ms: Millis,
    topic_ids: HashMap<Arc<str>, Option<String>>,
    frontiers: BTreeMap<Arc<str>, Frontier>,
    committed: HashMap<Arc<str>, i64>,
    inbox: Inbox<H::Event>,
    /// Taken from the inbox, not yet routed: their identities and documents may still be loading.
    pending: Vec<Item<H::Event>>,
    /// What the ledger said of the identities in `pending`.
    known: Map<Uid, Option<PayloadHash>>,
    loading: bool,
    asked: LoadRequest,
    changed_while_loading: Set<DocumentKey>,
    lanes: Map<Arc<str>, Lane<H>>,
    runnable: VecDeque<Arc<str>>,
    is_runnable: Set<Arc<str>>,
    steps: Map<StepId, Arc<str>>,
    /// Steps whose answers wait for documents.
    unheard: Vec<StepId>,
    seen: Seen,
    cache: Cache<H::Document>,
    outbox: Outbox,
    batch: Batch,
    started: Vec<(StepId, Arc<str>)>,
    committing: Option<Committing>,
    entries: BTreeMap<i64, OpenEntry>,
    closed: i64,
    durable: i64,
    wakes: BTreeMap<Millis, Vec<Wake>>,
    timers: HashMap<String, TimerRow>,
    /// Parked sequences to be tried as soon as deciding is allowed and their rows are durable.
    due: VecDeque<Arc<str>>,
    letters: HashMap<(Arc<str>, i64), ParkedFate>,
    jobs: Jobs<H>,
    line: line::Line,
    latency: latency::Minutes,
    /// Records taken from the inbox that have no disposition yet, and their bytes.
    held: usize,
    held_bytes: usize,
    /// Bytes of the open steps.
    step_bytes: usize,
    calls_out: usize,
    marks_due: Option<Millis>,
    gate_closed: bool,
    draining: bool,
    drained: bool,
    halted: bool,
    stopping: Option<(&'static str, String)>,
    /// Of the last owner: may or may not be in their topics.
    unpublished: Vec<Outgoing>,
    out: Vec<Output<H::Effect>>,
}

impl<H: Handler> Machine<H> {
    /// Takes one input and answers what is to be done about it.
    pub fn step(&mut self, now: Millis, input: Input<H::Event>) -> Vec<Output<H::Effect>> {
        if self.halted {
            return Vec::new();
        }
        match input {
            Input::Arrived { topic, records } => self.arrived(&topic, records),
            Input::End { topic, offset } => self.ended(&topic, offset, now),
            Input::Loaded(loaded) => self.loaded(loaded),
            Input::ParkedLoaded { sequence, records } => self.page_loaded(&sequence, records),
            Input::Committed => self.committed(now),
            Input::Fenced => self.halted = true,
            Input::Returned(returned) => returned.into_iter().for_each(|call| self.returned(call, now)),
            Input::Published(marks) => marks.into_iter().for_each(|mark| self.published(mark, now)),
            Input::Gate { closed } => self.gate_closed = closed,
            Input::Tick => {}
            Input::Drain => self.draining = true,
            Input::Retry { sequence } => self.retry_now(&sequence, now),
            Input::Jobs(jobs) => self.jobs_told(jobs, now),
            Input::JobItems { job, items } => self.items_loaded(&job, items),
            Input::RowLoaded(loaded) => self.row_loaded(*loaded, now),
        }
        if !self.halted {
            self.wake(now);
            self.close_minutes(now);
            self.pump(now);
        }
        std::mem::take(&mut self.out)
    }

    /// When [`Input::Tick`] is needed at the latest.
    #[must_use]
    pub fn next_wake(&self) -> Option<Millis> {
        let wake = self.wakes.keys().next().copied();
        let takes = self.may_decide() && self.pending.is_empty() && self.may_hold();
        let merge = if takes { self.inbox.wake_at() } else { None };
        let jobs = if self.may_decide() { self.jobs_wake() } else { None };
        [wake, merge, self.marks_due, jobs, self.minutes_wake()].into_iter().flatten().min()
    }

    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let parked = || self.lanes.values().filter_map(|lane| lane.parked.as_ref());
        Gauges {
            undecided: self.inbox.len() + self.held,
            open_steps: self.steps.len(),
            parked_sequences: parked().count(),
            parked_records: parked().map(|sequence| usize::try_from(sequence.depth).unwrap_or(0)).sum(),
            outbox: self.outbox.waiting(),
            unknown: self.unknown_intents(),
        }
    }

    /// Parked sequences by class and code. Looks at every lane.
    #[must_use]
    pub fn parked_by(&self) -> BTreeMap<(failure::Class, String), i64> {
        let mut counts = BTreeMap::new();
        for sequence in self.lanes.values().filter_map(|lane| lane.parked.as_ref()) {
            *counts.entry((sequence.class, sequence.code.clone())).or_default() += 1;
        }
        counts
    }

    /// Offset of the oldest record of a topic that arrived and was not looked at yet: what came before it has left the inbox.
    #[must_use]
    pub fn first_in_inbox(&self, topic: &str) -> Option<i64> {
        self.inbox.first(topic)
    }

    #[must_use]
    pub const fn slice(&self) -> i32 {
        self.slice
    }

    #[must_use]
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The next offset of each topic, as the next commit will have it.
    #[must_use]
    pub fn positions(&self) -> Vec<(Arc<str>, i64)> {
        self.frontiers.iter().map(|(topic, frontier)| (topic.clone(), frontier.position())).collect()
    }

    /// Nothing is under way, undecided or unpublished; parked sequences and future timers may exist.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.inbox.is_empty()
            && self.pending.is_empty()
            && self.held == 0
            && self.steps.is_empty()
            && self.batch.is_empty()
            && self.committing.is_none()
            && self.outbox.waiting() == 0
            && self.jobs_rest()
    }

    fn arrived(&mut self, topic: &Arc<str>, records: Vec<Arrived<H::Event>>) {
        let Some(frontier) = self.frontiers.get_mut(topic) else { return };
        let mut pause = false;
        for arrived in records {
            if frontier.arrive(arrived.record.offset) {
                pause |= self.inbox.push(topic, arrived);
            }
        }
        if pause {
            self.out.push(Output::Pause { topic: topic.clone() });
        }
    }

    fn ended(&mut self, topic: &Arc<str>, offset: i64, now: Millis) {
        self.inbox.end(topic);
        if let Some(frontier) = self.frontiers.get_mut(topic) {
            frontier.end(offset);
            if self.committed.get(topic).is_none_or(|known| *known < frontier.position()) {
                self.news(now);
            }
        }
    }

    /// Something is worth a commit, but not at once.
    fn news(&mut self, now: Millis) {
        self.marks_due.get_or_insert(now + millis(self.settings.mark_linger));
    }

    fn wake(&mut self, now: Millis) {
        while let Some(entry) = self.wakes.first_entry() {
            if *entry.key() > now {
                break;
            }
            for wake in entry.remove() {
                match wake {
                    Wake::Step(id) => self.resume_step(id, now),
                    Wake::Retry(sequence) => self.due.push_back(sequence),
                    Wake::Timer(id) => self.timer_due(&id, now),
                }
            }
        }
    }

    fn wake_at(&mut self, at: Millis, wake: Wake) {
        self.wakes.entry(at).or_default().push(wake);
    }

    fn may_decide(&self) -> bool {
        !self.gate_closed
            && !self.draining
            && self.stopping.is_none()
            && self.batch.records() < self.settings.batch_records
            && self.may_open()
            && self.may_publish()
    }

    /// Events are decided faster than a slow broker takes them: what waits for it must not fill memory.
    const fn may_publish(&self) -> bool {
        self.outbox.bytes() < self.settings.outbox_bytes
    }

    fn may_hold(&self) -> bool {
        self.held < self.settings.waiting_records && self.held_bytes < self.settings.waiting_bytes
    }

    fn may_open(&self) -> bool {
        self.steps.len() < self.settings.open_steps && self.step_bytes < self.settings.open_step_bytes
    }

    fn pump(&mut self, now: Millis) {
        loop {
            self.hear(now);
            self.decide_what_can_be(now);
            if !self.flush(now) {
                break;
            }
        }
        for topic in self.inbox.resumable() {
            self.out.push(Output::Resume { topic });
        }
        if self.draining && !self.drained && self.is_drained() {
            self.drained = true;
            self.out.push(Output::Drained);
        }
    }

    fn decide_what_can_be(&mut self, now: Millis) {
        while !self.loading && self.may_decide() {
            self.work_off(now);
            self.ask_due_pages(now);
            self.take_pending(now);
            let request = self.wanted();
            if !request.uids.is_empty() || !request.documents.is_empty() {
                self.loading = true;
                self.asked = request.clone();
                self.out.push(Output::Load(request));
                break;
            }
            if self.pending.is_empty() && self.runnable.is_empty() {
                break;
            }
            self.route_pending(now);
            self.run_lanes(now);
        }
    }

    fn is_drained(&self) -> bool {
        self.calls_out == 0
            && self.committing.is_none()
            && self.batch.is_empty()
            && self.outbox.waiting() == 0
            && !self.outbox.has_news()
    }

    fn take_pending(&mut self, now: Millis) {
        if !self.pending.is_empty() {
            return;
        }
        while self.pending.len() < self.settings.batch_records && self.may_hold() {
            let Some(arrived) = self.inbox.pop(now) else { break };
            self.held += 1;
            self.held_bytes += arrived.weight();
            let item = self.item(Work::Live(arrived));
            self.pending.push(item);
        }
    }

    /// Identities and documents that the next turn needs and memory does not have.
    fn wanted(&self) -> LoadRequest {
        /// Of a long lane only the next few are prepared: the others may be coalesced away or wait anyway.
        const AHEAD: usize = 64;
        let mut request = LoadRequest { slice: self.slice, ..LoadRequest::default() };
        for item in &self.pending {
            if let Some(uid) = item.work.arrived().and_then(|arrived| arrived.uid)
                && self.seen.must_ask(&uid)
                && !self.known.contains_key(&uid)
            {
                request.uids.push(uid);
            }
        }
        request.uids.sort_unstable();
        request.uids.dedup();
        let mut wanted = Set::default();
        let lanes = self.runnable.iter().filter_map(|name| self.lanes.get(name));
        let ahead = lanes.flat_map(|lane| {
            let page = lane.page.iter().flatten().take(AHEAD);
            page.chain(lane.waiting.iter().take(AHEAD))
        });
        let asked = self.pending.iter().chain(ahead).flat_map(|item| &item.reads);
        for key in asked.chain(self.forecast_reads()) {
            if !self.cache.contains(key) && wanted.insert(key) {
                request.documents.push(key.clone());
            }
        }
        request
    }

    fn loaded(&mut self, mut loaded: Loaded) {
        self.loading = false;
        self.floor_ms = self.floor_ms.max(loaded.floor_ms);
        let asked = std::mem::take(&mut self.asked);
        for uid in asked.uids {
            self.known.insert(uid, loaded.identities.get(&uid).copied());
        }
        let changed = std::mem::take(&mut self.changed_while_loading);
        for key in asked.documents {
            let row = loaded.documents.remove(&key);
            if changed.contains(&key) {
                // What was read may be older than what was decided meanwhile.
                continue;
            }
            match row.as_ref().map(|row| serde_json::from_str::<H::Document>(&row.body)).transpose() {
                Ok(document) => {
                    let bytes = row.map_or(0, |row| row.body.len());
                    self.cache.put(key, document.map(Arc::new), bytes, 0);
                }
                Err(error) => {
                    self.stop("INVARIANT_BROKEN", format!("document {}/{} is damaged: {error}", key.kind, key.key))
                }
            }
        }
    }

    /// The slice will stop once what is decided so far is durable; the reason goes into the same transaction.
    fn stop(&mut self, code: &'static str, reason: String) {
        self.batch.stopped = Some(format!("{code}: {reason}"));
        self.stopping.get_or_insert((code, reason));
    }

    fn run_lanes(&mut self, now: Millis) {
        for _ in 0..self.runnable.len() {
            if !self.may_open() || !self.may_publish() {
                break;
            }
            let Some(name) = self.runnable.pop_front() else { break };
            self.is_runnable.remove(&name);
            self.run_lane(&name, now);
        }
    }

    fn make_runnable(&mut self, name: &Arc<str>) {
        if self.is_runnable.insert(name.clone()) {
            self.runnable.push_back(name.clone());
        }
    }

    /// Commits what is decided, if nothing is being committed and there is something that must not or need not wait.
    fn flush(&mut self, now: Millis) -> bool {
        if self.committing.is_some() {
            return false;
        }
        let lingered = self.draining || self.marks_due.is_some_and(|due| due <= now);
        let news = self.outbox.has_news() || self.marks_due.is_some();
        if self.batch.is_empty() && !(lingered && news) {
            return false;
        }
        self.marks_due = None;
        let next = Batch::new(self.batch.entry + 1);
        let batch = std::mem::replace(&mut self.batch, next);
        let entry = batch.entry;
        let publish = batch.outgoing_events().to_vec();
        let mut open = OpenEntry { outgoing: publish.len(), highest: batch.highest(), ..OpenEntry::default() };
        open.steps = self.steps.keys().filter(|id| id.entry == entry).count();
        self.entries.insert(entry, open);
        let tail = self.tail();
        self.committing = Some(Committing { entry, started: std::mem::take(&mut self.started), publish });
        self.out.push(Output::Commit(Box::new(batch.into_commit(self.slice, self.epoch, now, tail))));
        true
    }

    fn tail(&mut self) -> Tail {
        let mut positions = Vec::new();
        for (topic, frontier) in &self.frontiers {
            let next_offset = frontier.position();
            if self.committed.insert(topic.clone(), next_offset) != Some(next_offset) {
                let topic_id = self.topic_ids.get(topic).cloned().flatten();
                positions.push(Position { topic: topic.to_string(), topic_id, next_offset });
            }
        }
        Tail { positions, closed_entry: self.close_entries(), published: self.outbox.take_marks() }
    }

    /// The newest entry up to which nothing is open any more, if it moved.
    fn close_entries(&mut self) -> Option<i64> {
        let before = self.closed;
        while let Some(entry) = self.entries.first_entry() {
            let open = entry.get();
            let passed = open
                .highest
                .iter()
                .all(|(topic, offset)| self.frontiers.get(topic).is_none_or(|frontier| frontier.position() > *offset));
            if open.steps > 0 || open.outgoing > 0 || !passed {
                break;
            }
            self.closed = *entry.key();
            entry.remove();
        }
        (self.closed > before).then_some(self.closed)
    }

    fn committed(&mut self, now: Millis) {
        let Some(done) = self.committing.take() else { return };
        self.durable = done.entry;
        self.cache.trim(self.durable);
        self.seen.trim(self.durable);
        if let Some((code, reason)) = self.stopping.take_if(|_| self.batch.stopped.is_none()) {
            self.halted = true;
            self.out.push(Output::Stopped { code, reason });
            return;
        }
        if !done.publish.is_empty() {
            self.out.push(Output::Publish(done.publish));
        }
        for (id, name) in done.started {
            self.start_step(id, &name, now);
        }
    }

    fn published(&mut self, mark: PublishedMark, now: Millis) {
        for waiting in self.outbox.acknowledge(mark) {
            if let Some(open) = self.entries.get_mut(&waiting.entry) {
                open.outgoing -= 1;
            }
            if let Some((sequence, no)) = waiting.letter_of {
                self.letter_acknowledged(&sequence.into(), no, now);
            }
        }
        self.news(now);
    }

    /// An undecided record leaves with its disposition.
    fn dispose(&mut self, arrived: &Arrived<H::Event>, disposition: Disposition) {
        let record = &arrived.record;
        self.batch.record(&record.topic, record.offset, arrived.uid, arrived.hash, disposition);
        if let Some(frontier) = self.frontiers.get_mut(&record.topic) {
            frontier.decide(record.offset);
        }
        self.held = self.held.saturating_sub(1);
        self.held_bytes = self.held_bytes.saturating_sub(arrived.weight());
    }

    /// The same for the first record of an identity: its identity becomes durable with it.
    fn dispose_first(&mut self, arrived: &Arrived<H::Event>, disposition: Disposition) {
        if let Some(uid) = arrived.uid {
            self.batch.identity(uid, arrived.hash);
            self.seen.decide(uid, self.batch.entry);
        }
        self.dispose(arrived, disposition);
    }
}
