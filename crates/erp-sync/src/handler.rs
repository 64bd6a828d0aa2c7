//! What erp-sync does with each event: which documents it looks at, and which plan decides. Readable alone; the plans say how.
//!
//! Events of one account stay in order. Every effect is made once: its key, and the ERP's external id, follow from the event.

use crate::{
    document::{ErpDocument, Known, key, kind},
    effect::ErpEffect,
    mapping::Mapping,
    plan::{
        self, activation, amendment, cancellation, credit, dispute, invoice, pay_back, payment, renewal, skipped,
        usage, void, write_off,
    },
    reply::{Cause, Replies},
};
use consumer::{Context, Decision, Documents, Handler, Input, Publish};
use events::{Event, EventSet as _};
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
    type Event = Event;
    type Document = ErpDocument;
    type Effect = ErpEffect;

    fn name(&self) -> &'static str {
        "erp-sync"
    }

    fn outputs(&self) -> Vec<&'static str> {
        self.replies.as_ref().map(|_| Replies::TOPICS.to_vec()).unwrap_or_default()
    }

    /// A contract brings the customer of its account, too: documents without a contract wait for that.
    fn provides(&self, event: &Event) -> Vec<String> {
        match event {
            Event::ContractActivated(activated) => vec![activated.contract_id.clone(), activated.account_id.clone()],
            other => vec![other.subject().to_owned()],
        }
    }

    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(event) | Input::Outcome { of: Some(event), .. } => reads(event),
            Input::Timer { payload, .. } => usage::reads_of_timer(payload),
            Input::Outcome { of: None, .. } => Vec::new(),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, ErpDocument>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        match input {
            Input::Event(event) => self.plan(Known(documents), event, context.now_ms),
            Input::Outcome { of: Some(event), receipts } => {
                let mut decision = plan::recorded(documents, event, receipts);
                if let (Some(replies), Some(cause)) = (&self.replies, cause(context)) {
                    decision.publish = replies.of(&self.mapping, Known(documents), event, receipts, cause);
                }
                Ok(decision)
            }
            Input::Timer { payload, .. } => usage::timer(&self.mapping, Known(documents), payload, context.now_ms),
            Input::Outcome { of: None, .. } => Ok(Decision::new()),
        }
    }

    /// Whoever asked for an order hears that it was refused.
    fn refused(&self, event: &Event, failure: &Failure, context: &Context<'_>) -> Vec<Publish> {
        let (Some(replies), Some(cause)) = (&self.replies, cause(context)) else { return Vec::new() };
        replies.to_refusal(event, failure, cause)
    }
}

fn cause<'a>(context: &Context<'a>) -> Option<Cause<'a>> {
    context.envelope.map(|envelope| Cause { envelope, refusals: context.refusals })
}

impl ErpSync {
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

fn reads(event: &Event) -> Vec<DocumentKey> {
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
