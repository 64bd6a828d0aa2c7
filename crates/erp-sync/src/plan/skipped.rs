//! Events without an effect in the ERP yet. They are skipped by rule, visibly, but their versions are kept where a later event of
//! the same subject has one: without that its next version would look like a gap.

use super::{Decision, version};
use crate::document::{Contract, ContractState, ErpDocument, Known, Payment, PaymentState, kind};
use events::{Payload, PaymentFailed};
use failure::Failure;
use std::collections::BTreeMap;

/// A change of a contract that the ERP's order does not follow yet.
///
/// # Errors
/// A version out of order.
pub fn contract(
    known: Known<'_>,
    event: &impl Payload,
    contract_id: &str,
    ends: bool,
    rule: &'static str,
) -> Result<Decision, Failure> {
    let before = known.contract(contract_id);
    version::next(contract_id, before.map(|contract| contract.entity_version), event.entity_version())?;
    let state = match before.map(|contract| contract.state) {
        _ if ends => ContractState::Cancelled,
        Some(state) => state,
        None => ContractState::Announced,
    };
    let contract = Contract {
        account_id: event.account_id().to_owned(),
        entity_version: event.entity_version(),
        state,
        erp: before.and_then(|contract| contract.erp.clone()),
        orders: before.map(|contract| contract.orders.clone()).unwrap_or_default(),
    };
    Ok(Decision::skip(rule).put(kind::CONTRACT, contract_id, ErpDocument::Contract(contract)))
}

/// A payment that failed books nothing.
///
/// # Errors
/// A version out of order.
pub fn payment_failed(known: Known<'_>, event: &PaymentFailed) -> Result<Decision, Failure> {
    let before = known.payment(&event.payment_id);
    version::next(&event.payment_id, before.map(|payment| payment.entity_version), event.entity_version)?;
    // A payment that was received stays so: what failed is another attempt.
    let payment = match before {
        Some(payment) => Payment { entity_version: event.entity_version, ..payment.clone() },
        None => Payment {
            account_id: event.account_id.clone(),
            entity_version: event.entity_version,
            state: PaymentState::Failed,
            currency: event.currency.clone(),
            amount_minor: event.amount_minor,
            unapplied_minor: 0,
            applications: BTreeMap::new(),
            disputes: BTreeMap::new(),
            erp: None,
        },
    };
    let rule = "a payment that failed books nothing in the ERP";
    Ok(Decision::skip(rule).put(kind::PAYMENT, &event.payment_id, ErpDocument::Payment(payment)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, amended, kept, mapping, state};

    #[test]
    fn a_skipped_change_of_a_contract_keeps_its_version_and_its_order() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
        let documents = state.documents();
        let event = amended("A-1", "C-1", 2);
        let decision = contract(Known(&documents), &event, "C-1", false, "rule").expect("skipped");
        let Some(ErpDocument::Contract(contract)) = decision.documents[0].document.clone() else {
            panic!("no contract")
        };
        assert_eq!((contract.entity_version, contract.state), (2, ContractState::Active));
        assert!(contract.erp.is_some() && contract.orders.len() == 1);
    }

    #[test]
    fn a_change_waits_for_the_version_before_it() {
        let event = amended("A-1", "C-1", 2);
        let failure = contract(Known(&state(&[]).documents()), &event, "C-1", false, "rule").err().expect("a gap");
        assert_eq!((failure.code.as_ref(), failure.awaits.as_deref()), ("VERSION_GAP", Some("C-1")));
    }
}
