//! Deals from closed-won to an active contract, or to a case that somebody owns (rows D2.05, D4.02 to D4.13, D6.06, D6.09 of the requirements).

mod common;

use common::{
    Told, accepted, cancelled, deal, decided, granted, hold, line, not_provisioned, rejected, reopened, shared, won,
};
use events::{
    Case, Event,
    common::{ChargeType, FalloutAction, RecognitionMethod},
};

#[test]
fn a_sound_deal_becomes_an_order_and_its_acceptance_an_active_contract() {
    let told = Told::of(vec![won(1, deal("O-1")), accepted(2, "O-1", "US")]);
    let [asked] = told.asked()[..] else { panic!("{:?}", told.requests) };
    assert_eq!((&*asked.order_id, asked.total_net_minor, asked.policy_version.len()), ("O-1-US", 100_001, 12));
    let [contract] = told.activated()[..] else { panic!("{:?}", told.contracts) };
    assert_eq!(contract.order_id.as_deref(), Some("O-1-US"));
    let plan = &contract.revenue_plan[0];
    assert_eq!((plan.method, plan.allocated_price_minor), (RecognitionMethod::StraightLineDaily, 100_001));
    assert_eq!(contract.entitlements[0].feature_key, "platform");
    assert_eq!(told.status("O-1"), "active");
    assert!(told.cases.is_empty());
}

/// A renewal that crm-sync shows as won comes back from the CRM as a deal that was won.
#[test]
fn a_deal_that_the_suite_itself_wrote_into_the_crm_is_no_deal() {
    let mut echo = won(1, deal("O-1"));
    echo.envelope.change_origin = Some("com/salesforce/api/rest/66.0;client=throughline".into());
    let told = Told::of(vec![echo]);
    assert!(told.requests.is_empty() && told.cases.is_empty(), "{:?}", told.requests);
    let mut changed = won(1, deal("O-1"));
    changed.envelope.change_origin = Some("com/salesforce/api/soap/66.0;client=somebody".into());
    assert_eq!(Told::of(vec![changed]).asked().len(), 1, "what others change is a deal");
}

#[test]
fn nothing_personal_is_kept_once_the_contract_is_active() {
    let told = Told::of(vec![won(1, deal("O-1")), accepted(2, "O-1", "US")]);
    let kept: Vec<_> = told.observed.documents.values().collect();
    assert!(kept.iter().all(|body| !body.contains("Example A-1")), "{kept:?}");
}

#[test]
fn one_deal_of_two_entities_becomes_two_orders_in_two_currencies_that_add_up() {
    let told = Told::of(vec![won(1, shared("O-1")), accepted(2, "O-1", "DE"), accepted(3, "O-1", "US")]);
    let [us, de] = told.asked()[..] else { panic!("{:?}", told.requests) };
    assert_eq!((&*us.currency, us.total_net_minor), ("USD", 60_001));
    assert_eq!((&*de.currency, de.total_net_minor), ("EUR", 36_800), "40 000 at 0.92");
    assert_eq!(us.lines[0].quantity + de.lines[0].quantity, rust_decimal::Decimal::TEN);
    let rate = de.exchange_rate.as_ref().expect("the rate and its source");
    assert_eq!((&*rate.from_currency, &*rate.source), ("USD", "treasury"));
    assert_eq!(told.activated().len(), 2);
    assert_eq!(told.status("O-1"), "active");
}

#[test]
fn everything_that_is_wrong_is_one_case_with_an_owner_for_each_reason() {
    let mut bad = deal("O-1");
    bad.legal_entity_id = "FR".into();
    bad.tax_exposure[0].nexus_known = false;
    bad.customer.payment_terms = None;
    bad.lines.push(line("L2", "TOY", ChargeType::OneTime, 0));
    let told = Told::of(vec![won(1, bad)]);
    assert!(told.requests.is_empty() && told.contracts.is_empty());
    let [Case::FalloutOpened(case)] = &told.cases[..] else { panic!("{:?}", told.cases) };
    let found: Vec<_> = case.reasons.iter().map(|reason| (&*reason.code, &*reason.owner_queue)).collect();
    for expected in [
        ("ENTITY_UNMAPPED", "revenue-operations"),
        ("MISSING_FIELD", "revenue-operations"),
        ("TAX_NEXUS_UNKNOWN", "tax"),
        ("PRODUCT_UNKNOWN", "master-data"),
        ("REVENUE_RULE_MISSING", "finance"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
    assert_eq!((case.amount_at_risk_minor, told.status("O-1")), (100_001, "waiting".into()));
}

#[test]
fn a_corrected_deal_goes_on_and_its_case_ends() {
    let mut bad = deal("O-1");
    bad.tax_exposure[0].nexus_known = false;
    let corrected = events::OpportunityClosedWon { entity_version: 2, ..deal("O-1") };
    let told = Told::of(vec![won(1, bad), won(2, corrected)]);
    assert_eq!(told.cases(), (vec![vec!["TAX_NEXUS_UNKNOWN".to_owned()]], vec!["mended".to_owned()]));
    assert_eq!((told.asked().len(), told.status("O-1")), (1, "requested".into()));
}

#[test]
fn a_released_credit_hold_lets_the_deal_go_on_by_itself() {
    let told = Told::of(vec![hold(1, 1, true), won(2, deal("O-1")), hold(3, 2, false)]);
    assert_eq!(told.cases(), (vec![vec!["CREDIT_HOLD".to_owned()]], vec!["mended".to_owned()]));
    assert_eq!((told.asked().len(), told.status("O-1")), (1, "requested".into()));
}

#[test]
fn a_large_deal_waits_for_its_approval_and_a_rejected_one_ends() {
    let mut large = deal("O-1");
    large.total_contract_value_minor = 60_000_000;
    large.lines[0].line.amount_minor = 60_000_000;
    let told = Told::of(vec![won(1, large.clone()), decided(2, "O-1", FalloutAction::Approve, &[])]);
    assert_eq!(told.cases(), (vec![vec!["APPROVAL_REQUIRED".to_owned()]], vec!["approved".to_owned()]));
    assert_eq!(told.asked().len(), 1);
    let told = Told::of(vec![won(1, large), decided(2, "O-1", FalloutAction::Reject, &[])]);
    assert_eq!((told.asked().len(), told.status("O-1")), (0, "declined".into()));
}

#[test]
fn what_is_waived_is_let_pass_and_nothing_else() {
    let mut bad = deal("O-1");
    bad.lines[0].line.unit_price = rust_decimal::Decimal::ONE;
    bad.tax_exposure[0].nexus_known = false;
    let waive = |n, code| decided(n, "O-1", FalloutAction::Waive, &[code]);
    let told = Told::of(vec![won(1, bad.clone()), waive(2, "PRICE_TOLERANCE")]);
    assert_eq!((told.asked().len(), told.cases().0.len()), (0, 2), "the rest is a case of its own");
    let told = Told::of(vec![won(1, bad), waive(2, "PRICE_TOLERANCE"), waive(3, "TAX_NEXUS_UNKNOWN")]);
    assert_eq!(told.asked().len(), 1);
}

#[test]
fn an_order_that_the_erp_rejects_is_a_case_until_it_is_taken() {
    let told = Told::of(vec![won(1, deal("O-1")), rejected(2, "O-1", "US")]);
    assert_eq!(told.status("O-1"), "rejected");
    let told = Told::of(vec![won(1, deal("O-1")), rejected(2, "O-1", "US"), accepted(3, "O-1", "US")]);
    assert_eq!(told.cases(), (vec![vec!["ORDER_REJECTED_UNMAPPED_PRODUCT".to_owned()]], vec!["mended".to_owned()]));
    assert_eq!((told.activated().len(), told.status("O-1")), (1, "active".into()));
}

#[test]
fn a_deal_that_is_reopened_takes_back_what_was_begun_and_no_contract_comes_of_it() {
    let events = vec![won(1, deal("O-1")), reopened(2, "O-1", 2), accepted(3, "O-1", "US"), cancelled(4, "O-1", "US")];
    let told = Told::of(events);
    assert_eq!((told.asked().len(), told.taken_back()), (1, 1));
    assert!(told.contracts.is_empty());
    assert_eq!(told.status("O-1"), "withdrawn");
}

#[test]
fn a_deal_that_is_reopened_after_its_contract_is_active_cancels_the_contract_with_its_next_version() {
    let told = Told::of(vec![won(1, deal("O-1")), accepted(2, "O-1", "US"), reopened(3, "O-1", 2)]);
    let [Event::ContractActivated(_), Event::ContractCancelled(ended)] = &told.contracts[..] else {
        panic!("{:?}", told.contracts)
    };
    assert_eq!((&*ended.contract_id, ended.entity_version), ("O-1-US", 2));
}

#[test]
fn a_rejected_order_of_a_reopened_deal_that_is_taken_all_the_same_is_taken_back() {
    let events = vec![won(1, deal("O-1")), rejected(2, "O-1", "US"), reopened(3, "O-1", 2), accepted(4, "O-1", "US")];
    let told = Told::of(events);
    assert_eq!((told.asked().len(), told.taken_back()), (1, 1));
    assert!(told.contracts.is_empty());
}

#[test]
fn a_change_after_the_orders_were_asked_for_is_a_case_and_changes_nothing() {
    let changed = events::OpportunityClosedWon { entity_version: 2, total_contract_value_minor: 1, ..deal("O-1") };
    let told = Told::of(vec![won(1, deal("O-1")), won(2, changed), accepted(3, "O-1", "US")]);
    assert_eq!(told.cases().0, [["FIELD_PROTECTED"]]);
    assert_eq!(told.activated()[0].total_contract_value_minor, Some(100_001));
}

#[test]
fn answers_about_orders_of_others_and_for_processes_that_are_over_change_nothing() {
    let mut foreign = accepted(2, "O-1", "US");
    if let Ok(order_flow::event::FlowEvent::Reply(events::Reply::OrderAccepted(event))) = &mut foreign.event {
        event.opportunity_id = None;
    }
    let told = Told::of(vec![won(1, deal("O-1")), foreign, accepted(3, "O-1", "US"), accepted(4, "O-1", "US")]);
    assert_eq!(told.activated().len(), 1);
}

#[test]
fn a_contract_that_the_product_cannot_carry_out_is_a_case_until_access_is_granted() {
    let failed = vec![won(1, deal("O-1")), accepted(2, "O-1", "US"), not_provisioned(3, "O-1", "US")];
    let told = Told::of(failed.clone());
    assert_eq!(told.cases(), (vec![vec!["PROVISIONING_FAILED_UNMAPPED_PRODUCT".to_owned()]], vec![]));
    let told = Told::of(failed.into_iter().chain([granted(4, "O-1", "US")]).collect());
    assert_eq!(told.cases().1, ["mended"]);
    let late =
        vec![won(1, deal("O-1")), accepted(2, "O-1", "US"), granted(3, "O-1", "US"), not_provisioned(4, "O-1", "US")];
    assert!(Told::of(late).cases.is_empty(), "it was granted since");
}

/// Compensation: the ERP has the order and the activation failed for good. The contract is cancelled, once, and nothing is deleted.
#[test]
fn a_contract_that_is_given_up_is_cancelled_with_its_next_version_and_one_with_access_is_not() {
    let story = vec![
        won(1, shared("O-1")),
        accepted(2, "O-1", "US"),
        accepted(3, "O-1", "DE"),
        granted(4, "O-1", "DE"),
        not_provisioned(5, "O-1", "US"),
        decided(6, "O-1", FalloutAction::Reject, &[]),
    ];
    let told = Told::of(story);
    let ended = told.contracts.iter().filter_map(|event| match event {
        Event::ContractCancelled(event) => Some((&*event.contract_id, event.entity_version, &*event.reason.code)),
        _ => None,
    });
    assert_eq!(ended.collect::<Vec<_>>(), [("O-1-US", 2, "activation_failed")]);
    assert_eq!(told.cases().1, ["rejected"]);
}
