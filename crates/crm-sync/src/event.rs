//! What crm-sync reads: every event of the business, and renewals that are coming or do not come.

use events::{
    Event, EventSet, Notice, WriterSchema,
    topics::{SUBSCRIPTION_RENEWAL_DECLINED, SUBSCRIPTION_RENEWAL_DUE},
};
use failure::Failure;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum CrmEvent {
    Business(Event),
    Notice(Notice),
}

macro_rules! of_either {
    ($self:ident, $event:ident => $answer:expr) => {
        match $self {
            Self::Business($event) => $answer,
            Self::Notice($event) => $answer,
        }
    };
}

impl From<Event> for CrmEvent {
    fn from(event: Event) -> Self {
        Self::Business(event)
    }
}

impl From<Notice> for CrmEvent {
    fn from(notice: Notice) -> Self {
        Self::Notice(notice)
    }
}

/// What customers are told is not for the CRM.
const NOTICES: [&str; 2] = [SUBSCRIPTION_RENEWAL_DECLINED, SUBSCRIPTION_RENEWAL_DUE];

fn is_notice(topic: &str) -> bool {
    NOTICES.contains(&topic)
}

impl EventSet for CrmEvent {
    fn topics() -> Vec<&'static str> {
        Event::topics().into_iter().chain(NOTICES).collect()
    }

    fn decode_avro(topic: &str, schema: &WriterSchema, datum: &[u8]) -> Result<Self, Failure> {
        if is_notice(topic) {
            return Notice::decode_avro(topic, schema, datum).map(Self::Notice);
        }
        Event::decode_avro(topic, schema, datum).map(Self::Business)
    }

    fn decode_json(topic: &str, data: &Value) -> Result<Self, Failure> {
        if is_notice(topic) {
            return Notice::decode_json(topic, data).map(Self::Notice);
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
