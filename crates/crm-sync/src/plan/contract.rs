//! Contracts: status and terms, and the renewal's opportunity.

use super::{Decision, account, currency, day};
use crate::{
    document::{Account, Contract, CrmDocument, Known, key, kind},
    effect::CrmEffect,
};
use connectors::{AccountShown, ContractShown, ContractShownStatus as Status, RenewalShown, RenewalStage};
use events::{
    ContractActivated, ContractAmended, ContractCancelled, SubscriptionRenewalAccepted, SubscriptionRenewalDeclined,
    SubscriptionRenewalDue,
    common::{AmendmentType, CancellationMode, Term},
    version,
};
use failure::Failure;
use ledger::DocumentKey;

/// # Errors
/// A version out of order.
pub fn activated(known: Known<'_>, event: &ContractActivated) -> Result<Decision, Failure> {
    let before = known.contract(&event.contract_id);
    version::next(&event.contract_id, before.map(|contract| contract.entity_version), event.entity_version)?;
    let shown = ContractShown {
        contract_id: event.contract_id.clone(),
        account_id: event.account_id.clone(),
        status: Status::Active,
        currency: currency(&event.currency)?,
        start_on: event.term.start_on,
        end_on: event.term.end_on,
        auto_renews: event.term.auto_renew,
        value_minor: event.total_contract_value_minor,
        cancelled_on: None,
    };
    let mut decision = Decision::new();
    if !known.has_account(&event.account_id) {
        let name = event.customer.trading_name.as_ref().unwrap_or(&event.customer.legal_name);
        let account = AccountShown { account_id: event.account_id.clone(), name: name.reveal().to_owned() };
        let document = CrmDocument::Account(Account { account_id: event.account_id.clone() });
        decision =
            decision.effect(CrmEffect::EnsureAccount { account }).put(kind::ACCOUNT, &event.account_id, document);
    }
    let contract = Contract { entity_version: event.entity_version, shown, renewal: None, declined: None };
    Ok(show(decision, contract))
}

/// # Errors
/// A version out of order.
pub fn amended(known: Known<'_>, event: &ContractAmended) -> Result<Decision, Failure> {
    let before = next(known, &event.contract_id, event.entity_version)?;
    account(known, event)?;
    let mut shown = before.shown.clone();
    match event.amendment_type {
        AmendmentType::Suspend => shown.status = Status::Suspended,
        AmendmentType::Resume => shown.status = Status::Active,
        AmendmentType::Unknown
        | AmendmentType::Add
        | AmendmentType::Remove
        | AmendmentType::Quantity
        | AmendmentType::Price
        | AmendmentType::PlanChange
        | AmendmentType::TermExtension
        | AmendmentType::OwnerTransfer => {}
    }
    if let Some(term) = &event.new_term {
        take(&mut shown, term);
    }
    shown.value_minor = shown.value_minor.map(|value| value.saturating_add(event.delta_tcv_minor));
    Ok(show(Decision::new(), Contract { entity_version: event.entity_version, shown, ..before.clone() }))
}

/// # Errors
/// A version out of order.
pub fn cancelled(known: Known<'_>, event: &ContractCancelled) -> Result<Decision, Failure> {
    let before = next(known, &event.contract_id, event.entity_version)?;
    account(known, event)?;
    let status = match event.mode {
        CancellationMode::Immediate => Status::Cancelled,
        CancellationMode::EndOfTerm | CancellationMode::Unknown => Status::Ending,
    };
    let shown =
        ContractShown { status, cancelled_on: Some(event.cancel_on), auto_renews: false, ..before.shown.clone() };
    Ok(show(Decision::new(), Contract { entity_version: event.entity_version, shown, ..before.clone() }))
}

/// The renewal's opportunity is won, and the contract has its new term. One that was cancelled before stays so: which of the two holds is
/// decided in the ERP, and what people see meanwhile is both.
///
/// # Errors
/// A version out of order.
pub fn renewed(known: Known<'_>, event: &SubscriptionRenewalAccepted) -> Result<Decision, Failure> {
    let before = next(known, &event.contract_id, event.entity_version)?;
    account(known, event)?;
    let renewal = RenewalShown {
        // The opportunity that was opened when it was due is the one that is won.
        renewal_id: before.renewal.as_ref().unwrap_or(&event.renewal_id).clone(),
        stage: RenewalStage::Won,
        account_id: event.account_id.clone(),
        contract_id: event.contract_id.clone(),
        currency: currency(&event.currency)?,
        accepted_on: day(event.accepted_at, &event.renewed_term.timezone),
        term_start_on: event.renewed_term.start_on,
        term_end_on: event.renewed_term.end_on,
        value_minor: event.total_contract_value_minor,
    };
    let mut shown = before.shown.clone();
    take(&mut shown, &event.renewed_term);
    shown.value_minor = event.total_contract_value_minor.or(shown.value_minor);
    let decision = Decision::new().effect(CrmEffect::ShowRenewal { renewal });
    Ok(show(decision, Contract { entity_version: event.entity_version, shown, renewal: None, declined: None }))
}

/// An opportunity for the renewal that is coming, unless it is decided already.
///
/// # Errors
/// A contract that is not there yet.
pub fn due(known: Known<'_>, event: &SubscriptionRenewalDue) -> Result<Decision, Failure> {
    let before = there(known, &event.contract_id)?;
    account(known, event)?;
    let shown = &before.shown;
    if shown.cancelled_on.is_some() || shown.end_on != Some(event.renews_on) || before.declined == shown.end_on {
        return Ok(Decision::skip("the renewal was decided before"));
    }
    let renewal = RenewalShown {
        renewal_id: event.renewal_id.clone(),
        stage: RenewalStage::Due,
        account_id: event.account_id.clone(),
        contract_id: event.contract_id.clone(),
        currency: currency(&event.currency)?,
        accepted_on: event.notice_on,
        term_start_on: event.renews_on,
        term_end_on: None,
        value_minor: event.total_contract_value_minor,
    };
    let contract = Contract { renewal: Some(event.renewal_id.clone()), ..before.clone() };
    let document = CrmDocument::Contract(contract);
    Ok(Decision::new().effect(CrmEffect::ShowRenewal { renewal }).put(kind::CONTRACT, &event.contract_id, document))
}

/// The renewal's opportunity is lost, unless the contract was renewed since.
///
/// # Errors
/// A contract that is not there yet.
pub fn declined(known: Known<'_>, event: &SubscriptionRenewalDeclined) -> Result<Decision, Failure> {
    let before = there(known, &event.contract_id)?;
    account(known, event)?;
    let shown = &before.shown;
    if shown.end_on.is_some_and(|end_on| end_on > event.ends_on) {
        return Ok(Decision::skip("the contract was renewed before"));
    }
    let renewal = RenewalShown {
        renewal_id: before.renewal.as_ref().unwrap_or(&event.renewal_id).clone(),
        stage: RenewalStage::Lost,
        account_id: event.account_id.clone(),
        contract_id: event.contract_id.clone(),
        currency: shown.currency.clone(),
        accepted_on: event.declined_at.to_zoned(jiff::tz::TimeZone::UTC).date(),
        term_start_on: event.ends_on,
        term_end_on: None,
        value_minor: shown.value_minor,
    };
    let contract = Contract { renewal: None, declined: Some(event.ends_on), ..before.clone() };
    let document = CrmDocument::Contract(contract);
    Ok(Decision::new().effect(CrmEffect::ShowRenewal { renewal }).put(kind::CONTRACT, &event.contract_id, document))
}

/// The contract, which must be there: its version tells.
fn next<'a>(known: Known<'a>, contract_id: &str, entity_version: i64) -> Result<&'a Contract, Failure> {
    let before = known.contract(contract_id);
    version::next(contract_id, before.map(|contract| contract.entity_version), entity_version)?;
    before.map_or_else(|| there(known, contract_id), Ok)
}

fn there<'a>(known: Known<'a>, contract_id: &str) -> Result<&'a Contract, Failure> {
    known.contract(contract_id).ok_or_else(|| {
        let reason = format!("contract `{contract_id}` is not activated yet");
        Failure::not_yet("CONTRACT_NOT_ACTIVE", contract_id, reason).at_field("contract_id")
    })
}

fn take(shown: &mut ContractShown, term: &Term) {
    shown.start_on = shown.start_on.min(term.start_on);
    shown.end_on = term.end_on;
    shown.auto_renews = term.auto_renew && shown.cancelled_on.is_none();
}

fn show(decision: Decision, contract: Contract) -> Decision {
    let (shown, version) = (contract.shown.clone(), contract.entity_version);
    let contract_id = shown.contract_id.clone();
    let document = CrmDocument::Contract(contract);
    decision.effect(CrmEffect::ShowContract { contract: shown, version }).put(kind::CONTRACT, contract_id, document)
}

/// The documents that the plans look at.
#[must_use]
pub fn reads(account_id: &str, contract_id: &str) -> Vec<DocumentKey> {
    vec![key(kind::ACCOUNT, account_id), key(kind::CONTRACT, contract_id)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, amended, cancelled, follows, kept, renewed, sent};
    use events::{Event, Notice};
    use failure::Class;
    use jiff::civil::{Date, date};

    fn shown(effects: &[CrmEffect]) -> ContractShown {
        let found = effects.iter().rev().find_map(|effect| match effect {
            CrmEffect::ShowContract { contract, .. } => Some(contract.clone()),
            _ => None,
        });
        found.expect("a contract is shown")
    }

    #[test]
    fn the_first_contract_brings_its_account_and_the_second_does_not() {
        let first = sent(&kept(&[]), &activated("a-1", "c-1").into());
        assert!(matches!(&first[..], [CrmEffect::EnsureAccount { .. }, CrmEffect::ShowContract { .. }]), "{first:?}");
        let second = sent(&kept(&[activated("a-1", "c-1").into()]), &activated("a-1", "c-2").into());
        assert!(matches!(&second[..], [CrmEffect::ShowContract { .. }]), "{second:?}");
    }

    #[test]
    fn status_and_terms_follow_what_happens_to_the_contract() {
        let mut events = vec![activated("a-1", "c-1").into()];
        let suspended = amended("a-1", "c-1", 2, AmendmentType::Suspend, -500);
        let contract = shown(&sent(&kept(&events), &suspended.clone().into()));
        assert_eq!((contract.status, contract.value_minor), (Status::Suspended, Some(11_500)));
        events.push(suspended.into());
        let resumed = amended("a-1", "c-1", 3, AmendmentType::Resume, 0);
        assert_eq!(shown(&sent(&kept(&events), &resumed.clone().into())).status, Status::Active);
        events.push(resumed.into());
        let renewal = sent(&kept(&events), &renewed("a-1", "c-1", 4).into());
        assert!(
            matches!(&renewal[0], CrmEffect::ShowRenewal { renewal } if renewal.renewal_id == "r-4"),
            "{renewal:?}"
        );
        assert_eq!(shown(&renewal).end_on, Some(date(2028, 1, 1)));
        events.push(renewed("a-1", "c-1", 4).into());
        let end = shown(&sent(&kept(&events), &cancelled("a-1", "c-1", 5).into()));
        assert_eq!((end.status, end.cancelled_on, end.auto_renews), (Status::Ending, Some(date(2028, 1, 1)), false));
    }

    fn due(renews_on: Date) -> Notice {
        Notice::from(SubscriptionRenewalDue {
            account_id: "a-1".into(),
            renewal_id: format!("c-1/{renews_on}"),
            contract_id: "c-1".into(),
            notice_on: date(2026, 12, 2),
            renews_on,
            currency: "GBP".into(),
            ..SubscriptionRenewalDue::default()
        })
    }

    fn declined(ends_on: Date) -> Notice {
        Notice::from(SubscriptionRenewalDeclined {
            account_id: "a-1".into(),
            renewal_id: "r-9".into(),
            contract_id: "c-1".into(),
            ends_on,
            ..SubscriptionRenewalDeclined::default()
        })
    }

    fn opportunities(effects: &[CrmEffect]) -> Vec<(String, RenewalStage)> {
        let renewal = |effect: &CrmEffect| match effect {
            CrmEffect::ShowRenewal { renewal } => Some((renewal.renewal_id.clone(), renewal.stage)),
            _ => None,
        };
        effects.iter().filter_map(renewal).collect()
    }

    #[test]
    fn the_opportunity_of_a_renewal_that_is_due_is_the_one_that_is_won_or_lost() {
        let (first, second) = (date(2027, 1, 1), date(2028, 1, 1));
        let mut state = kept(&[activated("a-1", "c-1").into()]);
        let open = opportunities(&follows(&mut state, due(first)));
        assert_eq!(open, [("c-1/2027-01-01".to_owned(), RenewalStage::Due)]);
        let won = opportunities(&follows(&mut state, Event::from(renewed("a-1", "c-1", 2))));
        assert_eq!(won, [("c-1/2027-01-01".to_owned(), RenewalStage::Won)]);
        for late in [due(first), declined(first)] {
            assert!(follows(&mut state, late).is_empty(), "it was renewed before");
        }
        let lost = opportunities(&follows(&mut state, declined(second)));
        assert_eq!(lost, [("r-9".to_owned(), RenewalStage::Lost)]);
        assert!(follows(&mut state, due(second)).is_empty(), "it was declined before");
    }

    #[test]
    fn a_change_waits_for_the_version_before_it_and_a_stale_one_is_refused() {
        let state = kept(&[activated("a-1", "c-1").into()]);
        let plan = |event: &ContractAmended| super::amended(Known(&state.documents()), event);
        let gap = plan(&amended("a-1", "c-1", 3, AmendmentType::Add, 0)).err().expect("a gap");
        assert_eq!((gap.class, gap.code.as_ref(), gap.awaits.as_deref()), (Class::NotYet, "VERSION_GAP", Some("c-1")));
        let stale = plan(&amended("a-1", "c-1", 1, AmendmentType::Add, 0)).err().expect("stale");
        assert_eq!((stale.class, stale.code.as_ref()), (Class::Contract, "STALE_VERSION"));
    }
}
