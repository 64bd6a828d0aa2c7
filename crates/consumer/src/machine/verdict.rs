//! What a failure means for the record that met it: what becomes of its row, when it is tried again, whether a letter goes out, and
//! whom a refusal is told.
//!
//! What must never happen: a refusal is told twice or not at all (it is published in the transaction that parks the event); a failure
//! that may pass by itself is told as a refusal; a letter counts as dead-lettered before the broker has acknowledged it.

use super::{Arrived, Machine, Wake, io::millis, lane::Lane, letters::Letter};
use crate::handler::{Context, Handler};
use crate::replay;
use failure::{Class, Failure};
use ledger::{FirstFailure, Millis, ParkedFate, ParkedState};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// What waiting ends with.
pub(super) const AWAITED_TOO_LONG: &str = "AWAITED_TOO_LONG";

/// The fate of a row that nobody has tried yet.
pub(super) const fn untried(now: Millis) -> ParkedFate {
    ParkedFate {
        state: ParkedState::Waiting,
        failure: None,
        attempts: 0,
        refusals: 0,
        receipts: BTreeMap::new(),
        unknown: Vec::new(),
        changed_ms: now,
        version: 0,
        fingerprint: None,
        edit: None,
        first: None,
    }
}

/// The fate after one more try.
pub(super) fn failed_once_more(
    (service, topic): (&str, &str),
    old: ParkedFate,
    failure: &Failure,
    now: Millis,
) -> ParkedFate {
    let first = old.first.clone().or_else(|| Some(first_failure(&old, failure, now)));
    ParkedFate {
        first,
        state: if is_quarantined(failure) { ParkedState::DeadLettered } else { state(failure.class) },
        failure: Some(failure.clone()),
        attempts: old.attempts + 1,
        refusals: old.refusals + i32::from(is_refusal(failure.class)),
        changed_ms: now,
        version: old.version + 1,
        fingerprint: Some(failure::fingerprint(service, topic, failure)),
        ..old
    }
}

/// A row of an older version does not say when it failed first, but when it was tried last.
fn first_failure(old: &ParkedFate, failure: &Failure, now: Millis) -> FirstFailure {
    let (at_ms, failure) = old.failure.as_ref().map_or((now, failure), |known| (old.changed_ms, known));
    FirstFailure { at_ms, class: failure.class, code: failure.code.clone() }
}

/// What goes round gets no further letter: the one it came from is in its topic, and another would be copied like the last.
fn is_quarantined(failure: &Failure) -> bool {
    failure.code == replay::LOOP
}

const fn state(class: Class) -> ParkedState {
    match class {
        Class::Poison | Class::Contract | Class::Bug => ParkedState::LetterPending,
        Class::Business | Class::Dependency | Class::Unknown | Class::NotYet => ParkedState::Waiting,
    }
}

/// Whether somebody said no for good. Not so where nobody could read the event, or where we are broken.
pub(super) const fn is_refusal(class: Class) -> bool {
    match class {
        Class::Business | Class::Contract => true,
        Class::Poison | Class::Bug | Class::Dependency | Class::Unknown | Class::NotYet => false,
    }
}

impl<H: Handler> Machine<H> {
    /// Waiting for another event has an end.
    pub(super) fn deadline(&self, lane: &Lane<H>, failure: Failure, now: Millis) -> Failure {
        let since = lane.parked.as_ref().map_or(now, |sequence| sequence.since_ms);
        if failure.class == Class::NotYet && now - since > millis(self.settings.not_yet_deadline) {
            return Failure::contract(AWAITED_TOO_LONG, format!("{}: {}", failure.code, failure.reason));
        }
        failure
    }

    /// The sequence takes the class of its head, and with it what happens next. `fate`: what the batch has for the row already.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn head_failed(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        no: i64,
        arrived: &Arrived<H::Event>,
        failure: Failure,
        fate: ParkedFate,
        now: Millis,
    ) {
        let attempts = fate.attempts;
        if is_refusal(failure.class) {
            self.tell_refusal(arrived, &failure, fate.refusals - 1, now);
        }
        let next_attempt_ms = match failure.class {
            Class::Dependency | Class::NotYet | Class::Unknown => self.next_try(attempts, no, now),
            Class::Business => None,
            Class::Poison | Class::Contract | Class::Bug => {
                let rounds = std::mem::take(&mut lane.rounds);
                if !is_quarantined(&failure) {
                    self.send_letter(name, no, arrived, &failure, fate, rounds, now);
                }
                None
            }
        };
        if let Some(at) = next_attempt_ms {
            self.wake_at(at, Wake::Retry(name.clone()));
        }
        let Some(sequence) = lane.parked.as_mut() else { return };
        sequence.class = failure.class;
        sequence.code = failure.code.into_owned();
        sequence.reason = failure.reason;
        sequence.owner = failure.owner;
        sequence.field = failure.field;
        sequence.awaits = failure.awaits;
        sequence.attempts = attempts;
        sequence.next_attempt_ms = next_attempt_ms;
        self.batch.put_sequence(name, sequence);
    }

    /// Publishes what the handler answers to a refusal, with the batch that parks the event.
    fn tell_refusal(&mut self, arrived: &Arrived<H::Event>, failure: &Failure, before: i32, now: Millis) {
        let Ok(event) = &arrived.event else { return };
        let refusals = u32::try_from(before).unwrap_or(0);
        let record_ms = arrived.record.timestamp_ms;
        let context =
            Context { now_ms: now, record_ms, envelope: arrived.envelope.as_ref(), key: arrived.key(), refusals };
        let handler = self.handler.clone();
        let Ok(answers) = catch_unwind(AssertUnwindSafe(|| handler.refused(event, failure, &context))) else {
            return self.stop("INVARIANT_BROKEN", format!("`refused` panicked on {}", failure.code));
        };
        for answer in answers {
            if let Some(reason) = self.undeclared(&answer) {
                return self.stop("INVARIANT_BROKEN", reason);
            }
            let outgoing = self.outgoing(answer);
            self.outbox.add(&mut self.batch, outgoing, None);
        }
    }

    fn next_try(&self, attempts: i32, seed: i64, now: Millis) -> Option<Millis> {
        let attempt = u32::try_from(attempts).unwrap_or(1).max(1);
        let delay = self.settings.parked_retry.delay_after(attempt, seed.unsigned_abs())?;
        Some(now + millis(delay))
    }

    #[allow(clippy::too_many_arguments)]
    fn send_letter(
        &mut self,
        name: &Arc<str>,
        no: i64,
        arrived: &Arrived<H::Event>,
        failure: &Failure,
        fate: ParkedFate,
        rounds: usize,
        now: Millis,
    ) {
        let service = self.handler.name();
        let (record, attempts) = (&arrived.record, fate.attempts);
        let letter = Letter { service, slice: self.slice, sequence: name, no, record, failure, attempts, rounds, now };
        let outgoing = letter.outgoing(&self.settings);
        self.outbox.add(&mut self.batch, outgoing, Some((name.to_string(), no)));
        self.letters.insert((name.clone(), no), fate);
        if self.is_tried_by_people(name) {
            // A job has a stop rule of its own.
            return;
        }
        if let Some(reason) = self.line.letter(&self.settings.line, now) {
            self.stop("TOO_MANY_DEAD_LETTERS", format!("{reason}; the last: {failure}"));
        }
    }

    /// So many events took effect: the world is not broken altogether.
    pub(super) fn took_effect(&mut self, name: &Arc<str>, count: usize, now: Millis) {
        if !self.is_tried_by_people(name) {
            self.line.applied(count, &self.settings.line, now);
        }
    }

    /// The broker has the letter: only now does it count as dead-lettered.
    pub(super) fn letter_acknowledged(&mut self, name: &Arc<str>, no: i64, now: Millis) {
        if let Some(fate) = self.letters.remove(&(name.clone(), no)) {
            self.batch.fate(name, no, ParkedFate { state: ParkedState::DeadLettered, changed_ms: now, ..fate });
        }
    }
}
