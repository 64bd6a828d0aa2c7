//! What nobody can use ends visibly in one place with a reason, and nothing else stops (rows D2.01, D4.04, D8.03 of the requirements).

mod common;

use common::{Told, accepted, cancelled, deal, decided, granted, line, not_provisioned, rejected, won};
use consumer::{Context, Documents, Handler as _, Input};
use events::{
    OpportunityClosedWon,
    common::{ChargeType, FalloutAction, Period},
};
use jiff::civil::date;
use order_flow::{
    OrderFlow,
    document::{DealState, FlowDocument},
    event::FlowEvent,
};
use rust_decimal::Decimal;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use testkit::simulation::{Case, Options, SimEvent, World};

/// A deal with one flaw, and the code and field that it must be told by.
type Flaw = (fn(&mut OpportunityClosedWon), &'static str, &'static str);

const FLAWS: [Flaw; 10] = [
    (|deal| deal.lines[0].line.product_id = "TOY".into(), "PRODUCT_UNKNOWN", "lines[0].product_id"),
    (|deal| deal.legal_entity_id = "ATLANTIS".into(), "ENTITY_UNMAPPED", "sellers[0].legal_entity_id"),
    (|deal| deal.currency = "XXQ".into(), "CURRENCY_UNKNOWN", "currency"),
    (|deal| deal.lines[0].line.quantity = Decimal::NEGATIVE_ONE, "QUANTITY_NEGATIVE", "lines[0].quantity"),
    (|deal| deal.term.end_on = Some(date(2025, 1, 1)), "TERM_INVALID", "term.end_on"),
    (|deal| deal.total_contract_value_minor += 1, "TOTAL_DIFFERS", "total_contract_value_minor"),
    (|deal| deal.lines.clear(), "LINES_MISSING", "lines"),
    (|deal| deal.lines.push(deal.lines[0].clone()), "LINE_DUPLICATE", "lines[1].contract_line_id"),
    (overlap, "RAMP_OVERLAPS", "lines"),
    (
        |deal| deal.customer.parent_account_id = Some(deal.account_id.clone()),
        "PARENT_CIRCULAR",
        "customer.parent_account_id",
    ),
];

fn overlap(deal: &mut OpportunityClosedWon) {
    for (n, start) in [(1, date(2026, 1, 1)), (2, date(2026, 6, 1))] {
        let mut segment = line(&format!("R{n}"), "SUB-PLATFORM", ChargeType::Recurring, 0);
        let end_on = date(2026, 9, 1);
        segment.line.service_period = Some(Period { start_on: start, end_on, timezone: "UTC".into() });
        segment.ramp_id = Some("R".into());
        deal.lines.push(segment);
    }
}

#[test]
fn each_flaw_of_a_deal_is_a_case_with_its_field_and_the_deals_beside_it_go_on() {
    for (spoil, code, path) in FLAWS {
        let mut bad = deal("O-BAD");
        spoil(&mut bad);
        let told = Told::of(vec![won(1, bad), won(2, deal("O-GOOD")), accepted(3, "O-GOOD", "US")]);
        let [events::Case::FalloutOpened(case)] = &told.cases[..] else { panic!("{code}: {:?}", told.cases) };
        let found: Vec<_> = case.reasons.iter().map(|reason| (&*reason.code, reason.path.as_deref())).collect();
        assert!(found.contains(&(code, Some(path))), "{code} at {path} is not in {found:?}");
        assert!(case.reasons.iter().all(|reason| !reason.owner_queue.is_empty() && reason.fix_hint.is_some()));
        assert_eq!((told.status("O-BAD"), told.status("O-GOOD")), ("waiting".into(), "active".into()), "{code}");
    }
}

/// Where each event of a run without faults ended.
fn fates(events: Vec<SimEvent<FlowEvent>>) -> Vec<&'static str> {
    let case: Case<OrderFlow> = Case::new(common::flow(), events);
    let (observed, _) =
        World::new(&case, Options { impatient: true, ..Options::calm() }, 0).run().expect("the run comes to rest");
    observed.fates.into_values().collect()
}

#[test]
fn an_answer_for_a_process_that_never_comes_waits_for_it_and_ends_as_a_letter() {
    assert_eq!(fates(vec![accepted(1, "O-NOBODY", "US")]), ["dead_lettered"]);
    assert_eq!(fates(vec![decided(1, "O-NOBODY", FalloutAction::Retry, &[])]), ["dead_lettered"]);
}

#[test]
fn answers_for_a_process_that_is_over_are_skipped_by_rule_or_noted_and_change_nothing() {
    let over = vec![won(1, deal("O-1")), accepted(2, "O-1", "US"), granted(3, "O-1", "US")];
    let late = [
        accepted(4, "O-1", "US"),
        rejected(5, "O-1", "US"),
        not_provisioned(6, "O-1", "US"),
        decided(7, "O-1", FalloutAction::Retry, &[]),
        decided(8, "O-1", FalloutAction::Approve, &[]),
    ];
    let told = Told::of(over.iter().cloned().chain(late).collect());
    let before = Told::of(over);
    assert_eq!(told.observed.documents, before.observed.documents);
    assert_eq!((told.contracts.len(), told.requests.len(), told.cases.len()), (1, 1, 0));
}

#[test]
fn a_closed_order_that_was_taken_back_stays_as_it_is_whatever_comes_late() {
    let story = vec![
        won(1, deal("O-1")),
        common::reopened(2, "O-1", 2),
        cancelled(3, "O-1", "US"),
        accepted(4, "O-1", "US"),
        granted(5, "O-1", "US"),
    ];
    let told = Told::of(story);
    assert_eq!((told.taken_back(), told.contracts.len(), told.status("O-1")), (1, 0, "withdrawn".into()));
    assert_eq!(told.course("O-1-US").last().map(String::as_str), Some("step_succeeded erp_order"));
}

#[test]
fn a_timer_of_an_old_version_or_of_a_deal_that_is_gone_is_skipped_with_a_reason() {
    let deal = FlowDocument::Deal(Box::new(DealState { opportunity_id: "O-1".into(), ..DealState::default() }));
    let known = BTreeMap::from([(ledger::DocumentKey::new("deal", "O-1"), Arc::new(deal))]);
    let context = Context { now_ms: 0, record_ms: 0, envelope: None, key: "", refusals: 0 };
    let skipped = |payload: serde_json::Value| {
        let input = Input::Timer { id: "old", payload: &payload };
        common::flow().decide(&Documents::new(&known), &input, &context).expect("no failure").skipped
    };
    assert_eq!(skipped(json!({ "what": "sing", "opportunity_id": "O-1" })), Some("a timer of another version"));
    assert_eq!(skipped(json!({ "when": 3 })), Some("a timer of a deal that is not there"));
    assert_eq!(skipped(json!("work")), Some("a timer of a deal that is not there"));
    let gone = json!({ "what": "work", "opportunity_id": "O-1", "legal_entity_id": "US" });
    assert_eq!(skipped(gone), Some("the order has no step to take by itself any more"));
}
