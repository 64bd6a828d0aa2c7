//! The order-to-activation time (D10.06): what a row says of a contract that came of a deal, whatever the order in which its steps are read.

mod common;

use common::{Service, Step, accepted, activated, deal_of_two, entitled, reopened, won};
use events::{AnalyticsOrderToActivation, Dataset, common::DealType, topics::ANALYTICS_ORDER_TO_ACTIVATION};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn told(steps: &[Step]) -> Service {
    let mut service = Service::new();
    steps.iter().for_each(|step| service.happens(step));
    service.let_time_pass();
    service
}

fn rows(service: &Service) -> BTreeMap<String, AnalyticsOrderToActivation> {
    let states = service.states(ANALYTICS_ORDER_TO_ACTIVATION).into_iter();
    let row = |(key, row): (&str, &Dataset)| match row {
        Dataset::AnalyticsOrderToActivation(row) => (key.to_owned(), (**row).clone()),
        other => panic!("{other:?}"),
    };
    states.map(row).collect()
}

#[test]
fn the_spans_are_those_that_were_computed_by_hand() {
    let rows = rows(&told(&deal_of_two()));
    assert_eq!(rows.len(), 2, "one for each selling entity");
    let us = &rows["D-1-US"];
    let spans = (us.deal_to_order_ms, us.deal_to_activation_ms, us.activation_to_use_ms);
    assert_eq!(spans, (Some(3_000), 4_250, Some(5_250)), "1 000 → 4 000, 1 000 → 5 250, 5 250 → 10 500");
    assert_eq!((us.entity_version, us.deal_type, us.legal_entity_id.as_str()), (4, DealType::New, "US"));
    assert_eq!((us.closed_won_at.as_millisecond(), us.recorded_at.as_millisecond()), (500, 10_500));
    let de = &rows["D-1-DE"];
    assert_eq!((de.deal_to_activation_ms, de.activation_to_use_ms, de.entity_version), (8_000, None, 3));
}

#[test]
fn a_deal_that_was_won_again_counts_from_then() {
    let steps =
        [won(1_000, 1, DealType::New), reopened(2_000, 2), won(7_000, 3, DealType::Expansion), activated(9_000, "US")];
    let row = &rows(&told(&steps))["D-1-US"];
    assert_eq!((row.deal_to_activation_ms, row.deal_type), (2_000, DealType::Expansion));
    let later =
        [won(1_000, 1, DealType::New), activated(5_000, "US"), reopened(6_000, 2), won(7_000, 3, DealType::New)];
    assert_eq!(
        rows(&told(&later))["D-1-US"].deal_to_activation_ms,
        4_000,
        "what comes after the activation changes nothing"
    );
}

#[test]
fn a_correction_of_a_won_deal_does_not_start_the_clock_again() {
    let steps = [won(1_000, 1, DealType::New), won(3_000, 2, DealType::Expansion), activated(5_000, "US")];
    assert_eq!(rows(&told(&steps))["D-1-US"].deal_to_activation_ms, 4_000);
}

#[test]
fn a_contract_that_came_of_no_deal_has_no_row() {
    let steps = [activated(5_000, "US"), accepted(6_000, "US"), entitled(7_000, "US", "seats")];
    assert_eq!(rows(&told(&steps)), BTreeMap::new(), "its deal was never seen");
}

proptest! {
    #[test]
    fn in_any_order_the_rows_are_the_same(steps in Just(story()).prop_shuffle()) {
        prop_assert_eq!(rows(&told(&steps)), rows(&told(&story())));
    }
}

fn story() -> Vec<Step> {
    let again = [reopened(1_200, 2), won(1_500, 3, DealType::Expansion)];
    deal_of_two().into_iter().chain(again).collect()
}
