//! Where a customer may be sold to: a subsidiary or a currency that it is not enabled for would refuse the document, so it is enabled
//! first, once, by the document that needs it.

use super::Decision;
use crate::{
    document::{Account, ErpDocument, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::CustomerScope;
use failure::Failure;

/// Adds what `account` lacks for a document of `legal_entity_id` in `currency`, and notes it.
///
/// # Errors
/// An entity or currency that the mapping does not name.
pub(super) fn enabled(
    mapping: &Mapping,
    decision: Decision,
    account: Option<&Account>,
    of: &str,
    (legal_entity_id, currency): (&str, &str),
) -> Result<Decision, Failure> {
    let Some(account) = account else { return Ok(decision) };
    let place = format!("{legal_entity_id}/{currency}");
    // An account that is older than this list was created where its only contract was.
    if account.places.is_empty() || account.places.contains(&place) {
        return Ok(decision);
    }
    let scope = CustomerScope {
        account_id: account.account_id.clone(),
        subsidiary: mapping.entity(legal_entity_id)?.subsidiary.clone(),
        currency: mapping.currency("currency", currency)?.reference,
    };
    let mut account = account.clone();
    account.places.push(place);
    let account_id = account.account_id.clone();
    let effect = ErpEffect::EnableCustomer { scope, of: of.to_owned() };
    Ok(decision.effect(effect).put(kind::ACCOUNT, account_id, ErpDocument::Account(account)))
}
