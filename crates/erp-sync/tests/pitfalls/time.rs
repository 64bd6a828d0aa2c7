//! Dates, instants, periods.

use super::{Books, common::MAPPING, facts::*};
use events::{
    ContractActivated, ContractAmended,
    common::{AmendmentType, LineChange, RecognitionMethod, RevenueModification, Term},
};
use jiff::civil::{Date, date};
use serde_json::{Value, json};

#[tokio::test]
async fn a_contract_from_new_years_morning_in_sydney_is_ordered_in_january() {
    let mut books = Books::open().await;
    let contract = ContractActivated {
        // 00:30 on 1 January there.
        effective_at: "2025-12-31T13:30:00Z".parse().expect("a time"),
        term: Term { timezone: "Australia/Sydney".into(), ..activated().term },
        ..activated()
    };
    books.tell(contract).await.expect("an order");
    let order = books.only("salesOrder").await;
    assert_eq!((&order["tranDate"], &order["startDate"]), (&json!("2026-01-01"), &json!("2026-01-01")));
}

#[tokio::test]
async fn a_term_ends_on_its_last_day_in_the_erp_and_a_month_end_anchor_comes_back() {
    let mut books = Books::open().await;
    let mut contract = deferred();
    contract.term = Term { start_on: date(2026, 1, 31), end_on: Some(date(2026, 4, 30)), ..contract.term };
    contract.revenue_plan[0].method = RecognitionMethod::StraightLineEven;
    contract.revenue_plan[0].start_on = date(2026, 1, 31);
    contract.revenue_plan[0].end_on = Some(date(2026, 4, 30));
    books.tell(contract).await.expect("an order and its plan");
    assert_eq!(
        books.only("salesOrder").await["endDate"],
        "2026-04-29",
        "our end is the first day without, theirs the last day with"
    );
    let plan = books.only("revenueArrangement").await;
    assert_eq!(plan["revenueElement"]["items"][0]["revRecEndDate"], "2026-04-29");
    // 31 January, 28 February, 31 March: three months of a third each.
    assert_eq!(schedule(&plan), [month("2026-01", 40.0), month("2026-02", 40.0), month("2026-03", 40.0)]);
}

#[tokio::test]
async fn a_leap_day_is_a_day_of_revenue() {
    for (year, february, march, value) in [(2028, 29.0, 31.0, 6_000), (2027, 28.0, 31.0, 5_900)] {
        let mut books = Books::open().await;
        let (start_on, end_on) = (date(year, 2, 1), date(year, 4, 1));
        let mut contract = deferred();
        contract.term = Term { start_on, end_on: Some(end_on), ..contract.term };
        contract.lines[0].amount_minor = value;
        contract.total_contract_value_minor = Some(value);
        contract.revenue_plan = vec![obligation("L-1", value, value)];
        (contract.revenue_plan[0].start_on, contract.revenue_plan[0].end_on) = (start_on, Some(end_on));
        books.tell(contract).await.expect("an order and its plan");
        let expected = [month(&format!("{year}-02"), february), month(&format!("{year}-03"), march)];
        assert_eq!(schedule(&books.only("revenueArrangement").await), expected);
    }
}

/// Twice the price from 1 February on, recorded on `recorded_on`.
fn dearer(recorded_on: Date) -> ContractAmended {
    let (before, after) = (contract_line("L-1", 12_000), contract_line("L-1", 24_000));
    ContractAmended {
        recorded_at: noon(recorded_on),
        changes: vec![LineChange { contract_line_id: "L-1".into(), before: Some(before), after: Some(after) }],
        delta_tcv_minor: 11_000,
        revenue_modification: Some(RevenueModification::Prospective),
        ..amended(2, AmendmentType::Price, noon(date(2026, 2, 1)))
    }
}

#[tokio::test]
async fn a_back_dated_amendment_changes_no_month_before_the_one_it_was_recorded_in() {
    let mut books = Books::open().await;
    books.tell(deferred()).await.expect("an order and its plan");
    let before = schedule(&books.only("revenueArrangement").await);
    books.tell(dearer(date(2026, 5, 11))).await.expect("changed");
    let after = schedule(&books.only("revenueArrangement").await);
    assert_eq!(after[..4], before[..4], "January to April are over");
    assert!(after[4].1 > 2.0 * before[4].1, "May catches up: {after:?}");
    let sum = |slots: &[(String, f64)]| slots.iter().map(|(_, amount)| amount).sum::<f64>();
    assert!((sum(&after) - 230.0).abs() < 0.001, "{after:?}");
}

#[tokio::test]
async fn a_closed_period_is_a_case_for_finance_or_moved_by_a_rule_that_the_record_states() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    books.close("2026-02").await;
    let refused = books.tell(invoice("INV-1", &[1_000])).await.expect_err("closed");
    assert_eq!((refused.code.as_ref(), refused.owner.as_deref()), ("PERIOD_CLOSED", Some("finance")));
    assert_eq!(books.count("invoice").await, 0, "nothing is shifted in silence");

    let mut books = Books::with(&MAPPING.replace("closed_period: fallout", "closed_period: next_open")).await;
    books.tell(activated()).await.expect("an order");
    books.close("2026-02").await;
    books.tell(invoice("INV-1", &[1_000])).await.expect("booked in March");
    let record = books.only("invoice").await;
    assert_eq!(
        (&record["tranDate"], &record["custbody_tl_original_date"]),
        (&json!("2026-03-01"), &json!("2026-02-01"))
    );
    assert_eq!(record["custbody_tl_redate_rule"], "next_open_period");
}

#[tokio::test]
async fn the_next_open_period_is_the_erps_own_and_not_a_month_we_computed() {
    let mut books = Books::with(&MAPPING.replace("closed_period: fallout", "closed_period: next_open")).await;
    books.tell(activated()).await.expect("an order");
    books.close("2026-02").await;
    books.service.post_admin("periods/2026-03", json!({"locked": true})).await;
    books.close("2026-04").await;
    books.tell(invoice("INV-1", &[1_000])).await.expect("booked in May");
    assert_eq!(books.only("invoice").await["tranDate"], "2026-05-01");
}

fn month(period: &str, amount: f64) -> (String, f64) {
    (period.to_owned(), amount)
}

fn schedule(plan: &Value) -> Vec<(String, f64)> {
    let slots = plan["revenuePlan"]["items"].as_array().cloned().unwrap_or_default();
    let slot = |slot: &Value| Some((slot["plannedPeriod"].as_str()?.to_owned(), slot["amount"].as_f64()?));
    slots.iter().filter_map(slot).collect()
}
