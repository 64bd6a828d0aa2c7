//! The one thing a service writes: a pure decision, and the outside system that carries its effects out.
//!
//! A handler has no clock, no I/O and no SQL, so every schedule of crashes can be simulated. Offsets, transactions, retries,
//! rebalances, parking and headers never reach it.
//!
//! The rule that makes handlers easy: **a decision takes hold when its effects are done.** Documents, events and timers of a
//! decision without effects are committed at once; with effects, in the transaction that records the last outcome. If an effect
//! is refused, none of them change and the event is parked; when it is tried again, `decide` sees the documents as they were,
//! and effects that were done under the same key are not sent again. A process that has to go on another way asks for the refusal
//! as an answer instead ([`Effect::answers`]): then it decides what takes hold in place of the refused decision.

use async_trait::async_trait;
use events::EventSet;
use failure::Failure;
use ledger::{DocumentKey, Millis};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

/// A service: what it must read, and a pure decision.
pub trait Handler: Send + Sync + 'static {
    /// One enum over the input topics, decoded before it gets here.
    type Event: EventSet;
    /// What the service remembers of one thing; serde defaults make older stored forms readable.
    type Document: Document;
    /// One change in an outside system. `NoEffect` for a pure Kafka-to-Kafka service.
    type Effect: Effect;

    /// Name of the service: consumer group, ledger schema, `dlq.<name>`, `replay.<name>`.
    fn name(&self) -> &'static str;

    /// Topics that `decide` may publish to; checked to exist at start. The dead-letter topic is always there.
    fn outputs(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The events that must stay in order with this one. Default: all events of the record key.
    fn sequence(&self, event: &Self::Event, key: &str) -> String {
        let _ = event;
        key.to_owned()
    }

    /// What [`Failure::not_yet`] may wait for that this event brings: its subject, unless the handler says more. Such an event passes
    /// the parked sequence that waits for it.
    fn provides(&self, event: &Self::Event) -> Vec<String> {
        vec![event.subject().to_owned()]
    }

    /// Documents that `decide` will look at; they must belong to the sequence.
    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey>;

    fn decide(
        &self,
        documents: &Documents<'_, Self::Document>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure>;

    /// What is published when an event is refused for good: by `decide` or by the outside system, with class `Business` or
    /// `Contract`. It is part of the transaction that parks the event, so each refusal is told once; a failure that may pass by
    /// itself is never told. Nothing of the decision took hold, hence no documents. An event that people have tried again may
    /// be refused again: take ids from the event's identity and `context.refusals`, never from the clock.
    fn refused(&self, event: &Self::Event, failure: &Failure, context: &Context<'_>) -> Vec<Publish> {
        let _ = (event, failure, context);
        Vec::new()
    }
}

/// What a decision is about.
pub enum Input<'a, H: Handler + ?Sized> {
    Event(&'a H::Event),
    /// A timer that an earlier decision set: its id and payload.
    Timer {
        id: &'a str,
        payload: &'a serde_json::Value,
    },
    /// All effects of the decision about `of` are done: `receipts` by effect key. Called only if
    /// [`Effect::reports`] says so of one of them; what it decides is added to the staged decision.
    Outcome {
        of: Origin<'a, H::Event>,
        receipts: &'a BTreeMap<String, Receipt>,
    },
    /// The outside system refused `effect` for good, with class `Business` or `Contract`, and [`Effect::answers`] says that the
    /// handler decides about it. Nothing of the decision about `of` takes hold; what is decided here takes its place, in the
    /// transaction that records the refusal. Effects before it that are done have their `receipts`, by effect key. The decision has no
    /// effects of its own: what is to be undone outside is a step by itself, begun by a timer that is due at once.
    Refused {
        of: Origin<'a, H::Event>,
        effect: &'a H::Effect,
        failure: &'a Failure,
        receipts: &'a BTreeMap<String, Receipt>,
    },
}

/// What effects were decided for.
#[derive(Debug)]
pub enum Origin<'a, E> {
    Event(&'a E),
    Timer { id: &'a str, payload: &'a serde_json::Value },
}

/// What is known about an input besides its content. `now` is the time of the decision, the same in a replayed simulation.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub now_ms: Millis,
    /// Timestamp of the record: the same whenever it is read. 0 for timers.
    pub record_ms: Millis,
    /// Absent for timers.
    pub envelope: Option<&'a events::Envelope>,
    /// The record key: the account.
    pub key: &'a str,
    /// How often this event was refused for good before ([`Handler::refused`]): 0 unless people had it tried again.
    pub refusals: u32,
}

/// The documents a handler asked for, with the changes of earlier decisions of the same batch.
pub struct Documents<'a, D> {
    found: &'a BTreeMap<DocumentKey, Arc<D>>,
}

impl<'a, D> Documents<'a, D> {
    #[must_use]
    pub const fn new(found: &'a BTreeMap<DocumentKey, Arc<D>>) -> Self {
        Self { found }
    }

    #[must_use]
    pub fn get(&self, kind: &str, key: &str) -> Option<&'a D> {
        self.found.get(&DocumentKey::new(kind, key)).map(AsRef::as_ref)
    }
}

/// What a service remembers of one thing.
pub trait Document: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static {
    /// One word for people's queries, such as `posted`.
    fn status(&self) -> &str;
    /// The account the thing belongs to.
    fn account_id(&self) -> &str;
}

/// One change in an outside system.
pub trait Effect: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static {
    /// Deterministic: the same decision gives the same key, on every replay. Also the idempotency key outside.
    fn key(&self) -> String;
    /// What it changes, e.g. `invoice:INV-1`. Calls of one entity never overlap.
    fn entity(&self) -> String;
    /// Whether only the newest of several waiting effects on one entity matters; older ones end `superseded`.
    fn coalesces(&self) -> bool {
        false
    }
    /// Effects of one collection may go out in one call, as many as [`Limits::batch`] allows; `None` goes alone. Name the kind of record
    /// where the other side takes several of one kind only.
    fn collection(&self) -> Option<&'static str> {
        Some("all")
    }
    /// Whether the handler wants to see the receipt (an [`Input::Outcome`]).
    fn reports(&self) -> bool {
        false
    }
    /// Whether a refusal is an answer that the handler decides about (an [`Input::Refused`]). Otherwise its event is parked. Such an
    /// effect is never coalesced.
    fn answers(&self) -> bool {
        false
    }
}

/// For services without outside effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub enum NoEffect {}

impl Effect for NoEffect {
    fn key(&self) -> String {
        match *self {}
    }
    fn entity(&self) -> String {
        match *self {}
    }
}

/// What is to happen. Built with the methods below; empty means `skipped by rule`.
pub struct Decision<H: Handler + ?Sized> {
    pub documents: Vec<Change<H::Document>>,
    /// Done one after another, in this order.
    pub effects: Vec<H::Effect>,
    pub publish: Vec<Publish>,
    pub timers: Vec<TimerChange>,
    /// Set by [`Decision::skip`]: why this event has no effect by rule.
    pub skipped: Option<&'static str>,
}

impl<H: Handler + ?Sized> Default for Decision<H> {
    fn default() -> Self {
        Self { documents: Vec::new(), effects: Vec::new(), publish: Vec::new(), timers: Vec::new(), skipped: None }
    }
}

impl<H: Handler + ?Sized> Decision<H> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The event has no effect in this service, by a rule that people can read.
    #[must_use]
    pub fn skip(rule: &'static str) -> Self {
        Self { skipped: Some(rule), ..Self::default() }
    }

    #[must_use]
    pub fn put(mut self, kind: &str, key: impl Into<String>, document: H::Document) -> Self {
        self.documents.push(Change { key: DocumentKey::new(kind, key), document: Some(document) });
        self
    }

    #[must_use]
    pub fn effect(mut self, effect: H::Effect) -> Self {
        self.effects.push(effect);
        self
    }

    #[must_use]
    pub fn publish(mut self, event: Publish) -> Self {
        self.publish.push(event);
        self
    }

    #[must_use]
    pub fn timer(mut self, timer: TimerChange) -> Self {
        self.timers.push(timer);
        self
    }
}

/// The new state of a document; `None` removes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<D> {
    pub key: DocumentKey,
    pub document: Option<D>,
}

/// An event to publish, in full: the relay only sends it. Give `id` a value derived from the input's identity, never a random one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    pub topic: String,
    pub key: String,
    /// Framed Avro; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// CloudEvents and other headers.
    pub headers: events::Headers,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TimerChange {
    Set { id: String, due_ms: Millis, payload: serde_json::Value },
    Clear { id: String },
}

/// What the outside system said of an effect: its ids, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Receipt {
    /// The outside system's id of what was changed.
    pub external_id: String,
    /// Anything else worth keeping, such as a document number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// An effect on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent<E> {
    pub effect: E,
    /// Attempts before this one.
    pub attempts: u32,
    /// W3C `traceparent` of the record's hop, to be passed on.
    pub traceparent: Option<String>,
    /// Identity of the event behind it, written into the outside record: `ce_id` and `ce_correlationid`.
    pub event_id: String,
    pub correlation_id: Option<String>,
}

/// The outside system. The class of a failure decides what follows: `Dependency` promises that nothing was changed, `Unknown`
/// that something may have been, every other class that the system refused and nothing was changed.
#[async_trait]
pub trait Target<E: Effect>: Send + Sync + 'static {
    /// One result per intent, in the order given.
    async fn apply(&self, intents: &[Intent<E>]) -> Vec<Result<Receipt, Failure>>;
    /// Asked before any second call whose first outcome is unknown. `Ok(None)`: it certainly took no effect.
    async fn look_up(&self, intent: &Intent<E>) -> Result<Option<Receipt>, Failure>;
    fn limits(&self) -> Limits;
}

/// Limits of the remote account (not of this process); a member uses its share by owned slices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Intents in one call.
    pub batch: usize,
    /// Calls at once, over all members.
    pub concurrency: usize,
    /// Calls a second, over all members; `None` where the account has no such limit.
    pub per_second: Option<f64>,
    /// How long after a call its effect may stay invisible to a look-up.
    pub visibility_ms: Millis,
}
