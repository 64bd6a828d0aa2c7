//! What provisioning does with each event: which documents it looks at, and which plan decides. Readable alone; the plans say how.
//!
//! Contracts and payments become dated facts of their account. What access holds now follows from the facts alone ([`crate::fold`]), so it
//! is no matter whether an event or a timer brought us here, or how late.

use crate::{
    document::{AccessDocument, Known},
    effect::AccessEffect,
    plan::{Decision, When, contract, money},
    policy::Policy,
    reply::Replies,
};
use consumer::{Context, Documents, Handler, Input, Publish};
use events::{Event, EventSet as _};
use failure::Failure;
use ledger::DocumentKey;
use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Provisioning {
    pub(crate) policy: Policy,
    pub(crate) replies: Replies,
    /// Whether there is an identity platform.
    pub(crate) makes_admins: bool,
}

impl Provisioning {
    /// `makes_admins`: each tenant gets a first user and a group of administrators.
    #[must_use]
    pub fn new(policy: Policy, replies: Replies, makes_admins: bool) -> Self {
        Self { policy, replies, makes_admins }
    }

    fn plan(&self, known: Known<'_>, event: &Event, context: &Context<'_>) -> Result<Decision, Failure> {
        let when = When { at_ms: context.now_ms, effective_at: event.effective_at(), recorded_at: event.recorded_at() };
        match event {
            Event::ContractActivated(event) => contract::activated(self, known, event, when, flow(context)),
            Event::ContractAmended(event) => contract::amended(self, known, event, when),
            Event::ContractCancelled(event) => contract::cancelled(self, known, event, when),
            Event::SubscriptionRenewalAccepted(event) => contract::renewed(self, known, event, when),
            Event::PaymentFailed(event) => money::failed(self, known, event, when),
            Event::PaymentReceived(event) => money::received(self, known, event, when),
            Event::CreditNoteIssued(event) => money::credited(self, known, event, when),
            Event::PaymentRefunded(event) => money::noted(known, &event.payment_id, &**event),
            Event::PaymentDisputed(event) => money::noted(known, &event.payment_id, &**event),
            Event::InvoicePosted(_) | Event::InvoiceVoided(_) | Event::InvoiceMarkedUncollectible(_) => {
                Ok(Decision::skip("invoices change no access; their payments do"))
            }
            Event::UsageRated(_) | Event::UsageThresholdExceeded(_) => Ok(Decision::skip("usage changes no access")),
        }
    }
}

impl Handler for Provisioning {
    type Event = Event;
    type Document = AccessDocument;
    type Effect = AccessEffect;

    fn name(&self) -> &'static str {
        "provisioning"
    }

    fn outputs(&self) -> Vec<&'static str> {
        Replies::TOPICS.to_vec()
    }

    /// A cancellation of what could not be carried out ends its activation, which may lie parked in front of it.
    fn provides(&self, event: &Event) -> Vec<String> {
        let mut brought = vec![event.subject().to_owned()];
        if let Event::ContractCancelled(event) = event
            && contract::gives_up(event)
        {
            brought.push(contract::end_of(&event.contract_id));
        }
        brought
    }

    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(event) => reads(event),
            Input::Timer { payload, .. } => due(payload).map_or_else(Vec::new, |(account, _)| contract::reads(account)),
            Input::Outcome { .. } | Input::Refused { .. } => Vec::new(),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, AccessDocument>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision, Failure> {
        match input {
            Input::Event(event) => self.plan(Known(documents), event, context),
            Input::Timer { payload, .. } => Ok(match due(payload) {
                Some((account_id, at_ms)) => contract::due(self, Known(documents), account_id, at_ms),
                None => Decision::skip("the timer is of a form that this version does not know"),
            }),
            Input::Outcome { .. } | Input::Refused { .. } => Ok(Decision::new()),
        }
    }

    fn refused(&self, event: &Event, failure: &Failure, context: &Context<'_>) -> Vec<Publish> {
        let told = context.envelope.map(|envelope| self.replies.refusal(event, failure, envelope, context.refusals));
        told.into_iter().collect()
    }
}

/// The flow that an event belongs to; an event of none begins one.
fn flow(context: &Context<'_>) -> Option<String> {
    context.envelope.map(|envelope| envelope.correlation_id.clone().unwrap_or_else(|| envelope.id.clone()))
}

/// The account of a timer, and the instant it stands for.
fn due(payload: &Value) -> Option<(&str, i64)> {
    Some((payload["account_id"].as_str()?, payload["at_ms"].as_i64()?))
}

fn reads(event: &Event) -> Vec<DocumentKey> {
    let account = event.account_id();
    match event {
        Event::ContractActivated(_)
        | Event::ContractAmended(_)
        | Event::ContractCancelled(_)
        | Event::SubscriptionRenewalAccepted(_) => contract::reads(account),
        Event::PaymentFailed(event) => {
            money::reads(account, Some(&event.payment_id), std::iter::once(event.invoice_id.as_str()))
        }
        Event::PaymentReceived(event) => {
            let invoices = event.allocations.iter().map(|allocation| allocation.invoice_id.as_str());
            money::reads(account, Some(&event.payment_id), invoices)
        }
        Event::CreditNoteIssued(event) => {
            let invoice = event.preceding_invoice.as_ref().map(|invoice| invoice.invoice_id.as_str());
            money::reads(account, None, invoice.into_iter())
        }
        Event::PaymentRefunded(event) => money::reads(account, Some(&event.payment_id), std::iter::empty()),
        Event::PaymentDisputed(event) => money::reads(account, Some(&event.payment_id), std::iter::empty()),
        Event::InvoicePosted(_)
        | Event::InvoiceVoided(_)
        | Event::InvoiceMarkedUncollectible(_)
        | Event::UsageRated(_)
        | Event::UsageThresholdExceeded(_) => Vec::new(),
    }
}
