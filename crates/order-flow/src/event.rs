//! What order-flow reads: deals with their quotes, what the ERP answers about their orders, what the product makes of them, and what becomes or
//! is to become of their contracts.

use crate::step::Times;
use events::{
    Deal, Event, EventSet, Notice, Reply, WriterSchema,
    topics::{
        CONTRACT_AMENDED, CONTRACT_CANCELLED, ENTITLEMENT_GRANTED, ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REJECTED,
        PROVISIONING_FAILED, SUBSCRIPTION_RENEWAL_ACCEPTED, SUBSCRIPTION_RENEWAL_DECLINED,
    },
};
use failure::Failure;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum FlowEvent {
    Deal(Deal),
    Reply(Reply),
    Contract(Event),
    Notice(Notice),
}

const REPLIES: [&str; 5] = [ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REJECTED, ENTITLEMENT_GRANTED, PROVISIONING_FAILED];
const CONTRACTS: [&str; 3] = [CONTRACT_AMENDED, CONTRACT_CANCELLED, SUBSCRIPTION_RENEWAL_ACCEPTED];

macro_rules! of_any {
    ($self:ident, $event:ident => $answer:expr) => {
        match $self {
            Self::Deal($event) => $answer,
            Self::Reply($event) => $answer,
            Self::Contract($event) => $answer,
            Self::Notice($event) => $answer,
        }
    };
}

impl FlowEvent {
    /// When it holds for the business, and when it was recorded.
    pub(crate) fn times(&self) -> Times {
        of_any!(self, event => Times { effective_at: event.effective_at(), recorded_at: event.recorded_at() })
    }
}

impl From<Deal> for FlowEvent {
    fn from(event: Deal) -> Self {
        Self::Deal(event)
    }
}

impl From<Reply> for FlowEvent {
    fn from(event: Reply) -> Self {
        Self::Reply(event)
    }
}

impl From<Event> for FlowEvent {
    fn from(event: Event) -> Self {
        Self::Contract(event)
    }
}

impl From<Notice> for FlowEvent {
    fn from(event: Notice) -> Self {
        Self::Notice(event)
    }
}

impl EventSet for FlowEvent {
    fn topics() -> Vec<&'static str> {
        Deal::topics().into_iter().chain(REPLIES).chain(CONTRACTS).chain([SUBSCRIPTION_RENEWAL_DECLINED]).collect()
    }

    fn decode_avro(topic: &str, schema: &WriterSchema, datum: &[u8]) -> Result<Self, Failure> {
        if REPLIES.contains(&topic) {
            return Reply::decode_avro(topic, schema, datum).map(Self::Reply);
        }
        if CONTRACTS.contains(&topic) {
            return Event::decode_avro(topic, schema, datum).map(Self::Contract);
        }
        if topic == SUBSCRIPTION_RENEWAL_DECLINED {
            return Notice::decode_avro(topic, schema, datum).map(Self::Notice);
        }
        Deal::decode_avro(topic, schema, datum).map(Self::Deal)
    }

    fn decode_json(topic: &str, data: &Value) -> Result<Self, Failure> {
        if REPLIES.contains(&topic) {
            return Reply::decode_json(topic, data).map(Self::Reply);
        }
        if CONTRACTS.contains(&topic) {
            return Event::decode_json(topic, data).map(Self::Contract);
        }
        if topic == SUBSCRIPTION_RENEWAL_DECLINED {
            return Notice::decode_json(topic, data).map(Self::Notice);
        }
        Deal::decode_json(topic, data).map(Self::Deal)
    }

    fn account_id(&self) -> &str {
        of_any!(self, event => event.account_id())
    }

    fn subject(&self) -> &str {
        of_any!(self, event => event.subject())
    }

    fn entity_version(&self) -> Option<i64> {
        of_any!(self, event => event.entity_version())
    }

    fn check(&self) -> Result<(), Failure> {
        of_any!(self, event => event.check())
    }
}
