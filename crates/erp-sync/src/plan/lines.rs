//! Lines of orders and documents, and the one rule that matters: Σ amounts + Σ taxes is the total that was invoiced.

use super::{Place, overflow, tax};
use crate::{document::OrderLine, mapping::Special};
use connectors::{Line, Reference, Span};
use events::{
    common::{ContractLine, LineItem, Period, TaxLine, Totals},
    money,
};
use failure::Failure;
use rust_decimal::Decimal;

/// Lines of an order; a frame contract has none of its own, and the ERP takes no order without.
pub(super) fn of_contract(
    place: &Place<'_>,
    name: &str,
    lines: &[ContractLine],
    term: Option<Span>,
) -> Result<Vec<Line>, Failure> {
    if lines.is_empty() {
        let item = place.mapping.special(Special::FrameContract);
        return Ok(vec![Line { quantity: Decimal::ONE, ..extra(place, "frame", item, "Frame contract", 0) }]);
    }
    let path = |index: usize| format!("{name}[{index}]");
    lines.iter().enumerate().map(|(index, line)| contract_line(place, &path(index), line, term)).collect()
}

/// One line of an order, for the whole term where it names no period of its own.
pub(super) fn contract_line(
    place: &Place<'_>,
    path: &str,
    line: &ContractLine,
    term: Option<Span>,
) -> Result<Line, Failure> {
    Ok(Line {
        line_id: line.contract_line_id.clone(),
        item: place.mapping.item(path, place.entity, &line.product_id, line.sku.as_deref())?,
        description: line.description.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        amount_minor: line.amount_minor,
        taxes: Vec::new(),
        dimensions: place.mapping.dimensions(path, line.dimensions.as_ref())?,
        delivered: line.service_period.as_ref().map(span).or(term),
        is_closed: false,
    })
}

/// Lines of an order as amendments will find them again.
pub(super) fn remembered(lines: &[Line], stated: &[ContractLine]) -> Vec<OrderLine> {
    let obligation =
        |id: &str| stated.iter().find(|line| line.contract_line_id == id)?.performance_obligation_id.clone();
    let one =
        |line: &Line| OrderLine { line: line.clone(), obligation_id: obligation(&line.line_id), is_removed: false };
    lines.iter().map(one).collect()
}

/// Lines of an invoice or a credit note with their tax: what is booked is exactly what was invoiced.
pub(super) fn of_document(
    place: &Place<'_>,
    items: &[LineItem],
    breakdown: &[TaxLine],
    totals: &Totals,
) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::with_capacity(items.len() + 1);
    for (index, item) in items.iter().enumerate() {
        lines.push(document_line(place, index, item)?);
    }
    for (what, id, text, amount) in [
        (Special::Allowance, "allowance", "Allowance", totals.allowance_minor.checked_neg().ok_or_else(overflow)?),
        (Special::Charge, "charge", "Charge", totals.charge_minor),
        (Special::Rounding, "rounding", "Rounding", totals.rounding_minor),
    ] {
        if amount != 0 {
            lines.push(extra(place, id, place.mapping.special(what), text, amount));
        }
    }
    tax::spread(place.mapping, &mut lines, items, breakdown, totals.tax_minor)?;
    check_total(&lines, totals)?;
    Ok(lines)
}

fn document_line(place: &Place<'_>, index: usize, item: &LineItem) -> Result<Line, Failure> {
    let path = format!("lines[{index}]");
    Ok(Line {
        line_id: item.line_id.clone(),
        item: place.mapping.item(&path, place.entity, &item.product_id, item.sku.as_deref())?,
        description: item.description.clone(),
        quantity: item.quantity,
        unit_price: item.unit_price,
        amount_minor: item.net_minor,
        taxes: Vec::new(),
        dimensions: place.mapping.dimensions(&path, item.dimensions.as_ref())?,
        delivered: item.service_period.as_ref().map(span),
        is_closed: false,
    })
}

pub(super) fn extra(place: &Place<'_>, line_id: &str, item: Reference, text: &str, amount_minor: i64) -> Line {
    Line {
        line_id: line_id.to_owned(),
        item,
        description: Some(text.to_owned()),
        quantity: Decimal::ONE,
        unit_price: place.currency.amount(amount_minor),
        amount_minor,
        taxes: Vec::new(),
        dimensions: connectors::Dimensions::default(),
        delivered: None,
        is_closed: false,
    }
}

fn span(period: &Period) -> Span {
    Span { start_on: period.start_on, end_on: period.end_on }
}

/// What the lines book, with tax.
pub(super) fn total(lines: &[Line]) -> Result<i64, Failure> {
    let taxes = lines.iter().flat_map(|line| line.taxes.iter().map(|tax| tax.amount_minor));
    money::sum(lines.iter().map(|line| line.amount_minor).chain(taxes)).ok_or_else(overflow)
}

/// Prepayments do not lower what is booked: they settle the invoice as payments of their own.
fn check_total(lines: &[Line], totals: &Totals) -> Result<(), Failure> {
    let booked = total(lines)?;
    let invoiced = totals.tax_inclusive_minor.checked_add(totals.rounding_minor).ok_or_else(overflow)?;
    if booked == invoiced {
        return Ok(());
    }
    let reason = format!("the lines and their tax come to {booked}, the totals say {invoiced}");
    Err(Failure::contract("SUM_MISMATCH", reason).at_field("totals.tax_inclusive_minor"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arbitrary_document, invoiced, mapping};
    use proptest::prelude::*;

    fn lines_of(event: &events::InvoicePosted) -> Result<Vec<Line>, Failure> {
        let mapping = mapping();
        let place = Place::find(&mapping, &event.legal_entity_id, &event.currency)?;
        of_document(&place, &event.lines, &event.tax_breakdown, &event.totals)
    }

    #[test]
    fn allowances_charges_and_rounding_of_a_document_become_lines() {
        let mut event = invoiced("A-1", "INV-1", &[1000]);
        event.totals.allowance_minor = 100;
        event.totals.charge_minor = 30;
        event.totals.rounding_minor = 5;
        event.totals.tax_exclusive_minor = 930;
        event.totals.tax_inclusive_minor = 930 + event.totals.tax_minor;
        event.totals.payable_minor = event.totals.tax_inclusive_minor + 5;
        let lines = lines_of(&event).expect("lines");
        assert_eq!(lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>(), [1000, -100, 30, 5]);
        assert_eq!(total(&lines), Ok(event.totals.tax_inclusive_minor + 5));
    }

    #[test]
    fn lines_below_zero_and_a_total_of_zero_are_booked_as_they_are() {
        let lines = lines_of(&invoiced("A-1", "INV-1", &[500, -500, 0])).expect("lines");
        assert_eq!(total(&lines), Ok(0));
    }

    proptest! {
        #[test]
        fn what_is_booked_is_what_was_invoiced_for_any_document(event in arbitrary_document()) {
            prop_assert_eq!(events::EventSet::check(&events::Event::from(event.clone())), Ok(()));
            let lines = lines_of(&event).expect("any valid document can be booked");
            prop_assert_eq!(total(&lines), Ok(event.totals.tax_inclusive_minor + event.totals.rounding_minor));
        }
    }
}
