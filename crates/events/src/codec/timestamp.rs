//! Instants: microseconds since the epoch in Avro, RFC 3339 in JSON. What is finer than a microsecond is cut off.

use super::{Encode, put_long};
use jiff::Timestamp;
use serde::{
    Deserializer, Serializer,
    de::{Error, Visitor},
};
use std::fmt;

impl Encode for Timestamp {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(self.as_microsecond(), out);
    }
}

pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    deserializer.deserialize_any(TimestampVisitor)
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2026-01-31T12:00:00Z")
    }

    fn visit_i64<E: Error>(self, micros: i64) -> Result<Timestamp, E> {
        Timestamp::from_microsecond(micros).map_err(|_| E::custom("a time outside of the years -9999 to 9999"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        parse(text).ok_or_else(|| E::custom("not a time such as 2026-01-31T12:00:00Z"))
    }
}

/// RFC 3339 with an offset.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let at: Timestamp = text.parse().ok()?;
    Timestamp::from_microsecond(at.as_microsecond()).ok()
}

/// The same for a nullable field.
pub mod option {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Wrapped(#[serde(with = "super")] Timestamp);

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}
