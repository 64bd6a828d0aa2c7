//! What analytics-feed reads: every event of the business, and the steps that lead from a deal to a contract in use.

use events::{
    Deal, Event, Reply,
    topics::{ENTITLEMENT_GRANTED, OPPORTUNITY_CLOSED_WON, OPPORTUNITY_REOPENED, ORDER_ACCEPTED},
};

events::event_families! {
    /// An event of the business, a deal that was won or reopened, or a step that a service took for one.
    pub enum FeedEvent {
        Deal(Deal) on [OPPORTUNITY_CLOSED_WON, OPPORTUNITY_REOPENED],
        Reply(Reply) on [ORDER_ACCEPTED, ENTITLEMENT_GRANTED],
    }
    rest Business(Event)
}
