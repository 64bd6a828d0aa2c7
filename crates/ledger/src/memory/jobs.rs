//! Jobs of the memory ledger: the rules of the databases on plain maps.

use super::state::State;
use crate::Result;
use crate::audit::of_stop;
use crate::jobs::{
    self, Course, Creation, ItemChange, ItemFilter, ItemResult, ItemState, Job, JobAction, JobCounts, JobFilter,
    JobItem, JobStop, LetterCount, LetterGroup, NAMED, NewJob, RowKey, Verb,
};
use crate::types::{Millis, NewAudit, ParkedFilter};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Jobs {
    jobs: BTreeMap<String, Stored>,
    items: BTreeMap<(String, RowKey), JobItem>,
    pub groups: BTreeMap<String, LetterGroup>,
}

struct Stored {
    job: Job,
    course: Course,
}

impl Jobs {
    fn of(&self, id: &str) -> impl Iterator<Item = &JobItem> {
        let first = RowKey { slice: i32::MIN, sequence: String::new(), no: i64::MIN };
        self.items.range((id.to_owned(), first)..).take_while(move |((job, _), _)| job == id).map(|(_, item)| item)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.jobs.keys()
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.jobs.remove(id);
        self.items.retain(|(job, _), _| job != id);
    }

    pub(super) fn job(&self, id: &str) -> Option<Job> {
        let stored = self.jobs.get(id)?;
        let mut counts = JobCounts::default();
        self.of(id).for_each(|item| counts.add(item.result.state, 1));
        Some(Job { state: stored.course.state(&counts), counts, ..stored.job.clone() })
    }

    pub(super) fn list(&self, filter: &JobFilter) -> Vec<Job> {
        let pending_here = |job: &Job, slice| {
            let pending = |item: &&JobItem| item.row.slice == slice && item.result.state == ItemState::Pending;
            self.of(&job.id).filter(pending).count() as u64
        };
        let mut found: Vec<Job> = self.jobs.keys().filter_map(|id| self.job(id)).collect();
        if let Some(slice) = filter.pending_in {
            found.iter_mut().for_each(|job| job.pending_here = pending_here(job, slice));
            found.retain(|job| job.pending_here > 0);
        }
        found.retain(|job| !filter.live || job.state.is_live());
        found.retain(|job| !filter.no_predictions || job.spec.verb != Verb::Predict);
        found.sort_by(|a, b| (b.created_ms, &b.id).cmp(&(a.created_ms, &a.id)));
        found.truncate(filter.limit);
        found
    }

    pub(super) fn items(&self, id: &str, filter: &ItemFilter) -> Vec<JobItem> {
        let wanted = |item: &&JobItem| {
            filter.slice.is_none_or(|slice| item.row.slice == slice)
                && filter.state.is_none_or(|state| item.result.state == state)
                && filter.after.as_ref().is_none_or(|after| item.row > *after)
        };
        self.of(id).filter(wanted).take(filter.limit).cloned().collect()
    }

    /// The rows of the audit that it brings: of the jobs that were stopped just now.
    pub(super) fn write(&mut self, items: &[(i32, &ItemChange)], stops: &[(Millis, &JobStop)]) -> Vec<NewAudit> {
        for (slice, change) in items {
            let row = RowKey { slice: *slice, sequence: change.sequence.clone(), no: change.no };
            if let Some(item) = self.items.get_mut(&(change.job.clone(), row))
                && matches!(item.result.state, ItemState::Pending | ItemState::Released)
            {
                item.result = change.result.clone();
            }
        }
        let mut stopped = Vec::new();
        for (at_ms, stop) in stops {
            if let Some(stored) = self.jobs.get_mut(&stop.job)
                && matches!(stored.course, Course::Live | Course::Paused)
            {
                stored.course = Course::Stopped;
                stored.job.stopped = Some(stop.reason.clone());
                stored.job.updated_ms = *at_ms;
                self.release(&stop.job, *at_ms);
                stopped.push(of_stop(*at_ms, stop));
            }
        }
        stopped
    }

    fn release(&mut self, id: &str, at_ms: Millis) {
        let pending = self.items.values_mut().filter(|i| i.job == id && i.result.state == ItemState::Pending);
        pending.for_each(|item| item.result = ItemResult::new(ItemState::Released, at_ms));
    }

    fn holder(&self, row: &RowKey) -> Option<&str> {
        let holds = |item: &&JobItem| {
            item.row == *row
                && item.result.state == ItemState::Pending
                && self.jobs.get(&item.job).is_some_and(|stored| stored.job.spec.verb.holds())
        };
        self.items.values().find(holds).map(|item| item.job.as_str())
    }
}

impl State {
    pub(super) fn create_job(&mut self, job: &NewJob, audit: &NewAudit) -> Result<Creation> {
        jobs::check(job)?;
        if let Some(found) = self.jobs.job(&job.id) {
            return jobs::again(found, job);
        }
        let mut held = Vec::new();
        let mut changed = Vec::new();
        for item in &job.items {
            let row = self.parked_record(&item.row).map(|row| (row.fate.state, row.fate.version));
            if !jobs::fits(job.spec.verb, item.version, row) {
                changed.push(item.row.clone());
            } else if job.spec.verb.holds()
                && let Some(holder) = self.jobs.holder(&item.row)
            {
                held.push((item.row.clone(), holder.to_owned()));
            }
        }
        if !held.is_empty() || !changed.is_empty() {
            held.truncate(NAMED);
            changed.truncate(NAMED);
            return Ok(Creation::Refused { held, changed });
        }
        self.insert_job(job);
        self.record(audit);
        self.jobs.job(&job.id).map(Creation::Created).ok_or_else(|| jobs::unknown(&job.id))
    }

    fn insert_job(&mut self, job: &NewJob) {
        let stored = Job {
            id: job.id.clone(),
            spec: job.spec.clone(),
            state: jobs::JobState::Queued,
            stopped: None,
            counts: JobCounts::default(),
            pending_here: 0,
            created_ms: job.at_ms,
            updated_ms: job.at_ms,
        };
        self.jobs.jobs.insert(job.id.clone(), Stored { job: stored, course: Course::Live });
        for item in &job.items {
            let stored = JobItem {
                job: job.id.clone(),
                row: item.row.clone(),
                version: item.version,
                edit: item.edit.clone(),
                result: ItemResult::new(ItemState::Pending, job.at_ms),
            };
            self.jobs.items.insert((job.id.clone(), item.row.clone()), stored);
        }
    }

    pub(super) fn set_job(&mut self, id: &str, action: JobAction, audit: &NewAudit) -> Result<Job> {
        let found = self.jobs.job(id).ok_or_else(|| jobs::unknown(id))?;
        let course = jobs::act(id, found.state, action)?;
        if let Some(stored) = self.jobs.jobs.get_mut(id) {
            stored.course = course;
            stored.job.updated_ms = audit.at_ms;
        }
        if course == Course::Cancelled {
            self.jobs.release(id, audit.at_ms);
        }
        self.record(audit);
        self.jobs.job(id).ok_or_else(|| jobs::unknown(id))
    }

    pub(super) fn letter_counts(&self, filter: &ParkedFilter) -> Vec<LetterCount> {
        type Group<'a> = (LetterCount, BTreeSet<(i32, &'a str)>);
        let filter = ParkedFilter { after: None, ..filter.clone() };
        let mut groups: BTreeMap<(Option<&str>, &str, &str), Group<'_>> = BTreeMap::new();
        for row in self.all_parked().filter(|row| filter.takes(row)) {
            let Some(failure) = &row.fate.failure else { continue };
            let key = (row.fate.fingerprint.as_deref(), failure.class.as_str(), &*failure.code);
            let (count, sequences) = groups.entry(key).or_insert_with(|| {
                let count = LetterCount {
                    fingerprint: row.fate.fingerprint.clone(),
                    class: failure.class,
                    code: failure.code.to_string(),
                    rows: 0,
                    sequences: 0,
                    first_ms: row.parked_ms,
                    last_ms: row.fate.changed_ms,
                };
                (count, BTreeSet::new())
            });
            sequences.insert((row.slice, &row.sequence));
            count.rows += 1;
            count.sequences = sequences.len() as u64;
            count.first_ms = count.first_ms.min(row.parked_ms);
            count.last_ms = count.last_ms.max(row.fate.changed_ms);
        }
        let mut counts: Vec<LetterCount> = groups.into_values().map(|(count, _)| count).collect();
        counts.sort_by(|a, b| (b.rows, &a.code, &a.fingerprint).cmp(&(a.rows, &b.code, &b.fingerprint)));
        counts.truncate(filter.limit);
        counts
    }
}
