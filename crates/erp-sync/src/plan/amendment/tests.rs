//! Every kind of amendment, and what it may not do.

use super::*;
use crate::testing::{State, activated, amended, cancelled, deferred, kept, mapping};
use events::{
    ContractActivated,
    common::{ContractLine, LineChange, RevenueModification, Term},
};
use jiff::civil::{Date, date};
use rust_decimal::Decimal;

fn line(id: &str, quantity: i64, amount_minor: i64) -> ContractLine {
    ContractLine {
        contract_line_id: id.into(),
        product_id: "SUB-PLATFORM".into(),
        quantity: Decimal::from(quantity),
        unit_price: Decimal::ONE,
        amount_minor,
        ..ContractLine::default()
    }
}

fn change(id: &str, before: Option<ContractLine>, after: Option<ContractLine>) -> LineChange {
    LineChange { contract_line_id: id.into(), before, after }
}

fn amendment(kind: AmendmentType, changes: Vec<LineChange>) -> ContractAmended {
    let noon = "2026-03-11T12:00:00Z".parse().expect("a time");
    ContractAmended {
        amendment_id: "AM-1".into(),
        amendment_type: kind,
        legal_entity_id: "UK".into(),
        currency: "GBP".into(),
        effective_at: noon,
        recorded_at: noon,
        changes,
        ..amended("A-1", "C-1", 2)
    }
}

fn active() -> State {
    kept(&mapping(), &[activated("A-1", "C-1").into()])
}

fn order_of(state: &State, event: &ContractAmended) -> OrderChange {
    let decision = plan(&mapping(), Known(&state.documents()), event).expect("a plan");
    match decision.effects.first() {
        Some(ErpEffect::ChangeOrder { change, .. }) => change.clone(),
        other => panic!("{other:?}"),
    }
}

fn refusal(state: &State, event: &ContractAmended) -> Failure {
    plan(&mapping(), Known(&state.documents()), event).err().expect("refused")
}

#[test]
fn a_quantity_changes_its_line_in_place() {
    let changes = vec![change("L1", Some(line("L1", 10, 1_000)), Some(line("L1", 12, 1_200)))];
    let order = order_of(&active(), &amendment(AmendmentType::Quantity, changes));
    assert_eq!(order.lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>(), [1_200]);
    assert!(order.memo.contains("AM-1 (quantity) from 2026-03-11"), "{}", order.memo);
}

#[test]
fn an_added_line_joins_and_a_removed_one_is_closed_and_never_deleted() {
    let added = order_of(&active(), &amendment(AmendmentType::Add, vec![change("L2", None, Some(line("L2", 1, 70)))]));
    assert_eq!(added.lines.len(), 2);
    let removed = vec![change("L1", Some(line("L1", 10, 1_000)), None)];
    let order = order_of(&active(), &amendment(AmendmentType::Remove, removed));
    assert!(order.lines.len() == 1 && order.lines[0].is_closed);
}

#[test]
fn a_line_in_another_state_than_the_amendment_starts_from_is_for_finance_with_both_sides() {
    let changes = vec![change("L1", Some(line("L1", 9, 900)), Some(line("L1", 12, 1_200)))];
    let failure = refusal(&active(), &amendment(AmendmentType::Quantity, changes));
    assert_eq!((failure.code.as_ref(), failure.owner.as_deref()), ("ORDER_LINE_DIFFERS", Some("finance")));
    assert!(failure.reason.contains("10 × 1 = 1000") && failure.reason.contains("9 × 1 = 900"), "{failure}");
    assert_eq!(failure.field.as_deref(), Some("changes[0].before"));
}

#[test]
fn a_suspended_order_is_closed_and_opens_again_without_what_was_removed() {
    let remove = amendment(AmendmentType::Remove, vec![change("L1", Some(line("L1", 10, 1_000)), None)]);
    let add = ContractAmended {
        entity_version: 3,
        ..amendment(AmendmentType::Add, vec![change("L2", None, Some(line("L2", 1, 70)))])
    };
    let suspend = ContractAmended { entity_version: 4, ..amendment(AmendmentType::Suspend, vec![]) };
    let events = [activated("A-1", "C-1").into(), remove.into(), add.into(), suspend.into()];
    let state = kept(&mapping(), &events);
    assert_eq!(state.status("contract", "C-1"), "suspended");
    let resume = ContractAmended { entity_version: 5, ..amendment(AmendmentType::Resume, vec![]) };
    let order = order_of(&state, &resume);
    assert_eq!(order.lines.iter().map(|line| line.is_closed).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_longer_term_moves_the_end_of_the_order() {
    let event = ContractAmended {
        new_term: Some(Term { start_on: date(2026, 1, 1), end_on: Some(date(2028, 1, 1)), ..Term::default() }),
        ..amendment(AmendmentType::TermExtension, vec![])
    };
    assert_eq!(order_of(&active(), &event).end_on, Some(date(2028, 1, 1)));
}

#[test]
fn what_the_erp_owns_of_an_order_is_protected() {
    let state = active();
    let owner = refusal(&state, &amendment(AmendmentType::OwnerTransfer, vec![]));
    assert_eq!((owner.code.as_ref(), owner.field.as_deref()), ("FIELD_PROTECTED", Some("amendment_type")));
    let currency = ContractAmended { currency: "EUR".into(), ..amendment(AmendmentType::Price, vec![]) };
    let failure = refusal(&state, &currency);
    assert!(failure.code == "FIELD_PROTECTED" && failure.reason.contains("GBP there, EUR in the event"), "{failure}");
}

#[test]
fn an_amendment_of_a_cancelled_contract_is_for_people() {
    let events = [activated("A-1", "C-1").into(), cancelled("A-1", "C-1", 2, date(2026, 3, 1)).into()];
    let late = ContractAmended { entity_version: 3, ..amendment(AmendmentType::Add, vec![]) };
    assert_eq!(refusal(&kept(&mapping(), &events), &late).code, "ORDER_CLOSED");
}

#[test]
fn an_amendment_before_its_activation_is_kept_for_the_versions_after_it() {
    let early = ContractAmended { entity_version: 1, ..amendment(AmendmentType::Add, vec![]) };
    let second = ContractActivated { entity_version: 2, ..activated("A-1", "C-1") };
    let state = kept(&mapping(), &[early.into(), second.into()]);
    assert_eq!(state.status("contract", "C-1"), "active");
}

fn months(event: &ContractAmended) -> (i64, Vec<(String, i64)>) {
    let state = kept(&mapping(), &[deferred("A-1", "C-1", 36_500).into()]);
    let decision = plan(&mapping(), Known(&state.documents()), event).expect("a plan");
    let Some(ErpEffect::ChangeRevenue { plan, .. }) = decision.effects.last() else { panic!("{:?}", decision.effects) };
    let element = &plan.elements[0];
    let slots: Vec<_> = element.schedule.iter().map(|slot| (slot.period.clone(), slot.amount_minor)).collect();
    assert_eq!(slots.iter().map(|(_, amount)| amount).sum::<i64>(), element.allocated_minor);
    (element.allocated_minor, slots)
}

fn more(modification: RevenueModification, recorded: &str) -> ContractAmended {
    let changes = vec![change("L1", Some(line("L1", 10, 1_000)), Some(line("L1", 20, 2_000)))];
    ContractAmended {
        delta_tcv_minor: 29_600,
        revenue_modification: Some(modification),
        recorded_at: recorded.parse().expect("a time"),
        ..amendment(AmendmentType::Quantity, changes)
    }
}

#[test]
fn a_prospective_modification_leaves_what_is_recognised_and_spreads_the_rest() {
    let (allocated, slots) = months(&more(RevenueModification::Prospective, "2026-03-11T12:00:00Z"));
    assert_eq!(allocated, 66_100);
    assert_eq!(slots[0], ("2026-01".into(), 3_100));
    // 10 days at 100 and 21 at 200.
    assert_eq!(slots[2], ("2026-03".into(), 5_200));
    assert_eq!(slots[3], ("2026-04".into(), 6_000));
}

#[test]
fn a_retrospective_modification_catches_up_in_its_own_month_only() {
    let (_, slots) = months(&more(RevenueModification::Retrospective, "2026-03-11T12:00:00Z"));
    assert_eq!((slots[0].1, slots[1].1), (3_100, 2_800), "months that are over stay as they were");
    assert!(slots[2].1 > slots[3].1 + 4_000, "March catches up 59 days: {slots:?}");
}

#[test]
fn a_back_dated_amendment_never_changes_a_month_before_the_one_it_was_recorded_in() {
    let (_, slots) = months(&more(RevenueModification::Prospective, "2026-06-02T12:00:00Z"));
    let amounts: Vec<i64> = slots.iter().map(|(_, amount)| *amount).collect();
    assert_eq!(amounts[..5], [3_100, 2_800, 3_100, 3_000, 3_100]);
    assert_eq!(amounts[5], 6_000 + 2_100 + 3_000 + 3_100, "June catches up from 11 March");
}

#[test]
fn a_suspension_stops_recognition_and_a_resumption_spreads_what_is_left() {
    let at = |day: Date| format!("{day}T12:00:00Z").parse().expect("a time");
    let suspend = amendment(AmendmentType::Suspend, vec![]);
    let state = kept(&mapping(), &[deferred("A-1", "C-1", 36_500).into(), suspend.into()]);
    let documents = state.documents();
    let held = Known(&documents).revenue("C-1").expect("planned");
    assert!(held.obligations[0].element.on_hold);
    assert_eq!(held.recognised_minor("2026-12"), 3_100 + 2_800 + 1_000);
    let resume = ContractAmended {
        entity_version: 3,
        effective_at: at(date(2026, 6, 1)),
        recorded_at: at(date(2026, 6, 1)),
        ..amendment(AmendmentType::Resume, vec![])
    };
    let decision = plan(&mapping(), Known(&state.documents()), &resume).expect("a plan");
    let Some(ErpEffect::ChangeRevenue { plan, .. }) = decision.effects.last() else { panic!("{:?}", decision.effects) };
    let slots = &plan.elements[0].schedule;
    assert_eq!(slots.iter().map(|slot| slot.amount_minor).sum::<i64>(), 36_500);
    assert!(slots.iter().all(|slot| slot.period != "2026-04" && slot.period != "2026-05"), "{slots:?}");
}

#[test]
fn an_amendment_on_new_years_day_in_sydney_is_not_one_of_december() {
    let mut first = deferred("A-1", "C-1", 36_500);
    first.term.timezone = "Australia/Sydney".into();
    let state = kept(&mapping(), &[first.into()]);
    let midnight = "2026-02-28T13:30:00Z".parse().expect("1 March in Sydney");
    let event = ContractAmended {
        effective_at: midnight,
        recorded_at: midnight,
        ..more(RevenueModification::Prospective, "2026-03-01T00:00:00Z")
    };
    let decision = plan(&mapping(), Known(&state.documents()), &event).expect("a plan");
    let Some(ErpEffect::ChangeRevenue { plan, .. }) = decision.effects.last() else { panic!("{:?}", decision.effects) };
    assert_eq!(plan.elements[0].schedule[1].amount_minor, 2_800, "February stays as it was");
    assert!(plan.header.memo.contains("from 2026-03-01"), "{}", plan.header.memo);
}
