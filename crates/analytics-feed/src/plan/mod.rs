//! Event and known state to rows: pure functions, one file an event family.
//!
//! Every row is a fact or the whole state of its key, so that a reader never has to know what was there before.

pub mod accuracy;
pub mod balance;
pub mod contract;
pub mod credit;
pub mod invoice;
pub mod journey;
pub mod mrr;
pub mod payment;
mod rows;
mod state;
pub mod usage;

use crate::document::FeedDocument;
use consumer::TimerChange;
use events::{Dataset, Payload, version};
use failure::Failure;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use ledger::{DocumentKey, Millis};

/// What is published, before it has an id.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// Keyed by the account.
    Fact(Dataset),
    /// The whole state of its subject, which is its key.
    State(Dataset),
    /// The state of `key` is over.
    Deleted { topic: &'static str, key: String, at_ms: i64 },
}

/// What comes of one event.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub rows: Vec<Row>,
    pub documents: Vec<(DocumentKey, FeedDocument)>,
    pub timers: Vec<TimerChange>,
}

impl Plan {
    fn fact(&mut self, row: impl Into<Dataset>) {
        self.rows.push(Row::Fact(row.into()));
    }

    fn state(&mut self, row: impl Into<Dataset>) {
        self.rows.push(Row::State(row.into()));
    }

    fn put(&mut self, kind: &str, id: &str, document: FeedDocument) {
        self.documents.push((crate::document::key(kind, id), document));
    }
}

/// An event with its id: what each row says of where it came from.
#[derive(Debug)]
pub struct Source<'a, T> {
    pub event: &'a T,
    /// `ce_id`.
    pub id: &'a str,
    /// Timestamp of its record.
    pub record_ms: Millis,
}

impl<T> Clone for Source<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Source<'_, T> {}

impl<T: Payload> Source<'_, T> {
    fn account(&self) -> String {
        self.event.account_id().to_owned()
    }

    fn entity(&self) -> String {
        self.event.legal_entity_id().to_owned()
    }
}

/// Adds money; what leaves 64 bits is refused.
fn add(sum: &mut i64, amount: i64) -> Result<(), Failure> {
    *sum = sum.checked_add(amount).ok_or_else(overflow)?;
    Ok(())
}

fn negated(amount: i64) -> Result<i64, Failure> {
    amount.checked_neg().ok_or_else(overflow)
}

fn overflow() -> Failure {
    Failure::contract("FIELD_INVALID", "the amounts do not fit into 64 bits").at_field("totals")
}

/// Rows of one event are counted, so that a reader can tell that one is missing. More than 32 bits hold do not fit into a record.
fn count(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}

/// Zones are checked before an event gets here; UTC is for what cannot be.
fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The local day of an instant.
fn day(at: Timestamp, timezone: &str) -> Date {
    at.to_zoned(zone(timezone)).date()
}

/// The first instant of a local day.
fn begin(day: Date, timezone: &str) -> Timestamp {
    day.to_zoned(zone(timezone)).map(|start| start.timestamp()).unwrap_or_default()
}
