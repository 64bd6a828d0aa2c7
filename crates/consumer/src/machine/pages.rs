//! Tries of a parked sequence: its rows come back in pages, from the front. What the head waits for goes first, wherever it lies.

use super::{
    Arrived, Machine, Output,
    lane::{Item, Lane, Work},
    verdict::{AWAITED_TOO_LONG, is_refusal},
};
use crate::handler::Handler;
use events::EventSet;
use failure::{Class, Failure};
use ledger::{Millis, ParkedFate, ParkedRecord, SequenceChange};
use std::{collections::VecDeque, sync::Arc};

/// A page is doubled at most so often: what is looked for further behind comes when the rows before it are done.
const MOST_DOUBLINGS: i32 = 6;

impl<H: Handler> Machine<H> {
    /// Lets a record of the page go first that the failed one waits for; gives the failed one back if there is none. Each record
    /// overtakes once in a try, so that a try ends.
    pub(super) fn overtake(
        &self,
        lane: &mut Lane<H>,
        no: i64,
        fate: &ParkedFate,
        arrived: Box<Arrived<H::Event>>,
        failure: &Failure,
    ) -> Option<Box<Arrived<H::Event>>> {
        let is_waiting = failure.class == Class::NotYet;
        let awaited = failure.awaits.as_deref().filter(|_| is_waiting || is_refusal(failure.class));
        let event = arrived.event.as_ref().ok();
        let Some(page) = lane.page.as_mut() else { return Some(arrived) };
        let helps = |item: &Item<H::Event>| {
            let is_new = item.work.row_no().is_some_and(|no| !lane.overtaken.contains(&no));
            is_new && brings(&*self.handler, item, awaited) && !(is_waiting && is_later(item.work.event(), event))
        };
        let Some(awaited_at) = page.iter().position(helps) else { return Some(arrived) };
        let topic = page[awaited_at].work.topic();
        // Order within a topic holds for the one that goes first, too: what lies before it in its topic goes before it.
        let first =
            page.iter().position(|item| item.work.topic() == topic).filter(|_| topic != Some(&*arrived.record.topic));
        let index = first.unwrap_or(awaited_at);
        if page[index].work.row_no().is_none_or(|no| lane.overtaken.contains(&no)) {
            return Some(arrived);
        }
        let Some(overtaker) = page.remove(index) else { return Some(arrived) };
        lane.overtaken.extend(overtaker.work.row_no());
        page.push_front(self.item(Work::Parked { no, fate: fate.clone(), arrived }));
        page.push_front(overtaker);
        None
    }

    /// After a try: everything done unparks the sequence, a finished page asks for the next.
    pub(super) fn page_done(&mut self, name: &Arc<str>, lane: &mut Lane<H>) {
        let Some(sequence) = &lane.parked else { return };
        if lane.step.is_some() {
            return;
        }
        if sequence.depth <= 0 {
            lane.parked = None;
            lane.page = None;
            lane.ended.clear();
            lane.overtaken.clear();
            self.batch.sequence(name, SequenceChange::Remove { sequence: name.to_string() });
            if !lane.waiting.is_empty() {
                self.make_runnable(name);
            }
        } else if lane.page.as_ref().is_some_and(VecDeque::is_empty) {
            lane.page = None;
            self.due.push_back(name.clone());
        }
    }

    /// What the head waited for is there.
    pub(super) fn try_soon(due: &mut VecDeque<Arc<str>>, name: &Arc<str>, lane: &mut Lane<H>, now: Millis) {
        if let Some(sequence) = lane.parked.as_mut() {
            sequence.next_attempt_ms = Some(now);
            due.push_back(name.clone());
        }
    }

    /// An operator or a rule says so: also where nothing would be tried by itself.
    pub(super) fn retry_now(&mut self, name: &Arc<str>, now: Millis) {
        // What belongs to no sequence is tried by a job alone: it may have become readable, and then it belongs to one.
        if let Some(lane) = self.lanes.get_mut(name).filter(|_| !name.starts_with('!')) {
            Self::try_soon(&mut self.due, name, lane, now);
        }
    }

    /// Asks for the rows of sequences whose try is due, once everything they must hold is durable.
    pub(super) fn ask_due_pages(&mut self, now: Millis) {
        for _ in 0..self.due.len() {
            let Some(name) = self.due.pop_front() else { break };
            if self.is_held(&name) {
                self.due.push_back(name);
                continue;
            }
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            let Some(sequence) = &lane.parked else { continue };
            let is_due = sequence.next_attempt_ms.is_some_and(|at| at <= now);
            if !is_due || lane.page_asked.is_some() || lane.page.is_some() || lane.step.is_some() {
                continue;
            }
            // Without a row left the sequence ends without a page: one that arrived after that could meet a later incarnation. But
            // until the lane has run, a row may still come behind the last one, and nobody else would remember to try it.
            if sequence.depth <= 0 || lane.last_insert > self.durable {
                self.due.push_back(name);
                continue;
            }
            lane.page_asked = Some(self.durable);
            // What the head waits for, or has waited for too long, may lie behind more rows than a page has: each try looks further.
            let waits = sequence.awaits.is_some() || sequence.code == AWAITED_TOO_LONG;
            let further = if waits { sequence.attempts.clamp(0, MOST_DOUBLINGS) } else { 0 };
            let (from_no, limit) = (sequence.head_no, self.settings.parked_page << further);
            self.out.push(Output::LoadParked { sequence: name, from_no, limit });
        }
    }

    pub(super) fn page_loaded(&mut self, name: &Arc<str>, records: Vec<(ParkedRecord, Arrived<H::Event>)>) {
        let Some(mut lane) = self.lanes.remove(name) else { return };
        let Some(asked) = lane.page_asked.take() else {
            self.lanes.insert(name.clone(), lane);
            return;
        };
        let last = records.last().map(|(row, _)| row.no);
        let fresh: Vec<_> = records.into_iter().filter(|(row, _)| !lane.ended.contains(&row.no)).collect();
        let mut page = VecDeque::with_capacity(fresh.len());
        for (row, arrived) in fresh {
            page.push_back(self.item(Work::Parked { no: row.no, fate: row.fate, arrived: Box::new(arrived) }));
        }
        if page.is_empty()
            && let Some(sequence) = lane.parked.as_mut()
        {
            match last {
                // All rows of this page ended out of turn, in entries that the page does not show yet; others follow behind.
                Some(no) => sequence.head_no = no + 1,
                // Rows were added after the page was asked for: they will be in the next one.
                None if lane.last_insert > asked => {}
                // All rows of the sequence have ended: the count follows the rows, never the other way round.
                None => sequence.depth = 0,
            }
        }
        lane.page = Some(page);
        self.lanes.insert(name.clone(), lane);
        self.make_runnable(name);
    }
}

/// Whether the item is what a parked head waits for.
pub(super) fn brings<H: Handler>(handler: &H, item: &Item<H::Event>, awaited: Option<&str>) -> bool {
    awaited.is_some_and(|awaited| {
        item.work.event().is_some_and(|event| handler.provides(event).iter().any(|name| name == awaited))
    })
}

/// A later version of the same thing cannot be what an earlier one waits for.
fn is_later<E: EventSet>(candidate: Option<&E>, waiting: Option<&E>) -> bool {
    let (Some(candidate), Some(waiting)) = (candidate, waiting) else { return false };
    candidate.subject() == waiting.subject() && candidate.entity_version() >= waiting.entity_version()
}
