//! A deal as the policies see it: without anything personal.

use events::{OpportunityClosedWon, common::ContractLine, common::DealLine, common::SellerShare};
use jiff::civil::Date;
use rules::{Deal, Exposure, Line, Quote, Seller};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Who sells: the event's own entity alone where it names none.
pub(crate) fn sellers(event: &OpportunityClosedWon) -> Vec<SellerShare> {
    if !event.sellers.is_empty() {
        return event.sellers.clone();
    }
    vec![SellerShare {
        legal_entity_id: event.legal_entity_id.clone(),
        currency: event.currency.clone(),
        share_percent: Decimal::ONE_HUNDRED,
    }]
}

/// `approved`: rules that people approved since, besides those of the deal.
pub(crate) fn of(
    event: &OpportunityClosedWon,
    on_hold: bool,
    approved: &BTreeMap<String, String>,
    quote: Option<Quote>,
) -> Deal {
    let customer = &event.customer;
    let stated = event.approvals.iter().filter_map(|approval| approval.policy.clone());
    Deal {
        deal_type: event.deal_type.to_string(),
        currency: event.currency.clone(),
        total_minor: event.total_contract_value_minor,
        start_on: Some(event.term.start_on),
        end_on: event.term.end_on,
        term_months: event.term.end_on.map_or(0, |end_on| months(event.term.start_on, end_on)),
        country: customer
            .billing_address
            .as_ref()
            .map(|address| address.country.clone())
            .filter(|code| !code.is_empty()),
        terms: customer.payment_terms.as_ref().map(|terms| terms.code.clone()),
        has_legal_name: !customer.legal_name.reveal().trim().is_empty(),
        has_tax_id: !customer.tax_ids.is_empty(),
        tax_exemption: customer.tax_exemption.to_string(),
        has_po_number: event.po_number.is_some(),
        is_own_parent: customer.parent_account_id.as_ref() == Some(&event.account_id),
        quote,
        on_hold,
        sellers: sellers(event).into_iter().map(seller).collect(),
        exposure: event
            .tax_exposure
            .iter()
            .map(|place| Exposure {
                country: place.country.clone(),
                region: place.region.clone(),
                nexus_known: place.nexus_known,
            })
            .collect(),
        lines: event.lines.iter().map(line).collect(),
        approvals: stated.chain(approved.keys().cloned()).collect(),
    }
}

fn seller(share: SellerShare) -> Seller {
    Seller { entity: share.legal_entity_id, currency: share.currency, share: share.share_percent }
}

fn line(of: &DealLine) -> Line {
    Line { entity: of.seller_entity_id.clone(), ramp: of.ramp_id.clone(), ..sold(&of.line) }
}

/// A line of a contract.
pub(crate) fn sold(line: &ContractLine) -> Line {
    Line {
        id: line.contract_line_id.clone(),
        product: line.product_id.clone(),
        charge: line.charge_type.to_string(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        amount_minor: line.amount_minor,
        entity: None,
        start_on: line.service_period.as_ref().map(|period| period.start_on),
        end_on: line.service_period.as_ref().map(|period| period.end_on),
        ramp: None,
    }
}

pub(crate) fn months(start_on: Date, end_on: Date) -> i64 {
    let whole = (i64::from(end_on.year()) - i64::from(start_on.year())) * 12 + i64::from(end_on.month())
        - i64::from(start_on.month());
    if end_on.day() < start_on.day() { whole - 1 } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn months_are_whole_ones() {
        assert_eq!(months(date(2026, 1, 1), date(2027, 1, 1)), 12);
        assert_eq!(months(date(2026, 1, 31), date(2026, 2, 28)), 0);
        assert_eq!(months(date(2026, 1, 15), date(2029, 2, 15)), 37);
    }
}
