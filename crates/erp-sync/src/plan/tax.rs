//! Tax on the lines of a document, exactly as it was invoiced.
//!
//! Events state tax by line, for the document, or both, and the two may differ by a rounding unit. The document's figures are
//! what the customer owes, so they win: what the lines do not add up to is spread over the lines it was computed on, by the
//! largest remainder, so that nothing is lost and no line is off by more than one unit.

use super::{overflow, share::largest_remainder};
use crate::mapping::Mapping;
use connectors::{Line, Tax};
use events::common::{LineItem, TaxLine};
use failure::Failure;

/// Puts `total_minor` of tax on `lines`, the first of which belong to `items`.
pub(super) fn spread(
    mapping: &Mapping,
    lines: &mut [Line],
    items: &[LineItem],
    breakdown: &[TaxLine],
    total_minor: i64,
) -> Result<(), Failure> {
    let stated = by_line(mapping, lines, items, breakdown)?;
    // Where no line names a tax, the document's categories count also if nothing is due: reverse charge belongs into the tax return.
    let is_named = breakdown.is_empty() || lines.iter().any(|line| !line.taxes.is_empty());
    if stated == total_minor && is_named {
        return untaxed(mapping, lines, items, breakdown);
    }
    lines.iter_mut().for_each(|line| line.taxes.clear());
    for (index, tax) in breakdown.iter().enumerate() {
        let code =
            mapping.tax_code(&format!("tax_breakdown[{index}]"), tax.jurisdiction.as_deref(), &tax.category_code)?;
        let weights = weights(lines, items, tax);
        let amounts = largest_remainder(tax.tax_minor, &weights);
        let bases = largest_remainder(tax.taxable_minor, &weights);
        for ((line, amount_minor), basis_minor) in lines.iter_mut().zip(amounts).zip(bases) {
            if amount_minor != 0 || basis_minor != 0 {
                line.taxes.push(Tax { code: code.clone(), rate_percent: tax.rate_percent, basis_minor, amount_minor });
            }
        }
    }
    Ok(())
}

/// Where other lines name their tax, those without any have the one category of the document that no line names and that is not due.
fn untaxed(mapping: &Mapping, lines: &mut [Line], items: &[LineItem], breakdown: &[TaxLine]) -> Result<(), Failure> {
    let same =
        |own: &TaxLine, tax: &TaxLine| own.category_code == tax.category_code && own.rate_percent == tax.rate_percent;
    let is_stated = |tax: &TaxLine| items.iter().any(|item| item.taxes.iter().any(|own| same(own, tax)));
    let mut left = breakdown.iter().enumerate().filter(|(_, tax)| tax.tax_minor == 0 && !is_stated(tax));
    let (Some((index, tax)), None) = (left.next(), left.next()) else { return Ok(()) };
    let code = mapping.tax_code(&format!("tax_breakdown[{index}]"), tax.jurisdiction.as_deref(), &tax.category_code)?;
    for (line, item) in lines.iter_mut().zip(items).filter(|(line, _)| line.taxes.is_empty()) {
        let (rate_percent, basis_minor) = (tax.rate_percent, item.net_minor);
        line.taxes.push(Tax { code: code.clone(), rate_percent, basis_minor, amount_minor: 0 });
    }
    Ok(())
}

/// The lines' own tax, put on them; the answer is its sum.
fn by_line(mapping: &Mapping, lines: &mut [Line], items: &[LineItem], breakdown: &[TaxLine]) -> Result<i64, Failure> {
    let mut sum = 0_i64;
    for (index, (line, item)) in lines.iter_mut().zip(items).enumerate() {
        sum = sum.checked_add(item.tax_minor).ok_or_else(overflow)?;
        for tax in &item.taxes {
            let field = format!("lines[{index}].taxes");
            let code = mapping.tax_code(&field, tax.jurisdiction.as_deref(), &tax.category_code)?;
            let (rate_percent, basis_minor) = (tax.rate_percent, tax.taxable_minor);
            line.taxes.push(Tax { code, rate_percent, basis_minor, amount_minor: tax.tax_minor });
        }
        if item.taxes.is_empty() && item.tax_minor != 0 {
            // The line does not say which tax it is: the document does, or it is the standard one.
            let (place, category) =
                breakdown.first().map_or((None, "S"), |tax| (tax.jurisdiction.as_deref(), &*tax.category_code));
            let code = mapping.tax_code(&format!("lines[{index}].tax_minor"), place, category)?;
            let rate_percent = breakdown.first().map(|tax| tax.rate_percent).unwrap_or_default();
            line.taxes.push(Tax { code, rate_percent, basis_minor: item.net_minor, amount_minor: item.tax_minor });
        }
    }
    Ok(sum)
}

/// What each line weighs in a tax of the document: the base the line states for it; failing that, its amount.
fn weights(lines: &[Line], items: &[LineItem], tax: &TaxLine) -> Vec<u64> {
    let same = |own: &&TaxLine| own.category_code == tax.category_code && own.rate_percent == tax.rate_percent;
    let stated =
        |item: &LineItem| item.taxes.iter().filter(same).map(|own| own.taxable_minor.unsigned_abs()).sum::<u64>();
    let stated: Vec<u64> = items.iter().map(stated).chain(std::iter::repeat(0)).take(lines.len()).collect();
    if stated.iter().any(|weight| *weight > 0) {
        return stated;
    }
    lines.iter().map(|line| line.amount_minor.unsigned_abs()).collect()
}
