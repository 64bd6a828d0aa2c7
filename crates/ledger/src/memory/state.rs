//! What the memory ledger holds, and each call as one step on it.

use super::jobs::Jobs;
use crate::audit::chain;
use crate::batch::{self, Rows, Verdict};
use crate::horizon::{Marks, day_start, identity_start, needed_since, publishes};
use crate::jobs::RowKey;
use crate::types::{
    AuditRow, DocumentFilter, DocumentKey, DocumentRow, IntentRow, LoadRequest, Loaded, Millis, NewAudit, ParkedFilter,
    ParkedRecord, ParkedSequence, ParkedState, Position, PublishedMark, SliceCommit, SliceStatus, StoredEntry,
    Takeover, TimerRow,
};
use crate::{CommitOutcome, Error, Result};
use events::{PayloadHash, Uid};
use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
pub(super) struct State {
    slices: BTreeMap<i32, Slice>,
    identities: HashMap<Uid, PayloadHash>,
    documents: BTreeMap<DocumentKey, DocumentRow>,
    audit: Vec<AuditRow>,
    pub(super) jobs: Jobs,
    pub(super) rules: super::rules::Rules,
    pub(super) floor_ms: Millis,
    /// The newest time of a commit: this ledger has no clock of its own.
    now_ms: Millis,
}

#[derive(Default)]
struct Slice {
    epoch: i64,
    owner: String,
    taken_ms: Millis,
    next_entry: i64,
    closed_entry: i64,
    stopped: Option<String>,
    positions: BTreeMap<String, Position>,
    journal: BTreeMap<i64, StoredEntry>,
    sequences: BTreeMap<String, ParkedSequence>,
    parked: BTreeMap<String, BTreeMap<i64, ParkedRecord>>,
    intents: BTreeMap<String, IntentRow>,
    timers: BTreeMap<String, TimerRow>,
    published: BTreeMap<(String, i32), PublishedMark>,
}

impl State {
    pub(super) fn take_over(&mut self, number: i32, owner: &str) -> Result<Takeover> {
        if number < 0 {
            return Err(Error::Misuse(format!("slice {number}: slices count from 0")));
        }
        let (now_ms, floor_ms) = (self.now_ms, self.floor_ms);
        let slice = self.slices.entry(number).or_insert_with(|| Slice { next_entry: 1, ..Slice::default() });
        slice.epoch += 1;
        owner.clone_into(&mut slice.owner);
        slice.taken_ms = now_ms;
        let mut timers: Vec<_> = slice.timers.values().cloned().collect();
        timers.sort_by(|a, b| (a.due_ms, &a.id).cmp(&(b.due_ms, &b.id)));
        Ok(Takeover {
            epoch: slice.epoch,
            next_entry: slice.next_entry,
            closed_entry: slice.closed_entry,
            positions: slice.positions.values().cloned().collect(),
            open_entries: slice.journal.range(slice.closed_entry + 1..).map(|(_, entry)| entry.clone()).collect(),
            sequences: slice.sequences.values().cloned().collect(),
            timers,
            published: slice.published.values().cloned().collect(),
            floor_ms,
            stopped: slice.stopped.clone(),
        })
    }

    pub(super) fn commit(&mut self, batches: &[SliceCommit]) -> Result<Vec<CommitOutcome>> {
        batch::check(batches)?;
        let mut outcomes = Vec::with_capacity(batches.len());
        let mut written = Vec::with_capacity(batches.len());
        for batch in batches {
            let row = self.slices.get(&batch.slice).map(|slice| (slice.epoch, slice.next_entry));
            outcomes.push(match batch::judge(row, batch)? {
                Verdict::Write => {
                    written.push(batch);
                    CommitOutcome::Committed
                }
                Verdict::Already => CommitOutcome::Committed,
                Verdict::Fenced => CommitOutcome::Fenced,
            });
        }
        let rows = Rows::of(&written);
        self.check_parked(&rows)?;
        for batch in written {
            self.append(batch);
        }
        self.write(rows);
        Ok(outcomes)
    }

    fn check_parked(&self, rows: &Rows<'_>) -> Result<()> {
        let exists = |slice: i32, sequence: &str, no: i64| {
            self.slices
                .get(&slice)
                .and_then(|s| s.parked.get(sequence))
                .is_some_and(|records| records.contains_key(&no))
        };
        if let Some(record) = rows.parked_inserts.iter().find(|r| exists(r.slice, &r.sequence, r.no)) {
            return Err(batch::taken(record.slice, &record.sequence, record.no));
        }
        match rows.parked_updates.iter().find(|(slice, sequence, no, _)| !exists(*slice, sequence, *no)) {
            Some((slice, sequence, no, _)) => Err(batch::absent(*slice, sequence, *no)),
            None => Ok(()),
        }
    }

    fn append(&mut self, batch: &SliceCommit) {
        self.now_ms = self.now_ms.max(batch.at_ms);
        let slice = self.slices.entry(batch.slice).or_default();
        slice.next_entry = batch.entry + 1;
        slice.closed_entry = slice.closed_entry.max(batch.closed_entry.unwrap_or(0));
        if let Some(reason) = &batch.stopped {
            slice.stopped = Some(reason.clone());
        }
        let stored = StoredEntry {
            slice: batch.slice,
            entry: batch.entry,
            epoch: batch.epoch,
            at_ms: batch.at_ms,
            body: batch.body.clone(),
        };
        slice.journal.insert(batch.entry, stored);
    }

    fn write(&mut self, rows: Rows<'_>) {
        for (_, _, row) in &rows.identities {
            self.identities.entry(row.uid).or_insert(row.hash);
        }
        self.write_documents(&rows);
        for row in rows.sequence_puts {
            self.slice(row.slice).sequences.insert(row.sequence.clone(), row.clone());
        }
        for (slice, sequence) in rows.sequence_removals {
            self.slice(slice).sequences.remove(sequence);
        }
        for record in rows.parked_inserts {
            let record = record.into_owned();
            let records = self.slice(record.slice).parked.entry(record.sequence.clone()).or_default();
            records.insert(record.no, record);
        }
        for (slice, sequence, no, fate) in rows.parked_updates {
            if let Some(record) = self.slice(slice).parked.get_mut(sequence).and_then(|records| records.get_mut(&no)) {
                record.fate = fate.clone();
                if fate.state == ParkedState::Erased {
                    record.value = None;
                }
            }
        }
        for (slice, row) in rows.intent_puts {
            self.slice(slice).intents.insert(row.effect_key.clone(), row.clone());
        }
        for (slice, effect_key) in rows.intent_removals {
            self.slice(slice).intents.remove(effect_key);
        }
        for (slice, row) in rows.timer_sets {
            self.slice(slice).timers.insert(row.id.clone(), row.clone());
        }
        for (slice, id) in rows.timer_clears {
            self.slice(slice).timers.remove(id);
        }
        for (slice, position) in rows.positions {
            self.slice(slice).positions.insert(position.topic.clone(), position.clone());
        }
        for stopped in self.jobs.write(&rows.items, &rows.job_stops) {
            self.record(&stopped);
        }
        for (slice, mark) in rows.published {
            self.slice(slice).published.insert((mark.topic.clone(), mark.partition), mark.clone());
        }
    }

    fn slice(&mut self, number: i32) -> &mut Slice {
        self.slices.entry(number).or_default()
    }

    fn write_documents(&mut self, rows: &Rows<'_>) {
        for put in &rows.document_puts {
            let version = self.documents.get(&put.change.key).map_or(1, |old| old.version + 1);
            let row = DocumentRow {
                key: put.change.key.clone(),
                slice: put.slice,
                version,
                status: put.change.status.clone(),
                account_id: put.change.account_id.clone(),
                body: put.body.to_owned(),
                updated_ms: put.at_ms,
            };
            self.documents.insert(row.key.clone(), row);
        }
        for key in &rows.document_removals {
            self.documents.remove(key);
        }
    }

    pub(super) fn load(&self, request: &LoadRequest) -> Loaded {
        let known = |uid: &Uid| self.identities.get(uid).map(|hash| (*uid, *hash));
        let found = |key: &DocumentKey| self.documents.get(key).map(|row| (key.clone(), row.clone()));
        Loaded {
            identities: request.uids.iter().filter_map(known).collect(),
            documents: request.documents.iter().filter_map(found).collect(),
            floor_ms: self.floor_ms,
        }
    }

    pub(super) fn parked_page(&self, slice: i32, sequence: &str, from_no: i64, limit: usize) -> Vec<ParkedRecord> {
        let Some(records) = self.slices.get(&slice).and_then(|slice| slice.parked.get(sequence)) else {
            return Vec::new();
        };
        let alive = records.range(from_no..).map(|(_, record)| record).filter(|record| record.fate.state.is_alive());
        alive.take(limit).cloned().collect()
    }

    pub(super) fn statuses(&self) -> Vec<SliceStatus> {
        let status = |(number, slice): (&i32, &Slice)| SliceStatus {
            slice: *number,
            epoch: slice.epoch,
            owner: slice.owner.clone(),
            taken_ms: slice.taken_ms,
            next_entry: slice.next_entry,
            closed_entry: slice.closed_entry,
            positions: slice.positions.values().cloned().collect(),
            published: slice.published.values().cloned().collect(),
            stopped: slice.stopped.clone(),
            intents: slice.intents.values().cloned().collect(),
            timers: i64::try_from(slice.timers.len()).unwrap_or(i64::MAX),
        };
        self.slices.iter().map(status).collect()
    }

    pub(super) fn entries(&self, slice: i32, from: i64, limit: usize) -> Vec<StoredEntry> {
        let Some(slice) = self.slices.get(&slice) else { return Vec::new() };
        slice.journal.range(from..).take(limit).map(|(_, entry)| entry.clone()).collect()
    }

    pub(super) fn documents(&self, filter: &DocumentFilter) -> Vec<DocumentRow> {
        let wanted = |row: &&DocumentRow| {
            filter.kind.as_ref().is_none_or(|kind| row.key.kind == *kind)
                && filter.key.as_ref().is_none_or(|key| row.key.key == *key)
                && filter.account_id.as_ref().is_none_or(|account| row.account_id == *account)
        };
        self.documents.values().filter(wanted).take(filter.limit).cloned().collect()
    }

    pub(super) fn sequences(&self, slice: Option<i32>) -> Vec<ParkedSequence> {
        let slices = self.slices.iter().filter(|(number, _)| slice.is_none_or(|wanted| wanted == **number));
        slices.flat_map(|(_, slice)| slice.sequences.values().cloned()).collect()
    }

    pub(super) fn parked_records(&self, filter: &ParkedFilter) -> Vec<ParkedRecord> {
        let mut found: Vec<&ParkedRecord> = self.all_parked().filter(|record| filter.takes(record)).collect();
        found.sort_by(|a, b| (a.parked_ms, a.slice, &a.sequence, a.no).cmp(&(b.parked_ms, b.slice, &b.sequence, b.no)));
        found.into_iter().take(filter.limit).cloned().collect()
    }

    pub(super) fn parked_record(&self, row: &RowKey) -> Option<&ParkedRecord> {
        self.slices.get(&row.slice)?.parked.get(&row.sequence)?.get(&row.no)
    }

    pub(super) fn all_parked(&self) -> impl Iterator<Item = &ParkedRecord> {
        self.slices.values().flat_map(|slice| slice.parked.values()).flat_map(BTreeMap::values)
    }

    pub(super) fn audit(&self, limit: usize) -> Vec<AuditRow> {
        self.audit[self.audit.len().saturating_sub(limit)..].to_vec()
    }

    pub(super) fn accept_position(&mut self, number: i32, position: &Position, audit: &NewAudit) -> Result<()> {
        let slice = self.slices.get_mut(&number).ok_or_else(|| batch::unknown_slice(number))?;
        slice.epoch += 1;
        slice.positions.insert(position.topic.clone(), position.clone());
        self.record(audit);
        Ok(())
    }

    pub(super) fn set_stopped(&mut self, number: i32, reason: Option<&str>, audit: &NewAudit) -> Result<()> {
        let slice = self.slices.get_mut(&number).ok_or_else(|| batch::unknown_slice(number))?;
        slice.stopped = reason.map(str::to_owned);
        self.record(audit);
        Ok(())
    }

    pub(super) fn audit_page(&self, from_seq: i64, limit: usize) -> Vec<AuditRow> {
        self.audit.iter().filter(|row| row.seq >= from_seq).take(limit).cloned().collect()
    }

    pub(super) fn record(&mut self, audit: &NewAudit) {
        let row = chain(self.audit.last().map(|last| (last.seq, last.hash.as_str())), audit);
        self.audit.push(row);
    }

    pub(super) fn prune(&mut self, before_ms: Millis) -> Millis {
        let alive = self.all_parked().filter(|record| record.fate.state.is_alive()).map(needed_since);
        let open = self.slices.values().flat_map(Slice::still_needed);
        let limit = alive.chain(open).fold(before_ms, Millis::min);
        let floor = day_start(limit).max(self.floor_ms);
        self.floor_ms = floor;
        let identity_floor = identity_start(floor);
        self.identities.retain(|uid, _| uid.time_ms().is_none_or(|time| time >= identity_floor));
        for slice in self.slices.values_mut() {
            slice.journal.retain(|_, entry| entry.at_ms >= floor);
            for records in slice.parked.values_mut() {
                records.retain(|_, r| r.fate.state.is_alive() || r.parked_ms.max(r.fate.changed_ms) >= floor);
            }
            slice.parked.retain(|_, records| !records.is_empty());
        }
        floor
    }
}

impl Slice {
    /// Times of the entries that are not closed, or whose events the broker has not acknowledged.
    fn still_needed(&self) -> impl Iterator<Item = Millis> {
        let mut marks = Marks::default();
        self.published.values().for_each(|mark| marks.add(mark));
        self.journal.values().filter_map(move |entry| {
            let unpublished = publishes(&entry.body)
                .into_iter()
                .any(|((topic, partition), number)| !marks.cover(topic, partition, number));
            (entry.entry > self.closed_entry || unpublished).then_some(entry.at_ms)
        })
    }
}
