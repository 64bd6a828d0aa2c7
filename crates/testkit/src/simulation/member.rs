//! One owner of the slice: the real machine, and what it asked for that is not done, or done and not answered yet. Between any two of
//! these anything else may happen.

use super::topic::Log;
use consumer::{
    Handler,
    machine::{Arrived, Call, Input, Machine, Output, Returned, RowRequest},
};
use ledger::{CommitOutcome, Job, LoadRequest, Loaded, Outgoing, ParkedRecord, PublishedMark, RowKey, SliceCommit};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

pub struct Member<H: Handler> {
    pub machine: Machine<H>,
    pub load: Option<LoadRequest>,
    pub pages: Vec<(Arc<str>, i64, usize)>,
    /// Read from the ledger and not delivered yet: what was committed meanwhile is not in them.
    pub loaded: Option<Loaded>,
    pub read_pages: Vec<(Arc<str>, Vec<ParkedRecord>)>,
    pub commit: Option<SliceCommit>,
    /// Asked for by jobs, and what the machine was told of them last.
    pub items: Vec<(String, Option<RowKey>, usize)>,
    pub rows: Vec<RowRequest>,
    pub jobs_told: Vec<Job>,
    /// The ledger's answer to a commit that is done.
    pub committed: Option<CommitOutcome>,
    pub calls: Vec<Call<H::Effect>>,
    /// The outside system's answers.
    pub answers: Vec<Returned>,
    pub publish: VecDeque<Outgoing>,
    /// In their topics, in this order, and not acknowledged.
    pub acknowledgements: VecDeque<PublishedMark>,
    /// Next offset to deliver, per topic, and the furthest that ever was.
    pub fetch: BTreeMap<Arc<str>, usize>,
    pub furthest: BTreeMap<Arc<str>, usize>,
    pub paused: BTreeSet<Arc<str>>,
    pub draining: bool,
    /// Set when the machine will do no more, with the reason if it stopped by itself.
    pub over: Option<Option<String>>,
}

impl<H: Handler> Member<H> {
    pub fn new(machine: Machine<H>, fetch: BTreeMap<Arc<str>, usize>) -> Self {
        Self {
            machine,
            load: None,
            pages: Vec::new(),
            loaded: None,
            read_pages: Vec::new(),
            commit: None,
            items: Vec::new(),
            rows: Vec::new(),
            jobs_told: Vec::new(),
            committed: None,
            calls: Vec::new(),
            answers: Vec::new(),
            publish: VecDeque::new(),
            acknowledgements: VecDeque::new(),
            furthest: fetch.clone(),
            fetch,
            paused: BTreeSet::new(),
            draining: false,
            over: None,
        }
    }

    pub fn step(&mut self, now: i64, input: Input<H::Event>) {
        for output in self.machine.step(now, input) {
            match output {
                Output::Load(request) => {
                    assert!(self.load.replace(request).is_none(), "a second load while one is outstanding");
                }
                Output::LoadParked { sequence, from_no, limit } => self.pages.push((sequence, from_no, limit)),
                Output::LoadJobItems { job, after, limit } => self.items.push((job, after, limit)),
                Output::LoadRow(request) => self.rows.push(request),
                Output::Commit(commit) => {
                    let free = self.committed.is_none() && self.commit.replace(*commit).is_none();
                    assert!(free, "a second commit while one is outstanding");
                }
                Output::Call(call) => self.calls.push(call),
                Output::Publish(outgoing) => self.publish.extend(outgoing),
                Output::Pause { topic } => {
                    self.paused.insert(topic);
                }
                Output::Resume { topic } => {
                    self.paused.remove(&topic);
                }
                Output::Stopped { code, reason } => self.over = Some(Some(format!("{code}: {reason}"))),
                Output::Drained => self.over = Some(None),
            }
        }
    }

    /// Records in the log from where this member reads, at most `most`.
    pub fn take<E: Clone>(&mut self, topic: &Arc<str>, log: &[Arrived<E>], most: usize) -> Vec<Arrived<E>> {
        let from = self.fetch.get(topic).copied().unwrap_or(0);
        let to = (from + most).min(log.len());
        self.fetch.insert(topic.clone(), to);
        let furthest = self.furthest.entry(topic.clone()).or_default();
        *furthest = (*furthest).max(to);
        log[from..to].to_vec()
    }

    pub fn has_read_all<E>(&self, log: &Log<E>) -> bool {
        log.iter().all(|(topic, records)| self.fetch.get(topic).copied().unwrap_or(0) >= records.len())
    }

    pub fn is_busy(&self) -> bool {
        self.load.is_some()
            || self.loaded.is_some()
            || !self.pages.is_empty()
            || !self.read_pages.is_empty()
            || self.commit.is_some()
            || self.committed.is_some()
            || !self.calls.is_empty()
            || !self.answers.is_empty()
            || !self.publish.is_empty()
            || !self.items.is_empty()
            || !self.rows.is_empty()
            || !self.acknowledgements.is_empty()
    }
}
