//! What crm-sync does with each event: which documents it looks at, and which plan decides. Readable alone; the plans say how.
//!
//! Events of one account stay in order. What is shown is a whole state under our id of it, so only the newest of several waiting ones is
//! sent. Nothing here can post, invoice or pay: there is no effect for it.

use crate::{
    document::{CrmDocument, Known},
    effect::CrmEffect,
    event::CrmEvent,
    plan::{case, contract, credit, dunning, invoice, payment, usage},
};
use consumer::{Context, Decision, Documents, Handler, Input};
use events::{Case, Event, EventSet as _, Notice};
use failure::Failure;
use ledger::DocumentKey;

#[derive(Debug, Clone, Copy)]
pub struct CrmSync;

impl Handler for CrmSync {
    type Event = CrmEvent;
    type Document = CrmDocument;
    type Effect = CrmEffect;

    fn name(&self) -> &'static str {
        "crm-sync"
    }

    /// A contract brings its account, too: what else belongs to the account waits for that.
    fn provides(&self, event: &CrmEvent) -> Vec<String> {
        match event {
            CrmEvent::Business(Event::ContractActivated(activated)) => {
                vec![activated.contract_id.clone(), activated.account_id.clone()]
            }
            other => vec![other.subject().to_owned()],
        }
    }

    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(event) => reads(event),
            Input::Outcome { .. } | Input::Refused { .. } | Input::Timer { .. } => Vec::new(),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, CrmDocument>,
        input: &Input<'_, Self>,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        match input {
            Input::Event(event) => plan(Known(documents), event),
            Input::Outcome { .. } | Input::Refused { .. } | Input::Timer { .. } => Ok(Decision::new()),
        }
    }
}

fn plan(known: Known<'_>, event: &CrmEvent) -> Result<Decision<CrmSync>, Failure> {
    match event {
        CrmEvent::Business(event) => business(known, event),
        CrmEvent::Notice(Notice::SubscriptionRenewalDue(event)) => contract::due(known, event),
        CrmEvent::Notice(Notice::SubscriptionRenewalDeclined(event)) => contract::declined(known, event),
        CrmEvent::Notice(Notice::NotificationRequested(_)) => {
            Ok(Decision::skip("what customers are told is not shown in the CRM"))
        }
        CrmEvent::Case(Case::FalloutOpened(event)) => case::opened(known, event),
        CrmEvent::Case(Case::FalloutClosed(event)) => case::closed(known, event),
    }
}

fn business(known: Known<'_>, event: &Event) -> Result<Decision<CrmSync>, Failure> {
    match event {
        Event::ContractActivated(event) => contract::activated(known, event),
        Event::ContractAmended(event) => contract::amended(known, event),
        Event::ContractCancelled(event) => contract::cancelled(known, event),
        Event::SubscriptionRenewalAccepted(event) => contract::renewed(known, event),
        Event::InvoicePosted(event) => invoice::posted(known, event),
        Event::InvoiceVoided(event) => invoice::voided(known, event),
        Event::InvoiceMarkedUncollectible(event) => invoice::written_off(known, event),
        Event::CreditNoteIssued(event) => credit::issued(known, event),
        Event::PaymentReceived(event) => payment::received(known, event),
        Event::PaymentRefunded(event) => payment::refunded(known, event),
        Event::PaymentDisputed(event) => payment::disputed(known, event),
        Event::PaymentFailed(event) => dunning::failed(known, event),
        Event::UsageThresholdExceeded(event) => usage::crossed(known, event),
        Event::UsageRated(_) => Ok(Decision::skip("the CRM is shown thresholds and invoices, not each batch of usage")),
    }
}

fn reads(event: &CrmEvent) -> Vec<DocumentKey> {
    match event {
        CrmEvent::Business(event) => reads_of_business(event),
        CrmEvent::Notice(Notice::SubscriptionRenewalDue(event)) => {
            contract::reads(&event.account_id, &event.contract_id)
        }
        CrmEvent::Notice(Notice::SubscriptionRenewalDeclined(event)) => {
            contract::reads(&event.account_id, &event.contract_id)
        }
        CrmEvent::Notice(Notice::NotificationRequested(_)) => Vec::new(),
        CrmEvent::Case(Case::FalloutOpened(event)) => case::reads(&event.account_id, &event.case_id),
        CrmEvent::Case(Case::FalloutClosed(event)) => case::reads(&event.account_id, &event.case_id),
    }
}

fn reads_of_business(event: &Event) -> Vec<DocumentKey> {
    match event {
        Event::ContractActivated(event) => contract::reads(&event.account_id, &event.contract_id),
        Event::ContractAmended(event) => contract::reads(&event.account_id, &event.contract_id),
        Event::ContractCancelled(event) => contract::reads(&event.account_id, &event.contract_id),
        Event::SubscriptionRenewalAccepted(event) => contract::reads(&event.account_id, &event.contract_id),
        Event::InvoicePosted(event) => invoice::reads(&event.account_id, &event.invoice_id, &event.currency),
        Event::InvoiceVoided(event) => invoice::reads(&event.account_id, &event.invoice_id, &event.currency),
        Event::InvoiceMarkedUncollectible(event) => {
            invoice::reads(&event.account_id, &event.invoice_id, &event.currency)
        }
        Event::CreditNoteIssued(event) => credit::reads(event),
        Event::PaymentReceived(event) => payment::reads_of_received(event),
        Event::PaymentRefunded(event) => {
            payment::reads(&**event, &event.payment_id, &event.currency, event.invoice_id.as_deref())
        }
        Event::PaymentDisputed(event) => {
            payment::reads(&**event, &event.payment_id, &event.currency, event.invoice_id.as_deref())
        }
        Event::PaymentFailed(event) => dunning::reads(event),
        Event::UsageThresholdExceeded(event) => usage::reads(event),
        Event::UsageRated(_) => Vec::new(),
    }
}
