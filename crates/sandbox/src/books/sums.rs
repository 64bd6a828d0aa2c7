//! Amounts of transactions that have no item lines: payments, refunds, journals, arrangements, charges.

use serde_json::Value;

use super::{
    body::{self, Fields},
    lines,
    money::{self, Currency},
    refusal::Refusal,
};

/// The amount in `field`, of either sign.
///
/// # Errors
/// None, or one with more decimals than the currency.
pub fn stated(fields: &Fields, field: &str, currency: &Currency) -> Result<i64, Refusal> {
    lines::exact(fields.get(field).ok_or_else(|| Refusal::missing(field))?, field, currency)
}

/// The amount in `field`, above zero.
///
/// # Errors
/// As [`stated`]; zero or less.
pub fn positive(fields: &Fields, field: &str, currency: &Currency) -> Result<i64, Refusal> {
    let amount = stated(fields, field, currency)?;
    if amount <= 0 {
        return Err(Refusal::user(field, format!("The {field} amount must be greater than zero.")));
    }
    Ok(amount)
}

/// Σ of what the revenue elements are allocated. What is planned for an element may not exceed that.
///
/// # Errors
/// No element, one without amount, a plan that recognises more than is allocated.
pub fn allocated(fields: &Fields, currency: &Currency) -> Result<i64, Refusal> {
    let elements = sum(fields, "revenueElement", "allocationAmount", currency)?;
    let elements = elements.ok_or_else(|| Refusal::missing("revenueElement"))?;
    let planned = sum(fields, "revenuePlan", "amount", currency)?.unwrap_or(0);
    if planned.abs() > elements.abs() {
        let show = |minor| money::major(minor, currency.exponent);
        let detail = format!("The planned revenue {} exceeds what is allocated, {}.", show(planned), show(elements));
        return Err(Refusal::user("revenuePlan", detail));
    }
    Ok(elements)
}

fn sum(fields: &Fields, list: &str, field: &str, currency: &Currency) -> Result<Option<i64>, Refusal> {
    let lines = body::items(fields, list);
    let mut sum = 0_i64;
    for (index, line) in lines.iter().enumerate() {
        let path = format!("{list}.items[{index}].{field}");
        let amount = lines::exact(line.get(field).ok_or_else(|| Refusal::missing(path.clone()))?, &path, currency)?;
        sum = sum.checked_add(amount).ok_or_else(|| Refusal::user(path, "The amount is too large."))?;
    }
    Ok((!lines.is_empty()).then_some(sum))
}

/// Σ of the debits of a journal, which is Σ of its credits.
///
/// # Errors
/// Fewer than two lines, a line without account or with both sides, sides that differ.
pub fn balanced(fields: &Fields, currency: &Currency) -> Result<i64, Refusal> {
    let lines = body::items(fields, "line");
    if lines.len() < 2 {
        return Err(Refusal::user("line", "A journal entry needs at least two lines."));
    }
    let (mut debits, mut credits) = (0_i64, 0_i64);
    for (index, line) in lines.iter().enumerate() {
        let path = format!("line.items[{index}]");
        if line.get("account").is_none() {
            return Err(Refusal::missing(format!("{path}.account")));
        }
        let side = |name: &str| match line.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(amount) => lines::exact(amount, &format!("{path}.{name}"), currency).map(Some),
        };
        match (side("debit")?, side("credit")?) {
            (Some(debit), None) => debits = debits.saturating_add(debit),
            (None, Some(credit)) => credits = credits.saturating_add(credit),
            _ => return Err(Refusal::user(path, "A line has either a debit or a credit.")),
        }
    }
    if debits != credits {
        let show = |minor| money::major(minor, currency.exponent);
        let detail =
            format!("The amounts in a journal entry must balance: {} debit, {} credit.", show(debits), show(credits));
        return Err(Refusal::user("line", detail));
    }
    Ok(debits)
}
