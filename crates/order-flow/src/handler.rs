//! What order-flow does with each event: which documents it looks at, and which step of the process follows. Readable alone.
//!
//! Other services are asked by events, and their answers followed; tax engine and billing system are asked by effects. A refusal of
//! theirs is an answer like any other ([`crate::work`]). So every step is a transaction of the ledger, and each request is made once.

use crate::{
    amend, change, contract,
    course::{CANCEL, Course, Court, GIVE_UP, Parts, WORK},
    document::{DealState, FlowDocument, Known, key, kind},
    effect::FlowEffect,
    event::FlowEvent,
    follow, order, process, protect, quote, renew, reply,
    step::{Step, Times},
    work,
    writer::{Cause, Writer},
};
use connectors::salesforce::{CLIENT, is_echo};
use consumer::{Context, Decision, Documents, Handler, Input, Origin};
use events::{Deal, Event, EventSet as _, Notice, Payload, Reply, common::FalloutEnd, topics::CONTRACT_ACTIVATED};
use failure::Failure;
use ledger::DocumentKey;
use rules::Store;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug)]
pub struct OrderFlow {
    policies: Arc<Store>,
    writer: Writer,
    parts: Parts,
}

impl OrderFlow {
    /// Without tax engine and billing system; see [`OrderFlow::with`].
    #[must_use]
    pub fn new(policies: Arc<Store>, writer: Writer) -> Self {
        Self { policies, writer, parts: Parts::default() }
    }

    /// With the systems that there are.
    #[must_use]
    pub fn with(self, parts: Parts) -> Self {
        Self { parts, ..self }
    }
}

impl Handler for OrderFlow {
    type Event = FlowEvent;
    type Document = FlowDocument;
    type Effect = FlowEffect;

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
            Input::Outcome { of, .. } | Input::Refused { of, .. } => reads_of(of),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, FlowDocument>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let (known, policies) = (Known(documents), self.policies.current());
        let court = Court { policies: &policies, parts: self.parts, now_ms: context.now_ms, by_timer: false };
        match input {
            Input::Event(event) => self.event(known, court, event, context),
            Input::Timer { payload, .. } => self.timer(known, court, payload),
            Input::Outcome { of, receipts } => match self.begun(known, of, context) {
                Some(step) => work::done(step, court, receipts),
                None => Ok(Decision::skip("an outcome of a deal that is not there")),
            },
            Input::Refused { of, effect, failure, receipts } => {
                let court = Court { by_timer: true, ..court };
                let step = self.as_decided(known, court, of, context)?;
                work::refused(step, court, effect, failure, receipts)
            }
        }
    }
}

impl OrderFlow {
    fn event(
        &self,
        known: Known<'_>,
        court: Court<'_>,
        event: &FlowEvent,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        match event {
            FlowEvent::Deal(event) => self.deal(known, court, event, context),
            FlowEvent::Reply(event) => self.reply(known, court, event, context),
            FlowEvent::Contract(event) => self.contract(known, court, event, context),
            FlowEvent::Notice(Notice::SubscriptionRenewalDeclined(event)) => {
                self.outcome(known, court, &**event, &event.contract_id, context, |step, course| {
                    renew::declined(step, known, course, event)
                })
            }
            FlowEvent::Notice(_) => Ok(Decision::skip("order-flow tells of renewals itself")),
        }
    }

    fn deal(
        &self,
        known: Known<'_>,
        court: Court<'_>,
        event: &Deal,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let origin = context.envelope.and_then(|envelope| envelope.change_origin.as_deref());
        if origin.is_some_and(|origin| is_echo(origin, CLIENT)) {
            return Ok(Decision::skip("the CRM tells of a write of our own"));
        }
        match event {
            Deal::OpportunityClosedWon(event) => {
                let step = self.step(known, &event.opportunity_id, &**event, context);
                process::won(step, known, court, event)
            }
            Deal::OpportunityReopened(event) => {
                process::reopened(self.step(known, &event.opportunity_id, &**event, context), known, court, event)
            }
            Deal::CustomerCreditHoldChanged(event) => {
                let id = context.envelope.map_or("", |envelope| &envelope.id);
                process::credit(known, event, court.now_ms, id)
            }
            Deal::FalloutDecided(event) => {
                let step = self.known(known, &event.opportunity_id, &**event, context)?;
                match event.case_id.as_deref().and_then(|case_id| change::of_case(&step.deal, case_id)) {
                    Some(id) => change::decided(step, known, court, event, &id),
                    None => process::decided(step, known, court, event),
                }
            }
            Deal::QuoteAccepted(event) => {
                quote::accepted(self.step(known, &event.opportunity_id, &**event, context), known, court, event)
            }
            Deal::ContractAmendmentRequested(event) => {
                let about = (event.contract_id.as_str(), event.legal_entity_id.as_str());
                self.of_contract(known, &**event, about, context, |step| amend::requested(step, known, court, event))
            }
        }
    }

    fn reply(
        &self,
        known: Known<'_>,
        court: Court<'_>,
        event: &Reply,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        match event {
            Reply::OrderAccepted(event) => {
                if let Some(id) = renew::of_order(&event.order_id, event.contract_id.as_deref()) {
                    let contract_id = event.contract_id.as_deref().unwrap_or_default();
                    return self.outcome(known, court, &**event, contract_id, context, |step, _| {
                        renew::taken(step, court, event, id)
                    });
                }
                self.answer(known, court, &**event, event.opportunity_id.as_deref(), context, |step, course| {
                    reply::accepted(step, course, event)
                })
            }
            Reply::OrderRejected(event) => {
                if let Some(id) = renew::of_order(&event.order_id, event.contract_id.as_deref()) {
                    let contract_id = event.contract_id.as_deref().unwrap_or_default();
                    return self.outcome(known, court, &**event, contract_id, context, |step, _| {
                        renew::refused(step, court, event, id)
                    });
                }
                self.answer(known, court, &**event, event.opportunity_id.as_deref(), context, |step, course| {
                    reply::rejected(step, course, event)
                })
            }
            Reply::OrderCancelled(event) => {
                self.answer(known, court, &**event, event.opportunity_id.as_deref(), context, reply::cancelled)
            }
            Reply::ProvisioningFailed(event) => {
                if event.failed_event_type != CONTRACT_ACTIVATED {
                    return Ok(Decision::skip("only the activation of a contract is a step of its deal"));
                }
                self.outcome(known, court, &**event, &event.failed_subject, context, |step, course| {
                    reply::not_provisioned(step, course, event)
                })
            }
            Reply::EntitlementGranted(event) => {
                self.outcome(known, court, &**event, &event.contract_id, context, reply::provisioned)
            }
            // Also what services to come will answer.
            _ => Ok(Decision::skip("order-flow waits for orders only")),
        }
    }

    fn contract(
        &self,
        known: Known<'_>,
        court: Court<'_>,
        event: &Event,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        match event {
            Event::SubscriptionRenewalAccepted(event) => {
                self.outcome(known, court, &**event, &event.contract_id, context, |step, _| {
                    renew::accepted(step, known, court, event)
                })
            }
            Event::ContractAmended(event) => {
                self.outcome(known, court, &**event, &event.contract_id, context, |step, _| {
                    contract::amended(step, known, court, event)
                })
            }
            Event::ContractCancelled(event) => {
                self.outcome(known, court, &**event, &event.contract_id, context, |step, course| {
                    contract::cancelled(reply::ended(step, course, event), known, event)
                })
            }
            _ => Ok(Decision::skip("order-flow follows contracts only")),
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
        court: Court<'_>,
        event: &T,
        opportunity_id: Option<&str>,
        context: &Context<'_>,
        then: impl FnOnce(Step<'_>, &Course<'_>) -> Result<Decision<Self>, Failure>,
    ) -> Result<Decision<Self>, Failure> {
        let entity = event.legal_entity_id();
        match opportunity_id.filter(|id| event.subject() == order::order_id(id, entity)) {
            Some(opportunity_id) => then(self.known(known, opportunity_id, event, context)?, &court.of(entity)),
            None => Ok(Decision::skip("the order came of no deal of ours")),
        }
    }

    /// What the product made of a contract of ours; others have contracts, too.
    fn outcome<T: Payload>(
        &self,
        known: Known<'_>,
        court: Court<'_>,
        event: &T,
        contract_id: &str,
        context: &Context<'_>,
        then: impl FnOnce(Step<'_>, &Course<'_>) -> Result<Decision<Self>, Failure>,
    ) -> Result<Decision<Self>, Failure> {
        let entity = event.legal_entity_id();
        match order::opportunity_of(contract_id, entity).filter(|id| known.deal(id).is_some()) {
            Some(opportunity_id) => then(self.known(known, opportunity_id, event, context)?, &court.of(entity)),
            None => Ok(Decision::skip("the contract came of no deal of ours")),
        }
    }

    fn timer(&self, known: Known<'_>, court: Court<'_>, payload: &Value) -> Result<Decision<Self>, Failure> {
        let Some(step) = self.step_of_timer(known, payload) else {
            return Ok(Decision::skip("a timer of a deal that is not there"));
        };
        let course = court.of(text(payload, "legal_entity_id"));
        match text(payload, "what") {
            WORK => match payload["change"].as_str() {
                Some(id) => Ok(follow::due(step, court, id)),
                None => work::due(step, &course),
            },
            GIVE_UP => reply::waited_in_vain(step, &course),
            process::RECHECK => process::judge(step, known, court, None, events::common::FalloutEnd::Mended),
            CANCEL => match known.contract(text(payload, "contract_id")) {
                Some(contract) => {
                    let (id, reason) = (text(payload, "contract_id"), text(payload, "reason"));
                    process::cancel_contract(step, &court.of(&contract.legal_entity_id), id, contract, reason)
                }
                None => Ok(Decision::skip("a timer of a contract that is not there")),
            },
            change::CHANGE => match step.deal.changes.get(text(payload, "change")).cloned() {
                Some(found) => {
                    let end = (FalloutEnd::Mended, None);
                    change::go_on(step, known, court, (text(payload, "change"), found), end)
                }
                None => Ok(Decision::skip("a timer of a change that is not there")),
            },
            contract::RENEWAL_DUE => renew::due(step, known, payload),
            protect::EXCEPT => match known.contract(text(payload, "contract_id")) {
                Some(found) => protect::except(step, court, found, text(payload, "contract_id")),
                None => Ok(Decision::skip("a timer of a contract that is not there")),
            },
            _ => Ok(Decision::skip("a timer of another version")),
        }
    }

    /// The deal that a timer names, with the times of what set it.
    fn step_of_timer<'a>(&'a self, known: Known<'_>, payload: &Value) -> Option<Step<'a>> {
        let deal = known.deal(text(payload, "opportunity_id"))?;
        let at = |name: &str| text(payload, name).parse().unwrap_or_default();
        let times = Times { effective_at: at("effective_at"), recorded_at: at("recorded_at") };
        let cause = Cause {
            event_id: payload["event_id"].as_str().map(str::to_owned),
            time_ms: times.recorded_at.as_millisecond(),
            ..Cause::default()
        };
        Some(Step::new(&self.writer, cause, times, deal.clone()))
    }

    /// The step of the deal that effects were decided for.
    fn begun<'a>(&'a self, known: Known<'_>, of: &Origin<'_, FlowEvent>, context: &Context<'_>) -> Option<Step<'a>> {
        match of {
            Origin::Timer { payload, .. } => self.step_of_timer(known, payload),
            Origin::Event(event) => {
                let deals = reads(event).into_iter().find(|key| key.kind == kind::DEAL);
                let deal = known.deal(&deals?.key)?.clone();
                let cause = context.envelope.map(Cause::of).unwrap_or_default();
                Some(Step::new(&self.writer, cause, event.times(), deal))
            }
        }
    }

    /// The deal as a decision would have left it that was refused: nothing of it took hold, so it is made again, with timers in place of
    /// effects.
    fn as_decided<'a>(
        &'a self,
        known: Known<'_>,
        court: Court<'_>,
        of: &Origin<'_, FlowEvent>,
        context: &Context<'_>,
    ) -> Result<Step<'a>, Failure> {
        let gone = || Failure::bug("INVARIANT_BROKEN", "a refusal of a deal that is not there");
        let mut decision = match of {
            Origin::Event(event) => self.event(known, court, event, context)?,
            Origin::Timer { payload, .. } => self.timer(known, court, payload)?,
        };
        let decided = decision.documents.iter().rposition(|change| change.key.kind == kind::DEAL);
        let deal = match decided.map(|at| decision.documents.remove(at).document) {
            Some(Some(FlowDocument::Deal(deal))) => Some(*deal),
            _ => None,
        };
        let empty =
            BTreeMap::from_iter(deal.map(|deal| {
                (key(kind::DEAL, &deal.opportunity_id.clone()), Arc::new(FlowDocument::Deal(Box::new(deal))))
            }));
        let decided = Documents::new(&empty);
        let step =
            if empty.is_empty() { self.begun(known, of, context) } else { self.begun(Known(&decided), of, context) };
        let mut step = step.ok_or_else(gone)?;
        step.decision = Decision { effects: Vec::new(), skipped: None, ..decision };
        Ok(step)
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

fn text<'a>(payload: &'a Value, name: &str) -> &'a str {
    payload[name].as_str().unwrap_or_default()
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

fn reads_of(of: &Origin<'_, FlowEvent>) -> Vec<DocumentKey> {
    match of {
        Origin::Event(event) => reads(event),
        Origin::Timer { payload, .. } => reads_of_timer(payload),
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
