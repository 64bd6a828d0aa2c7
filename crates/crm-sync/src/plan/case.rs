//! Deals that cannot go on by themselves: a task for whoever looks after the customer, completed when the case has ended, however it did.

use super::{Decision, currency};
use crate::{
    document::{Case, CrmDocument, Known, key, kind},
    effect::CrmEffect,
};
use connectors::{CaseReason, DealCase};
use events::{FalloutClosed, FalloutOpened, common::FalloutReason, version};
use failure::Failure;
use ledger::DocumentKey;

/// The account may be new: then the task stands alone, under the id of the deal.
///
/// # Errors
/// A version out of order, or a currency that is none.
pub fn opened(known: Known<'_>, event: &FalloutOpened) -> Result<Decision, Failure> {
    let reason = |reason: &FalloutReason| CaseReason {
        code: reason.code.clone(),
        message: reason.message.clone(),
        owner: reason.owner_queue.clone(),
    };
    version::next(&event.case_id, version_of(known, &event.case_id), event.entity_version)?;
    let shown = DealCase {
        case_id: event.case_id.clone(),
        account_id: event.account_id.clone(),
        opportunity_id: event.opportunity_id.clone(),
        has_account: known.has_account(&event.account_id),
        currency: currency(&event.currency)?,
        amount_minor: event.amount_at_risk_minor,
        reasons: event.reasons.iter().map(reason).collect(),
        end: None,
    };
    Ok(show(shown, event.entity_version))
}

/// # Errors
/// A version out of order: an end waits for its beginning.
pub fn closed(known: Known<'_>, event: &FalloutClosed) -> Result<Decision, Failure> {
    version::next(&event.case_id, version_of(known, &event.case_id), event.entity_version)?;
    let Some(case) = known.case(&event.case_id) else {
        return Ok(Decision::skip("a case that was never shown has ended"));
    };
    let has_account = known.has_account(&event.account_id);
    let shown = DealCase { end: Some(event.end.to_string()), has_account, ..case.shown.clone() };
    Ok(show(shown, event.entity_version))
}

fn version_of(known: Known<'_>, case_id: &str) -> Option<i64> {
    known.case(case_id).map(|case| case.entity_version)
}

fn show(shown: DealCase, version: i64) -> Decision {
    let document = CrmDocument::Case(Case { entity_version: version, shown: shown.clone() });
    let id = shown.case_id.clone();
    Decision::new().effect(CrmEffect::ShowCase { case: shown, version }).put(kind::CASE, id, document)
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(account_id: &str, case_id: &str) -> Vec<DocumentKey> {
    vec![key(kind::ACCOUNT, account_id), key(kind::CASE, case_id)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, follows, kept, refused};
    use events::{Case as Fallout, common::FalloutEnd};

    fn beginning() -> Fallout {
        let (message, owner_queue) = ("the card was declined".to_owned(), "billing-operations".to_owned());
        let code = "REFUSED_BY_BILLING".to_owned();
        FalloutOpened {
            account_id: "a-1".into(),
            entity_version: 1,
            case_id: "o-1/1".into(),
            opportunity_id: "o-1".into(),
            reasons: vec![FalloutReason { code, message, owner_queue, ..FalloutReason::default() }],
            currency: "USD".into(),
            amount_at_risk_minor: 100_001,
            ..FalloutOpened::default()
        }
        .into()
    }

    fn end() -> Fallout {
        FalloutClosed {
            account_id: "a-1".into(),
            entity_version: 2,
            case_id: "o-1/1".into(),
            opportunity_id: "o-1".into(),
            end: FalloutEnd::Compensated,
            ..FalloutClosed::default()
        }
        .into()
    }

    fn shown(effects: &[CrmEffect]) -> &DealCase {
        let [CrmEffect::ShowCase { case, .. }] = effects else { panic!("{effects:?}") };
        case
    }

    #[test]
    fn a_case_is_one_task_with_its_reasons_that_ends_as_the_case_does() {
        let mut state = kept(&[]);
        let effects = follows(&mut state, beginning());
        let opened = shown(&effects);
        assert_eq!((opened.end.as_deref(), opened.has_account, opened.reasons.len()), (None, false, 1));
        let effects = follows(&mut state, end());
        assert_eq!(
            (shown(&effects).end.as_deref(), shown(&effects).task_id()),
            (Some("compensated"), "case/o-1/1".into())
        );
        assert_eq!(shown(&effects).reasons, opened.reasons, "people still see why it was open");
    }

    #[test]
    fn the_task_belongs_to_the_account_where_the_crm_has_it() {
        let mut state = kept(&[activated("a-1", "c-1").into()]);
        assert!(shown(&follows(&mut state, beginning())).has_account);
    }

    #[test]
    fn an_end_that_overtakes_its_beginning_waits_for_it() {
        assert_eq!(refused(&kept(&[]), &end().into()).code, "VERSION_GAP");
    }
}
