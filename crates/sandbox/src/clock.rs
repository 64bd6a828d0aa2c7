//! The sandbox's own time: real time plus an offset that a test sets.
//!
//! Tokens, jobs, late commits and delayed visibility all read this clock, so a test can let an hour pass at once.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use tokio::sync::watch;

/// Virtual time, shared by everything that has a deadline.
#[derive(Debug)]
pub struct Clock {
    offset_ms: watch::Sender<i64>,
}

impl Clock {
    /// A clock `offset_ms` milliseconds ahead of real time (behind, when negative).
    pub fn new(offset_ms: i64) -> Self {
        Self { offset_ms: watch::Sender::new(offset_ms) }
    }

    /// Milliseconds added to real time.
    pub fn offset_ms(&self) -> i64 {
        *self.offset_ms.borrow()
    }

    /// Sets the offset and wakes everything that waits for a virtual time.
    pub fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.send_replace(offset_ms);
    }

    /// Milliseconds of virtual time since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        Timestamp::now().as_millisecond().saturating_add(self.offset_ms())
    }

    /// The virtual day in UTC: the default of a transaction's date.
    pub fn today(&self) -> Date {
        timestamp(self.now_ms()).to_zoned(TimeZone::UTC).date()
    }

    /// Returns when the virtual time has reached `due_ms`, also when somebody moves the clock past it.
    pub async fn wait_until(&self, due_ms: i64) {
        let mut moved = self.offset_ms.subscribe();
        loop {
            moved.mark_unchanged();
            let left = due_ms.saturating_sub(self.now_ms());
            let Ok(left) = u64::try_from(left) else { return };
            if left == 0 {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_millis(left)) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

/// A timestamp from milliseconds; out-of-range values become the epoch's neighbours rather than a panic.
pub fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The last day of the month that `date` lies in.
pub fn month_end(date: Date) -> Date {
    date.first_of_month().checked_add(1.month()).and_then(Date::yesterday).unwrap_or(date)
}
