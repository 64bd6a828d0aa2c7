//! One owned slice: takes it over, runs its machine, and carries what the machine asks for to the shared drivers. Ends when the slice
//! is drained, fenced or lost; whatever is unfinished then is in the ledger.

use super::{
    caller::{Job, Request, now_ms},
    committer::{CommitRequest, retrying},
    member::Shared,
    relay::Relay,
};
use crate::{
    handler::Handler,
    machine::{
        Arrived, Decoder, Input, InputTopic, LoadedRow, Machine, Output, Prepared, Returned, RowRequest, TopicExtent,
        impossible_position, parked_as_record,
    },
};
use crate::{replay, upkeep::Upkeep};
use kafka::{
    TopicPartition,
    consumer::{Batch, Done, Lease},
};
use ledger::{
    ItemFilter, ItemState, JobFilter, JobItem, Loaded, NewAudit, Outgoing, ParkedFilter, ParkedRecord, ParkedState,
    PublishedMark, RowKey, Takeover,
};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use telemetry::failpoint;
use tokio::sync::mpsc;

/// Answers and events for one slice.
pub enum SliceInput {
    Loaded(Loaded),
    Committed,
    Fenced,
    /// The ledger cannot go on; the slice must not either.
    Broken(String),
    Returned(Vec<Returned>),
    Published(Vec<PublishedMark>),
    Gate {
        source: &'static str,
        closed: bool,
    },
    Jobs(Vec<ledger::Job>),
    JobItems(String, Vec<JobItem>),
    Drain(Option<Done>),
}

/// What Kafka delivers of a slice's partitions. Ends keep their place among the records: an end that overtook records would move
/// the position past them.
pub enum Delivery {
    Batch(Batch),
    End { topic: Arc<str>, offset: i64, generation: u64 },
}

/// Where a slice's answers go. Unbounded, because what can be in it is bounded by what the machine asked for.
#[derive(Clone)]
pub struct Inbox(pub mpsc::UnboundedSender<SliceInput>);

impl Inbox {
    pub fn send(&self, input: SliceInput) {
        // A slice that has gone needs no answer.
        drop(self.0.send(input));
    }
}

/// How the member reaches a slice.
pub struct SliceHandle {
    pub inbox: Inbox,
    pub deliveries: mpsc::UnboundedSender<Delivery>,
    pub task: tokio::task::JoinHandle<Ended>,
}

/// Why a slice's task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Drained,
    /// Another owner has it; it may be taken over again if Kafka still says it is ours.
    Fenced,
    /// The ledger or our own code is broken.
    Broken(String),
}

enum Decoded<E> {
    Records { topic: Arc<str>, generation: u64, records: Vec<Arrived<E>>, lease: Lease },
    End { topic: Arc<str>, offset: i64, generation: u64 },
    Page { sequence: Arc<str>, records: Vec<(ParkedRecord, Arrived<E>)> },
    Row(Box<LoadedRow<E>>),
}

struct Running<H: Handler> {
    shared: Arc<Shared<H>>,
    slice: i32,
    machine: Machine<H>,
    inbox: Inbox,
    decoded: mpsc::UnboundedSender<Decoded<H::Event>>,
    publish: mpsc::UnboundedSender<Vec<Outgoing>>,
    generations: HashMap<Arc<str>, u64>,
    closed_gates: BTreeSet<&'static str>,
    done: Option<Done>,
    hinted: i64,
    /// Of batches whose records are not all looked at yet, with their last offsets: they count against what may be delivered.
    leases: HashMap<Arc<str>, VecDeque<(i64, Lease)>>,
    /// When the gauges were shown last, and when they will be if they have changed since.
    shown: i64,
    show_at: Option<i64>,
}

/// Between two looks at what a slice holds.
const SHOWN_EVERY_MS: i64 = 100;

/// Runs a slice until it ends.
pub async fn run<H: Handler>(
    shared: Arc<Shared<H>>,
    slice: i32,
    inbox: Inbox,
    mut answers: mpsc::UnboundedReceiver<SliceInput>,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
) -> Ended {
    let (machine, takeover) = tokio::select! {
        begun = begin(&shared, slice) => match begun {
            Ok(begun) => begun,
            Err(reason) => return Ended::Broken(reason),
        },
        _ = asked_to_leave(&mut answers) => return Ended::Drained,
    };
    let (decoded, from_decoder) = mpsc::unbounded_channel();
    let (publish, to_publish) = mpsc::unbounded_channel();
    let relay = Relay {
        service: shared.handler.name(),
        slice,
        producer: shared.producer.clone(),
        inbox: inbox.clone(),
        observer: shared.observer.clone(),
    };
    let mut running = Running {
        shared: shared.clone(),
        slice,
        machine,
        inbox: inbox.clone(),
        decoded: decoded.clone(),
        publish,
        generations: HashMap::new(),
        closed_gates: BTreeSet::new(),
        done: None,
        hinted: 0,
        leases: HashMap::new(),
        shown: 0,
        show_at: None,
    };
    running.start(&relay, &takeover).await;
    let tasks = [
        tokio::spawn(relay.run(to_publish)),
        tokio::spawn(decode_all::<H>(shared.clone(), slice, deliveries, decoded)),
        tokio::spawn(watch_jobs(shared.clone(), slice, inbox.clone())),
        tokio::spawn(look_after_letters(shared.clone(), slice)),
    ];
    let ended = running.drive(&mut answers, from_decoder).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    shared.calls.send(Request::Leave(slice)).ok();
    shared.observer.slice_gone(slice);
    tracing::info!(slice, epoch = running.machine.epoch(), ?ended, "slice ended");
    ended
}

/// While the slice is being taken over, only a request to leave matters.
async fn asked_to_leave(answers: &mut mpsc::UnboundedReceiver<SliceInput>) {
    while let Some(input) = answers.recv().await {
        if matches!(input, SliceInput::Drain(_)) {
            return;
        }
    }
}

/// Takes the slice over; a slice that is stopped is waited for until an operator lets it go on.
async fn begin<H: Handler>(shared: &Shared<H>, slice: i32) -> Result<(Machine<H>, Takeover), String> {
    loop {
        wait_until_allowed(shared, slice).await?;
        let topics = input_topics(shared, slice).await;
        let taking = || shared.ledger.take_over(slice, &shared.member);
        let takeover = retrying("take over", &shared.observer, taking).await.map_err(|error| error.to_string())?;
        if let Some((code, reason)) = impossible_position(&takeover, &topics) {
            stop(shared, slice, &format!("{code}: {reason}")).await?;
            continue;
        }
        let topics: Vec<InputTopic> = topics.into_iter().map(|topic| topic.input).collect();
        let reading = || Prepared::read(&*shared.ledger, &*shared.decoder, slice, takeover.clone(), topics.clone());
        let prepared =
            retrying("read the journal", &shared.observer, reading).await.map_err(|error| error.to_string())?;
        let machine = Machine::new(shared.handler.clone(), shared.settings.clone(), slice, prepared, now_ms());
        tracing::info!(slice, epoch = takeover.epoch, entry = takeover.next_entry, "slice taken over");
        return Ok((machine, takeover));
    }
}

async fn wait_until_allowed<H: Handler>(shared: &Shared<H>, slice: i32) -> Result<(), String> {
    let mut told = false;
    loop {
        let reading = || shared.ledger.slices();
        let slices = retrying("read the slices", &shared.observer, reading).await.map_err(|error| error.to_string())?;
        let stopped = slices.into_iter().find(|status| status.slice == slice).and_then(|status| status.stopped);
        let Some(reason) = stopped else {
            if told {
                shared.observer.slice_stopped(slice, None);
            }
            return Ok(());
        };
        if !std::mem::replace(&mut told, true) {
            shared.observer.slice_stopped(slice, Some(&reason));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn stop<H: Handler>(shared: &Shared<H>, slice: i32, reason: &str) -> Result<(), String> {
    let audit = NewAudit {
        at_ms: now_ms(),
        actor: shared.member.clone(),
        action: "slice.stop".to_owned(),
        subject: format!("slice {slice}"),
        reason: reason.to_owned(),
        before: None,
        after: Some(reason.to_owned()),
    };
    let stopping = || shared.ledger.set_stopped(slice, Some(reason), &audit);
    retrying("stop the slice", &shared.observer, stopping).await.map_err(|error| error.to_string())
}

/// The slice's partition of each input topic, as the broker has it now.
async fn input_topics<H: Handler>(shared: &Shared<H>, slice: i32) -> Vec<TopicExtent> {
    let mut attempt = 0;
    loop {
        match try_input_topics(shared, slice).await {
            Ok(topics) => {
                shared.observer.broker(None);
                return topics;
            }
            Err(error) => {
                attempt += 1;
                shared.observer.broker(Some(&error.to_string()));
                let wait = super::committer::LEDGER_RETRY.delay_after(attempt, 3).unwrap_or(Duration::from_secs(5));
                tokio::time::sleep(wait).await;
            }
        }
    }
}

async fn try_input_topics<H: Handler>(shared: &Shared<H>, slice: i32) -> Result<Vec<TopicExtent>, kafka::Error> {
    let names: Vec<&str> = shared.topics.iter().map(AsRef::as_ref).collect();
    let ids = shared.consumer.admin().await?.topic_ids(&names).await?;
    let mut topics = Vec::with_capacity(names.len());
    for name in &shared.topics {
        let (low, end) = shared.consumer.watermarks(&TopicPartition::new(name.clone(), slice)).await?;
        let id = ids.get(&**name).cloned().flatten();
        topics.push(TopicExtent { input: InputTopic { name: name.clone(), id, first_offset: low }, end });
    }
    Ok(topics)
}

/// The sequence in which the record of a replay topic is parked already, as a letter that was copied there is.
async fn waits_in<H: Handler>(shared: &Shared<H>, slice: i32, arrived: &Arrived<H::Event>) -> Option<Arc<str>> {
    let filter = ParkedFilter {
        slice: Some(slice),
        uid: Some(arrived.uid?),
        states: ParkedState::ALL.into_iter().filter(|state| state.is_alive()).collect(),
        limit: 1,
        ..ParkedFilter::default()
    };
    let looking = || shared.ledger.parked_records(&filter);
    match retrying("look for the letter of a record that came back", &shared.observer, looking).await {
        Ok(rows) => rows.into_iter().next().map(|row| row.sequence.into()),
        Err(error) => {
            tracing::error!(slice, %error, "a record came back, and nobody can tell whether it is parked");
            None
        }
    }
}

async fn decode_all<H: Handler>(
    shared: Arc<Shared<H>>,
    slice: i32,
    mut deliveries: mpsc::UnboundedReceiver<Delivery>,
    decoded: mpsc::UnboundedSender<Decoded<H::Event>>,
) {
    let decoder = shared.decoder.clone();
    while let Some(delivery) = deliveries.recv().await {
        let batch = match delivery {
            Delivery::Batch(batch) => batch,
            Delivery::End { topic, offset, generation } => {
                if decoded.send(Decoded::End { topic, offset, generation }).is_err() {
                    return;
                }
                continue;
            }
        };
        failpoint::hit("c0");
        let mut records = Vec::with_capacity(batch.records.len());
        for record in batch.records {
            let mut arrived = decoder.arrive(record).await;
            if replay::is_replay(&arrived.record.topic) {
                arrived.waits_in = waits_in(&shared, slice, &arrived).await;
            }
            records.push(arrived);
        }
        let (topic, generation, mut lease) = (batch.partition.topic, batch.generation, batch.lease);
        lease.resize(records.iter().map(Arrived::weight).sum());
        failpoint::hit("c1");
        if decoded.send(Decoded::Records { topic, generation, records, lease }).is_err() {
            return;
        }
    }
}

impl<H: Handler> Running<H> {
    /// Opens the flow: unpublished events first, then reading from the ledger's positions.
    async fn start(&mut self, relay: &Relay, takeover: &Takeover) {
        self.shared.calls.send(Request::Join(self.slice, self.machine.epoch(), self.inbox.clone())).ok();
        let unpublished = self.machine.unpublished();
        let (found, missing) = relay.find_place(&*self.shared.tail, unpublished, &takeover.published).await;
        if !missing.is_empty() {
            self.publish.send(missing).ok();
        }
        if !found.is_empty() {
            self.step(Input::Published(found));
        }
        for (topic, offset) in self.machine.positions() {
            let partition = TopicPartition::new(topic.clone(), self.slice);
            let generation = self.shared.consumer.seek_and_resume(partition, offset);
            self.generations.insert(topic, generation);
        }
        self.step(Input::Tick);
    }

    async fn drive(
        &mut self,
        answers: &mut mpsc::UnboundedReceiver<SliceInput>,
        mut decoded: mpsc::UnboundedReceiver<Decoded<H::Event>>,
    ) -> Ended {
        loop {
            let wake = [self.machine.next_wake(), self.show_at]
                .into_iter()
                .flatten()
                .min()
                .map(|at| Duration::from_millis(u64::try_from(at - now_ms()).unwrap_or(0)));
            let pause = async {
                match wake {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                biased;
                Some(answer) = answers.recv() => self.answer(answer),
                Some(records) = decoded.recv() => self.records(records),
                () = pause => self.step(Input::Tick),
                else => Some(Ended::Drained),
            };
            self.show();
            if let Some(ended) = ended {
                self.done.take();
                return ended;
            }
        }
    }

    /// Counting costs as much as a batch of work: people need not see every step, but they must see the last one before a rest.
    fn show(&mut self) {
        let (now, due) = (now_ms(), self.shown + SHOWN_EVERY_MS);
        if now < due {
            self.show_at = Some(due);
            return;
        }
        (self.shown, self.show_at) = (now, None);
        self.shared.observer.slice(self.slice, self.machine.gauges());
    }

    fn answer(&mut self, answer: SliceInput) -> Option<Ended> {
        match answer {
            SliceInput::Loaded(loaded) => self.step(Input::Loaded(loaded)),
            SliceInput::Committed => {
                let ended = self.step(Input::Committed);
                self.hint();
                ended
            }
            SliceInput::Fenced => Some(Ended::Fenced),
            SliceInput::Broken(reason) => Some(Ended::Broken(reason)),
            SliceInput::Returned(returned) => self.step(Input::Returned(returned)),
            SliceInput::Published(marks) => self.step(Input::Published(marks)),
            SliceInput::Gate { source, closed } => {
                if closed {
                    self.closed_gates.insert(source);
                } else {
                    self.closed_gates.remove(source);
                }
                self.step(Input::Gate { closed: !self.closed_gates.is_empty() })
            }
            SliceInput::Jobs(jobs) => self.step(Input::Jobs(jobs)),
            SliceInput::JobItems(job, items) => self.step(Input::JobItems { job, items }),
            SliceInput::Drain(done) => {
                self.done = done;
                self.step(Input::Drain)
            }
        }
    }

    fn records(&mut self, decoded: Decoded<H::Event>) -> Option<Ended> {
        match decoded {
            Decoded::Records { topic, generation, records, lease } => {
                if self.generations.get(&topic) != Some(&generation) {
                    return None;
                }
                if let Some(last) = records.last() {
                    self.leases.entry(topic.clone()).or_default().push_back((last.record.offset, lease));
                }
                self.step(Input::Arrived { topic, records })
            }
            Decoded::End { topic, offset, generation } => {
                if self.generations.get(&topic) == Some(&generation) {
                    return self.step(Input::End { topic, offset });
                }
                None
            }
            Decoded::Page { sequence, records } => self.step(Input::ParkedLoaded { sequence, records }),
            Decoded::Row(loaded) => self.step(Input::RowLoaded(loaded)),
        }
    }

    fn step(&mut self, input: Input<H::Event>) -> Option<Ended> {
        let mut ended = None;
        for output in self.machine.step(now_ms(), input) {
            match output {
                Output::Load(request) => self.load(request),
                Output::LoadParked { sequence, from_no, limit } => self.load_page(sequence, from_no, limit),
                Output::LoadJobItems { job, after, limit } => self.load_items(job, after, limit),
                Output::LoadRow(request) => self.load_row(request),
                Output::Commit(commit) => {
                    failpoint::hit("c2");
                    let request = CommitRequest { commit: *commit, reply: self.inbox.clone() };
                    self.shared.commits.send(request).ok();
                }
                Output::Call(call) => {
                    self.shared.calls.send(Request::Call(Job { slice: self.slice, call })).ok();
                }
                Output::Publish(events) => {
                    self.publish.send(events).ok();
                }
                Output::Pause { topic } => self.shared.consumer.pause(vec![TopicPartition::new(topic, self.slice)]),
                Output::Resume { topic } => self.shared.consumer.resume(vec![TopicPartition::new(topic, self.slice)]),
                // The alert follows when the slice is not begun again: one log line, the metric, health.
                Output::Stopped { code, reason } => {
                    tracing::debug!(slice = self.slice, code, reason, "slice stops");
                    ended = Some(Ended::Fenced);
                }
                Output::Drained => ended = Some(Ended::Drained),
            }
        }
        self.release();
        ended
    }

    fn release(&mut self) {
        for (topic, leases) in &mut self.leases {
            let first = self.machine.first_in_inbox(topic);
            while leases.front().is_some_and(|(last, _)| first.is_none_or(|first| *last < first)) {
                leases.pop_front();
            }
        }
    }

    fn load(&self, request: ledger::LoadRequest) {
        let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
        tokio::spawn(async move {
            match retrying("load", &shared.observer, || shared.ledger.load(&request)).await {
                Ok(loaded) => inbox.send(SliceInput::Loaded(loaded)),
                Err(error) => inbox.send(SliceInput::Broken(error.to_string())),
            }
        });
    }

    fn load_page(&self, sequence: Arc<str>, from_no: i64, limit: usize) {
        let (shared, inbox, decoded, slice) =
            (self.shared.clone(), self.inbox.clone(), self.decoded.clone(), self.slice);
        tokio::spawn(async move {
            let reading = || shared.ledger.parked_page(slice, &sequence, from_no, limit);
            match retrying("read parked records", &shared.observer, reading).await {
                Ok(rows) => {
                    let mut records = Vec::with_capacity(rows.len());
                    for row in rows {
                        let arrived = shared.decoder.decode(parked_as_record(&row)).await;
                        records.push((row, arrived));
                    }
                    drop(decoded.send(Decoded::Page { sequence, records }));
                }
                Err(error) => inbox.send(SliceInput::Broken(error.to_string())),
            }
        });
    }

    fn load_items(&self, job: String, after: Option<RowKey>, limit: usize) {
        let (shared, inbox, slice) = (self.shared.clone(), self.inbox.clone(), self.slice);
        tokio::spawn(async move {
            let filter = ItemFilter { slice: Some(slice), state: Some(ItemState::Pending), after, limit };
            let reading = || shared.ledger.job_items(&job, &filter);
            match retrying("read items of a job", &shared.observer, reading).await {
                Ok(items) => inbox.send(SliceInput::JobItems(job.clone(), items)),
                Err(error) => inbox.send(SliceInput::Broken(error.to_string())),
            }
        });
    }

    fn load_row(&self, request: RowRequest) {
        let (shared, inbox, decoded) = (self.shared.clone(), self.inbox.clone(), self.decoded.clone());
        tokio::spawn(async move {
            let reading = || request.clone().read(&*shared.ledger, &*shared.decoder);
            match retrying("read the row of a job", &shared.observer, reading).await {
                Ok(loaded) => drop(decoded.send(Decoded::Row(Box::new(loaded)))),
                Err(error) => inbox.send(SliceInput::Broken(error.to_string())),
            }
        });
    }

    /// Kafka's committed offset is only for lag tools: once a second is enough.
    fn hint(&mut self) {
        let now = now_ms();
        if now - self.hinted >= 1_000 || self.machine.is_quiet() {
            if now - self.hinted >= 1_000 {
                self.shared.observer.parked(self.slice, self.machine.parked_by());
            }
            self.hinted = now;
            let positions = self.machine.positions().into_iter();
            self.shared
                .consumer
                .commit_hint(positions.map(|(topic, at)| (TopicPartition::new(topic, self.slice), at)).collect());
            failpoint::hit("c12");
        }
    }
}

/// Jobs looked at together: of more, the newest.
const MOST_JOBS: usize = 100;

/// Between two looks for jobs.
const JOBS_EVERY: Duration = Duration::from_secs(1);

/// Tells the slice of the jobs that have work for it, each second while there are any.
async fn watch_jobs<H: Handler>(shared: Arc<Shared<H>>, slice: i32, inbox: Inbox) {
    let filter = JobFilter { live: true, pending_in: Some(slice), limit: MOST_JOBS, ..JobFilter::default() };
    let mut had_some = false;
    loop {
        match retrying("look for jobs", &shared.observer, || shared.ledger.jobs(&filter)).await {
            Ok(jobs) => {
                let has_some = !jobs.is_empty();
                if std::mem::replace(&mut had_some, has_some) || has_some {
                    inbox.send(SliceInput::Jobs(jobs));
                }
            }
            Err(error) => return inbox.send(SliceInput::Broken(error.to_string())),
        }
        tokio::time::sleep(JOBS_EVERY).await;
    }
}

/// Between two looks of the caretaker.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);

/// What the slice does about its letters by itself. Trouble here is never the slice's: the next look goes on.
async fn look_after_letters<H: Handler>(shared: Arc<Shared<H>>, slice: i32) {
    let mut upkeep = Upkeep::new(shared.policy.clone(), slice, shared.settings.version, now_ms());
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        if let Err(error) = upkeep.tend(&*shared.ledger, now_ms()).await {
            tracing::warn!(slice, %error, "letters were not looked after; it is tried again");
        }
    }
}

/// Resolves when the handle's slice has ended.
pub async fn ended(handle: &mut SliceHandle) -> Ended {
    match (&mut handle.task).await {
        Ok(ended) => ended,
        Err(error) if error.is_cancelled() => Ended::Drained,
        Err(error) => Ended::Broken(format!("the slice's task panicked: {error}")),
    }
}
