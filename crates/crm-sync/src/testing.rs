//! Events and state for the tests of the plans.

use crate::{
    document::{CrmDocument, Known},
    effect::CrmEffect,
    event::CrmEvent,
    handler::CrmSync,
};
use connectors::ReceivableShown;
use consumer::{Context, Decision, Documents, Handler as _, Input};
use events::{
    ContractActivated, ContractAmended, ContractCancelled, CreditNoteIssued, Event, InvoicePosted, PaymentFailed,
    PaymentReceived, PaymentRefunded, SubscriptionRenewalAccepted,
    common::{
        AmendmentType, CancellationMode, CreditApplication, Customer, InvoiceRef, PaymentAllocation, Term, Totals,
    },
};
use jiff::civil::{Date, date};
use ledger::DocumentKey;
use std::{collections::BTreeMap, sync::Arc};

/// The documents of an account.
pub(crate) struct State(BTreeMap<DocumentKey, Arc<CrmDocument>>);

impl State {
    pub(crate) fn documents(&self) -> Documents<'_, CrmDocument> {
        Documents::new(&self.0)
    }
}

fn ask(state: &State, event: &CrmEvent) -> Result<Decision<CrmSync>, failure::Failure> {
    let context = Context { now_ms: 0, record_ms: 0, envelope: None, key: "a-1", refusals: 0 };
    CrmSync.decide(&state.documents(), &Input::Event(event), &context)
}

fn decide(state: &State, event: &CrmEvent) -> Decision<CrmSync> {
    let decision = ask(state, event).expect("the event can be planned");
    let reads = CrmSync.reads(&Input::Event(event));
    assert!(decision.documents.iter().all(|change| reads.contains(&change.key)), "only what is read may change");
    decision
}

/// Why an event cannot be planned.
pub(crate) fn refused(state: &State, event: &CrmEvent) -> failure::Failure {
    ask(state, event).map(|_| ()).expect_err("it is refused")
}

/// What an event leads to.
pub(crate) fn sent(state: &State, event: &Event) -> Vec<CrmEffect> {
    decide(state, &event.clone().into()).effects
}

/// The state after these events, each of whose effects is done at once.
pub(crate) fn kept(events: &[Event]) -> State {
    let mut state = State(BTreeMap::new());
    for event in events {
        follows(&mut state, event.clone());
    }
    state
}

/// What an event leads to, once that is done and kept.
pub(crate) fn follows(state: &mut State, event: impl Into<CrmEvent>) -> Vec<CrmEffect> {
    let decision = decide(state, &event.into());
    for change in decision.documents {
        match change.document {
            Some(document) => state.0.insert(change.key, Arc::new(document)),
            None => state.0.remove(&change.key),
        };
    }
    decision.effects
}

/// What an account is shown to owe.
pub(crate) fn owed(state: &State, account_id: &str, currency: &str) -> ReceivableShown {
    let documents = state.documents();
    let receivable = Known(&documents).receivable(account_id, currency).expect("something was owed");
    receivable.shown().expect("it adds up")
}

pub(crate) fn activated(account_id: &str, contract_id: &str) -> ContractActivated {
    ContractActivated {
        account_id: account_id.into(),
        entity_version: 1,
        contract_id: contract_id.into(),
        customer: Customer { legal_name: "Example".into(), currency: "GBP".into(), ..Customer::default() },
        currency: "GBP".into(),
        term: Term {
            start_on: date(2026, 1, 1),
            end_on: Some(date(2027, 1, 1)),
            timezone: "Europe/London".into(),
            auto_renew: true,
            ..Term::default()
        },
        total_contract_value_minor: Some(12_000),
        ..ContractActivated::default()
    }
}

pub(crate) fn amended(
    account_id: &str,
    contract_id: &str,
    entity_version: i64,
    amendment_type: AmendmentType,
    delta_tcv_minor: i64,
) -> ContractAmended {
    ContractAmended {
        account_id: account_id.into(),
        contract_id: contract_id.into(),
        entity_version,
        amendment_type,
        delta_tcv_minor,
        ..ContractAmended::default()
    }
}

pub(crate) fn cancelled(account_id: &str, contract_id: &str, entity_version: i64) -> ContractCancelled {
    ContractCancelled {
        account_id: account_id.into(),
        contract_id: contract_id.into(),
        entity_version,
        mode: CancellationMode::EndOfTerm,
        cancel_on: date(2028, 1, 1),
        timezone: "Europe/London".into(),
        ..ContractCancelled::default()
    }
}

pub(crate) fn renewed(account_id: &str, contract_id: &str, entity_version: i64) -> SubscriptionRenewalAccepted {
    let term = activated(account_id, contract_id).term;
    SubscriptionRenewalAccepted {
        account_id: account_id.into(),
        contract_id: contract_id.into(),
        entity_version,
        renewal_id: format!("r-{entity_version}"),
        renewed_term: Term { start_on: date(2027, 1, 1), end_on: Some(date(2028, 1, 1)), ..term },
        currency: "GBP".into(),
        ..SubscriptionRenewalAccepted::default()
    }
}

pub(crate) fn invoiced(account_id: &str, invoice_id: &str, payable_minor: i64, due_on: Date) -> InvoicePosted {
    InvoicePosted {
        account_id: account_id.into(),
        invoice_id: invoice_id.into(),
        entity_version: 1,
        currency: "GBP".into(),
        due_on: Some(due_on),
        totals: Totals { payable_minor, ..Totals::default() },
        ..InvoicePosted::default()
    }
}

pub(crate) fn credited(
    account_id: &str,
    credit_note_id: &str,
    invoice_id: Option<&str>,
    payable_minor: i64,
    to_invoice_minor: i64,
) -> CreditNoteIssued {
    CreditNoteIssued {
        account_id: account_id.into(),
        credit_note_id: credit_note_id.into(),
        entity_version: 1,
        currency: "GBP".into(),
        preceding_invoice: invoice_id.map(|id| InvoiceRef { invoice_id: id.into(), ..InvoiceRef::default() }),
        totals: Totals { payable_minor, ..Totals::default() },
        application: invoice_id.map(|_| CreditApplication { to_invoice_minor, ..CreditApplication::default() }),
        ..CreditNoteIssued::default()
    }
}

pub(crate) fn paid(
    account_id: &str,
    payment_id: &str,
    amount_minor: i64,
    invoice_id: &str,
    allocated_minor: i64,
    received_on: Date,
) -> PaymentReceived {
    PaymentReceived {
        account_id: account_id.into(),
        payment_id: payment_id.into(),
        entity_version: 1,
        currency: "GBP".into(),
        amount_minor,
        received_on,
        allocations: vec![PaymentAllocation {
            invoice_id: invoice_id.into(),
            amount_minor: allocated_minor,
            ..PaymentAllocation::default()
        }],
        ..PaymentReceived::default()
    }
}

pub(crate) fn refunded(
    account_id: &str,
    payment_id: &str,
    entity_version: i64,
    invoice_id: Option<&str>,
    amount_minor: i64,
) -> PaymentRefunded {
    PaymentRefunded {
        account_id: account_id.into(),
        payment_id: payment_id.into(),
        entity_version,
        invoice_id: invoice_id.map(str::to_owned),
        amount_minor,
        currency: "GBP".into(),
        ..PaymentRefunded::default()
    }
}

pub(crate) fn failed(
    account_id: &str,
    payment_id: &str,
    entity_version: i64,
    dunning_step: Option<i32>,
) -> PaymentFailed {
    PaymentFailed {
        account_id: account_id.into(),
        payment_id: payment_id.into(),
        entity_version,
        invoice_id: "i-1".into(),
        amount_minor: 1_000,
        currency: "GBP".into(),
        failure_code: "card_declined".into(),
        dunning_step,
        ..PaymentFailed::default()
    }
}
