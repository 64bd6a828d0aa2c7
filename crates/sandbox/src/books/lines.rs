//! Checks the lines of a document and computes what they add up to.

use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    body::Fields,
    money::{self, Currency},
    refusal::Refusal,
};

/// Sums of a document in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    pub tax: i64,
    pub total: i64,
}

/// Fills in missing line amounts (quantity × rate) and adds everything up.
///
/// # Errors
/// No line, a line without item or amount, an amount with more decimals than the currency, sums the caller sent that are
/// not the sums of the lines, a total below zero.
pub fn sum(fields: &mut Fields, currency: &Currency) -> Result<Sums, Refusal> {
    let (mut subtotal, mut tax) = (0_i64, 0_i64);
    let lines = match fields.get_mut("item").and_then(|list| list.get_mut("items")) {
        Some(Value::Array(lines)) if !lines.is_empty() => lines,
        _ => return Err(Refusal::user("item", "You must enter at least one line item for this transaction.")),
    };
    for (index, line) in lines.iter_mut().enumerate() {
        let path = format!("item.items[{index}]");
        let line = line.as_object_mut().ok_or_else(|| Refusal::missing(format!("{path}.item")))?;
        let (amount, line_tax) = line_amounts(line, &path, currency)?;
        subtotal = add(subtotal, amount)?;
        tax = add(tax, line_tax)?;
    }
    tax = add(tax, tax_details(fields, currency)?)?;
    let total = add(subtotal, tax)?;
    for (name, sum) in [("subTotal", subtotal), ("taxTotal", tax), ("total", total)] {
        check_claim(fields, name, sum, currency)?;
    }
    if total < 0 {
        return Err(Refusal::user("total", "The total of this transaction cannot be negative."));
    }
    Ok(Sums { tax, total })
}

fn line_amounts(line: &mut Fields, path: &str, currency: &Currency) -> Result<(i64, i64), Refusal> {
    if !line.contains_key("item") {
        return Err(Refusal::missing(format!("{path}.item")));
    }
    let amount = match line.get("amount") {
        Some(amount) => exact(amount, &format!("{path}.amount"), currency)?,
        None => {
            let quantity = line.get("quantity").map_or(Some(Decimal::ONE), money::decimal);
            let rate = line.get("rate").and_then(money::decimal);
            let amount = quantity.zip(rate).and_then(|(quantity, rate)| quantity.checked_mul(rate));
            let amount = amount.ok_or_else(|| Refusal::missing(format!("{path}.amount")))?;
            let amount = money::rounded_minor(amount, currency.exponent).ok_or_else(too_large)?;
            line.insert("amount".to_owned(), money::json(amount, currency.exponent));
            amount
        }
    };
    let tax = match line.get("tax1Amt") {
        Some(tax) => exact(tax, &format!("{path}.tax1Amt"), currency)?,
        None => 0,
    };
    if let Some(gross) = line.get("grossAmt")
        && exact(gross, &format!("{path}.grossAmt"), currency)? != add(amount, tax)?
    {
        return Err(Refusal::user(format!("{path}.grossAmt"), "The gross amount must equal the amount plus tax."));
    }
    Ok((amount, tax))
}

/// Σ of the tax details, which count only when the caller overrides the tax engine.
fn tax_details(fields: &Fields, currency: &Currency) -> Result<i64, Refusal> {
    if fields.get("taxDetailsOverride").and_then(Value::as_bool) != Some(true) {
        return Ok(0);
    }
    let mut sum = 0;
    for (index, detail) in super::body::items(fields, "taxDetails").iter().enumerate() {
        let path = format!("taxDetails.items[{index}].taxAmount");
        let amount = detail.get("taxAmount").ok_or_else(|| Refusal::missing(path.clone()))?;
        sum = add(sum, exact(amount, &path, currency)?)?;
    }
    Ok(sum)
}

/// A sum the caller sent must be the sum of the lines; it is not stored.
fn check_claim(fields: &mut Fields, name: &str, sum: i64, currency: &Currency) -> Result<(), Refusal> {
    let Some(claimed) = fields.remove(name) else { return Ok(()) };
    let claimed = exact(&claimed, name, currency)?;
    if claimed == sum {
        return Ok(());
    }
    let show = |minor| money::major(minor, currency.exponent);
    Err(Refusal::user(name, format!("The {name} {} is not the sum of the lines, {}.", show(claimed), show(sum))))
}

/// Minor units of an amount field.
///
/// # Errors
/// More decimals than the currency has.
pub fn exact(value: &Value, path: &str, currency: &Currency) -> Result<i64, Refusal> {
    let amount = money::decimal(value).ok_or_else(|| Refusal::unknown_value(path, &value.to_string()))?;
    money::minor(amount, currency.exponent).ok_or_else(|| {
        let detail = format!("Invalid amount {amount}: {} has {} decimals.", currency.code, currency.exponent);
        Refusal::user(path, detail)
    })
}

fn add(a: i64, b: i64) -> Result<i64, Refusal> {
    a.checked_add(b).ok_or_else(too_large)
}

fn too_large() -> Refusal {
    Refusal::user("total", "The amount is too large.")
}
