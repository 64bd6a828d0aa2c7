//! Tax and billing of an order: determined before it is asked for, committed and made before its contract is active, and taken back where it
//! ends otherwise (rows D2.05, D3.05, D4.10, D6.06 of the requirements).

mod common;

use common::{
    Told, accepted, deal, decided, details, ends, flow, granted, line, not_provisioned, reopened, shared, won,
};
use events::{
    Case as Fallout, Event,
    common::{ChargeType, DealLine, FalloutAction, Period, PriceTier, UsageTerms},
};
use failure::Failure;
use jiff::civil::date;
use order_flow::{
    OrderFlow, Parts,
    document::{FlowDocument, Order},
    effect::{Change, FlowEffect, Work},
    event::FlowEvent,
};
use rust_decimal::Decimal;
use testkit::{
    deals::{billed, without_plan},
    simulation::{Case, SimEvent, assert_replay_safe},
};

const ALL: Parts = Parts { tax: true, billing: true };

/// What is refused follows from the name of the order: `NEXUS` has none, `CARD` is declined for good, `ONCE` only the first time, `VOID` cannot
/// be voided at first.
fn rule(effect: &FlowEffect) -> Option<Failure> {
    let (order, first) = (&*effect.order.order_id, effect.order.attempt == 1);
    let tax = |code: &'static str| Some(Failure::business(code, "tax", "the engine refuses").at_field("ship_to"));
    let card = || Some(Failure::business("BILLING_CUSTOMER_REFUSED", "billing-operations", "the card was declined"));
    match effect.work() {
        Work::DetermineTax if order.contains("NEXUS") => tax("TAX_NEXUS_UNKNOWN"),
        Work::VoidTax if order.contains("VOID") && first => tax("TAX_DOCUMENT_LOCKED"),
        Work::BillingSchedule if order.contains("CARD") || order.contains("ONCE") && first => card(),
        _ => None,
    }
}

fn case(events: Vec<SimEvent<FlowEvent>>) -> Case<OrderFlow> {
    Case { rule, details, ..Case::new(flow().with(ALL), events) }
}

fn told(events: Vec<SimEvent<FlowEvent>>) -> Told {
    Told::by(&case(events))
}

/// What the billing system was asked to bill for an order.
fn plan(told: &Told, order_id: &str) -> connectors::billing::BillingPlan {
    let found = told.observed.effects.iter().find(|effect| effect.key == format!("billing_schedule:{order_id}:1"));
    let effect: FlowEffect = serde_json::from_str(&found.expect("a schedule").payload).expect("an effect");
    match effect.change {
        Change::BillingSchedule(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

fn order(told: &Told, id: &str, entity: &str) -> Order {
    let body = &told.observed.documents[&ledger::DocumentKey::new("deal", id)];
    match serde_json::from_str(body).expect("a document") {
        FlowDocument::Deal(deal) => deal.orders[entity].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_order_is_taxed_before_it_is_asked_for_and_billed_before_its_contract_is_active() {
    let told = told(vec![won(1, billed(deal("O-1"))), accepted(2, "O-1", "US"), granted(3, "O-1", "US")]);
    let done = ["determine_tax", "commit_tax", "billing_customer", "billing_schedule"];
    assert_eq!(told.effects(), done.map(|step| format!("{step}:O-1-US:1")));
    let [asked] = told.asked()[..] else { panic!("{:?}", told.requests) };
    assert_eq!((asked.total_tax_minor, asked.taxes[0].tax.tax_minor), (Some(10_000), 10_000));
    let [contract] = told.activated()[..] else { panic!("{:?}", told.contracts) };
    assert_eq!((contract.total_tax_minor, contract.taxes.len()), (Some(10_000), 1));
    let ids: Vec<_> = contract.external_ids.iter().map(|id| (&*id.system, &*id.object)).collect();
    assert_eq!(ids, [("erp", "order"), ("tax", "document"), ("billing", "customer"), ("billing", "schedule")]);
    let course = [
        "started",
        "step_succeeded determine_tax",
        "step_succeeded erp_order",
        "step_succeeded commit_tax",
        "step_succeeded billing_customer",
        "step_succeeded billing_schedule",
        "step_succeeded activation",
        "step_succeeded provisioning",
        "completed",
    ];
    assert_eq!(told.course("O-1-US"), course);
    assert_eq!((told.status("O-1"), told.cases.len()), ("active".into(), 0));
}

#[test]
fn one_deal_of_two_entities_is_taxed_and_billed_in_two_currencies_that_add_up() {
    let told = told(vec![won(1, billed(shared("O-1"))), accepted(2, "O-1", "DE"), accepted(3, "O-1", "US")]);
    let asked = told.asked();
    let of = |currency: &str| *asked.iter().find(|asked| asked.currency == currency).expect("an order");
    let (us, de) = (of("USD"), of("EUR"));
    for asked in [us, de] {
        let taxed: i64 = asked.taxes.iter().map(|line| line.tax.taxable_minor).sum();
        assert_eq!(taxed, asked.total_net_minor, "every line is taxed");
    }
    assert_eq!((us.total_tax_minor, de.total_tax_minor), (Some(6_000), Some(3_680)));
    for (id, currency, amount) in [("O-1-US", "USD", 60_001), ("O-1-DE", "EUR", 36_800)] {
        let plan = plan(&told, id);
        let billed: i64 = plan.phases.iter().flat_map(|phase| &phase.items).map(|item| fixed(&item.charge)).sum();
        assert_eq!((&*plan.currency.code, billed), (currency, amount));
    }
    assert_eq!((told.activated().len(), told.effects().len()), (2, 8));
}

fn fixed(charge: &connectors::billing::BillingCharge) -> i64 {
    match charge {
        connectors::billing::BillingCharge::Fixed { amount_minor, .. } => *amount_minor,
        connectors::billing::BillingCharge::Metered { .. } => 0,
    }
}

fn segment(id: &str, from: (i16, i8), to: (i16, i8), amount: i64) -> DealLine {
    let mut of = line(id, "SUB-PLATFORM", ChargeType::Recurring, amount);
    let period = Period { start_on: date(from.0, from.1, 1), end_on: date(to.0, to.1, 1), timezone: "UTC".into() };
    of.line.service_period = Some(period);
    of.ramp_id = Some("R".into());
    of
}

#[test]
fn ramps_become_phases_usage_has_its_tiers_and_services_are_billed_once() {
    let mut deal = billed(deal("O-1"));
    let mut usage = line("L3", "USE-API-CALLS", ChargeType::Usage, 0);
    let tier = |up_to: Option<i64>, price: i64| PriceTier { up_to: up_to.map(Decimal::from), unit_price: price.into() };
    usage.usage = Some(UsageTerms {
        meter: "api_calls".into(),
        included_quantity: 1_000.into(),
        tiers: vec![tier(Some(5_000), 2), tier(None, 1)],
    });
    deal.lines = vec![
        segment("L1", (2026, 1), (2026, 7), 40_000),
        segment("L2", (2026, 7), (2027, 1), 60_000),
        usage,
        line("L4", "SVC-SETUP", ChargeType::OneTime, 20_000),
    ];
    deal.total_contract_value_minor = 120_000;
    let told = told(vec![won(1, deal), accepted(2, "O-1", "US")]);
    let plan = plan(&told, "O-1-US");
    let shape: Vec<_> = plan
        .phases
        .iter()
        .map(|phase| {
            (phase.start_on, phase.items.iter().map(|item| &*item.line_id).collect::<Vec<_>>(), phase.once.len())
        })
        .collect();
    assert_eq!(shape, [(date(2026, 1, 1), vec!["L1", "L3"], 1), (date(2026, 7, 1), vec!["L2", "L3"], 0)]);
    let connectors::billing::BillingCharge::Metered { included, tiers, meter, .. } = &plan.phases[0].items[1].charge
    else {
        panic!("{plan:?}")
    };
    assert_eq!((&**meter, *included, tiers.len()), ("api_calls", 1_000.into(), 2));
}

#[test]
fn a_schedule_that_makes_no_plan_is_a_case_that_names_the_field_and_is_compensated_at_once() {
    let told = told(vec![won(1, without_plan(common::ACCOUNT, "O-1")), accepted(2, "O-1", "US")]);
    let opened = told.cases.iter().find_map(|case| match case {
        Fallout::FalloutOpened(case) => Some(case),
        Fallout::FalloutClosed(_) => None,
    });
    let reason = &opened.expect("a case").reasons[0];
    assert_eq!((&*reason.code, reason.path.as_deref()), ("BILLING_PLAN_INVALID", Some("billing_schedule.anchor_day")));
    let log = ["determine_tax", "commit_tax", "billing_customer", "void_tax"].map(|step| format!("{step}:O-1-US:1"));
    assert_eq!((told.effects(), told.taken_back()), (log.iter().map(String::as_str).collect(), 1));
    assert_eq!(told.cases().1, ["compensated"]);
}

#[test]
fn a_refusal_is_a_case_and_ends_when_the_next_attempt_succeeds() {
    let told = told(vec![won(1, billed(deal("O-ONCE"))), accepted(2, "O-ONCE", "US")]);
    assert_eq!(told.cases(), (vec![vec!["BILLING_CUSTOMER_REFUSED".to_owned()]], vec!["mended".to_owned()]));
    let retried = ["determine_tax:O-ONCE-US:1", "commit_tax:O-ONCE-US:1", "billing_customer:O-ONCE-US:1"];
    assert_eq!(told.effects(), [&retried[..], &["billing_schedule:O-ONCE-US:2"]].concat(), "each once");
    assert_eq!((told.activated().len(), told.status("O-ONCE")), (1, "active".into()));
    let failed = told.facts.iter().find(|fact| fact.retry_after_s.is_some()).expect("a refusal is told");
    assert_eq!((failed.reason_code.as_deref(), failed.retry_after_s), (Some("BILLING_CUSTOMER_REFUSED"), Some(60)));
}

/// The ERP has the order, and billing refuses it for good: tried again by the policy, then everything is taken back, once each, and nothing
/// is deleted.
#[test]
fn an_order_that_billing_refuses_for_good_is_compensated_by_the_policy() {
    let told = told(vec![won(1, billed(deal("O-CARD"))), accepted(2, "O-CARD", "US")]);
    assert!(told.contracts.is_empty(), "no contract came of it");
    assert_eq!(told.taken_back(), 1);
    let log = ["determine_tax", "commit_tax", "billing_customer", "void_tax"].map(|step| format!("{step}:O-CARD-US:1"));
    assert_eq!(told.effects(), log);
    assert_eq!(told.cases(), (vec![vec!["BILLING_CUSTOMER_REFUSED".to_owned()]], vec!["compensated".to_owned()]));
    let failures = "step_failed billing_schedule";
    let course = told.course("O-CARD-US");
    assert_eq!(course.iter().filter(|fact| *fact == failures).count(), 5, "at once, and four times by the policy");
    let last: Vec<_> = course.iter().rev().take(2).rev().map(String::as_str).collect();
    assert_eq!(last, ["compensating", "step_succeeded void_tax"]);
    assert_eq!(told.status("O-CARD"), "cancelling", "until the ERP says that it closed it");
}

#[test]
fn an_order_whose_tax_nobody_can_determine_waits_for_its_owner_and_is_given_up_by_a_decision() {
    let story = vec![won(1, billed(deal("O-NEXUS")))];
    let waiting = told(story.clone());
    assert_eq!((waiting.asked().len(), waiting.status("O-NEXUS")), (0, "pricing".into()));
    assert_eq!(waiting.cases().0, [["TAX_NEXUS_UNKNOWN"]]);
    assert_eq!(waiting.course("O-NEXUS-US").last().map(String::as_str), Some("stuck determine_tax"));
    let given_up = told(story.into_iter().chain([decided(2, "O-NEXUS", FalloutAction::Reject, &[])]).collect());
    assert_eq!((given_up.cases().1, given_up.status("O-NEXUS")), (vec!["rejected".to_owned()], "cancelled".into()));
    assert_eq!(given_up.taken_back(), 0, "the ERP was never asked");
    assert_eq!(given_up.course("O-NEXUS-US").last().map(String::as_str), Some("compensated"));
}

#[test]
fn somebody_who_mended_the_cause_has_the_step_tried_again() {
    let story = vec![won(1, billed(deal("O-NEXUS"))), decided(2, "O-NEXUS", FalloutAction::Retry, &[])];
    let told = told(story);
    let failed =
        told.facts.iter().filter(|fact| fact.step.as_deref() == Some("determine_tax") && fact.reason_code.is_some());
    let attempts: Vec<_> =
        failed.filter(|fact| fact.kind.to_string() == "step_failed").map(|fact| fact.attempt).collect();
    assert!(attempts.len() >= 5, "a decision begins the waits anew: {attempts:?}");
    assert!(attempts.windows(2).all(|pair| pair[1] == pair[0] + 1), "each attempt has a key of its own");
}

#[test]
fn a_deal_that_is_reopened_takes_tax_and_billing_back_whatever_stage_it_has_reached() {
    let asked = told(vec![won(1, billed(deal("O-1"))), reopened(2, "O-1", 2)]);
    assert_eq!(asked.effects(), ["determine_tax:O-1-US:1", "void_tax:O-1-US:1"]);
    assert_eq!(asked.taken_back(), 1);
    let active = told(vec![won(1, billed(deal("O-1"))), accepted(2, "O-1", "US"), reopened(3, "O-1", 2)]);
    let undone = ["cancel_schedule:O-1-US:1", "void_tax:O-1-US:1"];
    assert_eq!(active.effects()[4..], undone);
    let ended = active.contracts.iter().filter(|event| matches!(event, Event::ContractCancelled(_))).count();
    assert_eq!((ended, active.course("O-1-US").last().map(String::as_str)), (1, Some("compensated")));
    assert!(order(&active, "O-1", "US").request.is_none(), "nothing personal is kept");
}

#[test]
fn an_acceptance_after_the_deal_was_reopened_makes_nothing_outside() {
    let told = told(vec![won(1, billed(deal("O-1"))), reopened(2, "O-1", 2), accepted(3, "O-1", "US")]);
    assert_eq!(told.effects(), ["determine_tax:O-1-US:1", "void_tax:O-1-US:1"]);
    assert!(told.contracts.is_empty());
    assert_eq!(told.taken_back(), 1);
}

#[test]
fn what_cannot_be_taken_back_at_once_is_tried_until_it_is() {
    let told = told(vec![won(1, billed(deal("O-VOID"))), reopened(2, "O-VOID", 2)]);
    assert_eq!(told.effects(), ["determine_tax:O-VOID-US:1", "void_tax:O-VOID-US:2"]);
    assert_eq!(told.cases().1, ["mended"]);
}

/// Rows D6.06, D6.09: a contract that the product cannot carry out, and that is given up, is not billed and not taxed.
#[test]
fn a_contract_that_is_given_up_is_not_billed_and_not_taxed() {
    let story = vec![
        won(1, billed(deal("O-1"))),
        accepted(2, "O-1", "US"),
        not_provisioned(3, "O-1", "US"),
        decided(4, "O-1", FalloutAction::Reject, &[]),
    ];
    let told = told(story);
    assert_eq!(told.effects()[4..], ["cancel_schedule:O-1-US:1", "void_tax:O-1-US:1"]);
    let ended = told.contracts.iter().find_map(|event| match event {
        Event::ContractCancelled(event) => Some(&*event.reason.code),
        _ => None,
    });
    assert_eq!(ended, Some("activation_failed"));
    assert_eq!(told.course("O-1-US").last().map(String::as_str), Some("compensated"));
}

#[test]
fn a_contract_that_is_cancelled_is_billed_until_its_day_and_its_tax_stands() {
    let told = told(vec![won(1, billed(deal("O-1"))), accepted(2, "O-1", "US"), ends(3, "O-1-US", 2)]);
    assert_eq!(told.effects()[4..], ["cancel_schedule:O-1-US:1"]);
    let effect: FlowEffect = serde_json::from_str(&told.observed.effects[4].payload).expect("an effect");
    let Change::CancelSchedule(end) = effect.change else { panic!("{effect:?}") };
    assert_eq!(end.end_on, Some(date(2026, 9, 1)));
}

#[test]
fn what_is_switched_off_is_no_step() {
    let none = Told::of(vec![won(1, billed(deal("O-1"))), accepted(2, "O-1", "US")]);
    assert_eq!((none.effects().len(), none.activated().len()), (0, 1));
    let parts = Parts { tax: true, billing: false };
    let events = vec![won(1, billed(deal("O-1"))), accepted(2, "O-1", "US")];
    let taxed = Told::by(&Case { rule, details, ..Case::new(flow().with(parts), events) });
    assert_eq!(taxed.effects(), ["determine_tax:O-1-US:1", "commit_tax:O-1-US:1"]);
}

/// Every crash between decision, call and answer, lost answers, redeliveries and take-overs end as the run without faults: refusals, attempts
/// and what is taken back included.
#[test]
fn tax_billing_and_what_is_taken_back_are_replay_safe() {
    let story = vec![
        won(1, billed(deal("O-1"))),
        accepted(2, "O-1", "US"),
        won(10, billed(shared("O-2"))),
        accepted(11, "O-2", "US"),
        accepted(12, "O-2", "DE"),
        won(20, billed(deal("O-ONCE"))),
        accepted(21, "O-ONCE", "US"),
        won(30, billed(deal("O-CARD"))),
        accepted(31, "O-CARD", "US"),
        won(40, billed(deal("O-NEXUS"))),
    ];
    assert_replay_safe(&case(story), 80);
}

/// The same where deals are reopened; only schedules that keep the order between topics can be compared.
#[test]
fn deals_that_are_reopened_with_tax_and_billing_are_replay_safe() {
    let story = vec![
        won(1, billed(deal("O-1"))),
        accepted(2, "O-1", "US"),
        reopened(3, "O-1", 2),
        won(10, billed(deal("O-VOID"))),
        reopened(11, "O-VOID", 2),
    ];
    let case = case(story);
    for seed in (1..100).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}
