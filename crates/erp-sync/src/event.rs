//! What erp-sync reads: every event of the business, and what order-flow asks for.

use events::{Event, EventSet, Request, WriterSchema};
use failure::Failure;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum ErpEvent {
    Business(Event),
    Request(Request),
}

macro_rules! of_either {
    ($self:ident, $event:ident => $answer:expr) => {
        match $self {
            Self::Business($event) => $answer,
            Self::Request($event) => $answer,
        }
    };
}

impl From<Event> for ErpEvent {
    fn from(event: Event) -> Self {
        Self::Business(event)
    }
}

impl From<Request> for ErpEvent {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

fn is_request(topic: &str) -> bool {
    Request::topics().contains(&topic)
}

impl EventSet for ErpEvent {
    fn topics() -> Vec<&'static str> {
        Event::topics().into_iter().chain(Request::topics()).collect()
    }

    fn decode_avro(topic: &str, schema: &WriterSchema, datum: &[u8]) -> Result<Self, Failure> {
        if is_request(topic) {
            return Request::decode_avro(topic, schema, datum).map(Self::Request);
        }
        Event::decode_avro(topic, schema, datum).map(Self::Business)
    }

    fn decode_json(topic: &str, data: &Value) -> Result<Self, Failure> {
        if is_request(topic) {
            return Request::decode_json(topic, data).map(Self::Request);
        }
        Event::decode_json(topic, data).map(Self::Business)
    }

    fn account_id(&self) -> &str {
        of_either!(self, event => event.account_id())
    }

    fn subject(&self) -> &str {
        of_either!(self, event => event.subject())
    }

    fn entity_version(&self) -> Option<i64> {
        of_either!(self, event => event.entity_version())
    }

    fn check(&self) -> Result<(), Failure> {
        of_either!(self, event => event.check())
    }
}
