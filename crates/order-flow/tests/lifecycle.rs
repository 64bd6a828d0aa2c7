//! What becomes of contracts that came of deals: amendments above policy (D1.05, D2.05, D11.06), renewals (D6.10 to D6.14, D3.24), signed quotes,
//! and fields that are not the CRM's any more (D2.03, D2.10, D11.04).

mod common;

use common::{
    ACCOUNT, Told, accepted, amend, deal, decided_case, ended, happens, not_renewed, renewal_taken, renewed, reopened,
    shared, won,
};
use events::{
    Case, ContractAmendmentRequested, Deal, Event, Notice, OpportunityClosedWon, QuoteAccepted,
    common::{CancellationMode, FalloutAction},
    topics,
};
use jiff::civil::date;
use order_flow::{change::ChangeStage, event::FlowEvent};
use testkit::{deals::at, lifecycle, simulation::SimEvent};

fn active(id: &str) -> Vec<SimEvent<FlowEvent>> {
    vec![won(1, deal(id)), accepted(2, id, "US")]
}

/// The events of an active contract, then these.
fn then(events: impl IntoIterator<Item = SimEvent<FlowEvent>>) -> Told {
    Told::of(active("O-1").into_iter().chain(events).collect())
}

fn small(id: &str) -> ContractAmendmentRequested {
    lifecycle::reseat(ACCOUNT, "O-1", id, (12, 120_001), at(1_000_000))
}

/// Loses more than an account manager may give up.
fn large(id: &str) -> ContractAmendmentRequested {
    ContractAmendmentRequested { delta_tcv_minor: -2_000_000, ..small(id) }
}

#[test]
fn an_amendment_within_policy_holds_at_once_from_its_own_date() {
    let told = then([amend(3, small("M-1"))]);
    let [amended] = told.amended()[..] else { panic!("{:?}", told.contracts) };
    assert_eq!((amended.entity_version, amended.sequence_no, amended.effective_at), (2, 1, at(1_000_000)));
    assert_eq!(amended.policy_version.as_deref().map(str::len), Some(12));
    assert!(amended.approval.is_none() && told.cases.is_empty());
    let change = &told.deal("O-1").changes["M-1"];
    assert_eq!((change.stage, change.contract_version, &change.asked), (ChangeStage::Done, Some(2), &None));
}

#[test]
fn amendments_of_one_contract_have_versions_that_follow_each_other() {
    let second = ContractAmendmentRequested { changes: Vec::new(), ..small("M-2") };
    let told = then([amend(3, small("M-1")), amend(4, second)]);
    let versions: Vec<_> = told.amended().iter().map(|event| (event.entity_version, event.sequence_no)).collect();
    assert_eq!(versions, [(2, 1), (3, 2)]);
}

/// D2.05: nothing changes until somebody with the right to it says so, and who said so goes with the amendment.
#[test]
fn an_amendment_above_policy_waits_for_its_owner_and_carries_the_approval() {
    let told = then([amend(3, large("M-1"))]);
    assert!(told.amended().is_empty());
    let [Case::FalloutOpened(case)] = &told.cases[..] else { panic!("{:?}", told.cases) };
    assert_eq!(
        (&*case.case_id, &*case.reasons[0].owner_queue, case.amount_at_risk_minor),
        ("O-1/1", "finance", 2_000_000)
    );
    assert_eq!(case.order_id.as_deref(), Some("O-1-US"));
    let approve = decided_case(4, ("O-1", "O-1/1"), FalloutAction::Approve, &[]);
    let told = then([amend(3, large("M-1")), approve]);
    let [amended] = told.amended()[..] else { panic!("{:?}", told.contracts) };
    let approval = amended.approval.as_ref().expect("an approval");
    assert_eq!((approval.approved_by.reveal(), approval.approved_at), ("somebody", at(4)));
    assert_eq!((approval.policy.as_deref(), approval.reference.as_deref()), (Some("LARGE-REDUCTION"), Some("O-1/1")));
    assert_eq!(told.cases().1, ["approved"]);
}

#[test]
fn an_amendment_that_its_owner_rejects_changes_nothing_and_whoever_asked_is_told() {
    let reject = decided_case(4, ("O-1", "O-1/1"), FalloutAction::Reject, &[]);
    let told = then([amend(3, large("M-1")), reject]);
    assert!(told.amended().is_empty());
    assert_eq!((told.declined(), told.cases().1), (vec!["REJECTED"], vec!["rejected".to_owned()]));
}

#[test]
fn a_correction_replaces_what_waits_and_takes_its_approvals_away() {
    let corrected = ContractAmendmentRequested { entity_version: 2, ..small("M-1") };
    let told = then([amend(3, large("M-1")), amend(4, corrected.clone())]);
    assert_eq!((told.amended().len(), told.cases().1), (1, vec!["mended".to_owned()]));
    let late = ContractAmendmentRequested { entity_version: 3, ..corrected.clone() };
    let told = then([amend(3, large("M-1")), amend(4, corrected), amend(5, late)]);
    assert_eq!((told.amended().len(), told.declined()), (1, vec!["AMENDMENT_DECIDED"]));
}

#[test]
fn what_is_wrong_with_an_amendment_is_one_case_with_an_owner_for_each_reason() {
    let mut bad = small("M-1");
    bad.changes[0].before = Some(lifecycle::seats(99, 1));
    bad.changes[0].after.as_mut().expect("a line").product_id = "TOY".into();
    let told = then([amend(3, bad)]);
    let codes = &told.cases().0[0];
    for code in ["LINE_DIFFERS", "PRODUCT_UNKNOWN"] {
        assert!(codes.iter().any(|found| found == code), "{code} is not in {codes:?}");
    }
    assert!(told.amended().is_empty());
}

/// D11.06, a race: the amendment is faster than the activation.
#[test]
fn an_amendment_that_comes_before_its_contract_is_active_waits_for_it_and_keeps_nobody_else_waiting() {
    let told = Told::of(vec![won(1, deal("O-1")), amend(2, small("M-1")), accepted(3, "O-1", "US")]);
    let kinds: Vec<_> = told.contracts.iter().map(Event::topic).collect();
    assert_eq!(kinds, [topics::CONTRACT_ACTIVATED, topics::CONTRACT_AMENDED]);
    let early = Told::of(vec![amend(1, small("M-1")), won(2, deal("O-1")), accepted(3, "O-1", "US")]);
    assert_eq!(early.amended().len(), 1, "even before its deal");
}

#[test]
fn an_amendment_of_a_contract_that_never_comes_or_is_cancelled_is_declined_with_the_reason() {
    let told = Told::of(vec![won(1, deal("O-1")), amend(2, small("M-1")), reopened(3, "O-1", 2)]);
    assert_eq!((told.amended().len(), told.declined()), (0, vec!["CONTRACT_NOT_MADE"]));
    let told = then([ended(3, "O-1", 2), amend(4, small("M-1"))]);
    assert_eq!((told.amended().len(), told.declined()), (0, vec!["CONTRACT_CANCELLED"]));
    let euros = ContractAmendmentRequested { currency: "EUR".into(), ..small("M-1") };
    assert_eq!(then([amend(3, euros)]).declined(), ["CURRENCY_DIFFERS"]);
}

/// D6.10 to D6.14: taken by the ERP, then told once.
#[test]
fn a_renewal_is_told_to_the_customer_once_the_erp_has_it() {
    let told = then([renewed(3, "O-1", 2, 10_500)]);
    assert!(told.messages().is_empty(), "the ERP has not answered");
    assert_eq!(told.deal("O-1").changes["R-O-1"].stage, ChangeStage::Asked);
    for story in [
        [renewed(3, "O-1", 2, 10_500), renewal_taken(4, "O-1")],
        [renewal_taken(3, "O-1"), renewed(4, "O-1", 2, 10_500)],
    ] {
        let told = then(story);
        let [Notice::NotificationRequested(message)] = &told.notices[..] else { panic!("{:?}", told.notices) };
        assert_eq!((&*message.notification_id, &*message.template), ("renewal_accepted/R-O-1", "renewal_accepted"));
        assert_eq!(message.recipient.as_ref().map(|name| name.reveal()), Some("Ada Lovelace"));
        let change = &told.deal("O-1").changes["R-O-1"];
        assert_eq!(
            (change.stage, change.erp_order_id.as_deref(), &change.asked),
            (ChangeStage::Done, Some("erp-renewal"), &None)
        );
    }
}

/// D6.11: the plan of the product allows seven percent.
#[test]
fn a_renewal_that_raises_a_price_by_more_than_its_plan_allows_waits_for_the_deal_desk() {
    let story = [renewed(3, "O-1", 2, 10_800), renewal_taken(4, "O-1")];
    let told = then(story.clone());
    let [Case::FalloutOpened(case)] = &told.cases[..] else { panic!("{:?}", told.cases) };
    assert_eq!((case.reasons[0].path.as_deref(), &*case.reasons[0].owner_queue), (Some("PRICE_UPLIFT"), "deal-desk"));
    assert!(told.messages().is_empty());
    let approve = decided_case(5, ("O-1", "O-1/1"), FalloutAction::Approve, &[]);
    let told = then(story.clone().into_iter().chain([approve]));
    assert_eq!((told.messages(), told.cases().1), (vec!["renewal_accepted"], vec!["approved".to_owned()]));
    let reject = decided_case(5, ("O-1", "O-1/1"), FalloutAction::Reject, &[]);
    let told = then(story.into_iter().chain([reject]));
    assert_eq!((told.messages().len(), told.deal("O-1").changes["R-O-1"].stage), (0, ChangeStage::Declined));
}

/// The lower version of the contract came first, whichever was read first.
#[test]
fn a_renewal_that_crosses_a_cancellation_is_decided_by_the_versions_of_the_contract() {
    for story in
        [[ended(3, "O-1", 2), renewed(4, "O-1", 3, 10_000)], [renewed(3, "O-1", 3, 10_000), ended(4, "O-1", 2)]]
    {
        let told = then(story);
        assert_eq!(told.cases().0, [["CONTRACT_CANCELLED"]], "the cancellation was first");
        assert!(told.messages().is_empty());
    }
    for story in
        [[renewed(3, "O-1", 2, 10_000), ended(4, "O-1", 3)], [ended(3, "O-1", 3), renewed(4, "O-1", 2, 10_000)]]
    {
        let told = then(story.into_iter().chain([renewal_taken(5, "O-1")]));
        assert!(told.cases.is_empty(), "the renewal was first");
        assert_eq!(told.messages(), ["renewal_accepted"]);
    }
}

#[test]
fn a_renewal_is_announced_when_notice_is_due_and_once() {
    let told = Told::of(vec![won(1, lifecycle::renewing(ACCOUNT, "O-1")), accepted(2, "O-1", "US")]);
    let due: Vec<_> = told
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::SubscriptionRenewalDue(due) => Some((&*due.renewal_id, due.notice_on, due.renews_on)),
            _ => None,
        })
        .collect();
    assert_eq!(due, [("O-1-US/2027-01-01", date(2026, 12, 2), date(2027, 1, 1))]);
    assert_eq!(told.messages(), ["renewal_due"]);
    let told =
        Told::of(vec![won(1, lifecycle::renewing(ACCOUNT, "O-1")), accepted(2, "O-1", "US"), ended(3, "O-1", 2)]);
    assert!(told.notices.is_empty(), "a contract that is cancelled does not renew");
    assert!(then([]).notices.is_empty(), "nor does one that ends by itself");
}

#[test]
fn a_renewal_that_is_declined_cancels_the_contract_for_the_end_of_its_term() {
    let story = vec![won(1, lifecycle::renewing(ACCOUNT, "O-1")), accepted(2, "O-1", "US"), not_renewed(3, "O-1")];
    let told = Told::of(story);
    let [Event::ContractActivated(_), Event::ContractCancelled(ended)] = &told.contracts[..] else {
        panic!("{:?}", told.contracts)
    };
    assert_eq!((ended.mode, ended.cancel_on, ended.entity_version), (CancellationMode::EndOfTerm, date(2027, 1, 1), 2));
    assert_eq!(ended.reason.code, "renewal_declined");
    assert_eq!(
        then([not_renewed(3, "O-1")]).contracts.len(),
        1,
        "a contract that ends by itself needs no cancellation"
    );
}

fn signed(n: i64, quote: QuoteAccepted) -> SimEvent<FlowEvent> {
    happens(n, Deal::from(quote), topics::QUOTE_ACCEPTED)
}

#[test]
fn a_deal_that_goes_by_a_signed_quote_waits_for_it_and_the_order_carries_its_hash_and_number() {
    let large = won(1, lifecycle::quoted(ACCOUNT, "O-1"));
    let told = Told::of(vec![large.clone()]);
    assert_eq!((told.cases().0, told.asked().len()), (vec![vec!["QUOTE_MISSING".to_owned()]], 0));
    let quote = lifecycle::quote(ACCOUNT, "O-1");
    for story in [vec![large.clone(), signed(2, quote.clone())], vec![signed(0, quote.clone()), large.clone()]] {
        let told = Told::of(story);
        let [order] = told.asked()[..] else { panic!("{:?}", told.requests) };
        assert_eq!((order.quote_id.as_deref(), order.quote_number.as_deref()), (Some("Q-O-1"), Some("2026-17")));
        assert_eq!(order.quote_document_hash.as_deref(), Some(&*"ab".repeat(32)));
    }
}

#[test]
fn a_quote_that_contradicts_the_deal_or_had_expired_is_a_case_until_a_new_one_is_signed() {
    let large = won(1, lifecycle::quoted(ACCOUNT, "O-1"));
    let mut bad = lifecycle::quote(ACCOUNT, "O-1");
    bad.lines[0].quantity = 9.into();
    bad.expires_at = Some(at(-1));
    let told = Told::of(vec![large.clone(), signed(2, bad.clone())]);
    let codes = told.cases().0.last().expect("a case").clone();
    assert_eq!(codes, ["QUOTE_EXPIRED", "QUOTE_DIFFERS"]);
    let good = QuoteAccepted { entity_version: 2, ..lifecycle::quote(ACCOUNT, "O-1") };
    let told = Told::of(vec![large, signed(2, bad), signed(3, good)]);
    assert_eq!((told.asked().len(), told.cases().1.last().map(String::as_str)), (1, Some("mended")));
    let mut hashed = deal("O-2");
    hashed.quote_id = Some("Q-O-2".into());
    hashed.quote_document_hash = Some("cd".repeat(32));
    let quote = lifecycle::quote(ACCOUNT, "O-2");
    let lines = hashed.lines.iter().map(|line| line.line.clone()).collect();
    let quote = QuoteAccepted { lines, total_minor: hashed.total_contract_value_minor, ..quote };
    let told = Told::of(vec![signed(0, quote), won(1, hashed)]);
    assert_eq!(told.cases().0, [["QUOTE_DIFFERS"]], "another document was signed");
}

/// Another quantity, another name, other terms: all of it after the orders were asked for.
fn edited() -> OpportunityClosedWon {
    let mut event = OpportunityClosedWon { entity_version: 2, ..deal("O-1") };
    event.customer.legal_name = "Grace Hopper Ltd".into();
    event.customer.payment_terms.as_mut().expect("terms").code = "NET90".into();
    event.lines[0].line.quantity = 12.into();
    event.deal_type = events::common::DealType::Expansion;
    event
}

/// D2.10, D11.04: each field by name, its owner, both sides, and who tried; nothing personal.
#[test]
fn an_edit_of_protected_fields_is_refused_field_by_field_and_logged() {
    let told = then([won(3, edited())]);
    let [Case::FalloutOpened(case)] = &told.cases[..] else { panic!("{:?}", told.cases) };
    let of: Vec<_> =
        case.reasons.iter().map(|reason| (reason.path.as_deref().unwrap_or(""), &*reason.owner_queue)).collect();
    assert_eq!(
        of,
        [
            ("customer.legal_name", "master-data"),
            ("customer.payment_terms.code", "credit-control"),
            ("lines.L1.line.quantity", "finance")
        ],
        "what is the CRM's own may change"
    );
    let terms = &case.reasons[1].message;
    assert!(
        terms.contains("NET30") && terms.contains("urn:test tried NET90") && terms.contains("owned by erp"),
        "{terms}"
    );
    let deal = told.deal("O-1");
    let [conflict] = &deal.conflicts[..] else { panic!("{:?}", deal.conflicts) };
    assert_eq!((&*conflict.source, conflict.entity_version, conflict.fields.len()), ("urn:test", 2, 3));
    let everything = format!("{:?}{:?}", told.cases, told.observed.documents);
    for personal in ["Grace Hopper", "Example A-1"] {
        assert!(!everything.contains(personal), "{personal} shows");
    }
    assert!(told.amended().is_empty());
}

#[test]
fn an_edit_that_is_put_back_ends_its_case_and_one_of_the_crms_own_fields_opens_none() {
    let back = OpportunityClosedWon { entity_version: 3, ..deal("O-1") };
    assert_eq!(then([won(3, edited()), won(4, back)]).cases().1, ["mended"]);
    let own = OpportunityClosedWon { entity_version: 2, quote_id: Some("Q-7".into()), ..deal("O-1") };
    assert!(then([won(3, own)]).cases.is_empty());
}

/// The owner of the lines lets the edit through: each contract of the deal gets its part of it, with the approval.
#[test]
fn an_edit_that_its_owner_approves_becomes_an_amendment_of_each_contract_and_adds_up() {
    let mut more = OpportunityClosedWon { entity_version: 2, ..shared("O-1") };
    more.lines[0].line.quantity = 20.into();
    more.lines[0].line.amount_minor = 200_001;
    more.total_contract_value_minor = 200_001;
    let story = vec![
        won(1, shared("O-1")),
        accepted(2, "O-1", "US"),
        accepted(3, "O-1", "DE"),
        won(4, more),
        decided_case(5, ("O-1", "O-1/1"), FalloutAction::Approve, &[]),
    ];
    let told = Told::of(story);
    let mut parts: Vec<_> =
        told.amended().iter().map(|event| (&*event.contract_id, event.entity_version, event.delta_tcv_minor)).collect();
    parts.sort_unstable();
    assert_eq!(parts, [("O-1-DE", 2, 36_800), ("O-1-US", 2, 60_000)], "40 000 US dollars at 0.92, and 60 000");
    let approval = told.amended()[0].approval.as_ref().expect("an approval");
    assert_eq!(approval.policy.as_deref(), Some("FIELD_PROTECTED"));
    assert_eq!(told.cases().1, ["approved"]);
    let reject = decided_case(4, ("O-1", "O-1/1"), FalloutAction::Reject, &[]);
    let told = then([won(3, edited()), reject]);
    assert_eq!((told.amended().len(), told.cases().1), (0, vec!["rejected".to_owned()]));
}
