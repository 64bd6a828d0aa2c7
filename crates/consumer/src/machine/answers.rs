//! What the handler decides about its effects: receipts that it wants to see, refusals that it answers.
//!
//! What must never happen: it decides on documents that are not in memory. After a take-over, or where memory is short, they are read
//! first; until then the outcome is not durable, and whoever takes the slice over looks it up.

use super::{CallResult, Machine, Output, Returned, lane::Lane, lane::OpenStep, verdict::is_refusal};
use crate::handler::{Context, Decision, Effect, Handler, Input, Receipt};
use failure::Failure;
use ledger::{DocumentKey, LoadRequest, Millis};
use std::{collections::BTreeMap, sync::Arc};

impl<H: Handler> Machine<H> {
    /// A call was answered: it counts at once, or once the handler can decide about it.
    pub(super) fn answered(&mut self, lane: &mut Lane<H>, returned: Returned, now: Millis) {
        let Some(step) = lane.step.as_mut() else { return };
        if self.lacks(step, &returned).is_empty() {
            return self.outcome(lane, returned, now);
        }
        step.answer = Some(returned);
        self.unheard.push(step.id);
    }

    /// Answers whose documents have come; the others are asked for.
    pub(super) fn hear(&mut self, now: Millis) {
        if self.loading {
            return;
        }
        let mut lacking = Vec::new();
        for id in std::mem::take(&mut self.unheard) {
            let Some(name) = self.steps.get(&id).cloned() else { continue };
            self.with_step(id, &name, now, |machine, lane, now| {
                let Some((step, returned)) = lane.step.as_mut().and_then(|step| {
                    let returned = step.answer.take()?;
                    Some((step, returned))
                }) else {
                    return;
                };
                let lacks = machine.lacks(step, &returned);
                if lacks.is_empty() {
                    return machine.outcome(lane, returned, now);
                }
                step.answer = Some(returned);
                machine.unheard.push(id);
                lacking.extend(lacks);
            });
        }
        if !lacking.is_empty() {
            lacking.sort_unstable();
            lacking.dedup();
            let request = LoadRequest { slice: self.slice, documents: lacking, ..LoadRequest::default() };
            self.loading = true;
            self.asked = request.clone();
            self.out.push(Output::Load(request));
        }
    }

    /// Documents that the handler would look at to decide about an answer, and that are not in memory.
    fn lacks(&self, step: &OpenStep<H>, returned: &Returned) -> Vec<DocumentKey> {
        let mut reads = match &returned.result {
            CallResult::Applied(Ok(receipt)) | CallResult::LookedUp(Ok(Some(receipt))) => {
                self.reads_done(step, receipt)
            }
            CallResult::Applied(Err(failure)) => self.reads_refused(step, failure),
            CallResult::LookedUp(Ok(None) | Err(_)) => Vec::new(),
        };
        reads.retain(|key| !self.cache.contains(key));
        reads
    }

    /// Whether an earlier attempt has done all of it, and the handler can be shown the receipts: it takes hold in this batch. A step
    /// without anything to send would be no open step to whoever takes the slice over.
    pub(super) fn is_done(&self, step: &OpenStep<H>) -> bool {
        if step.effects.iter().any(|planned| planned.receipt.is_none()) {
            return false;
        }
        let receipts = step.receipts();
        let of = step.items.last().and_then(|item| item.work.origin());
        let reads = of.map_or_else(Vec::new, |of| self.handler.reads(&Input::Outcome { of, receipts: &receipts }));
        reads.iter().all(|key| self.cache.contains(key))
    }

    fn reads_done(&self, step: &OpenStep<H>, receipt: &Receipt) -> Vec<DocumentKey> {
        let is_last = step.effects.iter().skip(step.next + 1).all(|planned| planned.receipt.is_some());
        if !is_last || !step.effects.iter().any(|planned| planned.effect.reports()) {
            return Vec::new();
        }
        let mut receipts = step.receipts();
        receipts.insert(step.effects[step.next].row.key.clone(), receipt.clone());
        let of = step.items.last().and_then(|item| item.work.origin());
        of.map_or_else(Vec::new, |of| self.handler.reads(&Input::Outcome { of, receipts: &receipts }))
    }

    fn reads_refused(&self, step: &OpenStep<H>, failure: &Failure) -> Vec<DocumentKey> {
        let Some(effect) = answering(step, failure) else { return Vec::new() };
        let receipts = step.receipts();
        let of = step.items.last().and_then(|item| item.work.origin());
        of.map_or_else(Vec::new, |of| self.handler.reads(&Input::Refused { of, effect, failure, receipts: &receipts }))
    }

    /// What the handler decides about a refusal, if that is an answer for it.
    pub(super) fn decide_refusal(
        &mut self,
        step: &OpenStep<H>,
        failure: &Failure,
        now: Millis,
    ) -> Option<Result<Decision<H>, Failure>> {
        let effect = answering(step, failure)?;
        let receipts = step.receipts();
        let of = step.items.last()?.work.origin()?;
        let input = Input::Refused { of, effect, failure, receipts: &receipts };
        let reads = self.handler.reads(&input);
        let found = self.in_memory(&reads);
        let decided = self.ask(&found, &input, &context(step, now));
        Some(decided.and_then(|decision| {
            self.check(&decision, &reads)?;
            if decision.effects.is_empty() {
                return Ok(decision);
            }
            let reason = "decided effects about a refusal; they are a step by itself, begun by a timer";
            Err(Failure::bug("INVARIANT_BROKEN", reason))
        }))
    }

    /// Shows the handler the receipts; what it adds takes hold with the rest, further effects make a follow-up step.
    pub(super) fn report(
        &mut self,
        name: &Arc<str>,
        step: &mut OpenStep<H>,
        now: Millis,
    ) -> Result<Option<Vec<H::Effect>>, Failure> {
        let receipts = step.receipts();
        let Some(of) = step.items.last().and_then(|item| item.work.origin()) else { return Ok(None) };
        let input = Input::Outcome { of, receipts: &receipts };
        let reads = self.handler.reads(&input);
        let mut found = self.in_memory(&reads);
        for change in &step.staged.documents {
            match change.body.as_deref().map(serde_json::from_str::<H::Document>).transpose() {
                Ok(Some(document)) => {
                    found.insert(change.key.clone(), Arc::new(document));
                }
                Ok(None) => {
                    found.remove(&change.key);
                }
                Err(error) => {
                    return Err(Failure::bug("INVARIANT_BROKEN", format!("a document does not read back: {error}")));
                }
            }
        }
        let decision = self.ask(&found, &input, &context(step, now))?;
        self.check(&decision, &reads)?;
        let staged = self.staged(name, decision.documents, decision.publish, decision.timers);
        step.staged.extend(staged);
        let done: Vec<String> = step.effects.iter().map(|planned| planned.row.key.clone()).collect();
        let fresh: Vec<_> = decision.effects.into_iter().filter(|effect| !done.contains(&effect.key())).collect();
        Ok((!fresh.is_empty()).then_some(fresh))
    }

    fn in_memory(&mut self, reads: &[DocumentKey]) -> BTreeMap<DocumentKey, Arc<H::Document>> {
        reads.iter().filter_map(|key| Some((key.clone(), self.cache.get(key)?))).collect()
    }
}

/// The effect whose refusal the handler decides about.
fn answering<'a, H: Handler>(step: &'a OpenStep<H>, failure: &Failure) -> Option<&'a H::Effect> {
    let planned = step.effects.get(step.next)?;
    (is_refusal(failure.class) && planned.effect.answers()).then_some(&planned.effect)
}

fn context<H: Handler>(step: &OpenStep<H>, now: Millis) -> Context<'_> {
    let arrived = step.items.last().and_then(|item| item.work.arrived());
    Context {
        now_ms: now,
        record_ms: step.items.last().map_or(0, |item| item.work.record_ms()),
        envelope: arrived.and_then(|arrived| arrived.envelope.as_ref()),
        key: arrived.map_or("", super::Arrived::key),
        refusals: step.items.last().map_or(0, |item| item.work.refusals()),
    }
}
