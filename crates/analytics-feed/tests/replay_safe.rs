//! Any schedule of crashes, redeliveries, duplicates and topics read out of step ends as the run without faults does: the same facts,
//! and the same newest state of every key.

mod common;

use common::{business, handler, topic_of};
use events::Event;
use testkit::{
    business::Faults,
    simulation::{Case, SimEvent, assert_replay_safe},
};

fn events(seed: u64, faults: Faults) -> Vec<SimEvent<Event>> {
    let events = business(seed, 5, 7, faults).into_iter().take(110);
    let sim = events.map(|(envelope, event)| SimEvent {
        topic: topic_of(&event),
        key: events::EventSet::account_id(&event).to_owned(),
        envelope,
        event: Ok(event),
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
