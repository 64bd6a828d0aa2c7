//! Effects: the intent is durable before its call, one call of a sequence at a time, and never a second call while the outcome of
//! the first is unknown. What the decision changes takes hold with the last outcome; if one is refused, nothing does and the
//! events are parked, with the receipts of what is done already, unless the handler decides what takes its place.

use super::{
    Call, CallId, CallKind, CallResult, Machine, Output, Returned, Wake,
    decide::Group,
    io::millis,
    lane::{Item, Lane, OpenStep, Planned, StepState, Work},
    reports::Origin,
};
use crate::handler::{Effect, Handler, Intent, Receipt};
use failure::{Class, Failure, Stage};
use ledger::{Cause, Disposition, EffectResult, IntentRow, Millis, ParkedState, SourceRecord, Staged, Step, StepId};
use std::{collections::BTreeMap, sync::Arc};

/// Failed calls after which people see a row of the intent.
const SHOW_AFTER: u32 = 3;

impl<H: Handler> Machine<H> {
    /// Puts the decided effects into the batch; the first call goes out when the entry is durable.
    pub(super) fn open_step(&mut self, name: &Arc<str>, lane: &mut Lane<H>, group: Group<H>, now: Millis) {
        let Group { mut items, effects, staged, .. } = group;
        let effects = match plan(effects, &items) {
            Ok(planned) => planned,
            Err(error) => {
                let failure = Failure::bug("INVARIANT_BROKEN", format!("an effect does not serialise: {error}"));
                while let Some(item) = items.pop() {
                    self.failed(name, lane, item, failure.clone(), now);
                }
                return;
            }
        };
        let mut step = OpenStep {
            id: StepId { entry: self.batch.entry, index: -1 },
            items,
            effects,
            next: 0,
            staged,
            state: StepState::Committing,
            answer: None,
            attempts: 0,
            absences: 0,
            shown: false,
            since: now,
        };
        let nothing_to_send = self.is_done(&step);
        if !nothing_to_send {
            step.id = self.open(name, &step.items, &step.effects, &step.staged);
        }
        let last = step.items.len().saturating_sub(1);
        for (index, item) in step.items.iter().enumerate() {
            match &item.work {
                Work::Live(arrived) => {
                    let disposition = if index == last { Disposition::Applied } else { Disposition::Superseded };
                    self.dispose_first(arrived, disposition);
                }
                Work::Parked { .. } => {}
                Work::Timer { row, .. } => self.batch.timer(ledger::TimerChange::Clear { id: row.id.clone() }),
            }
        }
        if nothing_to_send {
            return self.conclude(name, lane, step, now);
        }
        self.step_bytes += step.weight();
        lane.set_step(step);
    }

    /// Journals a step of the current batch.
    fn open(
        &mut self,
        name: &Arc<str>,
        items: &[Item<H::Event>],
        effects: &[Planned<H::Effect>],
        staged: &Staged,
    ) -> StepId {
        let id = self.batch.step(Step {
            sequence: name.to_string(),
            causes: items.iter().map(|item| cause(&item.work)).collect(),
            effects: effects.iter().map(|planned| planned.row.clone()).collect(),
            staged: staged.clone(),
        });
        self.steps.insert(id, name.clone());
        self.started.push((id, name.clone()));
        id
    }

    /// The step's entry is durable.
    pub(super) fn start_step(&mut self, id: StepId, name: &Arc<str>, now: Millis) {
        self.with_step(id, name, now, |machine, lane, now| machine.advance(lane, now));
    }

    pub(super) fn resume_step(&mut self, id: StepId, now: Millis) {
        let Some(name) = self.steps.get(&id).cloned() else { return };
        self.with_step(id, &name, now, |machine, lane, now| {
            let due =
                lane.step.as_ref().is_some_and(|step| matches!(step.state, StepState::Resting(until) if until <= now));
            if due {
                machine.advance(lane, now);
            }
        });
    }

    pub(super) fn with_step(
        &mut self,
        id: StepId,
        name: &Arc<str>,
        now: Millis,
        act: impl FnOnce(&mut Self, &mut Lane<H>, Millis),
    ) {
        let Some(mut lane) = self.lanes.remove(name) else { return };
        if lane.step.as_ref().is_some_and(|step| step.id == id) {
            act(self, &mut lane, now);
        }
        if lane.step.is_none() {
            self.make_runnable(name);
        }
        self.lanes.insert(name.clone(), lane);
    }

    /// Sends the next effect that is not done, or ends the step.
    fn advance(&mut self, lane: &mut Lane<H>, now: Millis) {
        let Some(step) = lane.step.as_mut() else { return };
        while step.effects.get(step.next).is_some_and(|planned| planned.receipt.is_some()) {
            step.next += 1;
            step.attempts = 0;
            step.absences = 0;
        }
        let Some(planned) = step.effects.get(step.next) else { return self.finish(lane, now) };
        if self.draining {
            // Durable, and the next owner goes on with it.
            step.state = StepState::Resting(Millis::MAX);
            return;
        }
        let envelope =
            step.items.last().and_then(|item| item.work.arrived()).and_then(|arrived| arrived.envelope.as_ref());
        let intent = Intent {
            effect: planned.effect.clone(),
            attempts: step.attempts,
            traceparent: envelope.and_then(|envelope| envelope.traceparent.clone()),
            event_id: envelope.map_or_else(|| planned.row.key.clone(), |envelope| envelope.id.clone()),
            correlation_id: envelope.and_then(|envelope| envelope.correlation_id.clone()),
        };
        let kind = if planned.look_up { CallKind::LookUp } else { CallKind::Apply };
        let id = CallId { step: step.id, effect: step.next };
        let entity = planned.row.entity.clone();
        step.state = StepState::Calling;
        self.calls_out += 1;
        self.out.push(Output::Call(Call { id, kind, entity, intent }));
    }

    pub(super) fn returned(&mut self, returned: Returned, now: Millis) {
        self.calls_out = self.calls_out.saturating_sub(1);
        let Some(name) = self.steps.get(&returned.call.step).cloned() else { return };
        self.with_step(returned.call.step, &name, now, |machine, lane, now| {
            let expected = lane
                .step
                .as_ref()
                .is_some_and(|step| step.next == returned.call.effect && step.state == StepState::Calling);
            if expected {
                machine.answered(lane, returned, now);
            }
        });
    }

    pub(super) fn outcome(&mut self, lane: &mut Lane<H>, returned: Returned, now: Millis) {
        match returned.result {
            CallResult::Applied(Ok(receipt)) | CallResult::LookedUp(Ok(Some(receipt))) => self.done(lane, receipt, now),
            CallResult::LookedUp(Ok(None)) => self.absent(lane, now),
            CallResult::Applied(Err(failure)) => match failure.class {
                Class::Dependency => self.again(lane, failure, returned.counts, now),
                Class::Unknown => self.unknown(lane, &failure, now),
                Class::Business | Class::NotYet | Class::Poison | Class::Contract | Class::Bug => {
                    self.refused(lane, failure, now)
                }
            },
            CallResult::LookedUp(Err(failure)) => match failure.class {
                Class::Dependency | Class::Unknown => self.again(lane, failure, returned.counts, now),
                Class::Business | Class::NotYet | Class::Poison | Class::Contract | Class::Bug => {
                    self.refused(lane, still_unknown(&failure), now);
                }
            },
        }
    }

    fn done(&mut self, lane: &mut Lane<H>, receipt: Receipt, now: Millis) {
        let Some(step) = lane.step.as_mut() else { return };
        let stored =
            serde_json::to_string(&receipt).expect("a receipt is strings: serialising it to memory cannot fail");
        self.batch.outcome(step.id, step.next, EffectResult::Done { receipt: stored.clone() });
        let planned = &mut step.effects[step.next];
        planned.receipt = Some(receipt);
        planned.row.receipt = Some(stored);
        if std::mem::take(&mut step.shown) {
            self.batch.intent_ended(&planned.row.key);
        }
        self.advance(lane, now);
    }

    /// A look-up found nothing. Once it may be believed, the effect is sent.
    fn absent(&mut self, lane: &mut Lane<H>, now: Millis) {
        let Some(step) = lane.step.as_mut() else { return };
        step.absences += 1;
        if step.absences >= self.settings.absences {
            step.effects[step.next].look_up = false;
            step.absences = 0;
            return self.advance(lane, now);
        }
        let wait = millis(self.settings.visibility).max(1);
        self.rest(lane, now + wait);
    }

    /// The call may have taken effect: from here on a look-up comes before anything else.
    fn unknown(&mut self, lane: &mut Lane<H>, failure: &Failure, now: Millis) {
        let Some(step) = lane.step.as_mut() else { return };
        let planned = &mut step.effects[step.next];
        planned.look_up = true;
        planned.row.look_up = true;
        step.absences = 0;
        self.batch.outcome(step.id, step.next, EffectResult::Unknown);
        self.show(lane, "unknown", failure);
        self.rest(lane, now + millis(self.settings.visibility));
    }

    /// Nothing was changed: again later, and parked once it is this effect rather than the world that is broken.
    fn again(&mut self, lane: &mut Lane<H>, failure: Failure, counts: bool, now: Millis) {
        let Some(step) = lane.step.as_mut() else { return };
        step.attempts += u32::from(counts);
        let (attempts, looking_up) = (step.attempts, step.effects[step.next].look_up);
        let seed = u64::try_from(step.id.entry).unwrap_or(0) << 16 | u64::try_from(step.id.index).unwrap_or(0);
        let Some(delay) = self.settings.call_retry.delay_after(attempts.max(1), seed) else {
            let failure = if looking_up { still_unknown(&failure) } else { failure };
            return self.refused(lane, failure, now);
        };
        if attempts >= SHOW_AFTER {
            self.show(lane, if looking_up { "unknown" } else { "open" }, &failure);
        }
        let wait = failure.retry_after.map_or(delay, |asked| asked.max(delay));
        self.rest(lane, now + millis(wait));
    }

    fn rest(&mut self, lane: &mut Lane<H>, until: Millis) {
        let Some(step) = lane.step.as_mut() else { return };
        step.state = StepState::Resting(until);
        let id = step.id;
        self.wake_at(until, Wake::Step(id));
    }

    /// A step of several events stays as it is while part of what it sends is done or unknown: were its events parked one by one, their
    /// older states would be sent after a newer one that may be there. It is tried again by itself, for people to see as an intent.
    fn must_stay(&self, lane: &Lane<H>) -> bool {
        lane.step.as_ref().is_some_and(|step| {
            let may_be_there = |planned: &Planned<H::Effect>| planned.look_up || planned.receipt.is_some();
            step.items.len() > 1 && step.effects.iter().any(may_be_there)
        })
    }

    fn stay(&mut self, lane: &mut Lane<H>, failure: &Failure, now: Millis) {
        let looks_up =
            lane.step.as_ref().is_some_and(|step| step.effects.get(step.next).is_some_and(|planned| planned.look_up));
        self.show(lane, if looks_up { "unknown" } else { "open" }, failure);
        self.rest(lane, now + millis(self.settings.parked_retry.max));
    }

    /// The step ends without taking hold: the handler decides what takes its place, or its events are parked in order, with what is
    /// already done or unknown.
    fn refused(&mut self, lane: &mut Lane<H>, failure: Failure, now: Millis) {
        if self.must_stay(lane) {
            return self.stay(lane, &failure, now);
        }
        let answer = lane.step.as_deref().and_then(|step| self.decide_refusal(step, &failure, now));
        let Some(step) = lane.step.take() else { return };
        let Some(name) = self.end_step(&step) else { return };
        self.batch.outcome(step.id, step.next, EffectResult::Refused { code: failure.code.to_string() });
        if let Some(planned) = step.effects.get(step.next) {
            self.show_row(&step, planned.row.key.clone(), planned.row.entity.clone(), "refused", &failure, &name);
        }
        let failure = match answer {
            Some(Ok(decision)) => {
                let staged = self.staged(&name, decision.documents, decision.publish, decision.timers);
                return self.take_hold_of(&name, lane, step.items, staged, now);
            }
            Some(Err(broken)) => broken,
            None => failure,
        };
        let receipts = step.stored_receipts();
        let unknown = step.effects.iter().filter(|planned| planned.look_up && planned.receipt.is_none());
        let unknown: Vec<String> = unknown.map(|planned| planned.row.key.clone()).collect();
        self.park_step(&name, lane, *step, failure.at_stage(Stage::Send), receipts, unknown, now);
    }

    /// All effects are done: what was decided takes hold.
    fn finish(&mut self, lane: &mut Lane<H>, now: Millis) {
        let Some(step) = lane.step.take() else { return };
        let Some(name) = self.end_step(&step) else { return };
        self.conclude(&name, lane, *step, now);
    }

    fn conclude(&mut self, name: &Arc<str>, lane: &mut Lane<H>, mut step: OpenStep<H>, now: Millis) {
        if step.effects.iter().any(|planned| planned.effect.reports()) {
            match self.report(name, &mut step, now) {
                Ok(None) => {}
                Ok(Some(next)) => return self.follow_up(name, lane, step, next, now),
                Err(failure) => {
                    let receipts = step.stored_receipts();
                    let failure = failure.at_stage(Stage::Decide);
                    return self.park_step(name, lane, step, failure, receipts, Vec::new(), now);
                }
            }
        }
        let staged = std::mem::take(&mut step.staged);
        self.take_hold_of(name, lane, step.items, staged, now);
    }

    /// What was decided of these takes hold; the last one is what it was decided for.
    fn take_hold_of(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        items: Vec<Item<H::Event>>,
        staged: Staged,
        now: Millis,
    ) {
        self.apply_staged(staged);
        self.took_effect(name, items.len(), now);
        self.report_in_step(&items, now);
        let last = items.len().saturating_sub(1);
        for (index, item) in items.into_iter().enumerate() {
            if let Work::Parked { no, fate, arrived } = item.work {
                self.remember_edited(&arrived, &fate);
                let state = if index == last { ParkedState::Applied } else { ParkedState::Superseded };
                self.end_parked(name, lane, no, fate, &Origin::from(&arrived.record), state, now);
            }
        }
    }

    fn end_step(&mut self, step: &OpenStep<H>) -> Option<Arc<str>> {
        let id = step.id;
        let name = self.steps.remove(&id)?;
        self.step_bytes = self.step_bytes.saturating_sub(step.weight());
        if let Some(entry) = self.entries.get_mut(&id.entry) {
            entry.steps = entry.steps.saturating_sub(1);
        }
        Some(name)
    }

    /// The same events go on with further effects; those that are done stay in front with their receipts. An earlier attempt may have come
    /// as far: what it left of them counts, as for the first effects.
    fn follow_up(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        mut step: OpenStep<H>,
        fresh: Vec<H::Effect>,
        now: Millis,
    ) {
        match plan(fresh, &step.items) {
            Ok(planned) => step.effects.extend(planned),
            Err(error) => self.stop("INVARIANT_BROKEN", format!("an effect does not serialise: {error}")),
        }
        if self.is_done(&step) {
            return self.conclude(name, lane, step, now);
        }
        step.id = self.open(name, &step.items, &step.effects, &step.staged);
        step.state = StepState::Committing;
        self.step_bytes += step.weight();
        lane.set_step(step);
    }

    fn show(&mut self, lane: &mut Lane<H>, state: &str, failure: &Failure) {
        let Some(step) = lane.step.as_mut() else { return };
        step.shown = true;
        let Some(name) = self.steps.get(&step.id).cloned() else { return };
        let row = &step.effects[step.next].row;
        let (key, entity) = (row.key.clone(), row.entity.clone());
        if let Some(step) = lane.step.as_ref() {
            self.show_row(step, key, entity, state, failure, &name);
        }
    }

    fn show_row(
        &mut self,
        step: &OpenStep<H>,
        effect_key: String,
        entity: String,
        state: &str,
        failure: &Failure,
        name: &str,
    ) {
        // A refused intent is over: the parked record tells the story from here on.
        if state == "refused" {
            if step.shown {
                self.batch.intent_ended(&effect_key);
            }
            return;
        }
        self.batch.intent(IntentRow {
            effect_key,
            sequence: name.to_owned(),
            entity,
            state: state.to_owned(),
            attempts: i32::try_from(step.attempts).unwrap_or(i32::MAX),
            code: Some(failure.code.to_string()),
            reason: Some(failure.reason.clone()),
            since_ms: step.since,
        });
    }

    pub(super) fn unknown_intents(&self) -> usize {
        let steps = self.lanes.values().filter_map(|lane| lane.step.as_ref());
        steps.filter(|step| step.effects.get(step.next).is_some_and(|planned| planned.look_up)).count()
    }
}

/// Effects with what earlier attempts of the same events left: done ones are not sent again, unknown ones are looked up.
fn plan<E, F: Effect>(effects: Vec<F>, items: &[Item<E>]) -> Result<Vec<Planned<F>>, serde_json::Error> {
    let mut receipts = BTreeMap::new();
    let mut unknown = Vec::new();
    for item in items {
        match &item.work {
            Work::Parked { fate, .. } => {
                receipts.extend(fate.receipts.clone());
                unknown.extend(fate.unknown.clone());
            }
            Work::Timer { payload, .. } => {
                let (done, open) = super::parking::attempted(payload);
                receipts.extend(done);
                unknown.extend(open);
            }
            Work::Live(_) => {}
        }
    }
    effects.into_iter().map(|effect| Planned::new(effect, &receipts, &unknown)).collect()
}

fn cause<E>(work: &Work<E>) -> Cause {
    match work {
        Work::Live(arrived) => {
            let record = &arrived.record;
            Cause::Record(SourceRecord {
                topic: record.topic.to_string(),
                partition: record.partition,
                offset: record.offset,
                timestamp_ms: record.timestamp_ms,
                key: record.key.clone(),
                value: record.value.clone(),
                headers: record.headers.clone(),
                uid: arrived.uid,
                hash: arrived.hash,
            })
        }
        Work::Parked { no, .. } => Cause::Parked { no: *no },
        Work::Timer { row, .. } => Cause::Timer { id: row.id.clone(), payload: row.payload.clone() },
    }
}

fn still_unknown(failure: &Failure) -> Failure {
    Failure::unknown(
        "STILL_UNKNOWN",
        format!("look-ups could not tell whether the call took effect: {}", failure.reason),
    )
}
