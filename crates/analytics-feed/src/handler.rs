//! Decode → plan → publish. There is no outside system: what is decided is published.

use crate::{
    document::{FeedDocument, Known},
    event::FeedEvent,
    mask::Pseudonyms,
    plan::{Plan, Source, contract, credit, invoice, journey, payment, usage},
    writer::{SERVICE, Writer},
};
use consumer::{Context, Decision, Documents, Handler, Input, NoEffect};
use events::{Deal, Envelope, Event, Generation, OrderAccepted, Reply};
use failure::Failure;
use ledger::{DocumentKey, Millis};
use serde_json::Value;

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
    type Event = FeedEvent;
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
            Input::Event(FeedEvent::Business(event)) => reads(event),
            Input::Event(FeedEvent::Deal(Deal::OpportunityClosedWon(event))) => journey::of_deal(&event.opportunity_id),
            Input::Event(FeedEvent::Deal(Deal::OpportunityReopened(event))) => journey::of_deal(&event.opportunity_id),
            Input::Event(FeedEvent::Reply(Reply::OrderAccepted(event))) => {
                order_of_deal(event).map(journey::of_contract).unwrap_or_default()
            }
            Input::Event(FeedEvent::Reply(Reply::EntitlementGranted(event))) => {
                journey::of_contract(&event.contract_id)
            }
            Input::Event(FeedEvent::Deal(_) | FeedEvent::Reply(_)) => Vec::new(),
            Input::Timer { payload, .. } => reads_of_timer(payload),
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
            Input::Event(event) => {
                let envelope = context.envelope.ok_or_else(no_envelope)?;
                let at = context.record_ms;
                let plan = match event {
                    FeedEvent::Business(event) => self.plan(known, event, (&envelope.id, at))?,
                    FeedEvent::Deal(Deal::OpportunityClosedWon(event)) => Ok(journey::won(known, event, at)),
                    FeedEvent::Deal(Deal::OpportunityReopened(event)) => Ok(journey::reopened(known, event, at)),
                    FeedEvent::Reply(Reply::OrderAccepted(event)) => of_order(known, event, at),
                    FeedEvent::Reply(Reply::EntitlementGranted(event)) => Ok(journey::entitled(known, event, at)),
                    // Of these families, but not of our topics.
                    FeedEvent::Deal(_) | FeedEvent::Reply(_) => Err("no analytics topic tells of it"),
                };
                Ok(plan.map_or_else(Decision::skip, |plan| self.decision(plan, Some(envelope))))
            }
            Input::Timer { payload, .. } => Ok(self.decision(of_timer(known, payload), None)),
            Input::Outcome { .. } | Input::Refused { .. } => Ok(Decision::new()),
        }
    }
}

/// What becomes of an event: its plan, or the rule by which nothing does.
type Planned = Result<Plan, &'static str>;

fn no_envelope() -> Failure {
    Failure::bug("INVARIANT_BROKEN", "an event came without its envelope")
}

impl AnalyticsFeed {
    fn plan(&self, known: Known<'_>, event: &Event, (id, record_ms): (&str, Millis)) -> Result<Planned, Failure> {
        let plan = match event {
            Event::ContractActivated(event) => contract::activated(&self.masks, known, source(event, id, record_ms)),
            Event::ContractAmended(event) => contract::amended(known, source(event, id, record_ms)),
            Event::ContractCancelled(event) => contract::cancelled(known, source(event, id, record_ms)),
            Event::SubscriptionRenewalAccepted(event) => contract::renewed(known, source(event, id, record_ms)),
            Event::InvoicePosted(event) => invoice::posted(known, source(event, id, record_ms)),
            Event::InvoiceVoided(event) => invoice::voided(known, source(event, id, record_ms)),
            Event::InvoiceMarkedUncollectible(event) => invoice::uncollectible(known, source(event, id, record_ms)),
            Event::CreditNoteIssued(event) => credit::plan(known, source(event, id, record_ms)),
            Event::PaymentReceived(event) => payment::received(&self.masks, known, source(event, id, record_ms)),
            Event::PaymentFailed(event) => payment::failed(known, source(event, id, record_ms)),
            Event::PaymentRefunded(event) => payment::refunded(&self.masks, known, source(event, id, record_ms)),
            Event::PaymentDisputed(event) => payment::disputed(known, source(event, id, record_ms)),
            Event::UsageRated(event) => usage::plan(known, source(event, id, record_ms)),
            Event::UsageThresholdExceeded(_) => return Ok(Err("thresholds are in no analytics topic")),
        };
        plan.map(Ok)
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

const fn source<'a, T>(event: &'a T, id: &'a str, record_ms: Millis) -> Source<'a, T> {
    Source { event, id, record_ms }
}

fn of_order(known: Known<'_>, event: &OrderAccepted, record_ms: Millis) -> Planned {
    let contract_id = order_of_deal(event).ok_or("the order came of no deal")?;
    Ok(journey::accepted(known, contract_id, event, record_ms))
}

/// The contract of an order that came of a deal.
fn order_of_deal(event: &OrderAccepted) -> Option<&str> {
    event.opportunity_id.as_ref().and(event.contract_id.as_deref())
}

fn of_timer(known: Known<'_>, payload: &Value) -> Plan {
    if let Some(contract_id) = journey::of_timer(payload) {
        return journey::told(known, contract_id, payload);
    }
    contract::of_timer(payload).map(|id| contract::ended(known, id)).unwrap_or_default()
}

fn reads_of_timer(payload: &Value) -> Vec<DocumentKey> {
    if let Some(contract_id) = journey::of_timer(payload) {
        return journey::of_contract(contract_id);
    }
    contract::of_timer(payload).map(contract::reads).unwrap_or_default()
}

fn reads(event: &Event) -> Vec<DocumentKey> {
    match event {
        Event::ContractActivated(event) => {
            contract::reads(&event.contract_id).into_iter().chain(journey::of_activation(event)).collect()
        }
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
