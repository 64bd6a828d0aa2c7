//! The rows of a document: its lines, and what is stated for the document as a whole, so that they add up to its totals.

use super::{count, negated, overflow};
use events::{
    AnalyticsInvoiceLine,
    common::{LineItem, LineKind, Totals},
};
use failure::Failure;

/// Whether a document asks for money or gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Owed,
    Credited,
}

impl Sign {
    fn of(self, amount: i64) -> Result<i64, Failure> {
        match self {
            Self::Owed => Ok(amount),
            Self::Credited => negated(amount),
        }
    }
}

/// Net adds up to `tax_exclusive_minor`, tax to `tax_minor`, gross to `payable_minor` of the totals. `document` has everything
/// that the rows share.
///
/// # Errors
/// Amounts that do not fit.
pub fn rows(
    document: &AnalyticsInvoiceLine,
    sign: Sign,
    lines: &[LineItem],
    totals: &Totals,
) -> Result<Vec<AnalyticsInvoiceLine>, Failure> {
    let mut rows = lines.iter().map(|line| row(document, sign, line)).collect::<Result<Vec<_>, _>>()?;
    let by_line = events::money::sum(lines.iter().map(|line| line.tax_minor)).ok_or_else(overflow)?;
    let rest_of_tax = totals.tax_minor.checked_sub(by_line).ok_or_else(overflow)?;
    let whole = [
        (LineKind::Allowance, negated(totals.allowance_minor)?, 0, 0),
        (LineKind::Charge, totals.charge_minor, 0, 0),
        (LineKind::Tax, 0, rest_of_tax, 0),
        (LineKind::Prepaid, 0, 0, negated(totals.prepaid_minor)?),
        (LineKind::Rounding, 0, 0, totals.rounding_minor),
    ];
    for (line_kind, net, tax, rest) in whole.into_iter().filter(|(_, net, tax, rest)| (*net, *tax, *rest) != (0, 0, 0))
    {
        let (net_minor, tax_minor) = (sign.of(net)?, sign.of(tax)?);
        // Exactly one of the three is not 0.
        let gross_minor = net_minor + tax_minor + sign.of(rest)?;
        rows.push(AnalyticsInvoiceLine { line_kind, net_minor, tax_minor, gross_minor, ..document.clone() });
    }
    number(&mut rows);
    Ok(rows)
}

fn row(document: &AnalyticsInvoiceLine, sign: Sign, line: &LineItem) -> Result<AnalyticsInvoiceLine, Failure> {
    let (net_minor, tax_minor) = (sign.of(line.net_minor)?, sign.of(line.tax_minor)?);
    let quantity = match sign {
        Sign::Owed => line.quantity,
        Sign::Credited => -line.quantity,
    };
    Ok(AnalyticsInvoiceLine {
        line_kind: LineKind::Line,
        line_id: Some(line.line_id.clone()),
        contract_line_id: line.contract_line_id.clone(),
        performance_obligation_id: line.performance_obligation_id.clone(),
        product_id: Some(line.product_id.clone()),
        sku: line.sku.clone(),
        charge_type: line.charge_type,
        quantity: Some(quantity),
        unit: line.unit.clone(),
        unit_price: Some(line.unit_price),
        net_minor,
        tax_minor,
        gross_minor: net_minor.checked_add(tax_minor).ok_or_else(overflow)?,
        discount_minor: sign.of(line.discount_minor)?,
        service_start_on: line.service_period.as_ref().map(|period| period.start_on),
        service_end_on: line.service_period.as_ref().map(|period| period.end_on),
        ..document.clone()
    })
}

fn number(rows: &mut [AnalyticsInvoiceLine]) {
    let line_count = count(rows.len());
    for (row, line_no) in rows.iter_mut().zip(1..) {
        (row.line_no, row.line_count) = (line_no, line_count);
    }
}
