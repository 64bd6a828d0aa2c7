//! What the ERP answered, noted in the documents: its own id, our external id, the number.

use super::{Decision, order};
use crate::event::ErpEvent;
use crate::{
    document::{ErpDocument, ErpRecord, kind},
    effect::key,
};
use consumer::{Documents, Receipt};
use events::{Event, Request};
use std::collections::BTreeMap;

/// Adds the ERP's ids to the staged documents of `event`.
#[must_use]
pub fn recorded(
    documents: &Documents<'_, ErpDocument>,
    event: &ErpEvent,
    receipts: &BTreeMap<String, Receipt>,
) -> Decision {
    let mut decision = Decision::new();
    for (effect, kind, id) in made_by(event) {
        if let (Some(receipt), Some(document)) = (receipts.get(&effect), documents.get(kind, id)) {
            decision = decision.put(kind, id, document.clone().recorded(record(receipt)));
        }
    }
    decision
}

/// Effects of an event that make a record, with the document each belongs to.
fn made_by(event: &ErpEvent) -> Vec<(String, &'static str, &str)> {
    match event {
        ErpEvent::Business(event) => made_by_business(event),
        ErpEvent::Request(Request::OrderRequested(event)) => vec![
            (key::customer(&event.account_id), kind::ACCOUNT, &event.account_id),
            (key::order(&event.contract_id, order::ORDERED), kind::CONTRACT, &event.contract_id),
        ],
        ErpEvent::Request(Request::OrderCancelRequested(_)) => Vec::new(),
    }
}

fn made_by_business(event: &Event) -> Vec<(String, &'static str, &str)> {
    match event {
        Event::ContractActivated(event) => vec![
            (key::customer(&event.account_id), kind::ACCOUNT, &event.account_id),
            (key::order(&event.contract_id, event.entity_version), kind::CONTRACT, &event.contract_id),
            (key::revenue(&event.contract_id, event.entity_version), kind::REVENUE, &event.contract_id),
        ],
        Event::SubscriptionRenewalAccepted(event) => {
            vec![(key::order(&event.contract_id, event.entity_version), kind::CONTRACT, &event.contract_id)]
        }
        Event::InvoicePosted(event) => {
            vec![(key::invoice(&event.invoice_id, event.entity_version), kind::INVOICE, &event.invoice_id)]
        }
        Event::CreditNoteIssued(event) => {
            vec![(
                key::credit_memo(&event.credit_note_id, event.entity_version),
                kind::CREDIT_NOTE,
                &event.credit_note_id,
            )]
        }
        Event::PaymentReceived(event) => {
            vec![(key::payment(&event.payment_id, event.entity_version), kind::PAYMENT, &event.payment_id)]
        }
        Event::ContractAmended(_)
        | Event::ContractCancelled(_)
        | Event::InvoiceVoided(_)
        | Event::InvoiceMarkedUncollectible(_)
        | Event::PaymentRefunded(_)
        | Event::PaymentDisputed(_)
        | Event::PaymentFailed(_)
        | Event::UsageRated(_)
        | Event::UsageThresholdExceeded(_) => Vec::new(),
    }
}

/// Names of details in receipts.
pub(crate) const EXTERNAL_ID: &str = "external_id";
pub(crate) const NUMBER: &str = "number";
pub(crate) const DATED: &str = "dated";

fn record(receipt: &Receipt) -> ErpRecord {
    let detail = |name: &str| receipt.details.get(name).cloned();
    ErpRecord {
        id: receipt.external_id.clone(),
        external_id: detail(EXTERNAL_ID).unwrap_or_default(),
        number: detail(NUMBER),
        dated: detail(DATED),
    }
}
