//! Invoices and credit notes: each line is rounded, then summed, and every total follows from the lines.

use super::{invalid, mismatch, within, zone};
use crate::{
    common::{LineItem, Period, TaxLine, Term, Totals},
    money,
    period::is_zone,
};
use failure::Failure;
use jiff::civil::Date;
use std::collections::HashSet;

pub fn period(field: &str, period: &Period) -> Result<(), Failure> {
    span(field, &period.timezone, period.start_on, Some(period.end_on))
}

pub fn term(field: &str, term: &Term) -> Result<(), Failure> {
    span(field, &term.timezone, term.start_on, term.end_on)
}

fn span(field: &str, timezone: &str, start: Date, end: Option<Date>) -> Result<(), Failure> {
    if !is_zone(timezone) {
        return zone(&format!("{field}.timezone"), timezone);
    }
    match end {
        Some(end) if end <= start => {
            Err(invalid(field, "ends before or when it starts; the end is the day after the last one"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Lines, taxes and totals of one document.
pub fn sums(lines: &[LineItem], breakdown: &[TaxLine], totals: &Totals) -> Result<(), Failure> {
    if lines.is_empty() {
        return Err(invalid("lines", "a document has at least one line"));
    }
    each_line(lines)?;
    for (field, amount) in [
        ("totals.line_net_minor", totals.line_net_minor),
        ("totals.tax_minor", totals.tax_minor),
        ("totals.tax_inclusive_minor", totals.tax_inclusive_minor),
        ("totals.payable_minor", totals.payable_minor),
    ] {
        within(field, amount)?;
    }
    equal(
        "totals.line_net_minor",
        "the sum of the lines",
        sum(lines.iter().map(|line| line.net_minor))?,
        totals.line_net_minor,
    )?;
    let exclusive = sum([totals.line_net_minor, negated(totals.allowance_minor)?, totals.charge_minor])?;
    equal("totals.tax_exclusive_minor", "line_net − allowance + charge", exclusive, totals.tax_exclusive_minor)?;
    let (tax, whence) = if breakdown.is_empty() {
        (sum(lines.iter().map(|line| line.tax_minor))?, "the sum of the lines' tax")
    } else {
        (sum(breakdown.iter().map(|tax| tax.tax_minor))?, "the sum of tax_breakdown")
    };
    equal("totals.tax_minor", whence, tax, totals.tax_minor)?;
    let inclusive = sum([totals.tax_exclusive_minor, totals.tax_minor])?;
    equal("totals.tax_inclusive_minor", "tax_exclusive + tax", inclusive, totals.tax_inclusive_minor)?;
    let payable = sum([totals.tax_inclusive_minor, negated(totals.prepaid_minor)?, totals.rounding_minor])?;
    equal("totals.payable_minor", "tax_inclusive − prepaid + rounding", payable, totals.payable_minor)
}

fn each_line(lines: &[LineItem]) -> Result<(), Failure> {
    let mut ids = HashSet::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        if !ids.insert(line.line_id.as_str()) {
            return Err(invalid(format!("lines[{index}].line_id"), "is used twice in this document"));
        }
        for (name, amount) in [("net_minor", line.net_minor), ("tax_minor", line.tax_minor)] {
            within(name, amount).map_err(|failure| failure.at_field(format!("lines[{index}].{name}")))?;
        }
        if !line.taxes.is_empty() {
            let tax = sum(line.taxes.iter().map(|tax| tax.tax_minor))?;
            if tax != line.tax_minor {
                let reason = format!("is {}, but its taxes sum to {tax}", line.tax_minor);
                return Err(mismatch(format!("lines[{index}].tax_minor"), reason));
            }
        }
        if let Some(span) = &line.service_period {
            // The name is put together only for a failure: there may be hundreds of lines.
            period("service_period", span).map_err(|failure| {
                let inner = failure.field.clone().unwrap_or_default();
                failure.at_field(format!("lines[{index}].{inner}"))
            })?;
        }
    }
    Ok(())
}

pub fn sum(amounts: impl IntoIterator<Item = i64>) -> Result<i64, Failure> {
    money::sum(amounts).ok_or_else(|| invalid("totals", "the amounts do not fit into 64 bits"))
}

fn negated(amount: i64) -> Result<i64, Failure> {
    amount.checked_neg().ok_or_else(|| invalid("totals", "the amounts do not fit into 64 bits"))
}

pub fn equal(field: &str, whence: &str, expected: i64, found: i64) -> Result<(), Failure> {
    if expected == found { Ok(()) } else { Err(mismatch(field, format!("is {found}, but {whence} is {expected}"))) }
}
