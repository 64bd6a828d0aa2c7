//! What order-flow does with each event: which documents it looks at, and which step of the process follows. Readable alone.
//!
//! It changes no outside system: it asks other services by events and follows their answers. So every step is a transaction of the
//! ledger, and each request is made once.

use crate::{
    amend, change, contract,
    document::{DealState, FlowDocument, Known, key, kind},
    event::FlowEvent,
    order, process, protect, quote, renew, reply,
    step::{Step, Times},
    writer::{Cause, Writer},
};
use consumer::{Context, Decision, Documents, Handler, Input, NoEffect};
use events::{Deal, Event, EventSet as _, Notice, Payload, Reply, common::FalloutEnd, topics::CONTRACT_ACTIVATED};
use failure::Failure;
use ledger::DocumentKey;
use rules::Store;
use serde_json::Value;
use std::sync::Arc;

#[derive(Debug)]
pub struct OrderFlow {
    policies: Arc<Store>,
    writer: Writer,
}

impl OrderFlow {
    #[must_use]
    pub const fn new(policies: Arc<Store>, writer: Writer) -> Self {
        Self { policies, writer }
    }
}

impl Handler for OrderFlow {
    type Event = FlowEvent;
    type Document = FlowDocument;
    type Effect = NoEffect;

    fn name(&self) -> &'static str {
        "order-flow"
    }

    fn outputs(&self) -> Vec<&'static str> {
        Writer::TOPICS.to_vec()
    }

    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(event) => reads(event),
            Input::Timer { payload, .. } => reads_of_timer(payload),
            Input::Outcome { .. } => Vec::new(),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, FlowDocument>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let known = Known(documents);
        match input {
            Input::Event(event) => self.event(known, event, context),
            Input::Timer { payload, .. } => self.timer(known, payload),
            Input::Outcome { .. } => Ok(Decision::new()),
        }
    }
}

impl OrderFlow {
    fn event(&self, known: Known<'_>, event: &FlowEvent, context: &Context<'_>) -> Result<Decision<Self>, Failure> {
        let now = context.now_ms;
        let policies = self.policies.current();
        match event {
            FlowEvent::Deal(Deal::OpportunityClosedWon(event)) => {
                let step = self.step(known, &event.opportunity_id, &**event, context);
                process::won(step, known, &policies, event)
            }
            FlowEvent::Deal(Deal::OpportunityReopened(event)) => {
                process::reopened(self.step(known, &event.opportunity_id, &**event, context), known, event, now)
            }
            FlowEvent::Deal(Deal::CustomerCreditHoldChanged(event)) => {
                let id = context.envelope.map_or("", |envelope| &envelope.id);
                process::credit(known, event, now, id)
            }
            FlowEvent::Deal(Deal::FalloutDecided(event)) => {
                let step = self.known(known, &event.opportunity_id, &**event, context)?;
                match event.case_id.as_deref().and_then(|case_id| change::of_case(&step.deal, case_id)) {
                    Some(id) => change::decided(step, known, &policies, event, &id),
                    None => process::decided(step, known, &policies, event, now),
                }
            }
            FlowEvent::Deal(Deal::QuoteAccepted(event)) => {
                quote::accepted(self.step(known, &event.opportunity_id, &**event, context), known, &policies, event)
            }
            FlowEvent::Deal(Deal::ContractAmendmentRequested(event)) => {
                let about = (event.contract_id.as_str(), event.legal_entity_id.as_str());
                self.of_contract(known, &**event, about, context, |step| {
                    amend::requested(step, known, &policies, event)
                })
            }
            FlowEvent::Reply(Reply::OrderAccepted(event)) => {
                if let Some(id) = renew::of_order(&event.order_id, event.contract_id.as_deref()) {
                    let about = (event.contract_id.as_deref().unwrap_or_default(), event.legal_entity_id.as_str());
                    let then = |step: Step<'_>| renew::taken(step, known, &policies, event, id);
                    return self.outcome(known, &**event, about, context, then);
                }
                self.answer(known, &**event, event.opportunity_id.as_deref(), context, |step| {
                    reply::accepted(step, event)
                })
            }
            FlowEvent::Reply(Reply::OrderRejected(event)) => {
                if let Some(id) = renew::of_order(&event.order_id, event.contract_id.as_deref()) {
                    let about = (event.contract_id.as_deref().unwrap_or_default(), event.legal_entity_id.as_str());
                    let then = |step: Step<'_>| renew::refused(step, known, &policies, event, id);
                    return self.outcome(known, &**event, about, context, then);
                }
                self.answer(known, &**event, event.opportunity_id.as_deref(), context, |step| {
                    reply::rejected(step, event)
                })
            }
            FlowEvent::Reply(Reply::OrderCancelled(event)) => {
                self.answer(known, &**event, event.opportunity_id.as_deref(), context, |step| {
                    reply::cancelled(step, event)
                })
            }
            FlowEvent::Reply(Reply::ProvisioningFailed(event)) => {
                let about = (event.failed_subject.as_str(), event.legal_entity_id.as_str());
                if event.failed_event_type != CONTRACT_ACTIVATED {
                    return Ok(Decision::skip("only the activation of a contract is a step of its deal"));
                }
                self.outcome(known, &**event, about, context, |step| reply::not_provisioned(step, event))
            }
            FlowEvent::Reply(Reply::EntitlementGranted(event)) => {
                let about = (event.contract_id.as_str(), event.legal_entity_id.as_str());
                self.outcome(known, &**event, about, context, |step| reply::provisioned(step, event))
            }
            // Also what services to come will answer.
            FlowEvent::Reply(_) => Ok(Decision::skip("order-flow waits for orders only")),
            FlowEvent::Contract(Event::SubscriptionRenewalAccepted(event)) => {
                let about = (event.contract_id.as_str(), event.legal_entity_id.as_str());
                self.outcome(known, &**event, about, context, |step| renew::accepted(step, known, &policies, event))
            }
            FlowEvent::Contract(Event::ContractAmended(event)) => {
                let about = (event.contract_id.as_str(), event.legal_entity_id.as_str());
                self.outcome(known, &**event, about, context, |step| contract::amended(step, known, event))
            }
            FlowEvent::Contract(Event::ContractCancelled(event)) => {
                let about = (event.contract_id.as_str(), event.legal_entity_id.as_str());
                self.outcome(known, &**event, about, context, |step| contract::cancelled(step, known, event))
            }
            FlowEvent::Contract(_) => Ok(Decision::skip("order-flow follows contracts only")),
            FlowEvent::Notice(Notice::SubscriptionRenewalDeclined(event)) => {
                let about = (event.contract_id.as_str(), event.legal_entity_id.as_str());
                self.outcome(known, &**event, about, context, |step| renew::declined(step, known, event))
            }
            FlowEvent::Notice(_) => Ok(Decision::skip("order-flow tells of renewals itself")),
        }
    }

    /// Something is asked of a contract: one that is named as those of deals are may come before its deal.
    fn of_contract<T: Payload>(
        &self,
        known: Known<'_>,
        event: &T,
        (contract_id, entity): (&str, &str),
        context: &Context<'_>,
        then: impl FnOnce(Step<'_>) -> Result<Decision<Self>, Failure>,
    ) -> Result<Decision<Self>, Failure> {
        match order::opportunity_of(contract_id, entity) {
            Some(opportunity_id) => then(self.known(known, opportunity_id, event, context)?),
            None => {
                let reason = format!("contract `{contract_id}` came of no deal: it is amended where it is kept");
                Err(Failure::contract("CONTRACT_UNKNOWN", reason).at_field("contract_id"))
            }
        }
    }

    /// An answer about an order of ours; others ask the ERP for orders, too.
    fn answer<T: Payload>(
        &self,
        known: Known<'_>,
        event: &T,
        opportunity_id: Option<&str>,
        context: &Context<'_>,
        then: impl FnOnce(Step<'_>) -> Result<Decision<Self>, Failure>,
    ) -> Result<Decision<Self>, Failure> {
        let ours = opportunity_id.filter(|id| event.subject() == order::order_id(id, event.legal_entity_id()));
        match ours {
            Some(opportunity_id) => then(self.known(known, opportunity_id, event, context)?),
            None => Ok(Decision::skip("the order came of no deal of ours")),
        }
    }

    /// What the product made of a contract of ours; others have contracts, too.
    fn outcome<T: Payload>(
        &self,
        known: Known<'_>,
        event: &T,
        (contract_id, entity): (&str, &str),
        context: &Context<'_>,
        then: impl FnOnce(Step<'_>) -> Result<Decision<Self>, Failure>,
    ) -> Result<Decision<Self>, Failure> {
        match order::opportunity_of(contract_id, entity).filter(|id| known.deal(id).is_some()) {
            Some(opportunity_id) => then(self.known(known, opportunity_id, event, context)?),
            None => Ok(Decision::skip("the contract came of no deal of ours")),
        }
    }

    fn timer(&self, known: Known<'_>, payload: &Value) -> Result<Decision<Self>, Failure> {
        let text = |name: &str| payload[name].as_str().unwrap_or_default();
        let Some(deal) = known.deal(text("opportunity_id")) else {
            return Ok(Decision::skip("a timer of a deal that is not there"));
        };
        let at = |name: &str| text(name).parse().unwrap_or_default();
        let times = Times { effective_at: at("effective_at"), recorded_at: at("recorded_at") };
        let cause = Cause {
            event_id: payload["event_id"].as_str().map(str::to_owned),
            time_ms: times.recorded_at.as_millisecond(),
            ..Cause::default()
        };
        let step = Step::new(&self.writer, cause, times, deal.clone());
        match text("what") {
            process::RECHECK => {
                process::judge(step, known, &self.policies.current(), None, events::common::FalloutEnd::Mended)
            }
            process::CANCEL => match known.contract(text("contract_id")) {
                Some(contract) => process::cancel_contract(step, text("contract_id"), contract, text("reason")),
                None => Ok(Decision::skip("a timer of a contract that is not there")),
            },
            change::CHANGE => match step.deal.changes.get(text("change")).cloned() {
                Some(found) => {
                    let end = (FalloutEnd::Mended, None);
                    change::go_on(step, known, &self.policies.current(), (text("change"), found), end)
                }
                None => Ok(Decision::skip("a timer of a change that is not there")),
            },
            contract::RENEWAL_DUE => renew::due(step, known, payload),
            protect::EXCEPT => match known.contract(text("contract_id")) {
                Some(found) => protect::except(step, &self.policies.current(), found, text("contract_id")),
                None => Ok(Decision::skip("a timer of a contract that is not there")),
            },
            _ => Ok(Decision::skip("a timer of another version")),
        }
    }

    /// A step of a deal that may be new.
    fn step<'a>(
        &'a self,
        known: Known<'_>,
        opportunity_id: &str,
        event: &impl Payload,
        context: &Context<'_>,
    ) -> Step<'a> {
        let deal = known.deal(opportunity_id).cloned().unwrap_or_else(|| DealState {
            account_id: event.account_id().to_owned(),
            opportunity_id: opportunity_id.to_owned(),
            ..DealState::default()
        });
        let times = Times { effective_at: event.effective_at(), recorded_at: event.recorded_at() };
        Step::new(&self.writer, context.envelope.map(Cause::of).unwrap_or_default(), times, deal)
    }

    /// A step of a deal that must be there: what comes before its deal waits for it.
    fn known<'a>(
        &'a self,
        known: Known<'_>,
        opportunity_id: &str,
        event: &impl Payload,
        context: &Context<'_>,
    ) -> Result<Step<'a>, Failure> {
        if known.deal(opportunity_id).is_some() {
            return Ok(self.step(known, opportunity_id, event, context));
        }
        let reason = format!("deal `{opportunity_id}` is not known");
        Err(Failure::not_yet("DEAL_UNKNOWN", opportunity_id, reason).at_field("opportunity_id"))
    }
}

fn reads(event: &FlowEvent) -> Vec<DocumentKey> {
    let deal = |id: &str| key(kind::DEAL, id);
    let account = |id: &str| key(kind::ACCOUNT, id);
    match event {
        FlowEvent::Deal(Deal::OpportunityClosedWon(event)) => {
            vec![deal(&event.opportunity_id), account(&event.account_id), key(kind::QUOTES, &event.opportunity_id)]
        }
        FlowEvent::Deal(Deal::QuoteAccepted(event)) => {
            vec![deal(&event.opportunity_id), account(&event.account_id), key(kind::QUOTES, &event.opportunity_id)]
        }
        FlowEvent::Deal(Deal::ContractAmendmentRequested(event)) => {
            of_outcome(&event.contract_id, &event.legal_entity_id)
        }
        FlowEvent::Deal(Deal::OpportunityReopened(event)) => vec![deal(&event.opportunity_id)],
        FlowEvent::Deal(Deal::FalloutDecided(event)) => {
            let contract = order::order_id(&event.opportunity_id, &event.legal_entity_id);
            let quotes = key(kind::QUOTES, &event.opportunity_id);
            vec![deal(&event.opportunity_id), account(&event.account_id), quotes, key(kind::CONTRACT, &contract)]
        }
        FlowEvent::Deal(Deal::CustomerCreditHoldChanged(event)) => vec![account(&event.account_id)],
        FlowEvent::Reply(Reply::OrderAccepted(event)) => {
            of_answer(&**event, event.opportunity_id.as_deref(), event.contract_id.as_deref())
        }
        FlowEvent::Reply(Reply::OrderRejected(event)) => {
            of_answer(&**event, event.opportunity_id.as_deref(), event.contract_id.as_deref())
        }
        FlowEvent::Reply(Reply::OrderCancelled(event)) => of_order(event.opportunity_id.as_deref(), event.subject()),
        FlowEvent::Reply(Reply::ProvisioningFailed(event)) => of_outcome(&event.failed_subject, &event.legal_entity_id),
        FlowEvent::Reply(Reply::EntitlementGranted(event)) => of_outcome(&event.contract_id, &event.legal_entity_id),
        // Also what services to come will answer.
        FlowEvent::Reply(_) => Vec::new(),
        FlowEvent::Contract(event) => of_outcome(of_contract(event), event.legal_entity_id()),
        FlowEvent::Notice(Notice::SubscriptionRenewalDeclined(event)) => {
            of_outcome(&event.contract_id, &event.legal_entity_id)
        }
        FlowEvent::Notice(_) => Vec::new(),
    }
}

/// An answer is about an order of a deal, or about the renewal of a contract.
fn of_answer(event: &impl Payload, opportunity_id: Option<&str>, contract_id: Option<&str>) -> Vec<DocumentKey> {
    match renew::of_order(event.subject(), contract_id) {
        Some(_) => of_outcome(contract_id.unwrap_or_default(), event.legal_entity_id()),
        None => of_order(opportunity_id, event.subject()),
    }
}

fn of_order(opportunity_id: Option<&str>, order_id: &str) -> Vec<DocumentKey> {
    opportunity_id.map(|id| vec![key(kind::DEAL, id), key(kind::CONTRACT, order_id)]).unwrap_or_default()
}

fn of_outcome(contract_id: &str, entity: &str) -> Vec<DocumentKey> {
    let of = |id: &str| vec![key(kind::DEAL, id), key(kind::CONTRACT, contract_id)];
    order::opportunity_of(contract_id, entity).map(of).unwrap_or_default()
}

fn of_contract(event: &Event) -> &str {
    match event {
        Event::ContractAmended(event) => &event.contract_id,
        Event::ContractCancelled(event) => &event.contract_id,
        Event::SubscriptionRenewalAccepted(event) => &event.contract_id,
        other => other.subject(),
    }
}

fn reads_of_timer(payload: &Value) -> Vec<DocumentKey> {
    let named = [
        (kind::DEAL, "opportunity_id"),
        (kind::QUOTES, "opportunity_id"),
        (kind::ACCOUNT, "account_id"),
        (kind::CONTRACT, "contract_id"),
    ];
    named.into_iter().filter_map(|(kind, field)| payload[field].as_str().map(|id| key(kind, id))).collect()
}
