//! What an activation may not change: a contract brings customer and order along, and from then on both are the ERP's.

use super::super::protected;
use crate::document::{Account, Contract, ContractState, Known, Order};
use connectors::queue;
use events::{
    ContractActivated,
    common::{ContractLine, Customer},
};
use failure::Failure;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Fields of a customer that are the ERP's as soon as it has the customer.
pub(super) fn owned(customer: &Customer) -> BTreeMap<String, String> {
    let tax_ids = customer.tax_ids.iter().map(|id| format!("{}={}", id.scheme, id.value.reveal()));
    let tax_ids = tax_ids.collect::<Vec<_>>().join(";");
    let exemption = customer.tax_exemption.to_string();
    [
        ("customer.legal_name", fingerprint([Some(customer.legal_name.reveal())])),
        ("customer.tax_ids", fingerprint([Some(&*tax_ids)])),
        ("customer.tax_exemption", exemption),
        ("customer.currency", customer.currency.clone()),
    ]
    .into_iter()
    .map(|(field, value)| (field.to_owned(), value))
    .collect()
}

/// A contract brings the customer along; it does not change it. Names and numbers are shown as fingerprints: they are personal data.
pub(super) fn customer(found: &Account, customer: &Customer) -> Result<(), Failure> {
    let new = owned(customer);
    let differ = |(field, before): &(&String, &String)| new.get(*field).is_some_and(|after| after != *before);
    let Some((field, before)) = found.protected.iter().find(differ) else { return Ok(()) };
    let after = new.get(field).map_or("", String::as_str);
    let reason = format!(
        "{field} of account `{}` is the ERP's since it has the customer: {before} there, {after} in the event",
        found.account_id
    );
    Err(protected(connectors::queue::MASTER_DATA, field, reason))
}

/// Activating a contract again may only say what the ERP has already. Nothing of it is sent, so a difference would stay unseen.
///
/// # Errors
/// The first difference, with both sides.
pub(super) fn again(known: Known<'_>, contract: Option<&Contract>, event: &ContractActivated) -> Result<(), Failure> {
    if let Some(found) = known.account(&event.account_id) {
        customer(found, &event.customer)?;
    }
    let Some(contract) = contract else { return Ok(()) };
    if contract.state == ContractState::Cancelled {
        let reason = format!(
            "contract `{}` is cancelled and its order closed; its activation came after that",
            event.contract_id
        );
        return Err(Failure::business("ORDER_CLOSED", queue::FINANCE, reason).at_field("contract_id"));
    }
    contract.orders.last().map_or(Ok(()), |last| order(last, event))
}

fn order(order: &Order, event: &ContractActivated) -> Result<(), Failure> {
    let owned = [
        ("currency", &order.currency, &event.currency),
        ("legal_entity_id", &order.legal_entity_id, &event.legal_entity_id),
    ];
    if let Some((field, there, stated)) = owned.into_iter().find(|(_, there, stated)| there != stated) {
        let reason =
            format!("{field} of order `{}` is the ERP's: {there} there, {stated} in the event", order.order_id);
        return Err(protected(queue::FINANCE, field, reason));
    }
    event.lines.iter().enumerate().try_for_each(|(index, line)| same_line(order, index, line))
}

/// A line that the order does not have is of another term or removed: it changes nothing there.
fn same_line(order: &Order, index: usize, stated: &ContractLine) -> Result<(), Failure> {
    let found = order.lines.iter().find(|own| own.line.line_id == stated.contract_line_id && !own.is_removed);
    let Some(found) = found.map(|own| &own.line) else { return Ok(()) };
    if (found.quantity, found.amount_minor) == (stated.quantity, stated.amount_minor) {
        return Ok(());
    }
    let reason = format!(
        "line `{}`: the order has {} for {}, the activation says {} for {}",
        stated.contract_line_id,
        found.quantity.normalize(),
        found.amount_minor,
        stated.quantity.normalize(),
        stated.amount_minor
    );
    Err(Failure::business("ORDER_LINE_DIFFERS", queue::FINANCE, reason).at_field(format!("lines[{index}]")))
}

pub(super) fn fingerprint<const N: usize>(fields: [Option<&str>; N]) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update([u8::from(field.is_some())]);
        hash.update(field.unwrap_or_default().as_bytes());
        hash.update([0]);
    }
    hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}
