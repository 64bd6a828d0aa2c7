//! A row that was given up comes back to its place, if its sequence has not gone past it.

use super::act::{is_alone, shows};
use crate::handler::Handler;
use crate::machine::{Machine, Wake, lane::Lane};
use ledger::{ItemResult, ItemState, Millis, ParkedFate, ParkedRecord, ParkedState};
use std::sync::Arc;

impl<H: Handler> Machine<H> {
    /// While its sequence is parked, what has ended behind the row can be seen; once it is not, live events may have gone past.
    pub(super) fn restore_item(&mut self, name: &Arc<str>, row: ParkedRecord, passed: bool, now: Millis) {
        let no = row.no;
        if passed {
            let note = "a later row of its sequence has ended since: it would come too late".to_owned();
            return self.refuse(name, no, "RESTORE_TOO_LATE", note, now);
        }
        let mut lane = self.lanes.remove(name).unwrap_or_default();
        if lane.parked.is_none() && !is_alone(name) {
            if !lane.is_idle() {
                self.lanes.insert(name.clone(), lane);
            }
            let note = "its sequence is not parked any more: later events may have taken effect".to_owned();
            return self.refuse(name, no, "RESTORE_TOO_LATE", note, now);
        }
        self.put_back(name, &mut lane, row, now);
        self.lanes.insert(name.clone(), lane);
        let result = ItemResult { ended: None, ..ItemResult::new(ItemState::Done, now) };
        self.item_result(name, no, result, now);
    }

    fn put_back(&mut self, name: &Arc<str>, lane: &mut Lane<H>, row: ParkedRecord, now: Millis) {
        let mut sequence = lane.parked.take().unwrap_or_else(|| {
            let mut fresh = self.new_sequence(name, now);
            (fresh.head_no, fresh.tail_no) = (row.no, row.no + 1);
            Box::new(fresh)
        });
        let is_head = row.no < sequence.head_no || sequence.depth == 0;
        sequence.depth += 1;
        sequence.head_no = sequence.head_no.min(row.no);
        if is_head {
            sequence.attempts = row.fate.attempts;
            sequence.next_attempt_ms = None;
            match &row.fate.failure {
                Some(failure) => shows(&mut sequence, failure),
                // It only waited behind another one: nobody knows yet how it fares.
                None => {
                    sequence.next_attempt_ms = Some(now);
                    self.wake_at(now, Wake::Retry(name.clone()));
                }
            }
        }
        lane.ended.remove(&row.no);
        lane.last_insert = self.batch.entry;
        self.batch.put_sequence(name, &sequence);
        lane.parked = Some(sequence);
        let fate =
            ParkedFate { state: ParkedState::Waiting, changed_ms: now, version: row.fate.version + 1, ..row.fate };
        self.batch.fate(name, row.no, fate);
    }
}
