//! What goes on: one thing that is outstanding gets done, or its answer arrives, or some records do.

use super::{SLICE, World, now_or_never};
use crate::simulation::{
    member::Member,
    outside::Fate,
    sometimes::Window,
    topic::{self, Table},
};
use consumer::{
    Handler,
    machine::{CallKind, CallResult, Input, Returned, parked_as_record},
};
use failure::Failure;
use ledger::{CommitOutcome, Ledger as _, ParkedRecord};
use rand::{Rng, seq::IndexedRandom};
use std::sync::Arc;

/// Records that arrive at once.
pub(super) const MOST_AT_ONCE: usize = 5;
const KINDS: usize = 9;

impl<H: Handler> World<'_, H> {
    pub(super) fn act(&mut self) -> Result<bool, String> {
        let Some(mut member) = self.member.take() else { return Ok(true) };
        if member.draining && member.over.is_none() && self.storm(0.04) {
            self.hit(Window::DrainCut);
            self.crash(member)?;
            return Ok(true);
        }
        if self.gate_closed && self.rng.random_bool(0.05) {
            self.gate_closed = false;
            self.note(|| "the gate opens".to_owned());
            member.step(self.now, Input::Gate { closed: false });
        }
        let moved = self.move_member(&mut member, false)?;
        match &member.over {
            None | Some(Some(_)) => self.member = Some(member),
            Some(None) => self.gone(&member)?,
        }
        Ok(moved)
    }

    /// The owner is fenced, or has left cleanly.
    fn gone(&mut self, member: &Member<H>) -> Result<(), String> {
        self.furthest = member.furthest.clone();
        if !member.draining {
            return Ok(());
        }
        let unfinished = member.commit.is_some()
            || member.committed.is_some()
            || !member.calls.is_empty()
            || !member.answers.is_empty()
            || !member.publish.is_empty()
            || !member.acknowledgements.is_empty();
        if unfinished {
            return Err("I6: a slice said that it was drained with work under way".to_owned());
        }
        self.hit(Window::Drained);
        Ok(())
    }

    pub(super) fn move_member(&mut self, member: &mut Member<H>, is_zombie: bool) -> Result<bool, String> {
        if member.over.is_some() {
            return Ok(false);
        }
        if self.case.by_jobs && self.rng.random_bool(0.15) && self.do_jobs(member)? {
            return Ok(true);
        }
        for _ in 0..KINDS {
            let kind = self.rng.random_range(0..KINDS);
            if self.move_kind(member, kind, is_zombie)? {
                return Ok(true);
            }
        }
        for kind in 0..KINDS {
            if self.move_kind(member, kind, is_zombie)? {
                return Ok(true);
            }
        }
        if self.case.by_jobs { self.do_jobs(member) } else { Ok(false) }
    }

    fn move_kind(&mut self, member: &mut Member<H>, kind: usize, is_zombie: bool) -> Result<bool, String> {
        match kind {
            0 => self.do_load(member),
            1 => self.do_page(member),
            2 => self.do_commit(member, is_zombie),
            3 => Ok(self.do_call(member, is_zombie)),
            4 => Ok(self.do_publish(member)),
            5 => Ok(self.answer_commit(member)),
            6 => Ok(self.answer_call(member)),
            7 => Ok(self.acknowledge(member)),
            _ => Ok(self.deliver(member)),
        }
    }

    /// Reads, or delivers what was read: between the two anything may be committed.
    fn do_load(&mut self, member: &mut Member<H>) -> Result<bool, String> {
        if let Some(loaded) = member.loaded.take() {
            member.step(self.now, Input::Loaded(loaded));
            return Ok(true);
        }
        let Some(request) = member.load.take() else { return Ok(false) };
        let loaded = now_or_never(self.ledger.load(&request)).map_err(|error| error.to_string())?;
        if self.storm(0.05) {
            // The answer is lost; the driver asks again.
            self.hit(Window::ReadRepeated);
            member.load = Some(request);
            return Ok(true);
        }
        member.loaded = Some(loaded);
        Ok(true)
    }

    /// The same for pages, of which several may be under way.
    fn do_page(&mut self, member: &mut Member<H>) -> Result<bool, String> {
        let delivers = member.pages.is_empty() || self.rng.random_bool(0.5);
        if delivers && let Some((sequence, page)) = member.read_pages.pop() {
            let decoder = Table { log: &self.log };
            let decode = |row: ParkedRecord| {
                let arrived = decoder.find(&parked_as_record(&row));
                (row, arrived)
            };
            let records = page.into_iter().map(decode).collect();
            self.note(|| format!("a page of `{sequence}` arrives"));
            member.step(self.now, Input::ParkedLoaded { sequence, records });
            return Ok(true);
        }
        let Some((sequence, from_no, limit)) = member.pages.pop() else { return Ok(false) };
        let page = now_or_never(self.ledger.parked_page(SLICE, &sequence, from_no, limit))
            .map_err(|error| error.to_string())?;
        member.read_pages.push((sequence, page));
        Ok(true)
    }

    fn do_commit(&mut self, member: &mut Member<H>, is_zombie: bool) -> Result<bool, String> {
        let Some(commit) = member.commit.take() else { return Ok(false) };
        let batches = [commit];
        let mut outcome = now_or_never(self.ledger.commit(&batches)).map_err(|error| error.to_string())?;
        if self.storm(0.1) {
            self.hit(Window::CommitRepeated);
            outcome = now_or_never(self.ledger.commit(&batches)).map_err(|error| error.to_string())?;
        }
        let [commit] = &batches;
        let outcome = outcome.first().copied().unwrap_or(CommitOutcome::Fenced);
        self.note(|| format!("entry {} of epoch {}: {outcome:?}", commit.entry, commit.epoch));
        if is_zombie && outcome == CommitOutcome::Committed {
            return Err(format!("I5: entry {} of an owner that had lost the slice was taken", commit.entry));
        }
        member.committed = Some(outcome);
        Ok(true)
    }

    fn answer_commit(&mut self, member: &mut Member<H>) -> bool {
        match member.committed.take() {
            None => return false,
            Some(CommitOutcome::Committed) => member.step(self.now, Input::Committed),
            Some(CommitOutcome::Fenced) => {
                self.hit(Window::ZombieRefused);
                member.step(self.now, Input::Fenced);
                member.over = Some(None);
                member.draining = false;
            }
        }
        true
    }

    fn do_call(&mut self, member: &mut Member<H>, is_zombie: bool) -> bool {
        if member.calls.is_empty() {
            return false;
        }
        let call = member.calls.swap_remove(self.rng.random_range(0..member.calls.len()));
        let key = consumer::Effect::key(&call.intent.effect);
        let is_blind = self.options.blind && call.kind == CallKind::LookUp;
        let trouble = self.storm(if is_blind { 0.9 } else { 0.25 });
        self.sometimes.hit_if(is_zombie, Window::ZombieCalled);
        let result = match call.kind {
            CallKind::Apply => {
                let fates = [Fate::Unavailable, Fate::AnswerLost, Fate::RequestLost, Fate::Late];
                let fate = if trouble { fates.choose(&mut self.rng).copied() } else { None }.unwrap_or(Fate::Answered);
                let sent = self.sent(fate, is_zombie);
                self.sometimes.hit_if(fate == Fate::AnswerLost, Window::AnswerLost);
                self.note(|| format!("call `{key}`: {fate:?}"));
                CallResult::Applied(self.outside.apply(&call.intent.effect, &call.intent.event_id, sent))
            }
            CallKind::LookUp if trouble => {
                CallResult::LookedUp(Err(Failure::dependency("ERP_UNAVAILABLE", "refused before send")))
            }
            CallKind::LookUp => {
                self.hit(Window::LookedUp);
                let found = self.outside.look_up(&key, self.now);
                self.note(|| format!("look-up of `{key}`: {}", if found.is_some() { "there" } else { "not there" }));
                CallResult::LookedUp(Ok(found))
            }
        };
        member.answers.push(Returned { call: call.id, result, counts: true });
        true
    }

    fn answer_call(&mut self, member: &mut Member<H>) -> bool {
        if member.answers.is_empty() {
            return false;
        }
        let answer = member.answers.swap_remove(self.rng.random_range(0..member.answers.len()));
        member.step(self.now, Input::Returned(vec![answer]));
        true
    }

    fn do_publish(&mut self, member: &mut Member<H>) -> bool {
        let Some(outgoing) = member.publish.pop_front() else { return false };
        let last = topic::newest(&self.published, &outgoing.event.topic, outgoing.event.partition);
        self.sometimes.hit_if(last.is_some_and(|mark| mark.number >= outgoing.number), Window::PublishedAgain);
        let mark = topic::append(&mut self.published, outgoing.number, outgoing.event);
        member.acknowledgements.push_back(mark);
        true
    }

    /// Acknowledgements come in order, one or several at once.
    fn acknowledge(&mut self, member: &mut Member<H>) -> bool {
        if member.acknowledgements.is_empty() {
            return false;
        }
        let count = self.rng.random_range(1..=member.acknowledgements.len());
        let marks = member.acknowledgements.drain(..count).collect();
        member.step(self.now, Input::Published(marks));
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
            self.hit(Window::Redelivered);
        }
        let most = self.rng.random_range(1..=MOST_AT_ONCE);
        let records = member.take(&topic, &self.log[&topic], most);
        self.note(|| {
            let first = records.first().map_or(-1, |arrived| arrived.record.offset);
            format!("{} records of {topic} from @{first}", records.len())
        });
        member.step(self.now, Input::Arrived { topic: topic.clone(), records });
        let end = self.log[&topic].len();
        if member.fetch.get(&topic) == Some(&end) {
            let offset = i64::try_from(end).unwrap_or(i64::MAX);
            member.step(self.now, Input::End { topic, offset });
        }
        true
    }
}
