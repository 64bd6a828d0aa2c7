//! People who work by jobs: they predict, retry, pause, resume and cancel, and in the end give up what is refused for good.

use super::{SLICE, World, foretold::Foretold, now_or_never};
use crate::simulation::{member::Member, topic::Table};
use consumer::{Handler, machine::Input};
use failure::Class;
use ledger::{
    Creation, ItemFilter, ItemState, Job, JobAction, JobFilter, JobSpec, Ledger as _, NewAudit, NewItem, NewJob,
    ParkedFilter, ParkedRecord, ParkedState, RowKey, StopRule, Verb,
};
use rand::Rng;

const ALL: usize = 1_000_000;

impl<H: Handler> World<'_, H> {
    /// What the driver of a slice does for its jobs: answers, and tells of changes.
    pub(super) fn do_jobs(&mut self, member: &mut Member<H>) -> Result<bool, String> {
        if let Some((job, after, limit)) = member.items.pop() {
            let filter = ItemFilter { slice: Some(SLICE), state: Some(ItemState::Pending), after, limit };
            let items = now_or_never(self.ledger.job_items(&job, &filter)).map_err(|error| error.to_string())?;
            member.step(self.now, Input::JobItems { job, items });
            return Ok(true);
        }
        if !member.rows.is_empty() {
            let request = member.rows.swap_remove(self.rng.random_range(0..member.rows.len()));
            let decoder = Table { log: &self.log };
            let loaded = now_or_never(request.read(&self.ledger, &decoder)).map_err(|error| error.to_string())?;
            member.step(self.now, Input::RowLoaded(Box::new(loaded)));
            return Ok(true);
        }
        let jobs = self.live_jobs()?;
        if jobs == member.jobs_told {
            return Ok(false);
        }
        member.jobs_told.clone_from(&jobs);
        member.step(self.now, Input::Jobs(jobs));
        self.meddle()?;
        Ok(true)
    }

    fn live_jobs(&self) -> Result<Vec<Job>, String> {
        let filter = JobFilter { live: true, pending_in: Some(SLICE), limit: ALL, ..JobFilter::default() };
        now_or_never(self.ledger.jobs(&filter)).map_err(|error| error.to_string())
    }

    /// While there are faults, people change their minds.
    fn meddle(&mut self) -> Result<(), String> {
        for job in self.live_jobs()? {
            if self.storm(0.3) {
                let action = match self.rng.random_range(0..5) {
                    0 => JobAction::Cancel,
                    1 | 2 => JobAction::Pause,
                    _ => JobAction::Resume,
                };
                self.set_job(&job.id, action)?;
            }
        }
        Ok(())
    }

    fn set_job(&mut self, id: &str, action: JobAction) -> Result<(), String> {
        let audit = audit(self.now, "job.set");
        now_or_never(self.ledger.set_job(id, action, &audit)).map(drop).map_err(|error| error.to_string())
    }

    /// Tries `again`, or where nothing is left to try, gives up what is left. False if there is nothing to do.
    pub(super) fn act_by_jobs(&mut self, again: Vec<&ParkedRecord>) -> Result<bool, String> {
        let live = self.live_jobs()?;
        if !live.is_empty() {
            self.faults_left = 0;
            for job in live {
                self.set_job(&job.id, JobAction::Resume)?;
            }
            return Ok(true);
        }
        if let Some(foretold) = self.foretold.take() {
            if foretold.retry.is_none() && !again.is_empty() {
                let (retry, effects) = (Some(self.create(Verb::Retry, &again)?), self.outside.log.len());
                self.foretold = Some(Foretold { retry, effects, ..foretold });
                return Ok(true);
            }
            self.compare(&foretold)?;
        }
        if !again.is_empty() {
            let (predict, is_calm) = (self.create(Verb::Predict, &again)?, self.faults_left == 0);
            self.foretold = Some(Foretold { predict, retry: None, is_calm, effects: 0 });
            return Ok(true);
        }
        let states = ParkedState::ALL.into_iter().filter(|state| state.is_alive()).collect();
        let filter = ParkedFilter { states, failed: true, limit: ALL, ..ParkedFilter::default() };
        let left = now_or_never(self.ledger.parked_records(&filter)).map_err(|error| error.to_string())?;
        // What may pass by itself is nobody's business.
        let is_for_good = |row: &&ParkedRecord| {
            row.fate.failure.as_ref().is_some_and(|failure| match failure.class {
                Class::Business | Class::Contract | Class::Poison | Class::Bug => true,
                Class::Dependency | Class::Unknown | Class::NotYet => false,
            })
        };
        let hopeless: Vec<&ParkedRecord> = left.iter().filter(is_for_good).collect();
        if !hopeless.is_empty() {
            self.create(Verb::Discard, &hopeless)?;
            return Ok(true);
        }
        self.bring_back()
    }

    /// Once, people want back what they gave up. Where its sequence has not gone past it, it is refused as before, and given up again.
    fn bring_back(&mut self) -> Result<bool, String> {
        let filter = ParkedFilter { states: vec![ParkedState::Discarded], limit: ALL, ..ParkedFilter::default() };
        let rows = now_or_never(self.ledger.parked_records(&filter)).map_err(|error| error.to_string())?;
        let given_up: Vec<&ParkedRecord> = rows.iter().filter(|row| !self.restored.contains(&key(row))).collect();
        if given_up.is_empty() {
            return Ok(false);
        }
        self.create(Verb::Restore, &given_up)?;
        self.restored.extend(given_up.into_iter().map(key));
        Ok(true)
    }

    fn create(&mut self, verb: Verb, rows: &[&ParkedRecord]) -> Result<String, String> {
        self.jobs_made += 1;
        let item = |row: &&ParkedRecord| NewItem { row: key(row), version: row.fate.version, edit: None };
        let job = NewJob {
            id: format!("job-{}", self.jobs_made),
            at_ms: self.now,
            spec: spec(verb),
            items: rows.iter().map(item).collect(),
        };
        match now_or_never(self.ledger.create_job(&job, &audit(self.now, "job.create"))) {
            Ok(Creation::Created(job)) => Ok(job.id),
            Ok(refused @ Creation::Refused { .. }) => Err(format!("{verb:?} of what was just read: {refused:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn key(row: &ParkedRecord) -> RowKey {
    RowKey { slice: row.slice, sequence: row.sequence.clone(), no: row.no }
}

fn spec(verb: Verb) -> JobSpec {
    JobSpec {
        verb,
        rate: Some(20),
        ramp: vec![1, 2],
        max: None,
        stop: StopRule::default(),
        plan_hash: None,
        who: "sim".into(),
        reason: "the simulation says so".into(),
        ticket: None,
        approver: None,
        to: None,
    }
}

fn audit(at_ms: i64, action: &str) -> NewAudit {
    NewAudit {
        at_ms,
        actor: "sim".into(),
        action: action.into(),
        subject: "letters".into(),
        reason: "the simulation says so".into(),
        before: None,
        after: None,
    }
}
