//! What erp-sync does with each event: which documents it looks at, and which plan decides. Readable alone; the plans say how.
//!
//! Events of one account stay in order. Every effect is made once: its key, and the ERP's external id, follow from the event.

use crate::{
    document::{ErpDocument, Known, key, kind},
    effect::ErpEffect,
    event::ErpEvent,
    mapping::Mapping,
    plan::{
        self, activation, amendment, cancellation, credit, dispute, invoice, order, pay_back, payment, renewal,
        skipped, usage, void, write_off,
    },
    reply::{Cause, Replies},
};
use consumer::{Context, Decision, Documents, Handler, Input, Origin, Publish};
use events::{Event, EventSet as _, Request};
use failure::Failure;
use ledger::DocumentKey;

#[derive(Debug)]
pub struct ErpSync {
    mapping: Mapping,
    /// Publishes what the ERP answered; `None` keeps it to ourselves.
    replies: Option<Replies>,
}

impl ErpSync {
    #[must_use]
    pub const fn new(mapping: Mapping) -> Self {
        Self { mapping, replies: None }
    }

    /// As [`Self::new`], and tells the bus what the ERP answered.
    #[must_use]
    pub const fn replying(mapping: Mapping, replies: Replies) -> Self {
        Self { mapping, replies: Some(replies) }
    }
}

impl Handler for ErpSync {
    type Event = ErpEvent;
    type Document = ErpDocument;
    type Effect = ErpEffect;

    fn name(&self) -> &'static str {
        "erp-sync"
    }

    fn outputs(&self) -> Vec<&'static str> {
        self.replies.as_ref().map(|_| Replies::TOPICS.to_vec()).unwrap_or_default()
    }

    /// A contract or an order brings the customer of its account, too: documents without a contract wait for that.
    fn provides(&self, event: &ErpEvent) -> Vec<String> {
        match event {
            ErpEvent::Business(Event::ContractActivated(activated)) => {
                vec![activated.contract_id.clone(), activated.account_id.clone()]
            }
            ErpEvent::Request(Request::OrderRequested(request)) => {
                vec![request.contract_id.clone(), request.account_id.clone()]
            }
            other => vec![other.subject().to_owned()],
        }
    }

    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(event) | Input::Outcome { of: Origin::Event(event), .. } => reads(event),
            Input::Timer { payload, .. } => usage::reads_of_timer(payload),
            Input::Outcome { of: Origin::Timer { .. }, .. } | Input::Refused { .. } => Vec::new(),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, ErpDocument>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        match input {
            Input::Event(ErpEvent::Business(event)) => self.plan(Known(documents), event, context.now_ms),
            Input::Event(ErpEvent::Request(request)) => self.asked(Known(documents), request, context),
            Input::Outcome { of: Origin::Event(event), receipts } => {
                let mut decision = plan::recorded(documents, event, receipts);
                if let (Some(replies), Some(cause)) = (&self.replies, cause(context)) {
                    decision.publish = replies.of(&self.mapping, Known(documents), event, receipts, cause);
                }
                Ok(decision)
            }
            Input::Timer { payload, .. } => usage::timer(&self.mapping, Known(documents), payload, context.now_ms),
            Input::Outcome { of: Origin::Timer { .. }, .. } | Input::Refused { .. } => Ok(Decision::new()),
        }
    }

    /// Whoever asked for an order hears that it was refused.
    fn refused(&self, event: &ErpEvent, failure: &Failure, context: &Context<'_>) -> Vec<Publish> {
        let (Some(replies), Some(cause)) = (&self.replies, cause(context)) else { return Vec::new() };
        replies.to_refusal(event, failure, cause)
    }
}

fn cause<'a>(context: &Context<'a>) -> Option<Cause<'a>> {
    context.envelope.map(|envelope| Cause { envelope, refusals: context.refusals })
}

impl ErpSync {
    /// What order-flow asks for. A cancellation is answered with the decision itself: it takes hold when the order is closed.
    fn asked(&self, known: Known<'_>, request: &Request, context: &Context<'_>) -> Result<Decision<Self>, Failure> {
        match request {
            Request::OrderRequested(event) => order::requested(&self.mapping, known, event),
            Request::OrderCancelRequested(event) => {
                let mut decision = order::cancelled(&self.mapping, known, event)?;
                if let (Some(replies), Some(cause), false) =
                    (&self.replies, cause(context), decision.effects.is_empty())
                {
                    decision.publish = replies.to_cancellation(known, event, cause);
                }
                Ok(decision)
            }
        }
    }

    fn plan(&self, known: Known<'_>, event: &Event, now_ms: i64) -> Result<Decision<Self>, Failure> {
        match event {
            Event::ContractActivated(event) => activation::plan(&self.mapping, known, event),
            Event::InvoicePosted(event) => invoice::plan(&self.mapping, known, event),
            Event::CreditNoteIssued(event) => credit::plan(&self.mapping, known, event),
            Event::PaymentReceived(event) => payment::plan(&self.mapping, known, event),
            Event::PaymentFailed(event) => skipped::payment_failed(known, event),
            Event::ContractAmended(event) => amendment::plan(&self.mapping, known, event),
            Event::ContractCancelled(event) => cancellation::plan(&self.mapping, known, event),
            Event::SubscriptionRenewalAccepted(event) => renewal::plan(&self.mapping, known, event),
            Event::InvoiceVoided(event) => void::plan(known, event),
            Event::InvoiceMarkedUncollectible(event) => write_off::plan(&self.mapping, known, event),
            Event::PaymentRefunded(event) => pay_back::plan(&self.mapping, known, event),
            Event::PaymentDisputed(event) => dispute::plan(&self.mapping, known, event),
            Event::UsageRated(event) => usage::plan(&self.mapping, known, event, now_ms),
            Event::UsageThresholdExceeded(_) => Ok(Decision::skip("thresholds book nothing in the ERP")),
        }
    }
}

fn reads(event: &ErpEvent) -> Vec<DocumentKey> {
    match event {
        ErpEvent::Business(event) => reads_of_business(event),
        ErpEvent::Request(Request::OrderRequested(event)) => activation::reads(&order::announced(event)),
        ErpEvent::Request(Request::OrderCancelRequested(event)) => order::reads(event),
    }
}

fn reads_of_business(event: &Event) -> Vec<DocumentKey> {
    match event {
        Event::ContractActivated(event) => activation::reads(event),
        Event::InvoicePosted(event) => invoice::reads(event),
        Event::CreditNoteIssued(event) => credit::reads(event),
        Event::PaymentReceived(event) => payment::reads(event),
        Event::PaymentFailed(event) => vec![key(kind::PAYMENT, &event.payment_id)],
        Event::ContractAmended(event) => amendment::reads(&event.contract_id),
        Event::ContractCancelled(event) => amendment::reads(&event.contract_id),
        Event::SubscriptionRenewalAccepted(event) => renewal::reads(event),
        Event::UsageRated(event) => usage::reads(event),
        Event::InvoiceVoided(event) => vec![key(kind::INVOICE, &event.invoice_id)],
        Event::InvoiceMarkedUncollectible(event) => vec![key(kind::INVOICE, &event.invoice_id)],
        Event::PaymentRefunded(event) => pay_back::reads(event),
        Event::PaymentDisputed(event) => dispute::reads(event),
        Event::UsageThresholdExceeded(_) => Vec::new(),
    }
}
