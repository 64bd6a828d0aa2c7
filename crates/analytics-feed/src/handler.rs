//! Decode → plan → publish. There is no outside system: what is decided is published.

use crate::{
    document::{FeedDocument, Known},
    mask::Pseudonyms,
    plan::{Plan, Source, contract, credit, invoice, payment, usage},
    writer::{SERVICE, Writer},
};
use consumer::{Context, Decision, Documents, Handler, Input, NoEffect};
use events::{Envelope, Event, Generation};
use failure::Failure;
use ledger::DocumentKey;

#[derive(Debug)]
pub struct AnalyticsFeed {
    masks: Pseudonyms,
    writer: Writer,
    name: &'static str,
    outputs: Vec<&'static str>,
}

impl AnalyticsFeed {
    #[must_use]
    pub fn new(masks: Pseudonyms, writer: Writer) -> Self {
        let generation = writer.generation();
        // A process is one generation for as long as it lives.
        let called = |plain: &'static str| match generation {
            Generation::FIRST => plain,
            later => &*later.name(plain).leak(),
        };
        let (name, outputs) = (called(SERVICE), Writer::subjects().map(|subject| called(subject.topic)).collect());
        Self { masks, writer, name, outputs }
    }
}

impl Handler for AnalyticsFeed {
    type Event = Event;
    type Document = FeedDocument;
    type Effect = NoEffect;

    fn name(&self) -> &'static str {
        self.name
    }

    fn outputs(&self) -> Vec<&'static str> {
        self.outputs.clone()
    }

    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(event) => reads(event),
            Input::Timer { payload, .. } => contract::of_timer(payload).map(contract::reads).unwrap_or_default(),
            Input::Outcome { .. } | Input::Refused { .. } => Vec::new(),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, FeedDocument>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let known = Known(documents);
        match input {
            Input::Event(Event::UsageThresholdExceeded(_)) => {
                Ok(Decision::skip("thresholds are in no analytics topic"))
            }
            Input::Event(event) => {
                let envelope = context.envelope.ok_or_else(no_envelope)?;
                Ok(self.decision(self.plan(known, event, envelope)?, Some(envelope)))
            }
            Input::Timer { payload, .. } => {
                let plan = contract::of_timer(payload).map(|id| contract::ended(known, id));
                Ok(self.decision(plan.unwrap_or_default(), None))
            }
            Input::Outcome { .. } | Input::Refused { .. } => Ok(Decision::new()),
        }
    }
}

fn no_envelope() -> Failure {
    Failure::bug("INVARIANT_BROKEN", "an event came without its envelope")
}

impl AnalyticsFeed {
    fn plan(&self, known: Known<'_>, event: &Event, envelope: &Envelope) -> Result<Plan, Failure> {
        let id = envelope.id.as_str();
        match event {
            Event::ContractActivated(event) => contract::activated(&self.masks, known, Source { event: &**event, id }),
            Event::ContractAmended(event) => contract::amended(known, Source { event: &**event, id }),
            Event::ContractCancelled(event) => contract::cancelled(known, Source { event: &**event, id }),
            Event::SubscriptionRenewalAccepted(event) => contract::renewed(known, Source { event: &**event, id }),
            Event::InvoicePosted(event) => invoice::posted(known, Source { event: &**event, id }),
            Event::InvoiceVoided(event) => invoice::voided(known, Source { event: &**event, id }),
            Event::InvoiceMarkedUncollectible(event) => invoice::uncollectible(known, Source { event: &**event, id }),
            Event::CreditNoteIssued(event) => credit::plan(known, Source { event: &**event, id }),
            Event::PaymentReceived(event) => payment::received(&self.masks, known, Source { event: &**event, id }),
            Event::PaymentFailed(event) => payment::failed(known, Source { event: &**event, id }),
            Event::PaymentRefunded(event) => payment::refunded(&self.masks, known, Source { event: &**event, id }),
            Event::PaymentDisputed(event) => payment::disputed(known, Source { event: &**event, id }),
            Event::UsageRated(event) => usage::plan(known, Source { event: &**event, id }),
            Event::UsageThresholdExceeded(_) => Ok(Plan::default()),
        }
    }

    fn decision(&self, plan: Plan, cause: Option<&Envelope>) -> Decision<Self> {
        let mut decision = Decision::new();
        for (key, document) in plan.documents {
            decision = decision.put(&key.kind, key.key, document);
        }
        decision.timers = plan.timers;
        decision.publish = self.writer.publish(plan.rows, cause);
        decision
    }
}

fn reads(event: &Event) -> Vec<DocumentKey> {
    match event {
        Event::ContractActivated(event) => contract::reads(&event.contract_id),
        Event::ContractAmended(event) => contract::reads(&event.contract_id),
        Event::ContractCancelled(event) => contract::reads(&event.contract_id),
        Event::SubscriptionRenewalAccepted(event) => contract::reads(&event.contract_id),
        Event::InvoicePosted(event) => invoice::reads(&**event, &event.currency),
        Event::InvoiceVoided(event) => invoice::reads(&**event, &event.currency),
        Event::InvoiceMarkedUncollectible(event) => invoice::reads(&**event, &event.currency),
        Event::CreditNoteIssued(event) => credit::reads(event),
        Event::PaymentReceived(event) => payment::reads(&**event, &event.currency),
        Event::PaymentFailed(event) => payment::reads(&**event, &event.currency),
        Event::PaymentRefunded(event) => payment::reads(&**event, &event.currency),
        Event::PaymentDisputed(event) => payment::reads(&**event, &event.currency),
        Event::UsageRated(event) => usage::reads(event),
        Event::UsageThresholdExceeded(_) => Vec::new(),
    }
}
