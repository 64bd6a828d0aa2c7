//! The simulated world: topic, ledger, outside system, clock, and a scheduler that picks what happens next from a seed.

mod people;
mod redrive;

use super::{
    Case, SimEvent,
    check::Observed,
    member::Member,
    outside::{Fate, Outside},
};
use async_trait::async_trait;
use bytes::Bytes;
use consumer::{
    Handler,
    machine::{Arrived, CallKind, CallResult, Decoder, Input, InputTopic, Machine, Prepared, Returned, Settings},
};
use events::{EventSet, Headers, PayloadHash, Record};
use failure::{Failure, RetryPolicy};
use ledger::{CommitOutcome, Ledger, NewOutgoing, ParkedRecord, PublishedMark, memory::MemoryLedger};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// How rough the world is.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    /// Faults before the world heals; 0 for a twin.
    pub faults: u32,
    /// Chance that an input record is published again, at a later offset.
    pub duplicates: f64,
    /// Whether topics are read at unequal speed, so that related events overtake each other between topics.
    pub disorder: bool,
}

impl Options {
    #[must_use]
    pub const fn calm() -> Self {
        Self { seed: 0, faults: 0, duplicates: 0.0, disorder: false }
    }

    #[must_use]
    pub const fn stormy(seed: u64) -> Self {
        Self { seed, faults: 40, duplicates: 0.2, disorder: seed.is_multiple_of(2) }
    }
}

/// What was really reached: a fault that never happened proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sometimes {
    pub crashes: u32,
    pub crashed_with_call_out: u32,
    pub crashed_after_commit: u32,
    pub commit_repeated: u32,
    pub zombie_refused: u32,
    pub unknown_looked_up: u32,
    pub redelivered: u32,
    pub publish_repeated: u32,
}

impl Sometimes {
    pub fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.crashed_with_call_out += other.crashed_with_call_out;
        self.crashed_after_commit += other.crashed_after_commit;
        self.commit_repeated += other.commit_repeated;
        self.zombie_refused += other.zombie_refused;
        self.unknown_looked_up += other.unknown_looked_up;
        self.redelivered += other.redelivered;
        self.publish_repeated += other.publish_repeated;
    }

    /// The first thing that never happened although it could have.
    #[must_use]
    pub fn never(&self, has_effects: bool, publishes: bool) -> Option<&'static str> {
        let all = [
            ("a crash", true, self.crashes),
            ("a crash with a call out", has_effects, self.crashed_with_call_out),
            ("a crash between a commit and its answer", true, self.crashed_after_commit),
            ("a repeated commit", true, self.commit_repeated),
            ("a zombie's refused write", true, self.zombie_refused),
            ("a look-up of an unknown outcome", has_effects, self.unknown_looked_up),
            ("a redelivery", true, self.redelivered),
            ("an event published again after a crash", publishes, self.publish_repeated),
        ];
        all.into_iter().find(|(_, possible, count)| *possible && *count == 0).map(|(name, ..)| name)
    }
}

/// An event that reached its topic, with the number that the journal gave it.
pub type PublishedEvent = (i64, NewOutgoing);

pub struct World<'a, H: Handler> {
    case: &'a Case<H>,
    options: Options,
    rng: ChaCha8Rng,
    now: i64,
    ledger: MemoryLedger,
    log: BTreeMap<Arc<str>, Vec<Arrived<H::Event>>>,
    outside: Outside<H::Effect>,
    published: BTreeMap<(String, i32), Vec<PublishedEvent>>,
    member: Option<Member<H>>,
    zombies: Vec<Member<H>>,
    faults_left: u32,
    people_began: bool,
    jobs_made: u32,
    sometimes: Sometimes,
}

/// Longest time a call may take effect late; the machine waits this long before it believes a look-up.
const LATE: i64 = 500;
const SLICE: i32 = 0;

impl<'a, H: Handler> World<'a, H> {
    #[must_use]
    pub fn new(case: &'a Case<H>, mut options: Options, seed: u64) -> Self {
        // A row that waits lets the one it waits for go first, each time it is tried: how often people try it is the schedule's doing
        // then, and each refusal is told.
        options.disorder &= !case.by_jobs;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let log = publish(&case.events, &options, &mut rng);
        Self {
            case,
            faults_left: options.faults,
            options,
            rng,
            now: 1_750_000_000_000,
            ledger: MemoryLedger::default(),
            log,
            outside: Outside::new(case.rule),
            published: BTreeMap::new(),
            member: None,
            zombies: Vec::new(),
            people_began: false,
            jobs_made: 0,
            sometimes: Sometimes::default(),
        }
    }

    /// Runs until everything is read, nothing is under way and waiting brings nothing new.
    pub fn run(mut self) -> Result<(Observed, Sometimes), String> {
        const STEPS: u32 = 400_000;
        let mut quiet_waits = 0;
        for _ in 0..STEPS {
            if self.member.is_none() {
                self.take_over()?;
            }
            if self.faults_left > 0 && self.rng.random_bool(0.02) {
                self.fault()?;
                continue;
            }
            self.zombie_moves()?;
            if self.act()? {
                quiet_waits = 0;
                continue;
            }
            let quiet = self.member.as_ref().is_none_or(|member| member.machine.is_quiet());
            if !self.wait() || (quiet && quiet_waits > 60 && quiet_waits > self.patience()) {
                if !self.people_act()? {
                    return self.finish(quiet_waits);
                }
                quiet_waits = 0;
            }
            quiet_waits += 1;
        }
        Err(format!("the run did not come to rest: {}", self.describe()))
    }

    /// Waits in a row that bring nothing before the run is over. A timer that is set still has to fire, however far away it is: the end
    /// of a run must not depend on how many other waits came before it.
    fn patience(&self) -> u32 {
        let slices = now_or_never(self.ledger.slices()).unwrap_or_default();
        if slices.iter().any(|slice| slice.timers > 0) { 4_000 } else { 60 }
    }

    fn describe(&self) -> String {
        let gauges = self.member.as_ref().map(|member| member.machine.gauges());
        format!("{gauges:?}, {} effects", self.outside.log.len())
    }

    fn finish(self, quiet_waits: u32) -> Result<(Observed, Sometimes), String> {
        if let Some(member) = &self.member {
            if let Some(Some(reason)) = &member.over {
                return Err(format!("the slice stopped: {reason}"));
            }
            if !member.machine.is_quiet() {
                return Err(format!(
                    "something stayed open: {}, read all: {}, {quiet_waits} waits",
                    self.describe(),
                    member.has_read_all(&self.log)
                ));
            }
        }
        let second_attempts = self.outside.second_attempts;
        let observed = Observed::read(&self.ledger, &self.log, self.outside.log, self.published)?;
        if second_attempts > 0 && self.sometimes.zombie_refused == 0 {
            return Err(format!("{second_attempts} effects were sent again although they had taken effect"));
        }
        Ok((observed, self.sometimes))
    }

    fn take_over(&mut self) -> Result<(), String> {
        let takeover = now_or_never(self.ledger.take_over(SLICE, "sim")).map_err(|error| error.to_string())?;
        let topics = self.log.keys().map(|name| InputTopic { name: name.clone(), id: None, first_offset: 0 }).collect();
        let decoder = Table { log: &self.log };
        let prepared =
            now_or_never(Prepared::read(&self.ledger, &decoder, SLICE, takeover, topics)).map_err(|e| e.to_string())?;
        let fetch =
            prepared.start_offsets().into_iter().map(|(topic, at)| (topic, usize::try_from(at).unwrap_or(0))).collect();
        let machine = Machine::new(self.case.handler.clone(), self.settings(), SLICE, prepared, self.now);
        let mut member = Member::new(machine, fetch);
        for outgoing in member.machine.unpublished() {
            let place = (outgoing.event.topic.clone(), outgoing.event.partition);
            let tail = self.published.get(&place);
            let found = tail.and_then(|events| events.iter().position(|(number, _)| *number == outgoing.number));
            match found {
                Some(offset) => {
                    let mark = mark(&outgoing.event, outgoing.number, offset);
                    member.step(self.now, Input::Published(vec![mark]));
                }
                None => member.publish.push_back(outgoing),
            }
        }
        member.step(self.now, Input::Tick);
        self.member = Some(member);
        Ok(())
    }

    fn settings(&self) -> Settings {
        let mut partitions = HashMap::from([(format!("dlq.{}", self.case.handler.name()), 3)]);
        partitions.extend(self.case.handler.outputs().into_iter().map(|topic| (topic.to_owned(), 3)));
        Settings {
            batch_records: 7,
            inbox_records: 9,
            waiting_records: 30,
            recent_identities: 5,
            document_cache_bytes: 2_000,
            parked_page: 3,
            merge_wait: if self.options.disorder { Duration::ZERO } else { Duration::from_secs(3_600) },
            visibility: Duration::from_millis(LATE as u64),
            call_retry: RetryPolicy::new(Duration::from_millis(50), Duration::from_secs(1), Some(4)),
            parked_retry: RetryPolicy::new(Duration::from_millis(200), Duration::from_secs(5), None),
            letters_in_row: 1_000,
            // Timers make days pass: how long something has waited by then is the schedule's doing, not the handler's.
            not_yet_deadline: Duration::from_secs(1_000 * 24 * 3_600),
            partitions: Arc::new(partitions),
            ..Settings::default()
        }
    }

    /// Something breaks. What was asked for and not done may or may not have happened.
    fn fault(&mut self) -> Result<(), String> {
        self.faults_left -= 1;
        let Some(mut member) = self.member.take() else { return Ok(()) };
        if self.rng.random_bool(0.3) {
            self.zombies.push(member);
            return Ok(());
        }
        self.sometimes.crashes += 1;
        self.sometimes.crashed_with_call_out += u32::from(!member.calls.is_empty());
        if let Some(commit) = member.commit.take()
            && self.rng.random_bool(0.5)
        {
            self.sometimes.crashed_after_commit += 1;
            now_or_never(self.ledger.commit(&[commit])).map_err(|error| error.to_string())?;
        }
        for call in std::mem::take(&mut member.calls) {
            let fate = [Fate::Answered, Fate::RequestLost, Fate::Late]
                .choose(&mut self.rng)
                .copied()
                .unwrap_or(Fate::Answered);
            if call.kind == CallKind::Apply {
                let late_at = self.now + self.rng.random_range(1..LATE);
                let _ = self.outside.apply(&call.intent.effect, &call.intent.event_id, fate, late_at);
            }
        }
        let sent = self.rng.random_range(0..=member.publish.len());
        for outgoing in member.publish.drain(..sent) {
            append(&mut self.published, outgoing.number, outgoing.event);
            self.sometimes.publish_repeated += 1;
        }
        Ok(())
    }

    /// Old owners that do not know it yet: whatever they write must be refused.
    fn zombie_moves(&mut self) -> Result<(), String> {
        let Some(mut zombie) = self.zombies.pop() else { return Ok(()) };
        self.move_member(&mut zombie)?;
        if zombie.over.is_none() && zombie.is_busy() {
            self.zombies.insert(0, zombie);
        }
        Ok(())
    }

    fn act(&mut self) -> Result<bool, String> {
        let Some(mut member) = self.member.take() else { return Ok(true) };
        let moved = self.move_member(&mut member)?;
        if member.over.is_none() || matches!(member.over, Some(Some(_))) {
            self.member = Some(member);
        }
        Ok(moved)
    }

    /// One thing that is outstanding gets done, or some records arrive.
    fn move_member(&mut self, member: &mut Member<H>) -> Result<bool, String> {
        if member.over.is_some() {
            return Ok(false);
        }
        if self.case.by_jobs && self.rng.random_bool(0.15) && self.do_jobs(member)? {
            return Ok(true);
        }
        for _ in 0..6 {
            let moved = match self.rng.random_range(0..6) {
                0 => self.do_load(member)?,
                1 => self.do_page(member)?,
                2 => self.do_commit(member)?,
                3 => self.do_call(member),
                4 => self.do_publish(member),
                _ => self.deliver(member),
            };
            if moved {
                return Ok(true);
            }
        }
        Ok(self.do_load(member)?
            || self.do_page(member)?
            || self.do_commit(member)?
            || self.do_call(member)
            || self.do_publish(member)
            || self.deliver(member)
            || self.do_jobs(member)?)
    }

    /// Reads, or delivers what was read: between the two anything may be committed.
    fn do_load(&mut self, member: &mut Member<H>) -> Result<bool, String> {
        if let Some(loaded) = member.loaded.take() {
            member.step(self.now, Input::Loaded(loaded));
            return Ok(true);
        }
        let Some(request) = member.load.take() else { return Ok(false) };
        let loaded = now_or_never(self.ledger.load(&request)).map_err(|error| error.to_string())?;
        member.loaded = Some(loaded);
        Ok(true)
    }

    /// The same for pages, of which several may be under way.
    fn do_page(&mut self, member: &mut Member<H>) -> Result<bool, String> {
        let delivers = member.pages.is_empty() || self.rng.random_bool(0.5);
        if delivers && let Some((sequence, page)) = member.read_pages.pop() {
            let decoder = Table { log: &self.log };
            let decode = |row: ParkedRecord| {
                let arrived = decoder.find(&consumer::machine::parked_as_record(&row));
                (row, arrived)
            };
            let records = page.into_iter().map(decode).collect();
            member.step(self.now, Input::ParkedLoaded { sequence, records });
            return Ok(true);
        }
        let Some((sequence, from_no, limit)) = member.pages.pop() else { return Ok(false) };
        let page = now_or_never(self.ledger.parked_page(SLICE, &sequence, from_no, limit))
            .map_err(|error| error.to_string())?;
        member.read_pages.push((sequence, page));
        Ok(true)
    }

    fn do_commit(&mut self, member: &mut Member<H>) -> Result<bool, String> {
        let Some(commit) = member.commit.take() else { return Ok(false) };
        let batches = [commit];
        let mut outcome = now_or_never(self.ledger.commit(&batches)).map_err(|error| error.to_string())?;
        if self.storm(0.1) {
            self.sometimes.commit_repeated += 1;
            outcome = now_or_never(self.ledger.commit(&batches)).map_err(|error| error.to_string())?;
        }
        match outcome.first() {
            Some(CommitOutcome::Committed) => member.step(self.now, Input::Committed),
            Some(CommitOutcome::Fenced) | None => {
                self.sometimes.zombie_refused += 1;
                member.step(self.now, Input::Fenced);
                member.over = Some(None);
            }
        }
        Ok(true)
    }

    fn do_call(&mut self, member: &mut Member<H>) -> bool {
        if member.calls.is_empty() {
            return false;
        }
        let call = member.calls.swap_remove(self.rng.random_range(0..member.calls.len()));
        let trouble = self.storm(0.25);
        let result = match call.kind {
            CallKind::Apply => {
                let fates = [Fate::Unavailable, Fate::AnswerLost, Fate::RequestLost, Fate::Late];
                let fate = if trouble { fates.choose(&mut self.rng).copied() } else { None }.unwrap_or(Fate::Answered);
                let late_at = self.now + self.rng.random_range(1..LATE);
                CallResult::Applied(self.outside.apply(&call.intent.effect, &call.intent.event_id, fate, late_at))
            }
            CallKind::LookUp if trouble => {
                CallResult::LookedUp(Err(Failure::dependency("ERP_UNAVAILABLE", "refused before send")))
            }
            CallKind::LookUp => {
                self.sometimes.unknown_looked_up += 1;
                CallResult::LookedUp(Ok(self.outside.look_up(&consumer::Effect::key(&call.intent.effect))))
            }
        };
        member.step(self.now, Input::Returned(vec![Returned { call: call.id, result, counts: true }]));
        true
    }

    fn do_publish(&mut self, member: &mut Member<H>) -> bool {
        let Some(outgoing) = member.publish.pop_front() else { return false };
        let mark = {
            let event = outgoing.event.clone();
            let offset = append(&mut self.published, outgoing.number, outgoing.event);
            mark(&event, outgoing.number, offset)
        };
        member.step(self.now, Input::Published(vec![mark]));
        true
    }

    fn deliver(&mut self, member: &mut Member<H>) -> bool {
        let ready = self.log.iter().filter(|(topic, records)| {
            !member.paused.contains(*topic) && member.fetch.get(*topic).copied().unwrap_or(0) < records.len()
        });
        let ready: Vec<Arc<str>> = ready.map(|(topic, _)| topic.clone()).collect();
        let Some(topic) = ready.choose(&mut self.rng).cloned() else { return false };
        if self.storm(0.05) {
            let back = self.rng.random_range(0..=member.fetch.get(&topic).copied().unwrap_or(0));
            member.fetch.insert(topic.clone(), back);
            self.sometimes.redelivered += 1;
        }
        let most = self.rng.random_range(1..6);
        let records = member.take(&topic, &self.log[&topic], most);
        member.step(self.now, Input::Arrived { topic: topic.clone(), records });
        let end = self.log[&topic].len();
        if member.fetch.get(&topic) == Some(&end) {
            let offset = i64::try_from(end).unwrap_or(i64::MAX);
            member.step(self.now, Input::End { topic, offset });
        }
        true
    }

    fn storm(&mut self, chance: f64) -> bool {
        self.faults_left > 0 && self.rng.random_bool(chance)
    }

    /// Nothing can be done now: time passes. False if nobody waits for anything.
    fn wait(&mut self) -> bool {
        let Some(member) = &mut self.member else { return true };
        if self.faults_left > 0 && member.has_read_all(&self.log) {
            // The storm is over once the input is read; what is left must heal.
            self.faults_left = self.faults_left.saturating_sub(1);
        }
        let empty: Vec<Arc<str>> =
            self.log.iter().filter(|(_, records)| records.is_empty()).map(|(topic, _)| topic.clone()).collect();
        for topic in empty {
            member.step(self.now, Input::End { topic, offset: 0 });
        }
        let Some(at) = member.machine.next_wake() else { return self.faults_left > 0 };
        self.now = at.max(self.now + 1);
        self.outside.advance(self.now);
        member.step(self.now, Input::Tick);
        true
    }
}

/// The input as it lies in the topics of the slice, duplicates included.
fn publish<E: EventSet>(
    events: &[SimEvent<E>],
    options: &Options,
    rng: &mut ChaCha8Rng,
) -> BTreeMap<Arc<str>, Vec<Arrived<E>>> {
    let mut log: BTreeMap<Arc<str>, Vec<Arrived<E>>> =
        E::topics().into_iter().map(|topic| (topic.into(), Vec::new())).collect();
    let mut again: Vec<usize> = Vec::new();
    for index in 0..events.len() {
        append_input(&mut log, events, index);
        if options.duplicates > 0.0 && rng.random_bool(options.duplicates) {
            again.push(index);
        }
        if !again.is_empty() && rng.random_bool(0.3) {
            append_input(&mut log, events, again.swap_remove(rng.random_range(0..again.len())));
        }
    }
    again.into_iter().for_each(|index| append_input(&mut log, events, index));
    log
}

fn append_input<E: EventSet>(log: &mut BTreeMap<Arc<str>, Vec<Arrived<E>>>, events: &[SimEvent<E>], index: usize) {
    let source = &events[index];
    let topic: Arc<str> = source.topic.into();
    let records = log.entry(topic.clone()).or_default();
    // The bytes only have to tell events apart; decoding is not what is simulated.
    let value = Bytes::from(index.to_string());
    let key = Bytes::from(source.key.clone());
    let record = Record {
        topic,
        partition: 0,
        offset: i64::try_from(records.len()).unwrap_or(i64::MAX),
        timestamp_ms: i64::try_from(index).unwrap_or(i64::MAX),
        key: Some(key.clone()),
        value: Some(value.clone()),
        headers: Headers::default(),
    };
    let hash = PayloadHash::of(Some(&key), Some(&value));
    records.push(Arrived::new(record, Some(source.envelope.clone()), hash, source.event.clone(), 0));
}

/// Decodes a record by looking it up in the input.
struct Table<'a, E> {
    log: &'a BTreeMap<Arc<str>, Vec<Arrived<E>>>,
}

impl<E: EventSet> Table<'_, E> {
    fn find(&self, record: &Record) -> Arrived<E> {
        let known =
            usize::try_from(record.offset).ok().and_then(|offset| self.log.get(&record.topic)?.get(offset)).cloned();
        let unknown = || Err(Failure::poison("BYTES_NOT_AVRO", "not in the simulated topic"));
        let mut arrived = known.unwrap_or_else(|| Arrived::new(record.clone(), None, PayloadHash(0), unknown(), 0));
        arrived.record = record.clone();
        arrived
    }
}

#[async_trait]
impl<E: EventSet> Decoder<E> for Table<'_, E> {
    async fn decode(&self, record: Record) -> Arrived<E> {
        self.find(&record)
    }
}

fn append(published: &mut BTreeMap<(String, i32), Vec<PublishedEvent>>, number: i64, event: NewOutgoing) -> usize {
    let events = published.entry((event.topic.clone(), event.partition)).or_default();
    events.push((number, event));
    events.len() - 1
}

fn mark(event: &NewOutgoing, number: i64, offset: usize) -> PublishedMark {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    PublishedMark { topic: event.topic.clone(), partition: event.partition, number, offset }
}

/// The memory ledger never waits, so its futures are ready when they are first looked at.
pub fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the memory ledger never waits"),
    }
}
