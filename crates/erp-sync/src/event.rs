//! What erp-sync reads: every event of the business, and what order-flow asks for.

use events::{
    Event, Request,
    topics::{ORDER_CANCEL_REQUESTED, ORDER_REQUESTED},
};

events::event_families! {
    /// An event of the business, or a request for an order.
    pub enum ErpEvent {
        Request(Request) on [ORDER_REQUESTED, ORDER_CANCEL_REQUESTED],
    }
    rest Business(Event)
}
