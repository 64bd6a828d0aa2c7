//! What the ERP answered, told to the bus: `customer.onboarded`, `order.accepted`, `journal.posted`, with the ERP's own ids and numbers,
//! and `order.rejected` with the reason. What is said of an order is told to data teams too, as `analytics.order_step`.
//!
//! A reply is published in the transaction that records the outcome or parks the refused event, so there is one for each effect and none
//! without. Its content and id follow from the event and the receipt alone. Its times are those of the event that asked; the record's
//! timestamp says when it came.

use crate::{
    document::{Contract, Known},
    effect::key,
    event::ErpEvent,
    mapping::Mapping,
    order_step,
    plan::{NUMBER, dispute::journal_id, order},
    rejection,
};
use connectors::Reference;
use consumer::{Publish, Receipt};
use events::{
    ContractActivated, CustomerOnboarded, Envelope, Event, EventSet, JournalPosted, OrderAccepted,
    OrderCancelRequested, OrderCancelled, PaymentDisputed, Reply, Request, SubscriptionRenewalAccepted,
    common::{CreditStatus, DocumentRef, DuplicateDecision, JournalLine, OrderLine},
    topics::{
        self, ANALYTICS_ORDER_STEP, CUSTOMER_ONBOARDED, JOURNAL_POSTED, ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REJECTED,
    },
};
use failure::Failure;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Who we are, as `ce_source`.
pub const SOURCE: &str = "urn:throughline:erp-sync";
pub(crate) const SYSTEM: &str = "netsuite";

/// Writes replies with the schemas that the registry knows under these ids.
#[derive(Debug, Clone)]
pub struct Replies {
    ids: BTreeMap<&'static str, u32>,
}

type Receipts = BTreeMap<String, Receipt>;

impl Replies {
    pub const TOPICS: [&'static str; 6] =
        [CUSTOMER_ONBOARDED, ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REJECTED, JOURNAL_POSTED, ANALYTICS_ORDER_STEP];

    /// What replies are written with.
    pub fn subjects() -> impl Iterator<Item = &'static topics::Subject> {
        Self::TOPICS.iter().filter_map(|topic| topics::find(topic))
    }

    /// `ids`: of the schema of each topic, by topic.
    #[must_use]
    pub const fn new(ids: BTreeMap<&'static str, u32>) -> Self {
        Self { ids }
    }

    /// What an event's effects are answered with.
    pub(crate) fn of(
        &self,
        mapping: &Mapping,
        known: Known<'_>,
        event: &ErpEvent,
        receipts: &Receipts,
        cause: Cause<'_>,
    ) -> Vec<Publish> {
        let asked = match event {
            ErpEvent::Request(Request::OrderRequested(event)) => Some(Event::from(order::announced(event))),
            ErpEvent::Business(_) | ErpEvent::Request(Request::OrderCancelRequested(_)) => None,
        };
        let event = match (event, &asked) {
            (ErpEvent::Business(event), _) => event,
            (ErpEvent::Request(_), Some(event)) => event,
            (ErpEvent::Request(_), None) => return Vec::new(),
        };
        let replies = match event {
            Event::ContractActivated(event) => {
                let onboarded = onboarded(mapping, event, receipts).map(Reply::from);
                let order = first_order(known, event, receipts, cause.refusals).map(Reply::from);
                onboarded.into_iter().chain(order).collect()
            }
            Event::SubscriptionRenewalAccepted(event) => {
                renewed_order(known, event, receipts, cause.refusals).map(Reply::from).into_iter().collect()
            }
            Event::PaymentDisputed(event) => {
                journal(mapping, known, event, receipts).map(Reply::from).into_iter().collect()
            }
            _ => Vec::new(),
        };
        replies.into_iter().flat_map(|reply: Reply| self.records(&reply, None, cause)).collect()
    }

    /// What the cancellation of an order is answered with.
    pub(crate) fn to_cancellation(
        &self,
        known: Known<'_>,
        event: &OrderCancelRequested,
        cause: Cause<'_>,
    ) -> Vec<Publish> {
        let erp = known.contract(&event.contract_id).and_then(|contract| contract.erp.as_ref());
        let cancelled = OrderCancelled {
            account_id: event.account_id.clone(),
            entity_version: rejection::version(cause.refusals),
            effective_at: event.effective_at,
            recorded_at: event.recorded_at,
            legal_entity_id: event.legal_entity_id.clone(),
            order_id: event.order_id.clone(),
            contract_id: Some(event.contract_id.clone()),
            opportunity_id: Some(event.opportunity_id.clone()),
            erp_system: SYSTEM.to_owned(),
            erp_order_id: erp.map(|record| record.id.clone()),
            erp_order_no: erp.and_then(|record| record.number.clone()),
            reason: event.reason.clone(),
            cancelled_at: event.recorded_at,
        };
        self.records(&Reply::from(cancelled), None, cause).collect()
    }

    /// What a refusal is answered with.
    pub(crate) fn to_refusal(&self, event: &ErpEvent, failure: &Failure, cause: Cause<'_>) -> Vec<Publish> {
        let rejected = rejection::of(event, failure, cause.refusals).map(Reply::from);
        rejected.iter().flat_map(|reply| self.records(reply, Some(failure), cause)).collect()
    }

    /// The reply, and the row that tells data teams of it.
    fn records(
        &self,
        reply: &Reply,
        failure: Option<&Failure>,
        of: Cause<'_>,
    ) -> impl Iterator<Item = Publish> + use<> {
        let row = order_step::of(reply, failure, of.envelope, id(ANALYTICS_ORDER_STEP, of));
        let row = row.map(|row| self.record(row.topic(), &row, &row.encode_avro(), of));
        std::iter::once(self.record(reply.topic(), reply, &reply.encode_avro(), of)).chain(row)
    }

    fn record(&self, topic: &'static str, reply: &impl EventSet, datum: &[u8], of: Cause<'_>) -> Publish {
        let cause = of.envelope;
        let envelope = Envelope {
            id: id(topic, of),
            source: SOURCE.to_owned(),
            event_type: topics::event_type(topic),
            time_ms: cause.time_ms,
            subject: Some(reply.subject().to_owned()),
            correlation_id: cause.correlation_id.clone(),
            causation_id: Some(cause.id.clone()),
            sequence: reply.entity_version().map(|version| format!("{version:010}").into()),
            dataschema: None,
            change_origin: None,
            traceparent: cause.traceparent.clone(),
        };
        let schema = self.ids.get(topic).copied().unwrap_or_default();
        Publish {
            topic: topic.to_owned(),
            key: reply.account_id().to_owned(),
            value: Some(events::wire::frame(schema, datum)),
            headers: envelope.to_headers(),
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    pub envelope: &'a Envelope,
    /// Refusals of the event before.
    pub refusals: u32,
}

/// One reply of a kind for each event, and one rejection or step for each refusal of it: the id follows from the event's.
fn id(topic: &str, cause: Cause<'_>) -> String {
    let mut hash = Sha256::new();
    let is_counted = topic == ORDER_REJECTED || topic == ANALYTICS_ORDER_STEP;
    let refusal = (is_counted && cause.refusals > 0).then(|| cause.refusals.to_string());
    for part in
        [Some(topic), Some(&cause.envelope.source), Some(&cause.envelope.id), refusal.as_deref()].into_iter().flatten()
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named(reference: &Reference) -> String {
    match reference {
        Reference::Id(id) | Reference::ExternalId(id) => id.clone(),
    }
}

fn number(receipt: &Receipt) -> Option<String> {
    receipt.details.get(NUMBER).cloned()
}

fn onboarded(mapping: &Mapping, event: &ContractActivated, receipts: &Receipts) -> Option<CustomerOnboarded> {
    let receipt = receipts.get(&key::customer(&event.account_id))?;
    let subsidiary = mapping.entity(&event.legal_entity_id).ok().map(|entity| named(&entity.subsidiary));
    Some(CustomerOnboarded {
        account_id: event.account_id.clone(),
        entity_version: 1,
        effective_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: event.legal_entity_id.clone(),
        customer: event.customer.clone(),
        erp_system: SYSTEM.to_owned(),
        erp_customer_id: receipt.external_id.clone(),
        erp_customer_no: number(receipt),
        subsidiaries: subsidiary.into_iter().collect(),
        credit_status: CreditStatus::Approved,
        duplicate_decision: DuplicateDecision::NoneFound,
        onboarded_at: event.recorded_at,
        ..CustomerOnboarded::default()
    })
}

fn first_order(
    known: Known<'_>,
    event: &ContractActivated,
    receipts: &Receipts,
    refusals: u32,
) -> Option<OrderAccepted> {
    let receipt = receipts.get(&key::order(&event.contract_id, event.entity_version))?;
    let stated = |id: &str| event.lines.iter().find(|line| line.contract_line_id == id).map(|line| &*line.product_id);
    let lines = order_lines(known.contract(&event.contract_id)?, stated);
    Some(OrderAccepted {
        account_id: event.account_id.clone(),
        effective_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: event.legal_entity_id.clone(),
        order_id: rejection::first_order_id(event),
        contract_id: Some(event.contract_id.clone()),
        opportunity_id: event.opportunity_id.clone(),
        currency: event.currency.clone(),
        accepted_at: event.recorded_at,
        ..accepted(receipt, lines, refusals)
    })
}

fn renewed_order(
    known: Known<'_>,
    event: &SubscriptionRenewalAccepted,
    receipts: &Receipts,
    refusals: u32,
) -> Option<OrderAccepted> {
    let receipt = receipts.get(&key::order(&event.contract_id, event.entity_version))?;
    let after = &event.lines_after;
    let stated = |id: &str| after.iter().find(|line| line.contract_line_id == id).map(|line| &*line.product_id);
    let lines = order_lines(known.contract(&event.contract_id)?, stated);
    Some(OrderAccepted {
        account_id: event.account_id.clone(),
        effective_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: event.legal_entity_id.clone(),
        order_id: connectors::order_id(&event.contract_id, Some(&event.renewal_id)),
        contract_id: Some(event.contract_id.clone()),
        currency: event.currency.clone(),
        accepted_at: event.recorded_at,
        ..accepted(receipt, lines, refusals)
    })
}

/// What every accepted order says. An order books no tax: its invoices do.
fn accepted(receipt: &Receipt, lines: Vec<OrderLine>, refusals: u32) -> OrderAccepted {
    let net = lines.iter().map(|line| line.amount_minor).sum();
    OrderAccepted {
        entity_version: rejection::version(refusals),
        erp_system: SYSTEM.to_owned(),
        erp_order_id: receipt.external_id.clone(),
        erp_order_no: number(receipt),
        lines,
        total_net_minor: net,
        total_gross_minor: net,
        ..OrderAccepted::default()
    }
}

/// The lines of the contract's newest order, as the ERP took them.
fn order_lines<'a>(contract: &Contract, product: impl Fn(&str) -> Option<&'a str>) -> Vec<OrderLine> {
    let lines = contract.orders.last().map(|order| order.lines.as_slice()).unwrap_or_default();
    let line = |line: &connectors::Line| OrderLine {
        contract_line_id: line.line_id.clone(),
        product_id: product(&line.line_id).unwrap_or(&line.line_id).to_owned(),
        erp_item_id: Some(named(&line.item)),
        quantity: line.quantity,
        amount_minor: line.amount_minor,
        ..OrderLine::default()
    };
    lines.iter().map(|own| line(&own.line)).collect()
}

fn journal(mapping: &Mapping, known: Known<'_>, event: &PaymentDisputed, receipts: &Receipts) -> Option<JournalPosted> {
    let found = [false, true].into_iter().find_map(|is_reversal| {
        let id = journal_id(&event.dispute_id, is_reversal);
        Some((is_reversal, receipts.get(&key::journal(&id, event.entity_version))?, id))
    });
    let (is_reversal, receipt, journal_id_) = found?;
    let posting = &mapping.posting;
    let (disputed, receivable) = (posting.disputed_account.as_ref()?, posting.receivable_account.as_ref()?);
    let (debit, credit) = if is_reversal { (receivable, disputed) } else { (disputed, receivable) };
    let amount = known.payment(&event.payment_id)?.disputes.get(&event.dispute_id)?.amount_minor;
    let line = |account: &Reference, debit_minor, credit_minor| JournalLine {
        account: named(account),
        debit_minor,
        credit_minor,
        ..JournalLine::default()
    };
    Some(JournalPosted {
        account_id: event.account_id.clone(),
        entity_version: 1,
        effective_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: event.legal_entity_id.clone(),
        journal_id: journal_id_,
        erp_system: SYSTEM.to_owned(),
        erp_journal_id: receipt.external_id.clone(),
        erp_journal_no: number(receipt),
        posting_period: event.disputed_on.strftime("%Y-%m").to_string(),
        posted_on: event.disputed_on,
        timezone: event.timezone.clone(),
        book: "primary".to_owned(),
        currency: event.currency.clone(),
        lines: vec![line(debit, amount, 0), line(credit, 0, amount)],
        source_document: Some(DocumentRef {
            document_type: "payment".to_owned(),
            document_id: event.payment_id.clone(),
            document_number: None,
        }),
        reversal_of_journal_id: is_reversal.then(|| journal_id(&event.dispute_id, false)),
        ..JournalPosted::default()
    })
}
