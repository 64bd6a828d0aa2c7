//! Lines of the orders of a contract after an amendment: the running term's order, and those of terms to come.

use super::{order_lines::contract_line, place};
use crate::{
    document::{Order, OrderLine},
    mapping::Mapping,
};
use connectors::{Line, Span};
use events::{
    ContractAmended,
    common::{AmendmentType, ContractLine, LineChange},
};
use failure::Failure;
use jiff::civil::Date;

/// Changes the orders; the answer names those that changed.
///
/// # Errors
/// A line that no order has as the amendment says it was.
pub(super) fn amend(
    mapping: &Mapping,
    orders: &mut [Order],
    event: &ContractAmended,
    day: Date,
) -> Result<Vec<String>, Failure> {
    let mut touched = Vec::new();
    let running = orders.iter().rposition(|order| order.start_on <= day).unwrap_or(0);
    let closed = match event.amendment_type {
        AmendmentType::Suspend => Some(true),
        AmendmentType::Resume => Some(false),
        _ => None,
    };
    for (index, order) in orders.iter_mut().enumerate().skip(running) {
        let before = order.clone();
        if let Some(closed) = closed {
            order.lines.iter_mut().filter(|line| !line.is_removed).for_each(|line| line.line.is_closed = closed);
        }
        if let Some(term) = event.new_term.as_ref().filter(|_| index == running) {
            extend(order, term.end_on);
        }
        for (at, change) in event.changes.iter().enumerate() {
            apply(mapping, order, change, at)?;
        }
        if *order != before {
            touched.push(order.order_id.clone());
        }
    }
    for (at, change) in event.changes.iter().enumerate() {
        let arrived = |order: &Order| order.lines.iter().any(|line| matches(line, change));
        if !orders[running..].iter().any(arrived) {
            return Err(differs(&orders[running..], change, at));
        }
    }
    Ok(touched)
}

/// The term's new end; lines that last as long as the term follow it.
fn extend(order: &mut Order, end_on: Option<Date>) {
    let term = order.end_on.map(|end_on| Span { start_on: order.start_on, end_on });
    let longer = end_on.map(|end_on| Span { start_on: order.start_on, end_on });
    order.lines.iter_mut().filter(|line| line.line.delivered == term).for_each(|line| line.line.delivered = longer);
    order.end_on = end_on;
}

/// Whether the line is what the change makes of it.
fn matches(line: &OrderLine, change: &LineChange) -> bool {
    line.line.line_id == change.contract_line_id
        && match &change.after {
            Some(after) => !line.is_removed && is_as(&line.line, after),
            None => line.is_removed,
        }
}

fn is_as(line: &Line, stated: &ContractLine) -> bool {
    line.quantity == stated.quantity && line.unit_price == stated.unit_price && line.amount_minor == stated.amount_minor
}

/// Changes the line where the order has it as it was before; leaves it alone where not.
fn apply(mapping: &Mapping, order: &mut Order, change: &LineChange, at: usize) -> Result<(), Failure> {
    let found = order.lines.iter().position(|line| line.line.line_id == change.contract_line_id && !line.is_removed);
    let fits = match (&change.before, found) {
        (Some(before), Some(found)) => is_as(&order.lines[found].line, before),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !fits {
        return Ok(());
    }
    match (&change.after, found) {
        (None, Some(found)) => {
            order.lines[found].is_removed = true;
            order.lines[found].line.is_closed = true;
        }
        (None, None) => {}
        (Some(after), found) => {
            let is_closed = found.is_some_and(|found| order.lines[found].line.is_closed);
            let term = order.end_on.map(|end_on| Span { start_on: order.start_on, end_on });
            let line = contract_line(&place(mapping, order)?, &format!("changes[{at}].after"), after, term)?;
            let line = OrderLine {
                line: Line { is_closed, ..line },
                obligation_id: after.performance_obligation_id.clone(),
                is_removed: false,
            };
            match found {
                Some(found) => order.lines[found] = line,
                None => order.lines.push(line),
            }
        }
    }
    Ok(())
}

/// Both sides of what does not fit, for the person who compares them.
fn differs(orders: &[Order], change: &LineChange, at: usize) -> Failure {
    let shown = |line: &ContractLine| {
        format!("{} × {} = {}", line.quantity.normalize(), line.unit_price.normalize(), line.amount_minor)
    };
    let of_it = |order: &Order| {
        let line = order.lines.iter().rev().find(|line| line.line.line_id == change.contract_line_id)?;
        let closed = if line.is_removed { ", removed" } else { "" };
        let Line { quantity, unit_price, amount_minor, .. } = &line.line;
        Some(format!("{} × {} = {amount_minor}{closed}", quantity.normalize(), unit_price.normalize()))
    };
    let there = orders.iter().rev().find_map(of_it).unwrap_or_else(|| "no such line".to_owned());
    let stated = change.before.as_ref().map_or_else(|| "a new line".to_owned(), shown);
    let reason =
        format!("line `{}`: the order has {there}, the amendment starts from {stated}", change.contract_line_id);
    Failure::business("ORDER_LINE_DIFFERS", connectors::queue::FINANCE, reason)
        .at_field(format!("changes[{at}].before"))
}
