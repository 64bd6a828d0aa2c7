//! Deferred revenue: what of a contract is recognised when (ASC 606, IFRS 15), per performance obligation.
//!
//! Recognition is neither billing nor cash: the plan follows the contract, invoices only say how much of it was billed.
//! Two sums always hold: Σ of the allocations is the transaction price, and Σ of an obligation's months is its allocation.

mod amend;
mod billed;
pub(super) mod schedule;

pub(super) use amend::{Reach, Terms, amended, cancelled, renewed};
pub(super) use billed::billed;

use super::{Place, share::largest_remainder};
use crate::{
    document::{Method, Obligation, Revenue},
    mapping::Mapping,
};
use connectors::{RevenueElement, RevenuePlan};
use events::{
    ContractActivated,
    common::{RecognitionMethod, RevenueObligation},
};
use failure::Failure;
use jiff::civil::Date;

/// The plan of a new contract; `None` where it brings none: then nothing is deferred.
///
/// # Errors
/// Allocations that do not come to the transaction price; a method or an account that nobody knows.
pub(super) fn set_up(mapping: &Mapping, event: &ContractActivated, dated: Date) -> Result<Option<Revenue>, Failure> {
    if event.revenue_plan.is_empty() {
        return Ok(None);
    }
    let allocations = allocate(&event.revenue_plan, event.total_contract_value_minor)?;
    let obligations = event.revenue_plan.iter().zip(allocations).enumerate();
    let obligations =
        obligations.map(|(index, (stated, allocated))| obligation(mapping, event, index, stated, allocated));
    Ok(Some(Revenue {
        account_id: event.account_id.clone(),
        currency: event.currency.clone(),
        legal_entity_id: event.legal_entity_id.clone(),
        dated,
        obligations: obligations.collect::<Result<_, _>>()?,
        billed_minor: 0,
        erp: None,
    }))
}

/// The stated allocations where they come to the price; the price by standalone selling price where none are stated, and by the stated
/// ones where only rounding is missing.
fn allocate(plan: &[RevenueObligation], price_minor: Option<i64>) -> Result<Vec<i64>, Failure> {
    let stated: Vec<i64> = plan.iter().map(|of| of.allocated_price_minor).collect();
    let sum = events::money::sum(stated.iter().copied()).ok_or_else(super::overflow)?;
    let price = price_minor.unwrap_or(sum);
    if sum == price {
        return Ok(stated);
    }
    let weights = |of: fn(&RevenueObligation) -> i64| plan.iter().map(|one| of(one).unsigned_abs()).collect::<Vec<_>>();
    if stated.iter().all(|allocated| *allocated == 0) {
        return Ok(largest_remainder(price, &weights(|of| of.standalone_selling_price_minor)));
    }
    if sum.abs_diff(price) <= plan.len() as u64 {
        return Ok(largest_remainder(price, &weights(|of| of.allocated_price_minor)));
    }
    let reason = format!("the obligations are allocated {sum}, the contract's value is {price}");
    Err(differs(reason).at_field("revenue_plan"))
}

fn differs(reason: String) -> Failure {
    Failure::business("REVENUE_PLAN_DIFFERS", connectors::queue::FINANCE, reason)
}

fn obligation(
    mapping: &Mapping,
    event: &ContractActivated,
    index: usize,
    stated: &RevenueObligation,
    allocated_minor: i64,
) -> Result<Obligation, Failure> {
    let path = format!("revenue_plan[{index}]");
    let method = method(&path, stated.method)?;
    let account = |field: &str, code: &Option<String>, default| {
        mapping.account(&format!("{path}.{field}"), code.as_deref(), default)
    };
    let id = &stated.performance_obligation_id;
    let of_it = event.lines.iter().filter(|line| line.performance_obligation_id.as_ref() == Some(id));
    let posting = &mapping.posting;
    Ok(Obligation {
        method,
        obligation_id: id.clone(),
        lines: of_it.map(|line| line.contract_line_id.clone()).collect(),
        element: RevenueElement {
            element_id: id.clone(),
            description: stated.description.clone(),
            standalone_minor: stated.standalone_selling_price_minor,
            allocated_minor,
            rule: stated.rule_code.clone().unwrap_or_else(|| rule(method).to_owned()),
            start_on: stated.start_on,
            end_on: stated.end_on,
            deferred_account: account("deferred_account", &stated.deferred_account, posting.deferred_account.as_ref())?,
            recognised_account: account(
                "recognised_account",
                &stated.recognised_account,
                posting.recognised_account.as_ref(),
            )?,
            on_hold: false,
            schedule: schedule::spread(method, allocated_minor, stated.start_on, stated.end_on),
        },
    })
}

fn method(path: &str, stated: RecognitionMethod) -> Result<Method, Failure> {
    Ok(match stated {
        RecognitionMethod::StraightLineDaily => Method::StraightLineDaily,
        RecognitionMethod::StraightLineEven => Method::StraightLineEven,
        RecognitionMethod::PointInTime => Method::PointInTime,
        RecognitionMethod::Usage | RecognitionMethod::PercentComplete => Method::AsReported,
        RecognitionMethod::Unknown => {
            return Err(differs("the recognition method is not known".to_owned()).at_field(format!("{path}.method")));
        }
    })
}

/// The ERP's rule where the contract names none.
const fn rule(method: Method) -> &'static str {
    match method {
        Method::StraightLineDaily => "straight_line_daily",
        Method::StraightLineEven => "straight_line_even",
        Method::PointInTime => "point_in_time",
        Method::AsReported => "as_reported",
    }
}

/// The plan as the ERP is told it.
pub(super) fn request(
    mapping: &Mapping,
    contract_id: &str,
    revenue: &Revenue,
    memo: String,
) -> Result<RevenuePlan, Failure> {
    let place = Place::find(mapping, &revenue.legal_entity_id, &revenue.currency)?;
    Ok(RevenuePlan {
        contract_id: contract_id.to_owned(),
        header: place.header(&revenue.account_id, Some(contract_id), revenue.dated, memo),
        elements: revenue.obligations.iter().map(|of| of.element.clone()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{deferred, mapping};
    use jiff::civil::date;
    use proptest::prelude::*;

    fn stated(allocated: i64, standalone: i64) -> RevenueObligation {
        RevenueObligation {
            allocated_price_minor: allocated,
            standalone_selling_price_minor: standalone,
            method: RecognitionMethod::StraightLineDaily,
            start_on: date(2026, 1, 1),
            end_on: Some(date(2027, 1, 1)),
            ..RevenueObligation::default()
        }
    }

    #[test]
    fn a_bundle_without_allocations_is_divided_by_standalone_selling_price() {
        let plan = [stated(0, 60), stated(0, 40)];
        assert_eq!(allocate(&plan, Some(90)).expect("shares"), [54, 36]);
    }

    #[test]
    fn a_missing_unit_of_rounding_is_given_back_and_more_than_that_is_for_finance() {
        let plan = [stated(33, 1), stated(33, 1), stated(33, 1)];
        assert_eq!(allocate(&plan, Some(100)).expect("shares").iter().sum::<i64>(), 100);
        let failure = allocate(&plan, Some(120)).expect_err("too far off");
        assert_eq!((failure.code.as_ref(), failure.owner.as_deref()), ("REVENUE_PLAN_DIFFERS", Some("finance")));
    }

    #[test]
    fn an_unknown_method_parks_instead_of_crashing() {
        let mut event = deferred("A-1", "C-1", 12_000);
        event.revenue_plan[0].method = RecognitionMethod::Unknown;
        let failure = set_up(&mapping(), &event, date(2026, 1, 1)).expect_err("unknown");
        assert_eq!(failure.field.as_deref(), Some("revenue_plan[0].method"));
    }

    proptest! {
        #[test]
        fn allocations_add_up_to_the_transaction_price(
            price in 1i64..10_000_000, parts in prop::collection::vec(1i64..1_000_000, 1..20),
        ) {
            let plan: Vec<_> = parts.iter().map(|standalone| stated(0, *standalone)).collect();
            prop_assert_eq!(allocate(&plan, Some(price)).expect("shares").iter().sum::<i64>(), price);
        }
    }
}
