//! Letters: parked events that wait for a person or a rule, and what can be said of each.

mod condition;
mod decode;
mod money;
mod select;
mod walk;

pub use condition::Condition;
pub use decode::{Body, Decoder, record_of};
pub use events::mask;
pub use money::{Money, at_risk};
pub use select::{Compiled, SELECTION, Seen, Selection};
pub use walk::{Sample, Walk};

use crate::error::{Error, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use events::Headers;
use ledger::{ParkedRecord, ParkedState, RowKey};
use serde_json::{Value, json};
use std::{fmt, str::FromStr};

/// Names a letter: `<service>/<slice>/<sequence>/<no>`. The sequence may hold slashes itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId {
    pub service: String,
    pub slice: i32,
    pub sequence: String,
    pub no: i64,
}

impl LetterId {
    /// Its place in the ledger of its service.
    #[must_use]
    pub fn row(&self) -> RowKey {
        RowKey { slice: self.slice, sequence: self.sequence.clone(), no: self.no }
    }

    /// The letter of a row.
    #[must_use]
    pub fn at(service: &str, row: &RowKey) -> Self {
        let (service, sequence) = (service.to_owned(), row.sequence.clone());
        Self { service, slice: row.slice, sequence, no: row.no }
    }

    #[must_use]
    pub fn of(service: &str, record: &ParkedRecord) -> Self {
        let (service, sequence) = (service.to_owned(), record.sequence.clone());
        Self { service, slice: record.slice, sequence, no: record.no }
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.service, self.slice, self.sequence, self.no)
    }
}

impl FromStr for LetterId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = || {
            let (service, rest) = text.split_once('/')?;
            let (slice, rest) = rest.split_once('/')?;
            let (sequence, no) = rest.rsplit_once('/')?;
            let (slice, no) = (slice.parse().ok()?, no.parse().ok()?);
            Some(Self { service: service.to_owned(), slice, sequence: sequence.to_owned(), no })
        };
        let wrong = || {
            Error::invalid(format!("`{text}` is no id of a letter"))
                .hint("ids look like erp-sync/3/acct-1/1; `throughline dlq ls` shows them")
        };
        parts().ok_or_else(wrong)
    }
}

/// Where a letter stands, in the words of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody must act.
    Open,
    /// Waits behind an earlier one of its sequence.
    Blocked,
    /// Is tried again by itself.
    Waiting,
    /// It took effect, was superseded, skipped, a duplicate, or discarded.
    Ended,
}

impl State {
    /// A record that failed needs a person unless its sequence is tried again by itself.
    #[must_use]
    pub fn of(record: &ParkedRecord, retries_itself: bool) -> Self {
        match (record.fate.state.is_alive(), &record.fate.failure) {
            (false, _) => Self::Ended,
            (true, None) => Self::Blocked,
            (true, Some(_)) if retries_itself && record.fate.state == ParkedState::Waiting => Self::Waiting,
            (true, Some(_)) => Self::Open,
        }
    }
}

/// Groups letters of one cause.
#[must_use]
pub fn fingerprint(service: &str, record: &ParkedRecord) -> Option<String> {
    let kept = record.fate.fingerprint.clone();
    // Rows from before fingerprints were kept have none.
    kept.or_else(|| record.fate.failure.as_ref().map(|failure| failure::fingerprint(service, &record.topic, failure)))
}

/// What a list shows of a letter: nothing of its body.
#[must_use]
pub fn summary(service: &str, record: &ParkedRecord, state: State) -> Value {
    let failure = record.fate.failure.as_ref();
    json!({
        "id": LetterId::of(service, record).to_string(),
        "service": service,
        "state": state,
        "record_state": record.fate.state.as_str(),
        "class": failure.map(|failure| failure.class),
        "step": failure.and_then(|failure| failure.stage),
        "kind": failure.map(|failure| kind(failure.class)),
        "code": failure.map(|failure| &failure.code),
        "reason": failure.map(|failure| &failure.reason),
        "owner": failure.and_then(|failure| failure.owner.as_ref()),
        "field": failure.and_then(|failure| failure.field.as_ref()),
        "awaits": failure.and_then(|failure| failure.awaits.as_ref()),
        "fingerprint": fingerprint(service, record),
        "sequence": record.sequence,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key.as_ref().map(|key| String::from_utf8_lossy(key)),
        "event_id": record.headers.text("ce_id"),
        "subject": record.headers.text("ce_subject"),
        "attempts": record.fate.attempts,
        "parked": time(record.parked_ms),
        "changed": time(record.fate.changed_ms),
        "version": record.fate.version,
        "edited": record.fate.edit.as_ref().map(|edit| edit.number),
    })
}

/// Who mends it: finance and operations decide on exceptions, engineers on failures.
#[must_use]
pub const fn kind(class: failure::Class) -> &'static str {
    match class {
        failure::Class::Business => "business exception",
        failure::Class::Dependency
        | failure::Class::Unknown
        | failure::Class::NotYet
        | failure::Class::Poison
        | failure::Class::Contract
        | failure::Class::Bug => "technical failure",
    }
}

/// A point in time as every answer shows it.
#[must_use]
pub fn time(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().map(|at| at.to_string())
}

/// Headers as they are: names may repeat, values may be null or no text.
#[must_use]
pub fn headers(headers: &Headers) -> Value {
    let one = |(name, value): &(events::record::HeaderName, Option<bytes::Bytes>)| match value {
        None => json!({ "k": name, "v": null, "enc": "utf8" }),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!({ "k": name, "v": text, "enc": "utf8" }),
            Err(_) => json!({ "k": name, "v": BASE64_STANDARD.encode(bytes), "enc": "base64" }),
        },
    };
    headers.0.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_even_if_the_sequence_holds_slashes() {
        for text in ["erp-sync/3/acct-1/1", "s/0/a/b//c/-2", "s/1//7"] {
            assert_eq!(text.parse::<LetterId>().unwrap().to_string(), text);
        }
        for text in ["", "erp-sync", "erp-sync/x/a/1", "erp-sync/1/a/b", "1/2/3"] {
            let error = text.parse::<LetterId>().unwrap_err();
            assert!(error.message.contains("is no id of a letter"), "{text}");
        }
    }

    #[test]
    fn headers_keep_order_repeats_nulls_and_bytes() {
        let mut given = Headers::default();
        given.push("a", "1");
        given.push("a", vec![0xff, 0xfe]);
        given.0.push(("b".into(), None));
        let expected = json!([{ "k": "a", "v": "1", "enc": "utf8" }, { "k": "a", "v": "//4=", "enc": "base64" },
            { "k": "b", "v": null, "enc": "utf8" }]);
        assert_eq!(headers(&given), expected);
    }
}
