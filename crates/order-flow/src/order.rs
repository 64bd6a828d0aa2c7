//! What an order asks the ERP for, and the contract that comes of it.

use crate::{
    document::{AcceptedAt, DealState, Order, OrderStage},
    saga,
    split::Part,
    step::About,
    tax,
};
use events::{
    ContractActivated, OpportunityClosedWon, OrderRequested,
    common::{ContractLine, EntitlementRequest, RecognitionMethod, RevenueObligation},
};
use rules::{Treatment, Verdict, policy::revenue::Method};

/// One order for each opportunity and selling entity. Its contract has the same id.
pub(crate) fn order_id(opportunity_id: &str, legal_entity_id: &str) -> String {
    format!("{opportunity_id}-{legal_entity_id}")
}

/// The deal of an order or contract of an entity, if it is named as those of deals are.
pub(crate) fn opportunity_of<'a>(order_id: &'a str, legal_entity_id: &str) -> Option<&'a str> {
    order_id.strip_suffix(legal_entity_id)?.strip_suffix('-').filter(|id| !id.is_empty())
}

pub(crate) fn requested(deal: &OpportunityClosedWon, part: Part, policy_version: &str) -> OrderRequested {
    let order_id = order_id(&deal.opportunity_id, &part.legal_entity_id);
    OrderRequested {
        account_id: deal.account_id.clone(),
        entity_version: 1,
        effective_at: deal.effective_at,
        recorded_at: deal.recorded_at,
        legal_entity_id: part.legal_entity_id,
        contract_id: order_id.clone(),
        order_id,
        opportunity_id: deal.opportunity_id.clone(),
        customer: deal.customer.clone(),
        currency: part.currency,
        term: deal.term.clone(),
        lines: part.lines,
        total_net_minor: part.total_minor,
        exchange_rate: part.rate,
        po_number: deal.po_number.clone(),
        policy_version: policy_version.to_owned(),
        ..OrderRequested::default()
    }
}

/// The request with the tax that was determined for it.
pub(crate) fn with_tax(request: &OrderRequested, order: &Order) -> OrderRequested {
    let Some(found) = &order.outside.tax else { return request.clone() };
    OrderRequested {
        taxes: tax::told(found, request.customer.tax_exemption),
        total_tax_minor: Some(found.total_tax_minor),
        tax_document_id: Some(found.document.document_id.clone()),
        ..request.clone()
    }
}

/// The contract of an order that the ERP has taken.
pub(crate) fn activated(
    request: &OrderRequested,
    deal: &DealState,
    order: &Order,
    accepted: &AcceptedAt,
) -> ContractActivated {
    let verdict = &deal.verdict;
    let found = order.outside.tax.as_ref();
    ContractActivated {
        account_id: request.account_id.clone(),
        entity_version: 1,
        effective_at: accepted.effective_at,
        recorded_at: accepted.recorded_at,
        legal_entity_id: request.legal_entity_id.clone(),
        contract_id: request.contract_id.clone(),
        order_id: Some(request.order_id.clone()),
        opportunity_id: Some(request.opportunity_id.clone()),
        customer: request.customer.clone(),
        currency: request.currency.clone(),
        term: request.term.clone(),
        billing_schedule: deal.schedule.clone(),
        lines: request.lines.iter().map(with_obligation).collect(),
        total_contract_value_minor: Some(request.total_net_minor),
        revenue_plan: request.lines.iter().filter_map(|line| obligation(request, verdict, line)).collect(),
        entitlements: request.lines.iter().flat_map(|line| entitlements(verdict, line)).collect(),
        po_number: request.po_number.clone(),
        activation_source: Some("order_accepted".to_owned()),
        taxes: found.map(|found| tax::told(found, request.customer.tax_exemption)).unwrap_or_default(),
        total_tax_minor: found.map(|found| found.total_tax_minor),
        external_ids: saga::documents(order),
        ..ContractActivated::default()
    }
}

/// Every line is a performance obligation of its own unless the deal says otherwise.
fn obligation_id(line: &ContractLine) -> String {
    line.performance_obligation_id.clone().unwrap_or_else(|| line.contract_line_id.clone())
}

fn with_obligation(line: &ContractLine) -> ContractLine {
    ContractLine { performance_obligation_id: Some(obligation_id(line)), ..line.clone() }
}

fn obligation(request: &OrderRequested, verdict: &Verdict, line: &ContractLine) -> Option<RevenueObligation> {
    let treatment = verdict.lines.get(&line.contract_line_id)?;
    let period = line.service_period.as_ref();
    Some(RevenueObligation {
        performance_obligation_id: obligation_id(line),
        description: line.description.clone(),
        standalone_selling_price_minor: line.amount_minor,
        allocated_price_minor: line.amount_minor,
        method: method(treatment),
        start_on: period.map_or(request.term.start_on, |period| period.start_on),
        end_on: period.map(|period| period.end_on).or(request.term.end_on),
        rule_code: Some(treatment.rule.clone()),
        deferred_account: treatment.deferred_account.clone(),
        recognised_account: treatment.recognised_account.clone(),
    })
}

const fn method(treatment: &Treatment) -> RecognitionMethod {
    match treatment.method {
        Method::StraightLineDaily => RecognitionMethod::StraightLineDaily,
        Method::StraightLineEven => RecognitionMethod::StraightLineEven,
        Method::PointInTime => RecognitionMethod::PointInTime,
        Method::Usage => RecognitionMethod::Usage,
        Method::PercentComplete => RecognitionMethod::PercentComplete,
    }
}

fn entitlements(verdict: &Verdict, line: &ContractLine) -> Vec<EntitlementRequest> {
    let features = verdict.lines.get(&line.contract_line_id).map(|treatment| treatment.features.as_slice());
    let grant = |feature: &String| EntitlementRequest {
        feature_key: feature.clone(),
        quantity: Some(line.quantity),
        contract_line_id: Some(line.contract_line_id.clone()),
    };
    features.unwrap_or_default().iter().map(grant).collect()
}

/// An order as it is remembered from the start.
pub(crate) fn remembered(request: OrderRequested, deal: &OpportunityClosedWon) -> Order {
    let usage = deal.lines.iter().filter_map(|of| Some((of.line.contract_line_id.clone(), of.usage.clone()?)));
    let ours = |(id, _): &(String, _)| request.lines.iter().any(|line| line.contract_line_id == *id);
    Order {
        stage: OrderStage::Pricing,
        usage: usage.filter(ours).collect(),
        order_id: request.order_id.clone(),
        currency: request.currency.clone(),
        total_minor: request.total_net_minor,
        request: Some(Box::new(request)),
        ..Order::default()
    }
}

/// What a case of an order is about.
pub(crate) fn case_about(order: &Order, entity: &str) -> About {
    About {
        legal_entity_id: entity.to_owned(),
        order_id: Some(order.contract_id().to_owned()),
        currency: order.currency.clone(),
        amount_minor: order.total_minor,
    }
}
