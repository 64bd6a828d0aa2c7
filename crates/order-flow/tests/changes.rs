//! What amendments and renewals do in tax engine and billing system (rows D4.10, D6.10 to D6.14 of the requirements): a renewal is taxed and
//! billed before its customer is told, an amendment bills from its day on, a refusal has an owner, and the end of a contract wins.

mod common;

use common::{
    ACCOUNT, Told, accepted, amend, deal, decided_case, details, ends, flow, happens, not_renewed, renewal_taken,
    renewed, reopened, won,
};
use connectors::{
    billing::{AtEnd, BillingCharge, BillingPlan, ScheduleEnd},
    tax::TaxBuyer,
};
use events::{
    ContractAmended, ContractAmendmentRequested, Event,
    common::{AmendmentType, ChargeType, ContractLine, FalloutAction, LineChange, Term},
    topics,
};
use failure::Failure;
use jiff::civil::{Date, date};
use order_flow::{
    OrderFlow, Parts,
    change::ChangeStage,
    document::OrderStage,
    effect::{Change, FlowEffect, Work},
    event::FlowEvent,
};
use testkit::{
    deals::{at, billed},
    lifecycle::{self, renewing, reseat, seats},
    simulation::{Case, SimEvent},
};

const ALL: Parts = Parts { tax: true, billing: true };
const DAY: i64 = 86_400;

/// What is refused of a change follows from the name of its deal: `NEXUS` cannot be taxed, `CARD` is not billed for good, `ONCE` is refused
/// at first.
fn rule(effect: &FlowEffect) -> Option<Failure> {
    let (order, first) = (&*effect.order.order_id, effect.order.attempt == 1);
    let is_change = order.contains('/');
    let tax = || Some(Failure::business("TAX_NEXUS_UNKNOWN", "tax", "the engine refuses").at_field("ship_to"));
    let card = || Some(Failure::business("REFUSED_BY_BILLING", "billing-operations", "the card was declined"));
    match effect.work() {
        Work::DetermineTax if is_change && (order.contains("NEXUS") || order.contains("ONCE") && first) => tax(),
        Work::ChangeSchedule if order.contains("CARD") && order.contains("/R-") => card(),
        Work::ChangeSchedule if order.contains("ONCE") && first => card(),
        _ => None,
    }
}

fn case(parts: Parts, events: Vec<SimEvent<FlowEvent>>) -> Case<OrderFlow> {
    Case { rule, details, ..Case::new(flow().with(parts), events) }
}

fn told(events: Vec<SimEvent<FlowEvent>>) -> Told {
    Told::by(&case(ALL, events))
}

/// A contract that is taxed and billed, and what becomes of it.
fn then(id: &str, more: impl IntoIterator<Item = SimEvent<FlowEvent>>) -> Vec<SimEvent<FlowEvent>> {
    [won(1, billed(deal(id))), accepted(2, id, "US")].into_iter().chain(more).collect()
}

fn renewal(id: &str) -> [SimEvent<FlowEvent>; 2] {
    [renewed(3, id, 2, 10_500), renewal_taken(4, id)]
}

fn effect(told: &Told, key: &str) -> FlowEffect {
    let found = told.observed.effects.iter().find(|effect| effect.key == key);
    serde_json::from_str(&found.unwrap_or_else(|| panic!("{key} in {:?}", told.effects())).payload).expect("an effect")
}

fn plan(told: &Told, key: &str) -> BillingPlan {
    match effect(told, key).change {
        Change::ChangeSchedule(change) => change.plan,
        other => panic!("{other:?}"),
    }
}

fn end(told: &Told, key: &str) -> ScheduleEnd {
    match effect(told, key).change {
        Change::CancelSchedule(end) => end,
        other => panic!("{other:?}"),
    }
}

/// From which day to which, and by line how much.
type Billed<'a> = (Date, Date, Vec<(&'a str, i64)>);

fn shape(plan: &BillingPlan) -> Vec<Billed<'_>> {
    let amount = |charge: &BillingCharge| match charge {
        BillingCharge::Fixed { amount_minor, .. } => *amount_minor,
        BillingCharge::Metered { .. } => 0,
    };
    plan.phases
        .iter()
        .map(|phase| {
            let items = phase.items.iter().map(|item| (&*item.line_id, amount(&item.charge))).collect();
            (phase.start_on, phase.end_on, items)
        })
        .collect()
}

/// Ten seats become so many, from a day of the year on.
fn reseated(n: i64, deal: &str, id: &str, (quantity, amount): (i64, i64), day: i64) -> SimEvent<FlowEvent> {
    amend(n, reseat(ACCOUNT, deal, id, (quantity, amount), at(day * DAY + DAY / 2)))
}

/// A line is added, from a day of the year on.
fn added(n: i64, deal: &str, id: &str, line: ContractLine, day: i64) -> SimEvent<FlowEvent> {
    let amount = line.amount_minor;
    let change = LineChange { contract_line_id: line.contract_line_id.clone(), before: None, after: Some(line) };
    let event = ContractAmendmentRequested {
        amendment_type: AmendmentType::Add,
        changes: vec![change],
        delta_tcv_minor: amount,
        ..reseat(ACCOUNT, deal, id, (10, 100_001), at(day * DAY + DAY / 2))
    };
    amend(n, event)
}

fn line(id: &str, amount_minor: i64) -> ContractLine {
    ContractLine { contract_line_id: id.into(), ..seats(10, amount_minor) }
}

fn is_cancelled(told: &Told) -> bool {
    told.contracts.iter().any(|event| matches!(event, Event::ContractCancelled(_)))
}

#[test]
fn a_renewal_is_taxed_as_a_document_of_its_own_and_billed_before_its_customer_is_told_once() {
    let told = told(then("O-1", renewal("O-1")));
    let steps = ["determine_tax", "commit_tax", "change_schedule"].map(|step| format!("{step}:O-1-US/R-O-1:1"));
    assert_eq!(told.effects()[4..], steps);
    assert_eq!(told.messages(), ["renewal_accepted"]);
    assert_eq!(told.deal("O-1").changes["R-O-1"].stage, ChangeStage::Done);
    let course = [
        "started",
        "step_succeeded erp_order",
        "step_succeeded determine_tax",
        "step_succeeded commit_tax",
        "step_succeeded change_schedule",
        "completed",
    ];
    assert_eq!(told.course("O-1-US/R-O-1"), course);
    let Change::DetermineTax(question) = effect(&told, &steps[0]).change else { panic!("a question") };
    assert_eq!((&*question.document.document_id, question.date), ("O-1-US/R-O-1", date(2027, 1, 1)));
    assert_eq!(question.lines[0].amount_minor, 105_000);
    let TaxBuyer::AsIn(former) = &question.buyer else { panic!("{question:?}") };
    assert_eq!(former.document_id, "O-1-US", "the customer's address is not kept");
    let plan = plan(&told, &steps[2]);
    let terms = [
        (date(2026, 1, 1), date(2027, 1, 1), vec![("L1", 100_001)]),
        (date(2027, 1, 1), date(2028, 1, 1), vec![("L1", 105_000)]),
    ];
    assert_eq!(shape(&plan), terms);
    assert_eq!((plan.revision, plan.at_end), (2, AtEnd::Ends));
    assert!(told.cases.is_empty());
}

#[test]
fn whatever_is_read_first_or_twice_a_renewal_is_taxed_and_billed_once() {
    let [accepted, taken] = renewal("O-1");
    let mut again = taken.clone();
    again.envelope.id = "event-4-again".into();
    let stale = SimEvent {
        envelope: events::Envelope { id: "event-3-again".into(), ..accepted.envelope.clone() },
        ..accepted.clone()
    };
    for story in [vec![taken.clone(), accepted.clone()], vec![accepted, taken, again, stale]] {
        let told = told(then("O-1", story));
        assert_eq!((told.effects().len(), told.messages().len()), (7, 1), "{:?}", told.effects());
    }
}

#[test]
fn what_was_sold_before_is_taxed_and_billed_again_where_a_renewal_names_no_lines() {
    let mut plain = lifecycle::renewal(ACCOUNT, "O-1", 2, 10_000);
    plain.lines_after.clear();
    plain.total_contract_value_minor = None;
    let event = happens(3, Event::from(plain), topics::SUBSCRIPTION_RENEWAL_ACCEPTED);
    let told = told(then("O-1", [event, renewal_taken(4, "O-1")]));
    let plan = plan(&told, "change_schedule:O-1-US/R-O-1:1");
    assert_eq!(shape(&plan)[1].2, [("L1", 100_001)]);
}

#[test]
fn an_amendment_bills_from_its_local_day_on() {
    let told = told(then("O-1", [reseated(3, "O-1", "M-1", (8, 80_001), 99)]));
    assert_eq!(told.effects()[4..], ["change_schedule:O-1-US/M-1:1"], "an amendment is not taxed by itself");
    let plan = plan(&told, "change_schedule:O-1-US/M-1:1");
    let phases = [
        (date(2026, 1, 1), date(2026, 4, 10), vec![("L1", 100_001)]),
        (date(2026, 4, 10), date(2027, 1, 1), vec![("L1", 80_001)]),
    ];
    assert_eq!((shape(&plan), plan.revision), (phases.to_vec(), 2));
    assert_eq!(told.course("O-1-US/M-1"), ["started", "step_succeeded change_schedule", "completed"]);
}

/// Each change is made to what bills by then: one that holds from an earlier day leaves a later one alone.
#[test]
fn amendments_of_different_days_and_a_renewal_add_up() {
    let told = told(then(
        "O-1",
        [
            reseated(3, "O-1", "M-1", (8, 80_001), 151),
            added(4, "O-1", "M-2", line("L2", 5_000), 59),
            renewed(5, "O-1", 4, 10_500),
            renewal_taken(6, "O-1"),
        ],
    ));
    let plan = plan(&told, "change_schedule:O-1-US/R-O-1:1");
    let phases = [
        (date(2026, 1, 1), date(2026, 3, 1), vec![("L1", 100_001)]),
        (date(2026, 3, 1), date(2026, 6, 1), vec![("L1", 100_001), ("L2", 5_000)]),
        (date(2026, 6, 1), date(2027, 1, 1), vec![("L1", 80_001), ("L2", 5_000)]),
        (date(2027, 1, 1), date(2028, 1, 1), vec![("L1", 105_000)]),
    ];
    assert_eq!((shape(&plan), plan.revision), (phases.to_vec(), 4));
}

#[test]
fn an_amendment_before_activation_bills_once_the_contract_is_active() {
    let early = reseated(2, "O-1", "M-1", (8, 80_001), 99);
    let told = told(vec![won(1, billed(deal("O-1"))), early, accepted(3, "O-1", "US")]);
    assert_eq!(told.effects()[3..], ["billing_schedule:O-1-US:1", "change_schedule:O-1-US/M-1:1"]);
}

#[test]
fn a_longer_term_is_billed_longer_and_an_amendment_of_others_is_billed_too() {
    let term = Term { end_on: Some(date(2027, 7, 1)), auto_renew: true, ..deal("O-1").term };
    let amended = ContractAmended {
        account_id: ACCOUNT.into(),
        entity_version: 2,
        effective_at: at(3),
        recorded_at: at(3),
        legal_entity_id: "US".into(),
        contract_id: "O-1-US".into(),
        amendment_id: "M-9".into(),
        sequence_no: 1,
        amendment_type: AmendmentType::TermExtension,
        currency: "USD".into(),
        new_term: Some(term),
        ..ContractAmended::default()
    };
    let told = told(then("O-1", [happens(3, Event::from(amended), topics::CONTRACT_AMENDED)]));
    let plan = plan(&told, "change_schedule:O-1-US/M-9:1");
    assert_eq!((plan.phases[0].end_on, plan.at_end), (date(2027, 7, 1), AtEnd::Renews));
}

#[test]
fn what_is_switched_off_or_was_never_made_is_no_step_of_a_change() {
    let changes = || {
        then("O-1", [reseated(3, "O-1", "M-1", (8, 80_001), 99), renewed(4, "O-1", 3, 10_500), renewal_taken(5, "O-1")])
    };
    let none = Told::by(&case(Parts::default(), changes()));
    assert_eq!((none.effects().len(), none.messages()), (0, vec!["renewal_accepted"]));
    let taxed = Told::by(&case(Parts { tax: true, billing: false }, changes()));
    assert_eq!(taxed.effects()[2..], ["determine_tax:O-1-US/R-O-1:1", "commit_tax:O-1-US/R-O-1:1"]);
    let by_hand = told([vec![won(1, deal("O-1")), accepted(2, "O-1", "US")], changes()[2..].to_vec()].concat());
    assert_eq!(by_hand.effects()[2..], ["determine_tax:O-1-US/R-O-1:1", "commit_tax:O-1-US/R-O-1:1"]);
}

#[test]
fn a_refusal_of_a_change_is_a_case_and_ends_when_the_next_attempt_succeeds() {
    let told = told(then("O-ONCE", renewal("O-ONCE")));
    let steps = [
        "determine_tax:O-ONCE-US/R-O-ONCE:2",
        "commit_tax:O-ONCE-US/R-O-ONCE:1",
        "change_schedule:O-ONCE-US/R-O-ONCE:2",
    ];
    assert_eq!(told.effects()[4..], steps);
    let (opened, ended) = told.cases();
    assert_eq!(opened, [["TAX_NEXUS_UNKNOWN"], ["REFUSED_BY_BILLING"]]);
    assert_eq!((ended, told.messages().len()), (vec!["mended".to_owned(), "mended".to_owned()], 1));
}

/// The customer accepted it, so it is not taken back by itself; nor is the contract, whatever its owner decides about the renewal.
#[test]
fn a_renewal_that_nobody_can_tax_waits_for_its_owner_and_leaves_the_contract_alone() {
    let story = then("O-NEXUS", renewal("O-NEXUS"));
    let waiting = told(story.clone());
    assert_eq!((waiting.messages().len(), waiting.effects().len()), (0, 4), "nobody is told");
    assert_eq!(waiting.course("O-NEXUS-US/R-O-NEXUS").last().map(String::as_str), Some("stuck determine_tax"));
    assert_eq!(waiting.deal("O-NEXUS").changes["R-O-NEXUS"].stage, ChangeStage::Asked);
    let reject = decided_case(5, ("O-NEXUS", "O-NEXUS/1"), FalloutAction::Reject, &[]);
    let rejected = told(story.into_iter().chain([reject]).collect());
    assert_eq!(rejected.cases().1, ["rejected"]);
    let deal = rejected.deal("O-NEXUS");
    assert_eq!(deal.changes["R-O-NEXUS"].stage, ChangeStage::Declined);
    assert_eq!((deal.orders["US"].stage, is_cancelled(&rejected)), (OrderStage::Active, false));
    assert_eq!(rejected.course("O-NEXUS-US/R-O-NEXUS").last().map(String::as_str), Some("compensated"));
}

#[test]
fn a_renewal_that_billing_refuses_keeps_later_changes_waiting_until_its_owner_rejects_it() {
    let story = then(
        "O-CARD",
        renewal("O-CARD").into_iter().chain([amend(
            5,
            ContractAmendmentRequested {
                changes: vec![LineChange {
                    contract_line_id: "L1".into(),
                    before: Some(ContractLine { unit_price: 105.into(), ..seats(10, 105_000) }),
                    after: Some(ContractLine { unit_price: 105.into(), ..seats(12, 126_000) }),
                }],
                ..reseat(ACCOUNT, "O-CARD", "M-1", (12, 126_000), at(99 * DAY))
            },
        )]),
    );
    let waiting = told(story.clone());
    assert_eq!(waiting.effects().last(), Some(&"commit_tax:O-CARD-US/R-O-CARD:1"), "{:?}", waiting.cases());
    assert_eq!(waiting.course("O-CARD-US/M-1"), ["started"]);
    let reject = decided_case(6, ("O-CARD", "O-CARD/1"), FalloutAction::Reject, &[]);
    let told = told(story.into_iter().chain([reject]).collect());
    let ended = ["void_tax:O-CARD-US/R-O-CARD:1", "change_schedule:O-CARD-US/M-1:1"];
    let mut last = told.effects()[6..].to_vec();
    last.sort_unstable();
    assert_eq!(last, {
        let mut ended = ended;
        ended.sort_unstable();
        ended
    });
    assert_eq!((told.messages().len(), is_cancelled(&told)), (0, false));
}

#[test]
fn a_change_that_makes_no_plan_is_a_case_of_the_change_and_not_of_the_order() {
    let mut service = line("L9", 20_000);
    (service.charge_type, service.product_id) = (ChargeType::OneTime, "SVC-SETUP".into());
    let told = told(then("O-1", [added(3, "O-1", "M-1", service, 99)]));
    assert_eq!(told.cases(), (vec![vec!["BILLING_PLAN_INVALID".to_owned()]], Vec::new()));
    let deal = told.deal("O-1");
    assert!(deal.changes["M-1"].case.is_some() && deal.orders["US"].case.is_none());
    let attempts = told.course("O-1-US/M-1");
    assert_eq!(attempts, ["started", "step_failed change_schedule", "stuck change_schedule"], "no attempt mends it");
    assert!(!is_cancelled(&told));
}

/// The end of a contract wins over what is still to be changed: revisions rise, and nothing is billed beyond it.
#[test]
fn a_cancelled_contract_is_not_billed_beyond_its_end_by_a_change_of_before() {
    let stuck = reseated(3, "O-ONCE", "M-1", (8, 80_001), 99);
    let told = told(then("O-ONCE", [stuck, ends(4, "O-ONCE-US", 3)]));
    let change = plan(&told, "change_schedule:O-ONCE-US/M-1:2");
    let end = end(&told, "cancel_schedule:O-ONCE-US:1");
    assert_eq!((end.end_on, end.revision, change.revision), (Some(date(2026, 9, 1)), 2, 3));
    assert_eq!(change.phases.last().map(|phase| phase.end_on), Some(date(2026, 9, 1)));
    assert_eq!(change.at_end, AtEnd::Ends);
}

#[test]
fn a_renewal_that_is_not_through_does_not_happen_once_the_contract_is_cancelled_for_before_it() {
    let told = told(then("O-CARD", renewal("O-CARD").into_iter().chain([ends(5, "O-CARD-US", 3)])));
    let mut last = told.effects()[6..].to_vec();
    last.sort_unstable();
    assert_eq!(last, ["cancel_schedule:O-CARD-US:1", "void_tax:O-CARD-US/R-O-CARD:1"]);
    assert_eq!((told.messages().len(), told.cases().1), (0, vec!["withdrawn".to_owned()]));
}

#[test]
fn a_customer_that_does_not_renew_is_not_billed_beyond_the_term() {
    let deal = billed(renewing(ACCOUNT, "O-1"));
    let told = told(vec![won(1, deal), accepted(2, "O-1", "US"), not_renewed(3, "O-1")]);
    assert_eq!(end(&told, "cancel_schedule:O-1-US:1").end_on, Some(date(2027, 1, 1)));
    assert_eq!(told.effects().len(), 5);
}

#[test]
fn a_deal_that_is_reopened_after_its_renewal_takes_the_tax_of_both_terms_back() {
    let told = told(then("O-1", renewal("O-1").into_iter().chain([reopened(5, "O-1", 2)])));
    let mut last = told.effects()[7..].to_vec();
    last.sort_unstable();
    assert_eq!(last, ["cancel_schedule:O-1-US:1", "void_tax:O-1-US/R-O-1:1", "void_tax:O-1-US:1"]);
}

/// Refusals, crossings, decisions: only schedules that keep the order between topics can be compared.
#[test]
fn what_changes_of_contracts_do_outside_is_replay_safe() {
    let mut story = then("O-1", renewal("O-1"));
    story.push(added(5, "O-1", "M-1", line("L2", 5_000), 99));
    let more = [
        [
            won(10, billed(deal("O-ONCE"))),
            accepted(11, "O-ONCE", "US"),
            renewed(12, "O-ONCE", 2, 10_500),
            renewal_taken(13, "O-ONCE"),
        ],
        [
            won(20, billed(deal("O-NEXUS"))),
            accepted(21, "O-NEXUS", "US"),
            renewed(22, "O-NEXUS", 2, 10_500),
            renewal_taken(23, "O-NEXUS"),
        ],
        [
            won(30, billed(deal("O-4"))),
            accepted(31, "O-4", "US"),
            reseated(32, "O-4", "M-4", (8, 80_001), 99),
            ends(33, "O-4-US", 3),
        ],
        [
            won(40, billed(deal("O-5"))),
            accepted(41, "O-5", "US"),
            renewed(42, "O-5", 2, 10_500),
            renewal_taken(43, "O-5"),
        ],
    ];
    story.extend(more.into_iter().flatten());
    story.push(reopened(44, "O-5", 2));
    let case = case(ALL, story);
    for seed in (1..140).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}
