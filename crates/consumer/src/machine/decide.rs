//! From a record to a decision: seen before? which sequence? what does the handler say? The answer becomes part of the batch.

use super::{
    Arrived, Machine,
    batch::partition_of,
    lane::{Item, Lane, Work},
    reports::Origin,
};
use crate::handler::{Change, Context, Decision, Document, Documents, Effect, Handler, Input, Publish, TimerChange};
use crate::replay;
use failure::{Failure, Stage};
use ledger::{Disposition, DocumentChange, DocumentKey, Millis, NewOutgoing, ParkedState, Staged, TimerRow};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Waiting events of one sequence whose effects only need to be sent in their newest form.
pub(super) struct Group<H: Handler> {
    pub items: Vec<Item<H::Event>>,
    pub effects: Vec<H::Effect>,
    pub staged: Staged,
    /// Documents as the events decided so far leave them.
    overlay: BTreeMap<DocumentKey, Option<Arc<H::Document>>>,
}

impl<H: Handler> Default for Group<H> {
    fn default() -> Self {
        Self { items: Vec::new(), effects: Vec::new(), staged: Staged::default(), overlay: BTreeMap::new() }
    }
}

impl<H: Handler> Group<H> {
    /// What comes after sees these documents.
    pub(super) fn assume(&mut self, documents: Vec<Change<H::Document>>) {
        self.overlay.extend(documents.into_iter().map(|change| (change.key, change.document.map(Arc::new))));
    }

    /// Whether the decision replaces everything that the group would send.
    fn takes(&self, decision: &Decision<H>) -> bool {
        let entities: BTreeSet<_> = decision.effects.iter().map(Effect::entity).collect();
        !decision.effects.is_empty()
            && decision.effects.iter().all(|effect| effect.coalesces() && !effect.answers())
            && self.effects.iter().all(|effect| entities.contains(&effect.entity()))
    }
}

impl<H: Handler> Machine<H> {
    pub(super) fn item(&self, work: Work<H::Event>) -> Item<H::Event> {
        let reads = match &work {
            Work::Timer { row, payload } => self.handler.reads(&Input::Timer { id: &row.id, payload }),
            Work::Live(_) | Work::Parked { .. } => {
                work.event().map_or_else(Vec::new, |event| self.handler.reads(&Input::Event(event)))
            }
        };
        Item { work, reads }
    }

    /// Sorts out what was seen before and puts the rest into its lane, in order.
    pub(super) fn route_pending(&mut self, now: Millis) {
        for item in std::mem::take(&mut self.pending) {
            let Work::Live(arrived) = &item.work else { continue };
            if let Some(disposition) = self.seen_before(arrived) {
                if let Some(sequence) = arrived.waits_in.clone() {
                    self.came_back(&sequence, arrived, now);
                }
                self.dispose(arrived, disposition);
                continue;
            }
            if let Some(uid) = arrived.uid {
                self.seen.enter(uid, arrived.hash);
            }
            match &arrived.event {
                Ok(event) => {
                    let sequence: Arc<str> = self.handler.sequence(event, arrived.key()).into();
                    self.lanes.entry(sequence.clone()).or_default().wait(item);
                    self.make_runnable(&sequence);
                }
                Err(failure) => {
                    let failure = failure.clone().at_stage(Stage::Read);
                    self.letter_alone(item, failure, now);
                }
            }
        }
        self.known.clear();
    }

    /// A letter was copied to the replay topic: it is tried where it waits, in its turn. The same transaction that ends the copy says so.
    /// A copy of a letter that was tried so before, again and again, is part of a loop: from then on the letter stays where it is.
    fn came_back(&mut self, sequence: &Arc<str>, arrived: &Arrived<H::Event>, now: Millis) {
        let rounds = replay::rounds(&arrived.record.headers);
        if rounds >= replay::MOST_ROUNDS {
            return;
        }
        self.retry_now(sequence, now);
        if let Some(lane) = self.lanes.get_mut(sequence) {
            lane.rounds = rounds + 1;
        }
        if let Some(parked) = self.lanes.get(sequence).and_then(|lane| lane.parked.as_ref()) {
            self.batch.put_sequence(sequence, parked);
        }
    }

    fn seen_before(&self, arrived: &Arrived<H::Event>) -> Option<Disposition> {
        let uid = arrived.uid?;
        let known = self.seen.get(&uid).or_else(|| self.known.get(&uid).copied().flatten());
        match known {
            Some(hash) if hash == arrived.hash => Some(Disposition::Duplicate),
            Some(_) => Some(Disposition::Conflict),
            None => uid.time_ms().is_some_and(|time| time < self.floor_ms).then_some(Disposition::OutsideHorizon),
        }
    }

    /// Decides as much of a lane as can be decided now.
    pub(super) fn run_lane(&mut self, name: &Arc<str>, now: Millis) {
        let mut lane = self.lanes.remove(name).unwrap_or_default();
        self.park_behind(name, &mut lane, now);
        let mut group = Group::default();
        while lane.step.is_none() && self.stopping.is_none() {
            if !self.may_publish() && group.items.is_empty() {
                self.make_runnable(name);
                break;
            }
            let Some(item) = lane.next() else { break };
            if item.reads.iter().any(|key| !self.cache.contains(key)) {
                lane.put_back(item);
                self.make_runnable(name);
                break;
            }
            let decided = self.decide(&item, &group, now);
            let live_and_free = lane.parked.is_none();
            match decided {
                Ok(decision) if live_and_free && group.takes(&decision) => {
                    self.add_to_group(name, &mut group, item, decision)
                }
                _ if !group.items.is_empty() => {
                    lane.put_back(item);
                    break;
                }
                Ok(decision) if decision.effects.is_empty() => self.take_hold(name, &mut lane, item, decision, now),
                Ok(decision) => {
                    let mut single = Group::default();
                    self.add_to_group(name, &mut single, item, decision);
                    self.open_step(name, &mut lane, single, now);
                }
                Err(failure) => self.failed(name, &mut lane, item, failure.at_stage(Stage::Decide), now),
            }
        }
        if !group.items.is_empty() {
            self.open_step(name, &mut lane, group, now);
        }
        self.park_behind(name, &mut lane, now);
        self.page_done(name, &mut lane);
        if !lane.is_idle() {
            self.lanes.insert(name.clone(), lane);
        }
    }

    fn add_to_group(&mut self, name: &Arc<str>, group: &mut Group<H>, mut item: Item<H::Event>, decision: Decision<H>) {
        for change in &decision.documents {
            group.overlay.insert(change.key.clone(), change.document.clone().map(Arc::new));
        }
        let staged = self.staged(name, decision.documents, decision.publish, decision.timers);
        group.staged.extend(staged);
        group.effects = decision.effects;
        item.work.detach();
        group.items.push(item);
    }

    /// Asks the handler, with the documents as the group leaves them. A panic is a verdict like any other.
    pub(super) fn decide(
        &mut self,
        item: &Item<H::Event>,
        group: &Group<H>,
        now: Millis,
    ) -> Result<Decision<H>, Failure> {
        let mut found = BTreeMap::new();
        for key in &item.reads {
            let document = group.overlay.get(key).cloned().unwrap_or_else(|| self.cache.get(key));
            if let Some(document) = document {
                found.insert(key.clone(), document);
            }
        }
        let arrived = item.work.arrived();
        let context = Context {
            now_ms: now,
            record_ms: item.work.record_ms(),
            envelope: arrived.and_then(|arrived| arrived.envelope.as_ref()),
            key: arrived.map_or("", Arrived::key),
            refusals: item.work.refusals(),
        };
        let input = match &item.work {
            Work::Live(arrived) | Work::Parked { arrived, .. } => {
                Input::Event(arrived.event.as_ref().map_err(Clone::clone)?)
            }
            Work::Timer { row, payload } => Input::Timer { id: &row.id, payload },
        };
        let decision = self.ask(&found, &input, &context)?;
        self.check(&decision, &item.reads)?;
        Ok(decision)
    }

    pub(super) fn ask(
        &self,
        found: &BTreeMap<DocumentKey, Arc<H::Document>>,
        input: &Input<'_, H>,
        context: &Context<'_>,
    ) -> Result<Decision<H>, Failure> {
        let decide = || self.handler.decide(&Documents::new(found), input, context);
        catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|panic| {
            Err(Failure::bug("PANIC", format!("`decide` panicked: {}", panic_text(panic.as_ref()))))
        })
    }

    /// Rules that keep a service author from getting it wrong.
    pub(super) fn check(&self, decision: &Decision<H>, reads: &[DocumentKey]) -> Result<(), Failure> {
        let broken = |reason: String| Err(Failure::bug("INVARIANT_BROKEN", reason));
        for change in &decision.documents {
            if !reads.contains(&change.key) {
                return broken(format!("changed document `{}/{}` without reading it", change.key.kind, change.key.key));
            }
        }
        let mut keys = BTreeSet::new();
        for effect in &decision.effects {
            let key = effect.key();
            if !keys.insert(key.clone()) {
                return broken(format!("two effects with the key `{key}`"));
            }
        }
        decision.publish.iter().find_map(|event| self.undeclared(event)).map_or(Ok(()), broken)
    }

    /// What is wrong with an event for a topic that the handler does not declare.
    pub(super) fn undeclared(&self, event: &Publish) -> Option<String> {
        let is_declared = self.settings.partitions.contains_key(&event.topic);
        (!is_declared).then(|| format!("publishes to `{}`, which `outputs` does not name", event.topic))
    }

    /// A decision without effects becomes part of the batch at once.
    fn take_hold(
        &mut self,
        name: &Arc<str>,
        lane: &mut Lane<H>,
        item: Item<H::Event>,
        decision: Decision<H>,
        now: Millis,
    ) {
        let disposition = if decision.skipped.is_some() { Disposition::Skipped } else { Disposition::Applied };
        let staged = self.staged(name, decision.documents, decision.publish, decision.timers);
        if let Work::Timer { row, .. } = &item.work {
            // First, so that a timer may set itself again.
            self.batch.timer(ledger::TimerChange::Clear { id: row.id.clone() });
        }
        self.apply_staged(staged);
        self.took_effect(name, 1, now);
        match item.work {
            Work::Live(arrived) => {
                self.dispose_first(&arrived, disposition);
            }
            Work::Parked { no, fate, arrived } => {
                self.remember_edited(&arrived, &fate);
                let state =
                    if disposition == Disposition::Skipped { ParkedState::Skipped } else { ParkedState::Applied };
                self.end_parked(name, lane, no, fate, &Origin::from(&arrived.record), state, now);
            }
            Work::Timer { .. } => {}
        }
    }

    /// An edited event has an identity of its own: a copy of it that comes again is known.
    pub(super) fn remember_edited(&mut self, arrived: &Arrived<H::Event>, fate: &ledger::ParkedFate) {
        if let Some(uid) = arrived.uid.filter(|_| fate.edit.is_some()) {
            self.seen.enter(uid, arrived.hash);
            self.batch.identity(uid, arrived.hash);
            self.seen.decide(uid, self.batch.entry);
        }
    }

    /// A decision in the ledger's form.
    pub(super) fn staged(
        &self,
        sequence: &str,
        documents: Vec<Change<H::Document>>,
        publish: Vec<Publish>,
        timers: Vec<TimerChange>,
    ) -> Staged {
        Staged {
            documents: documents.into_iter().map(stored_document).collect(),
            outgoing: publish.into_iter().map(|event| self.outgoing(event)).collect(),
            timers: timers.into_iter().map(|timer| stored_timer(sequence, timer)).collect(),
        }
    }

    pub(super) fn outgoing(&self, event: Publish) -> NewOutgoing {
        NewOutgoing {
            partition: partition_of(&self.settings, &event.topic, &event.key),
            topic: event.topic,
            key: Some(event.key.into_bytes().into()),
            value: event.value.map(Into::into),
            headers: event.headers,
            timestamp_ms: -1,
        }
    }

    /// Documents into cache and batch, events into the outbox, timers set.
    pub(super) fn apply_staged(&mut self, staged: Staged) {
        for change in staged.documents {
            let bytes = change.body.as_ref().map_or(0, String::len);
            match change.body.as_deref().map(serde_json::from_str::<H::Document>).transpose() {
                Ok(document) => {
                    if self.loading {
                        self.changed_while_loading.insert(change.key.clone());
                    }
                    self.cache.put(change.key.clone(), document.map(Arc::new), bytes, self.batch.entry);
                    self.batch.document(change);
                }
                Err(error) => self.stop("INVARIANT_BROKEN", format!("a document does not read back: {error}")),
            }
        }
        for event in staged.outgoing {
            self.outbox.add(&mut self.batch, event, None);
        }
        for timer in staged.timers {
            self.set_timer(&timer);
            self.batch.timer(timer);
        }
    }

    pub(super) fn set_timer(&mut self, change: &ledger::TimerChange) {
        match change {
            ledger::TimerChange::Set(row) => {
                self.timers.insert(row.id.clone(), row.clone());
                self.wake_at(row.due_ms, super::Wake::Timer(row.id.clone()));
            }
            ledger::TimerChange::Clear { id } => {
                self.timers.remove(id);
            }
        }
    }

    /// A timer that was moved or cleared meanwhile does not fire.
    pub(super) fn timer_due(&mut self, id: &str, now: Millis) {
        if self.timers.get(id).is_none_or(|row| row.due_ms > now) {
            return;
        }
        let Some(row) = self.timers.remove(id) else { return };
        let name: Arc<str> = row.sequence.as_str().into();
        let payload = serde_json::from_str(&row.payload).unwrap_or(serde_json::Value::Null);
        let item = self.item(Work::Timer { row, payload });
        self.lanes.entry(name.clone()).or_default().waiting.push_back(item);
        self.make_runnable(&name);
    }
}

fn stored_document<D: Document>(change: Change<D>) -> DocumentChange {
    let text =
        |read: fn(&D) -> &str| change.document.as_ref().map_or_else(String::new, |document| read(document).to_owned());
    DocumentChange {
        status: text(D::status),
        account_id: text(D::account_id),
        body: change.document.as_ref().map(|document| {
            serde_json::to_string(document).expect("documents are plain data: serialising them to memory cannot fail")
        }),
        key: change.key,
    }
}

fn stored_timer(sequence: &str, timer: TimerChange) -> ledger::TimerChange {
    match timer {
        TimerChange::Set { id, due_ms, payload } => ledger::TimerChange::Set(TimerRow {
            id,
            due_ms,
            sequence: sequence.to_owned(),
            payload: payload.to_string(),
        }),
        TimerChange::Clear { id } => ledger::TimerChange::Clear { id },
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
