//! The rules of a commit that hold in every implementation: what is misuse, who is fenced, and which rows are left when
//! a slice names the same thing twice in one commit. The implementations only write the rows made here, so that they
//! cannot disagree.

use crate::jobs::{ItemChange, JobStop};
use crate::types::{
    DocumentChange, IdentityRow, IntentChange, IntentRow, Millis, ParkedChange, ParkedFate, ParkedRecord,
    ParkedSequence, Position, PublishedMark, SequenceChange, SliceCommit, TimerChange, TimerRow,
};
use crate::{Error, Result};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// Refuses commits that no correct caller makes, before anything is written.
pub(crate) fn check(batches: &[SliceCommit]) -> Result<()> {
    let mut slices = HashSet::new();
    for batch in batches {
        let slice = batch.slice;
        if !slices.insert(slice) {
            return Err(Error::Misuse(format!("slice {slice} is in one commit twice")));
        }
        if slice < 0 || batch.epoch < 1 || batch.entry < 1 {
            return Err(Error::Misuse(format!(
                "slice {slice}, epoch {}, entry {}: slices count from 0, epochs and entries from 1",
                batch.epoch, batch.entry
            )));
        }
        if batch.closed_entry.is_some_and(|closed| closed > batch.entry || closed < 0) {
            return Err(Error::Misuse(format!(
                "slice {slice}: closed entry {:?} is beyond entry {}",
                batch.closed_entry, batch.entry
            )));
        }
        check_body(batch)?;
        check_owner(batch)?;
    }
    Ok(())
}

fn check_body(batch: &SliceCommit) -> Result<()> {
    let topics = batch.body.topics.len();
    match batch.body.records.iter().find(|record| usize::from(record.topic) >= topics) {
        Some(record) => Err(Error::Misuse(format!(
            "slice {}: a record points to topic {} of {topics} in its entry",
            batch.slice, record.topic
        ))),
        None => Ok(()),
    }
}

fn check_owner(batch: &SliceCommit) -> Result<()> {
    let mut inserted = HashSet::new();
    for change in &batch.parked {
        if let ParkedChange::Insert(record) = change {
            if record.slice != batch.slice {
                return Err(Error::Misuse(format!(
                    "a parked record of slice {} in a commit of slice {}",
                    record.slice, batch.slice
                )));
            }
            if !inserted.insert((&record.sequence, record.no)) {
                return Err(taken(batch.slice, &record.sequence, record.no));
            }
        }
    }
    for change in &batch.sequences {
        if let SequenceChange::Put(sequence) = change
            && sequence.slice != batch.slice
        {
            return Err(Error::Misuse(format!(
                "a sequence of slice {} in a commit of slice {}",
                sequence.slice, batch.slice
            )));
        }
    }
    Ok(())
}

pub(crate) fn taken(slice: i32, sequence: &str, no: i64) -> Error {
    Error::Misuse(format!("slice {slice}: number {no} of sequence `{sequence}` is taken by an earlier parked record"))
}

pub(crate) fn absent(slice: i32, sequence: &str, no: i64) -> Error {
    Error::Misuse(format!("slice {slice}: sequence `{sequence}` has no parked record {no} to change"))
}

pub(crate) fn unknown_slice(slice: i32) -> Error {
    Error::Misuse(format!("slice {slice} was never taken over"))
}

/// What a slice's row says about a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Write,
    /// An earlier try of this entry was committed; its answer was lost.
    Already,
    Fenced,
}

/// Judges a commit by the (epoch, next entry) of its slice.
pub(crate) fn judge(row: Option<(i64, i64)>, batch: &SliceCommit) -> Result<Verdict> {
    let Some((epoch, next_entry)) = row else { return Err(unknown_slice(batch.slice)) };
    if epoch > batch.epoch {
        return Ok(Verdict::Fenced);
    }
    if epoch < batch.epoch {
        return Err(Error::Misuse(format!(
            "slice {}: epoch {} was never given out, {epoch} is the newest",
            batch.slice, batch.epoch
        )));
    }
    match next_entry.cmp(&batch.entry) {
        std::cmp::Ordering::Equal => Ok(Verdict::Write),
        std::cmp::Ordering::Greater => Ok(Verdict::Already),
        std::cmp::Ordering::Less => Err(Error::Misuse(format!(
            "slice {}: entry {} would leave a gap, the next is {next_entry}",
            batch.slice, batch.entry
        ))),
    }
}

/// A parked record's change of fate: slice, sequence, number, new fate.
pub(crate) type FateRow<'a> = (i32, &'a str, i64, &'a ParkedFate);

/// The rows of one transaction, over all its slices, each thing once and in key order (which keeps two transactions
/// from waiting for each other). Of several changes of one thing the last counts; of several hashes of one uid the first.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    pub positions: Vec<(i32, &'a Position)>,
    pub identities: Vec<(i32, Millis, IdentityRow)>,
    pub document_puts: Vec<DocumentPut<'a>>,
    pub document_removals: Vec<&'a crate::DocumentKey>,
    pub sequence_puts: Vec<&'a ParkedSequence>,
    pub sequence_removals: Vec<(i32, &'a str)>,
    pub parked_inserts: Vec<Cow<'a, ParkedRecord>>,
    pub parked_updates: Vec<FateRow<'a>>,
    pub intent_puts: Vec<(i32, &'a IntentRow)>,
    pub intent_removals: Vec<(i32, &'a str)>,
    pub timer_sets: Vec<(i32, &'a TimerRow)>,
    pub timer_clears: Vec<(i32, &'a str)>,
    pub published: Vec<(i32, &'a PublishedMark)>,
    pub items: Vec<(i32, &'a ItemChange)>,
    pub job_stops: Vec<(Millis, &'a JobStop)>,
}

#[derive(Debug)]
pub(crate) struct DocumentPut<'a> {
    pub slice: i32,
    pub at_ms: Millis,
    pub change: &'a DocumentChange,
    pub body: &'a str,
}

impl<'a> Rows<'a> {
    pub(crate) fn of(batches: &[&'a SliceCommit]) -> Self {
        let mut rows = Self::default();
        rows.take_documents(batches);
        rows.take_identities(batches);
        for batch in batches {
            rows.take_progress(batch);
            rows.take_sequences(batch);
            rows.take_parked(batch);
            rows.take_intents(batch);
            rows.take_timers(batch);
            rows.take_jobs(batch);
        }
        rows
    }

    fn take_documents(&mut self, batches: &[&'a SliceCommit]) {
        let changes = batches.iter().flat_map(|b| b.documents.iter().map(|d| (&d.key, (b.slice, b.at_ms, d))));
        for (key, (slice, at_ms, change)) in changes.collect::<BTreeMap<_, _>>() {
            match &change.body {
                Some(body) => self.document_puts.push(DocumentPut { slice, at_ms, change, body }),
                None => self.document_removals.push(key),
            }
        }
    }

    fn take_identities(&mut self, batches: &[&'a SliceCommit]) {
        let mut seen = HashSet::new();
        let all = batches.iter().flat_map(|b| b.identities.iter().map(|row| (b.slice, b.at_ms, *row)));
        self.identities.extend(all.filter(|(_, _, row)| seen.insert(row.uid)));
        self.identities.sort_unstable_by_key(|(_, _, row)| row.uid);
    }

    fn take_progress(&mut self, batch: &'a SliceCommit) {
        let positions: BTreeMap<_, _> = batch.positions.iter().map(|p| (&p.topic, p)).collect();
        self.positions.extend(positions.into_values().map(|p| (batch.slice, p)));
        let marks: BTreeMap<_, _> = batch.published.iter().map(|m| ((&m.topic, m.partition), m)).collect();
        self.published.extend(marks.into_values().map(|m| (batch.slice, m)));
    }

    fn take_sequences(&mut self, batch: &'a SliceCommit) {
        let changes: BTreeMap<&str, Option<&ParkedSequence>> = batch
            .sequences
            .iter()
            .map(|change| match change {
                SequenceChange::Put(row) => (row.sequence.as_str(), Some(row)),
                SequenceChange::Remove { sequence } => (sequence.as_str(), None),
            })
            .collect();
        for (sequence, row) in changes {
            match row {
                Some(row) => self.sequence_puts.push(row),
                None => self.sequence_removals.push((batch.slice, sequence)),
            }
        }
    }

    fn take_parked(&mut self, batch: &'a SliceCommit) {
        let mut inserts: BTreeMap<(&str, i64), Cow<'a, ParkedRecord>> = BTreeMap::new();
        let mut updates: BTreeMap<(&str, i64), &ParkedFate> = BTreeMap::new();
        for change in &batch.parked {
            match change {
                ParkedChange::Insert(record) => {
                    inserts.insert((&record.sequence, record.no), Cow::Borrowed(record));
                }
                ParkedChange::Update { sequence, no, fate } => {
                    updates.insert((sequence, *no), fate);
                }
            }
        }
        for (key, fate) in updates {
            match inserts.get_mut(&key) {
                Some(record) => record.to_mut().fate = fate.clone(),
                None => self.parked_updates.push((batch.slice, key.0, key.1, fate)),
            }
        }
        self.parked_inserts.extend(inserts.into_values());
    }

    fn take_intents(&mut self, batch: &'a SliceCommit) {
        let changes: BTreeMap<&str, Option<&IntentRow>> = batch
            .intents
            .iter()
            .map(|change| match change {
                IntentChange::Put(row) => (row.effect_key.as_str(), Some(row)),
                IntentChange::Remove { effect_key } => (effect_key.as_str(), None),
            })
            .collect();
        for (effect_key, row) in changes {
            match row {
                Some(row) => self.intent_puts.push((batch.slice, row)),
                None => self.intent_removals.push((batch.slice, effect_key)),
            }
        }
    }

    fn take_jobs(&mut self, batch: &'a SliceCommit) {
        let items: BTreeMap<_, _> = batch.items.iter().map(|i| ((&i.job, &i.sequence, i.no), i)).collect();
        self.items.extend(items.into_values().map(|item| (batch.slice, item)));
        for stop in &batch.job_stops {
            if self.job_stops.iter().all(|(_, known)| known.job != stop.job) {
                self.job_stops.push((batch.at_ms, stop));
            }
        }
        self.job_stops.sort_by(|a, b| a.1.job.cmp(&b.1.job));
    }

    fn take_timers(&mut self, batch: &'a SliceCommit) {
        let changes: BTreeMap<&str, Option<&TimerRow>> = batch
            .timers
            .iter()
            .map(|change| match change {
                TimerChange::Set(row) => (row.id.as_str(), Some(row)),
                TimerChange::Clear { id } => (id.as_str(), None),
            })
            .collect();
        for (id, row) in changes {
            match row {
                Some(row) => self.timer_sets.push((batch.slice, row)),
                None => self.timer_clears.push((batch.slice, id)),
            }
        }
    }
}
