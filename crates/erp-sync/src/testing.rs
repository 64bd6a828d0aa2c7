//! Events and state for the tests of the plans.

use crate::{
    document::{ErpDocument, key},
    event::ErpEvent,
    handler::ErpSync,
    mapping::Mapping,
};
use consumer::{Context, Decision, Document as _, Documents, Effect as _, Handler, Input, Origin, Receipt};
use events::{
    ContractActivated, ContractAmended, ContractCancelled, CreditNoteIssued, Event, InvoicePosted, OrderRequested,
    PaymentDisputed, PaymentFailed, PaymentReceived, PaymentRefunded, SubscriptionRenewalAccepted, UsageRated,
    common::{
        CancellationMode, ContractLine, Customer, DisputeStatus, InvoiceRef, LineItem, PaymentAllocation, PaymentTerms,
        Period, Reason, RecognitionMethod, RevenueObligation, TaxLine, Term, Totals,
    },
};
use jiff::civil::{Date, date};
use ledger::DocumentKey;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::{collections::BTreeMap, sync::Arc};

pub(crate) fn mapping() -> Mapping {
    Mapping::parse(include_str!("../../../deploy/policies/erp-mapping.yaml")).expect("the mapping in the repository")
}

/// The documents of an account.
pub(crate) struct State(BTreeMap<DocumentKey, Arc<ErpDocument>>);

impl State {
    pub(crate) fn documents(&self) -> Documents<'_, ErpDocument> {
        Documents::new(&self.0)
    }

    pub(crate) fn status(&self, kind: &str, id: &str) -> String {
        self.0[&key(kind, id)].status().to_owned()
    }

    fn take(&mut self, decision: &Decision<ErpSync>) {
        for change in &decision.documents {
            match &change.document {
                Some(document) => self.0.insert(change.key.clone(), Arc::new(document.clone())),
                None => self.0.remove(&change.key),
            };
        }
    }
}

pub(crate) fn state(documents: &[(DocumentKey, ErpDocument)]) -> State {
    State(documents.iter().map(|(key, document)| (key.clone(), Arc::new(document.clone()))).collect())
}

/// The state after these events, each of whose effects is done at once.
pub(crate) fn kept(mapping: &Mapping, events: &[Event]) -> State {
    kept_all(mapping, &events.iter().cloned().map(ErpEvent::from).collect::<Vec<_>>())
}

/// As [`kept`], also of requests.
pub(crate) fn kept_all(mapping: &Mapping, events: &[ErpEvent]) -> State {
    let handler = ErpSync::new(mapping.clone());
    let mut state = state(&[]);
    let context = Context { now_ms: 0, record_ms: 0, envelope: None, key: "A-1", refusals: 0 };
    for event in events {
        let input = Input::Event(event);
        let decision = handler.decide(&state.documents(), &input, &context).expect("the event can be planned");
        let reads = handler.reads(&input);
        assert!(decision.documents.iter().all(|change| reads.contains(&change.key)), "only what is read may change");
        state.take(&decision);
        let receipts: BTreeMap<_, _> =
            decision.effects.iter().map(|effect| (effect.key(), receipt(&effect.entity()))).collect();
        let outcome = Input::Outcome { of: Origin::Event(event), receipts: &receipts };
        let outcome = handler.decide(&state.documents(), &outcome, &context).expect("receipts are noted");
        state.take(&outcome);
    }
    state
}

fn receipt(entity: &str) -> Receipt {
    Receipt { external_id: format!("erp-{entity}"), details: BTreeMap::new() }
}

pub(crate) fn activated(account_id: &str, contract_id: &str) -> ContractActivated {
    ContractActivated {
        account_id: account_id.into(),
        entity_version: 1,
        legal_entity_id: "UK".into(),
        contract_id: contract_id.into(),
        customer: Customer {
            legal_name: "Example".into(),
            currency: "GBP".into(),
            email: Some("billing@example.com".into()),
            payment_terms: Some(PaymentTerms { code: "NET30".into(), net_days: 30 }),
            ..Customer::default()
        },
        currency: "GBP".into(),
        term: Term { start_on: date(2026, 1, 1), timezone: "Europe/London".into(), ..Term::default() },
        lines: vec![ContractLine {
            contract_line_id: "L1".into(),
            product_id: "SUB-PLATFORM".into(),
            quantity: Decimal::TEN,
            unit_price: Decimal::ONE,
            amount_minor: 1000,
            ..ContractLine::default()
        }],
        ..ContractActivated::default()
    }
}

/// The order of what [`activated`] sells.
pub(crate) fn ordered(account_id: &str, contract_id: &str) -> OrderRequested {
    let contract = activated(account_id, contract_id);
    OrderRequested {
        account_id: account_id.into(),
        entity_version: 1,
        legal_entity_id: contract.legal_entity_id,
        order_id: contract_id.into(),
        contract_id: contract_id.into(),
        opportunity_id: "O-1".into(),
        customer: contract.customer,
        currency: contract.currency,
        term: contract.term,
        total_net_minor: contract.lines.iter().map(|line| line.amount_minor).sum(),
        lines: contract.lines,
        policy_version: "0".into(),
        ..OrderRequested::default()
    }
}

pub(crate) fn amended(account_id: &str, contract_id: &str, entity_version: i64) -> ContractAmended {
    ContractAmended {
        account_id: account_id.into(),
        contract_id: contract_id.into(),
        entity_version,
        ..ContractAmended::default()
    }
}

pub(crate) fn cancelled(account_id: &str, contract_id: &str, entity_version: i64, on: Date) -> ContractCancelled {
    ContractCancelled {
        account_id: account_id.into(),
        contract_id: contract_id.into(),
        entity_version,
        legal_entity_id: "UK".into(),
        mode: CancellationMode::Immediate,
        cancel_on: on,
        timezone: "Europe/London".into(),
        currency: "GBP".into(),
        recorded_at: on.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a time").timestamp(),
        ..ContractCancelled::default()
    }
}

/// Renews what [`activated`] or [`deferred`] sold for 2027, as renewal `R-<version>`.
pub(crate) fn renewed(account_id: &str, contract_id: &str, entity_version: i64) -> SubscriptionRenewalAccepted {
    let first = activated(account_id, contract_id);
    SubscriptionRenewalAccepted {
        account_id: account_id.into(),
        contract_id: contract_id.into(),
        entity_version,
        legal_entity_id: "UK".into(),
        renewal_id: format!("R-{entity_version}"),
        renewed_term: Term { start_on: date(2027, 1, 1), end_on: Some(date(2028, 1, 1)), ..first.term.clone() },
        currency: "GBP".into(),
        lines_before: first.lines.clone(),
        lines_after: first.lines,
        ..SubscriptionRenewalAccepted::default()
    }
}

/// A contract for 2026 whose whole value is deferred and recognised day by day.
pub(crate) fn deferred(account_id: &str, contract_id: &str, value_minor: i64) -> ContractActivated {
    let mut event = activated(account_id, contract_id);
    event.term.end_on = Some(date(2027, 1, 1));
    event.total_contract_value_minor = Some(value_minor);
    event.lines[0].performance_obligation_id = Some("PO-1".into());
    event.revenue_plan = vec![RevenueObligation {
        performance_obligation_id: "PO-1".into(),
        standalone_selling_price_minor: value_minor,
        allocated_price_minor: value_minor,
        method: RecognitionMethod::StraightLineDaily,
        start_on: date(2026, 1, 1),
        end_on: Some(date(2027, 1, 1)),
        ..RevenueObligation::default()
    }];
    event
}

/// Usage of contract `C-1` measured on `day` for `amount_minor`.
pub(crate) fn used(batch: &str, day: &str, amount_minor: i64) -> UsageRated {
    let start_on: Date = day.parse().expect("a date");
    let at = start_on.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a time").timestamp();
    UsageRated {
        account_id: "A-1".into(),
        entity_version: 1,
        effective_at: at,
        recorded_at: at,
        legal_entity_id: "UK".into(),
        usage_batch_id: batch.into(),
        contract_id: "C-1".into(),
        product_id: "USE-API-CALLS".into(),
        meter: "api_calls".into(),
        period: Period { start_on, end_on: start_on.tomorrow().expect("a day"), timezone: "Europe/London".into() },
        overage_quantity: Decimal::from(amount_minor),
        amount_minor,
        currency: "GBP".into(),
        ..UsageRated::default()
    }
}

pub(crate) fn refunded(payment_id: &str, refund_id: &str, entity_version: i64, amount_minor: i64) -> PaymentRefunded {
    PaymentRefunded {
        account_id: "A-1".into(),
        entity_version,
        legal_entity_id: "UK".into(),
        payment_id: payment_id.into(),
        refund_id: refund_id.into(),
        amount_minor,
        currency: "GBP".into(),
        refunded_on: date(2026, 3, 1),
        timezone: "Europe/London".into(),
        ..PaymentRefunded::default()
    }
}

/// A dispute about what the payment settled of invoice `INV-1`.
pub(crate) fn disputed(
    payment_id: &str,
    dispute_id: &str,
    entity_version: i64,
    status: DisputeStatus,
    amount_minor: i64,
) -> PaymentDisputed {
    PaymentDisputed {
        account_id: "A-1".into(),
        entity_version,
        legal_entity_id: "UK".into(),
        payment_id: payment_id.into(),
        dispute_id: dispute_id.into(),
        invoice_id: Some("INV-1".into()),
        status,
        amount_minor,
        currency: "GBP".into(),
        disputed_on: date(2026, 3, 1),
        timezone: "Europe/London".into(),
        ..PaymentDisputed::default()
    }
}

fn line(index: usize, net_minor: i64) -> LineItem {
    LineItem {
        line_id: (index + 1).to_string(),
        product_id: "SUB-PLATFORM".into(),
        quantity: Decimal::ONE,
        unit_price: Decimal::new(net_minor, 2),
        net_minor,
        ..LineItem::default()
    }
}

/// 20 % tax on the whole document.
fn taxed(net: i64) -> (Vec<TaxLine>, Totals) {
    let tax = TaxLine {
        category_code: "S".into(),
        rate_percent: Decimal::from(20),
        taxable_minor: net,
        tax_minor: net / 5,
        ..TaxLine::default()
    };
    let gross = net + tax.tax_minor;
    let totals = Totals {
        line_net_minor: net,
        tax_exclusive_minor: net,
        tax_minor: tax.tax_minor,
        tax_inclusive_minor: gross,
        payable_minor: gross,
        ..Totals::default()
    };
    (vec![tax], totals)
}

pub(crate) fn invoiced(account_id: &str, invoice_id: &str, nets: &[i64]) -> InvoicePosted {
    let (tax_breakdown, totals) = taxed(nets.iter().sum());
    InvoicePosted {
        account_id: account_id.into(),
        entity_version: 1,
        legal_entity_id: "UK".into(),
        invoice_id: invoice_id.into(),
        invoice_number: invoice_id.into(),
        contract_id: Some("C-1".into()),
        issue_on: date(2026, 2, 1),
        timezone: "Europe/London".into(),
        currency: "GBP".into(),
        lines: nets.iter().enumerate().map(|(index, net)| line(index, *net)).collect(),
        tax_breakdown,
        totals,
        ..InvoicePosted::default()
    }
}

pub(crate) fn credited(account_id: &str, credit_note_id: &str, invoice_id: Option<&str>, net: i64) -> CreditNoteIssued {
    let (tax_breakdown, totals) = taxed(net);
    CreditNoteIssued {
        account_id: account_id.into(),
        entity_version: 1,
        legal_entity_id: "UK".into(),
        credit_note_id: credit_note_id.into(),
        credit_note_number: credit_note_id.into(),
        preceding_invoice: invoice_id.map(|id| InvoiceRef { invoice_id: id.into(), ..InvoiceRef::default() }),
        reason: Reason { code: "goodwill".into(), text: None },
        issue_on: date(2026, 2, 3),
        timezone: "Europe/London".into(),
        currency: "GBP".into(),
        lines: vec![line(0, net)],
        tax_breakdown,
        totals,
        ..CreditNoteIssued::default()
    }
}

pub(crate) fn paid(
    account_id: &str,
    payment_id: &str,
    allocations: &[(&str, i64)],
    unapplied_minor: i64,
) -> PaymentReceived {
    let allocation = |(invoice_id, amount_minor): &(&str, i64)| PaymentAllocation {
        invoice_id: (*invoice_id).into(),
        amount_minor: *amount_minor,
        ..PaymentAllocation::default()
    };
    PaymentReceived {
        account_id: account_id.into(),
        entity_version: 1,
        legal_entity_id: "UK".into(),
        payment_id: payment_id.into(),
        amount_minor: allocations.iter().map(|(_, amount)| amount).sum::<i64>() + unapplied_minor,
        currency: "GBP".into(),
        received_on: date(2026, 2, 5),
        timezone: "Europe/London".into(),
        allocations: allocations.iter().map(allocation).collect(),
        unapplied_minor,
        ..PaymentReceived::default()
    }
}

pub(crate) fn failed(account_id: &str, payment_id: &str, entity_version: i64) -> PaymentFailed {
    PaymentFailed {
        account_id: account_id.into(),
        payment_id: payment_id.into(),
        entity_version,
        amount_minor: 100,
        currency: "GBP".into(),
        ..PaymentFailed::default()
    }
}

/// How the tax of a generated document is stated.
#[derive(Debug, Clone, Copy)]
enum Stated {
    ByLine,
    ForTheDocument,
    /// Both, and the document differs by a few units, as rounding by category does.
    Both {
        off_by: i64,
    },
}

/// Any document that the wire contract allows: lines of either sign, tax stated by line, for the document or both, sums of the
/// whole document, currencies of 0, 2 and 3 decimals.
pub(crate) fn arbitrary_document() -> impl Strategy<Value = InvoicePosted> {
    let line = (-1_000_000i64..1_000_000, 0i64..30, prop::bool::ANY);
    let stated = prop_oneof![
        Just(Stated::ByLine),
        Just(Stated::ForTheDocument),
        (-3i64..=3).prop_map(|off_by| Stated::Both { off_by })
    ];
    let sums = (0i64..500, 0i64..500, -50i64..50, 0i64..1000);
    let currency = prop::sample::select(vec!["JPY", "GBP", "KWD"]);
    (prop::collection::vec(line, 1..40), stated, sums, currency).prop_map(|(lines, stated, sums, currency)| {
        let mut event = invoiced("A-1", "INV-1", &lines.iter().map(|(net, _, _)| *net).collect::<Vec<_>>());
        event.currency = currency.into();
        state_tax(&mut event, &lines, stated);
        state_totals(&mut event, sums);
        event
    })
}

fn state_tax(event: &mut InvoicePosted, lines: &[(i64, i64, bool)], stated: Stated) {
    let mut by_rate: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for (item, (net, rate, itemised)) in event.lines.iter_mut().zip(lines) {
        let tax_minor = net * rate / 100;
        let entry = by_rate.entry(*rate).or_default();
        *entry = (entry.0 + net, entry.1 + tax_minor);
        if !matches!(stated, Stated::ForTheDocument) {
            item.tax_minor = tax_minor;
            item.taxes = if *itemised { vec![tax_line(*rate, *net, tax_minor)] } else { Vec::new() };
        }
    }
    let off_by = if let Stated::Both { off_by } = stated { off_by } else { 0 };
    let mut breakdown: Vec<_> = by_rate.into_iter().map(|(rate, (base, tax))| tax_line(rate, base, tax)).collect();
    breakdown[0].tax_minor += off_by;
    event.totals.tax_minor = breakdown.iter().map(|tax| tax.tax_minor).sum();
    event.tax_breakdown = if matches!(stated, Stated::ByLine) { Vec::new() } else { breakdown };
}

fn tax_line(rate: i64, taxable_minor: i64, tax_minor: i64) -> TaxLine {
    let category_code = if rate == 0 { "Z" } else { "S" }.to_owned();
    TaxLine { category_code, rate_percent: Decimal::from(rate), taxable_minor, tax_minor, ..TaxLine::default() }
}

fn state_totals(event: &mut InvoicePosted, (allowance, charge, rounding, prepaid): (i64, i64, i64, i64)) {
    let totals = &mut event.totals;
    totals.allowance_minor = allowance;
    totals.charge_minor = charge;
    totals.rounding_minor = rounding;
    totals.prepaid_minor = prepaid;
    totals.tax_exclusive_minor = totals.line_net_minor - allowance + charge;
    totals.tax_inclusive_minor = totals.tax_exclusive_minor + totals.tax_minor;
    totals.payable_minor = totals.tax_inclusive_minor - prepaid + rounding;
}
