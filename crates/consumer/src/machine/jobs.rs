//! Jobs of people, worked off by the owner of the slice: item by item, in the order of each sequence, beside live traffic.
//!
//! An item's row is read when its turn comes and nothing else is under way in its sequence; what is done about it and the
//! item's result are part of one batch. So a crash goes on behind the last finished item, and a job done twice changes
//! nothing: the row is no longer what the item names. Rows behind a head that ended move by themselves, as always; an item
//! whose row moved that way has its result at once.
//!
//! What must never happen: a row is tried out of its turn (`Blocked`), or although people have not seen what became of it
//! meanwhile (`Changed`); a job takes time from live traffic that falls behind (`may_start`).

mod act;
mod edit;
mod moved;
mod pace;
mod predict;
mod restore;

pub use edit::edited;
pub use moved::moved_headers;

use super::{Arrived, Decoder, Machine, Output, millis_of, parked_as_record};
use crate::handler::Handler;
use failure::Failure;
use ledger::{
    Edit, Error, Job, JobItem, JobState, Ledger, Millis, ParkedFilter, ParkedRecord, ParkedState, RowKey, Verb,
};
use pace::Pace;
use predict::Forecast;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Items read at once.
const PAGE: usize = 1_000;

/// Sequences that jobs work on at once.
const MOST_FLIGHTS: usize = 64;

/// What the ledger holds of an item's row: the answer to [`Output::LoadRow`].
#[derive(Debug)]
pub struct LoadedRow<E> {
    pub job: String,
    pub item: RowKey,
    /// Decoded as it would be tried: with the edit of the item, if it brings one, else with its own, if it has one.
    /// For a prediction it may be a row before the item's, that would move by itself and has not been asked about.
    pub row: Option<(ParkedRecord, Arrived<E>)>,
    /// The first row alive of its sequence.
    pub head: Option<i64>,
    /// For a restore: whether a row behind it has ended other than by being given up.
    pub passed: bool,
}

/// What [`Output::LoadRow`] asks for.
#[derive(Debug, Clone)]
pub struct RowRequest {
    pub job: String,
    pub item: RowKey,
    /// What the item brings to put in place of value and headers.
    pub edit: Option<Edit>,
    /// Whether the row is to come back from being given up.
    pub restores: bool,
    /// The row before, of which a prediction knows what it would leave: rows between it and the item's come first.
    pub foretold: Option<i64>,
}

impl RowRequest {
    /// Reads and decodes what the machine must know.
    pub async fn read<E>(self, ledger: &dyn Ledger, decoder: &dyn Decoder<E>) -> Result<LoadedRow<E>, Error> {
        let Self { job, item, edit, restores, foretold } = self;
        let Some(row) = ledger.parked_record(&item).await? else {
            return Ok(LoadedRow { job, item, row: None, head: None, passed: false });
        };
        if let Some(before) = foretold
            && let Some(row) = ledger.parked_page(item.slice, &item.sequence, before + 1, 1).await?.pop()
            && row.no < item.no
        {
            let arrived = decoder.decode(parked_as_record(&row)).await;
            return Ok(LoadedRow { job, item, row: Some((row, arrived)), head: None, passed: false });
        }
        let head = ledger.parked_page(item.slice, &item.sequence, i64::MIN, 1).await?.first().map(|row| row.no);
        let passed = restores && is_passed(ledger, &row).await?;
        let mut tried = row.clone();
        if let Some(edit) = edit.filter(|_| !edit::is_in_place(&row, &job)) {
            tried.fate.edit = Some(Box::new(edited(&row, &edit, &job)));
        }
        let arrived = decoder.decode(parked_as_record(&tried)).await;
        Ok(LoadedRow { job, item, row: Some((row, arrived)), head, passed })
    }
}

/// Whether a later row of the sequence has ended with an effect. More rows than can be looked through count as one that has.
async fn is_passed(ledger: &dyn Ledger, row: &ParkedRecord) -> Result<bool, Error> {
    const MOST: usize = 1_000;
    let ended = ParkedState::ALL.into_iter().filter(|state| !state.is_alive() && *state != ParkedState::Discarded);
    let filter = ParkedFilter {
        slice: Some(row.slice),
        sequence: Some(row.sequence.clone()),
        states: ended.collect(),
        since_ms: Some(row.parked_ms),
        limit: MOST,
        ..ParkedFilter::default()
    };
    let rows = ledger.parked_records(&filter).await?;
    Ok(rows.len() == MOST || rows.iter().any(|later| later.no > row.no))
}

/// Jobs with items in this slice.
pub(super) struct Jobs<H: Handler> {
    running: BTreeMap<String, Running>,
    /// What is under way, by the sequence it is under way in.
    flights: BTreeMap<Arc<str>, Flight<H>>,
    /// What predictions of a sequence build on.
    forecasts: BTreeMap<Arc<str>, Forecast<H>>,
    /// The running job behind whose last item the rows of a sequence move by themselves: it pays for them.
    followed: BTreeMap<Arc<str>, String>,
    last_start: Millis,
}

impl<H: Handler> Default for Jobs<H> {
    fn default() -> Self {
        Self {
            running: BTreeMap::new(),
            flights: BTreeMap::new(),
            forecasts: BTreeMap::new(),
            followed: BTreeMap::new(),
            last_start: 0,
        }
    }
}

/// One job, as this slice works on it.
struct Running {
    job: Job,
    /// Items by sequence, in order.
    groups: VecDeque<(Arc<str>, VecDeque<JobItem>)>,
    asked: bool,
    /// Everything up to this item is here, done, or was skipped because it had its result.
    after: Option<RowKey>,
    exhausted: bool,
    pace: Pace,
}

/// Items of one job in one sequence, one after another.
pub(super) struct Flight<H: Handler> {
    job: String,
    verb: Verb,
    items: VecDeque<JobItem>,
    phase: Phase<H>,
    /// The row that was tried last. If the try did not reach it, because one that it lets go first failed, it is not tried again.
    tried: Option<i64>,
}

enum Phase<H: Handler> {
    /// The first item's row may be read once this entry is durable: then the ledger shows all that was decided about it.
    Ready(i64),
    /// It is being read; nothing else may begin in the sequence.
    Loading,
    /// It is tried, and what lies behind it moves by itself.
    Trying,
    /// Its documents are awaited.
    Predicting(Box<Forecast<H>>),
}

impl<H: Handler> Machine<H> {
    /// The jobs that have pending items here, as the ledger has them now. What is missing is over.
    pub(super) fn jobs_told(&mut self, jobs: Vec<Job>, now: Millis) {
        let mut told: BTreeMap<String, Job> = jobs.into_iter().map(|job| (job.id.clone(), job)).collect();
        self.jobs.running.retain(|id, running| match told.remove(id) {
            Some(job) => {
                running.pace.told(&job);
                running.job = job;
                true
            }
            None => false,
        });
        self.jobs.followed.retain(|_, id| self.jobs.running.contains_key(id));
        for (id, job) in told {
            let pace = Pace::new(&job, now);
            let running = Running { job, groups: VecDeque::new(), asked: false, after: None, exhausted: false, pace };
            self.jobs.running.insert(id, running);
        }
    }

    /// Answer to [`Output::LoadJobItems`].
    pub(super) fn items_loaded(&mut self, job: &str, items: Vec<JobItem>) {
        let Some(running) = self.jobs.running.get_mut(job) else { return };
        running.asked = false;
        running.exhausted = items.len() < PAGE;
        if let Some(last) = items.last() {
            running.after = Some(last.row.clone());
        }
        for item in items {
            match running.groups.back_mut() {
                Some((name, group)) if **name == *item.row.sequence => group.push_back(item),
                _ => running.groups.push_back((item.row.sequence.as_str().into(), VecDeque::from([item]))),
            }
        }
    }

    /// Whether a job has the sequence: then nothing is tried in it by itself.
    pub(super) fn is_held(&self, name: &Arc<str>) -> bool {
        self.jobs.flights.get(name).is_some_and(|flight| matches!(flight.phase, Phase::Loading))
    }

    /// Whether what fails in the sequence now is tried by people: they look at it already.
    pub(super) fn is_tried_by_people(&self, name: &Arc<str>) -> bool {
        self.jobs.flights.contains_key(name)
    }

    /// Nothing of a job is under way, or waits for its turn.
    pub(super) fn jobs_rest(&self) -> bool {
        let rests =
            |running: &Running| running.job.state == JobState::Paused || running.groups.is_empty() && !running.asked;
        self.jobs.flights.is_empty() && self.jobs.running.values().all(rests)
    }

    /// Starts what may start, and reads what is needed for it.
    pub(super) fn work_off(&mut self, now: Millis) {
        if self.jobs.running.is_empty() && self.jobs.flights.is_empty() {
            return;
        }
        self.start_flights(now);
        self.ask_items();
        let names: Vec<Arc<str>> = self.jobs.flights.keys().cloned().collect();
        for name in names {
            self.tend_flight(&name, now);
        }
    }

    fn ask_items(&mut self) {
        for (id, running) in &mut self.jobs.running {
            if running.groups.is_empty()
                && !running.asked
                && !running.exhausted
                && running.job.state != JobState::Paused
            {
                running.asked = true;
                let (job, after) = (id.clone(), running.after.clone());
                self.out.push(Output::LoadJobItems { job, after, limit: PAGE });
            }
        }
    }

    fn start_flights(&mut self, now: Millis) {
        let ids: Vec<String> = self.jobs.running.keys().cloned().collect();
        for id in ids {
            while self.may_start(&id, now) && self.start_flight(&id, now) {}
        }
    }

    /// Live traffic that falls behind leaves a job only a trickle.
    fn may_start(&self, id: &str, now: Millis) -> bool {
        let Some(running) = self.jobs.running.get(id) else { return false };
        let own = self.jobs.flights.values().filter(|flight| flight.job == id).count();
        self.jobs.flights.len() < MOST_FLIGHTS
            && !running.groups.is_empty()
            && running.job.state != JobState::Paused
            && running.pace.allows(now, own)
            && (!self.is_behind() || now - self.jobs.last_start >= millis_of(self.settings.redrive_trickle))
    }

    /// More live work waits than a job may add to.
    fn is_behind(&self) -> bool {
        self.inbox.len() + self.held > self.settings.redrive_backlog || self.steps.len() > self.settings.open_steps / 2
    }

    /// When a job that waits for its rate, or for live traffic, may go on.
    pub(super) fn jobs_wake(&self) -> Option<Millis> {
        let open = self.jobs.running.values().filter(|running| {
            !running.groups.is_empty()
                && running.job.state != JobState::Paused
                && self.jobs.flights.len() < MOST_FLIGHTS
        });
        let trickle = self.jobs.last_start + millis_of(self.settings.redrive_trickle);
        let at =
            |running: &Running| if self.is_behind() { running.pace.next().max(trickle) } else { running.pace.next() };
        open.filter(|running| !running.pace.is_over()).map(at).min()
    }

    fn start_flight(&mut self, id: &str, now: Millis) -> bool {
        let undurable = self.undurable();
        let Some(running) = self.jobs.running.get_mut(id) else { return false };
        let flights = &self.jobs.flights;
        let Some(at) = running.groups.iter().take(MOST_FLIGHTS).position(|(name, _)| !flights.contains_key(name))
        else {
            return false;
        };
        let Some((name, items)) = running.groups.remove(at) else { return false };
        running.pace.started(now);
        self.jobs.last_start = now;
        let phase = Phase::Ready(undurable);
        let verb = running.job.spec.verb;
        self.jobs.flights.insert(name, Flight { job: id.to_owned(), verb, items, phase, tried: None });
        true
    }

    /// The newest entry that holds something decided so far.
    fn undurable(&self) -> i64 {
        if self.batch.is_empty() { self.batch.entry - 1 } else { self.batch.entry }
    }

    /// Moves a flight on as far as it can go without an answer.
    fn tend_flight(&mut self, name: &Arc<str>, now: Millis) {
        let is_busy = self.is_busy(name, now);
        let undurable = self.undurable();
        let Some(flight) = self.jobs.flights.get_mut(name) else { return };
        let running = self.jobs.running.get_mut(&flight.job);
        let goes_on = running.as_ref().is_some_and(|of| of.job.state != JobState::Paused && !of.pace.is_over());
        let is_between = matches!(flight.phase, Phase::Ready(_));
        let first = flight.items.front().filter(|_| goes_on || !is_between);
        let Some(first) = first else {
            let Some(flight) = self.jobs.flights.remove(name) else { return };
            self.jobs.forecasts.remove(name);
            if flight.items.is_empty() && running.is_some() {
                self.jobs.followed.insert(name.clone(), flight.job);
            } else if let Some(running) = running.filter(|of| !of.pace.is_over()) {
                running.groups.push_front((name.clone(), flight.items));
            }
            return;
        };
        match &flight.phase {
            Phase::Ready(_) if is_busy => flight.phase = Phase::Ready(undurable),
            Phase::Ready(entry) if self.durable >= *entry => {
                flight.phase = Phase::Loading;
                let (job, item) = (flight.job.clone(), first.row.clone());
                let (edit, restores) = (first.edit.clone(), flight.verb == Verb::Restore);
                let foretold = self.jobs.forecasts.get(name).and_then(Forecast::goes_on_behind);
                self.out.push(Output::LoadRow(RowRequest { job, item, edit, restores, foretold }));
            }
            // The try is over and did not reach the item: look at its row again.
            Phase::Trying if !is_busy => {
                flight.phase = Phase::Ready(undurable);
                self.tend_flight(name, now);
            }
            Phase::Ready(_) | Phase::Loading | Phase::Trying => {}
            Phase::Predicting(_) => self.forecast(name, now),
        }
    }

    /// Something is under way in the sequence, or about to be.
    fn is_busy(&self, name: &Arc<str>, now: Millis) -> bool {
        let is_due = |at: Option<Millis>| at.is_some_and(|at| at <= now);
        self.lanes.get(name).is_some_and(|lane| {
            lane.step.is_some()
                || lane.page.is_some()
                || lane.page_asked.is_some()
                || lane.parked.as_ref().is_some_and(|parked| is_due(parked.next_attempt_ms))
        })
    }

    /// Answer to [`Output::LoadRow`].
    pub(super) fn row_loaded(&mut self, loaded: LoadedRow<H::Event>, now: Millis) {
        let name: Arc<str> = loaded.item.sequence.as_str().into();
        let Some(flight) = self.jobs.flights.get_mut(&name) else { return };
        let is_first = flight.items.front().is_some_and(|item| item.row == loaded.item) && flight.job == loaded.job;
        if !is_first || !matches!(flight.phase, Phase::Loading) {
            return;
        }
        flight.phase = Phase::Ready(self.batch.entry);
        self.act(&name, loaded, now);
        let undurable = self.undurable();
        if let Some(flight) = self.jobs.flights.get_mut(&name)
            && matches!(flight.phase, Phase::Ready(_))
        {
            flight.phase = Phase::Ready(undurable);
        }
    }

    /// Documents that predictions wait for.
    pub(super) fn forecast_reads(&self) -> impl Iterator<Item = &ledger::DocumentKey> {
        self.jobs.flights.values().flat_map(|flight| match &flight.phase {
            Phase::Predicting(forecast) => forecast.reads(),
            Phase::Ready(_) | Phase::Loading | Phase::Trying => &[],
        })
    }

    /// A row ended: its item, if it is one of a job that tries, has its result in the same batch.
    pub(super) fn item_ended(&mut self, name: &Arc<str>, no: i64, state: ledger::ParkedState, now: Millis) {
        let result = ledger::ItemResult { ended: Some(state), ..ledger::ItemResult::new(ledger::ItemState::Done, now) };
        if !self.item_result(name, no, result, now) {
            self.follower_ended(name, now);
        }
    }

    fn follower_ended(&mut self, name: &Arc<str>, now: Millis) {
        let jobs = &mut self.jobs;
        let job = jobs.flights.get(name).map(|flight| &flight.job).or_else(|| jobs.followed.get(name));
        if let Some(running) = job.and_then(|job| jobs.running.get_mut(job)) {
            running.pace.followed(now);
        }
    }

    /// A row was tried and failed: so has its item, and those behind it in the sequence cannot have their turn.
    pub(super) fn item_failed(&mut self, name: &Arc<str>, no: i64, topic: &str, failure: &Failure, now: Millis) {
        let fingerprint = failure::fingerprint(self.handler.name(), topic, failure);
        let result = ledger::ItemResult {
            code: Some(failure.code.to_string()),
            fingerprint: Some(fingerprint),
            note: Some(failure.reason.clone()),
            ..ledger::ItemResult::new(ledger::ItemState::Refailed, now)
        };
        self.item_result(name, no, result, now);
        // The try ends here. If it let another row go first and did not reach its own, that has had its turn all the same.
        let Some(flight) = self.jobs.flights.get(name).filter(|flight| matches!(flight.phase, Phase::Trying)) else {
            return;
        };
        if let Some(first) = flight.items.front().map(|item| item.row.no).filter(|no| flight.tried == Some(*no)) {
            self.item_result(name, first, ledger::ItemResult::new(ledger::ItemState::Blocked, now), now);
        }
    }

    /// Puts a result into the batch, if the row is an item of the sequence's flight; answers whether it is.
    fn item_result(&mut self, name: &Arc<str>, no: i64, result: ledger::ItemResult, now: Millis) -> bool {
        let Some(flight) = self.jobs.flights.get_mut(name) else { return false };
        let Some(at) = flight.items.iter().position(|item| item.row.no == no) else { return false };
        let Some(item) = flight.items.remove(at) else { return false };
        let job = flight.job.clone();
        let refailed = (result.state == ledger::ItemState::Refailed).then(|| result.fingerprint.clone()).flatten();
        self.batch.item(ledger::ItemChange { job: job.clone(), sequence: item.row.sequence, no: item.row.no, result });
        let Some(running) = self.jobs.running.get_mut(&job) else { return true };
        running.pace.resulted(refailed, now);
        if let Some(reason) = running.pace.must_stop(&running.job.spec.stop) {
            running.groups.clear();
            running.exhausted = true;
            self.batch.stop_job(ledger::JobStop { job, reason });
        }
        true
    }
}
