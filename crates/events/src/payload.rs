//! What every event is: [`Payload`] for one type, [`EventSet`] for the enum a service reads, [`Event`](crate::Event) for all of the business.

use crate::{WriterSchema, check::Check, codec::Encode};
use failure::Failure;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::fmt::Debug;

/// One event type: what its schema guarantees.
pub trait Payload:
    Encode + Check + Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static
{
    const TOPIC: &'static str;
    /// The team that publishes it.
    const OWNER: &'static str;
    const SUBJECT_FIELD: &'static str;
    /// It tells of the work of the services: it need belong to no account and no entity.
    const IS_ABOUT_WORK: bool = false;
    fn account_id(&self) -> &str;
    /// What the event is about: `ce_subject`.
    fn subject(&self) -> &str;
    /// From 1, without gaps, per subject.
    fn entity_version(&self) -> i64;
    fn effective_at(&self) -> jiff::Timestamp;
    fn recorded_at(&self) -> jiff::Timestamp;
    fn legal_entity_id(&self) -> &str;
}

/// The events a service reads, as one enum over its input topics.
pub trait EventSet: Sized + Clone + Debug + Send + Sync + 'static {
    fn topics() -> Vec<&'static str>;
    /// Reads a datum (without framing) with the schema it was written with, straight into the type.
    fn decode_avro(topic: &str, schema: &WriterSchema, datum: &[u8]) -> Result<Self, Failure>;
    /// Reads the JSON form: structured mode and `throughline publish`. Unknown fields are refused by name.
    fn decode_json(topic: &str, data: &Value) -> Result<Self, Failure>;
    fn account_id(&self) -> &str;
    fn subject(&self) -> &str;
    fn entity_version(&self) -> Option<i64>;
    /// The rules of the wire contract that need no knowledge of the business: currencies, sums, periods, versions.
    fn check(&self) -> Result<(), Failure>;
}

/// No service reads this topic.
pub(crate) fn unknown_topic(topic: &str) -> Failure {
    Failure::contract("TYPE_MISMATCH", format!("`{topic}` is no topic of this service"))
}

/// Declares the enum over a family of events and what follows from it.
macro_rules! event_enum {
    ($(#[$set_doc:meta])* $set:ident $($(#[$doc:meta])* $name:ident($module:ident :: $type:ident) on $topic:ident,)*) => {
        $(#[$set_doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $set {
            $($(#[$doc])* $name(Box<$module::$type>),)*
        }

        impl $set {
            #[must_use]
            pub fn topic(&self) -> &'static str {
                match self { $(Self::$name(_) => $topic,)* }
            }

            /// The datum in the newest version of the schema, without framing.
            #[must_use]
            pub fn encode_avro(&self) -> Vec<u8> {
                let mut out = Vec::with_capacity(512);
                match self { $(Self::$name(event) => crate::codec::Encode::encode(&**event, &mut out),)* }
                out
            }

            /// The JSON form: the `data` of a structured-mode event.
            #[must_use]
            pub fn to_json(&self) -> serde_json::Value {
                let json = match self { $(Self::$name(event) => serde_json::to_value(event),)* };
                json.expect("text keys, numbers and strings always have a JSON form")
            }

            #[must_use]
            pub fn effective_at(&self) -> jiff::Timestamp {
                match self { $(Self::$name(event) => crate::Payload::effective_at(&**event),)* }
            }

            #[must_use]
            pub fn recorded_at(&self) -> jiff::Timestamp {
                match self { $(Self::$name(event) => event.recorded_at,)* }
            }

            #[must_use]
            pub fn legal_entity_id(&self) -> &str {
                match self { $(Self::$name(event) => crate::Payload::legal_entity_id(&**event),)* }
            }
        }

        impl crate::EventSet for $set {
            fn topics() -> Vec<&'static str> {
                vec![$($topic,)*]
            }

            fn decode_avro(topic: &str, schema: &crate::WriterSchema, datum: &[u8]) -> Result<Self, failure::Failure> {
                match topic {
                    $($topic => {
                        crate::codec::holds(size_of::<$module::$type>());
                        Ok(Self::$name(Box::new(schema.decode::<$module::$type>(datum)?)))
                    })*
                    other => Err(crate::payload::unknown_topic(other)),
                }
            }

            fn decode_json(topic: &str, data: &serde_json::Value) -> Result<Self, failure::Failure> {
                match topic {
                    $($topic => {
                        crate::codec::holds(size_of::<$module::$type>());
                        Ok(Self::$name(Box::new(crate::schema::decode_json::<$module::$type>(data)?)))
                    })*
                    other => Err(crate::payload::unknown_topic(other)),
                }
            }

            fn account_id(&self) -> &str {
                match self { $(Self::$name(event) => crate::Payload::account_id(&**event),)* }
            }

            fn subject(&self) -> &str {
                match self { $(Self::$name(event) => crate::Payload::subject(&**event),)* }
            }

            fn entity_version(&self) -> Option<i64> {
                match self { $(Self::$name(event) => Some(event.entity_version),)* }
            }

            fn check(&self) -> Result<(), failure::Failure> {
                match self { $(Self::$name(event) => crate::check::payload(&**event),)* }
            }
        }

        $(impl From<$module::$type> for $set {
            fn from(event: $module::$type) -> Self {
                Self::$name(Box::new(event))
            }
        })*
    };
}

pub(crate) use event_enum;
