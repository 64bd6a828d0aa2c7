//! Any schedule of crashes, redeliveries, duplicates and topics read out of step ends as the run without faults does: the same facts,
//! and the same newest state of every key.

mod common;

use analytics_feed::event::FeedEvent;
use common::{Step, deal_of_two, handler, reopened, won};
use events::{Event, EventSet as _, common::DealType};
use testkit::{
    business::{Faults, Item, Options, covering},
    simulation::{Case, SimEvent, assert_replay_safe},
};

/// Lives of a few accounts that together have every kind of event.
fn events(seed: u64, faults: Faults) -> Vec<SimEvent<FeedEvent>> {
    let options = Options::new(seed, 200).over_months(4).with_faults(faults);
    let sim = covering(&options).expect("good options").into_iter().filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => {
            Some(SimEvent::<Event> { topic: generated.topic, key: generated.key, envelope, event: Ok(event) }.among())
        }
        Item::Raw { .. } => None,
    });
    sim.collect()
}

#[test]
fn analytics_feed_is_replay_safe() {
    assert_replay_safe(&Case::new(handler(), events(11, Faults::NONE)), 120);
}

/// Events that come late, with what they belong to still missing: they wait, and nothing but the order of publication differs.
#[test]
fn analytics_feed_is_replay_safe_where_the_business_is_out_of_order() {
    let faults = Faults { disorder: 0.2, cross_topic_disorder: 0.3, ..Faults::NONE };
    assert_replay_safe(&Case::new(handler(), events(12, faults)), 60);
}

/// A deal that is reopened and won again between its contracts: its steps are of five topics, which are read out of step.
#[test]
fn analytics_feed_is_replay_safe_on_the_way_from_deal_to_use() {
    let again = [reopened(0, 2), won(0, 3, DealType::Expansion)];
    let deal = deal_of_two();
    let steps = deal[..3].iter().chain(&again).chain(&deal[3..]);
    let sim = |step: &Step| SimEvent {
        topic: step.topic,
        key: step.event.account_id().to_owned(),
        envelope: step.envelope(),
        event: Ok(step.event.clone()),
    };
    assert_replay_safe(&Case::new(handler(), steps.map(sim).collect()), 200);
}
