//! Periods are half-open spans of local dates in a named zone: `[start_on, end_on)`.

use crate::generated::common::{Period, Term};
use jiff::{civil::Date, tz::TimeZoneDatabase};
use std::{collections::HashSet, sync::LazyLock};

static ZONES: LazyLock<HashSet<String>> =
    LazyLock::new(|| TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect());

/// Whether the name is an IANA zone, spelt as IANA does.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    ZONES.contains(name)
}

impl Period {
    #[must_use]
    pub fn new(start_on: Date, end_on: Date, timezone: impl Into<String>) -> Self {
        Self { start_on, end_on, timezone: timezone.into() }
    }

    /// Whether the day is in it; the end is not.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        self.start_on <= day && day < self.end_on
    }

    /// Whole days; negative if the end is before the start.
    #[must_use]
    pub fn days(&self) -> i32 {
        self.start_on.duration_until(self.end_on).as_hours().div_euclid(24) as i32
    }

    /// The last day that is in it, as systems with inclusive ends want it.
    #[must_use]
    pub fn last_day(&self) -> Option<Date> {
        self.end_on.yesterday().ok()
    }
}

impl Term {
    /// The last day of a term that has an end, as systems with inclusive ends want it.
    #[must_use]
    pub fn last_day(&self) -> Option<Date> {
        self.end_on.and_then(|end| end.yesterday().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_period_ends_before_its_end() {
        let february = Period::new(date(2028, 2, 1), date(2028, 3, 1), "Europe/London");
        assert_eq!(february.days(), 29);
        assert_eq!(february.last_day(), Some(date(2028, 2, 29)));
        assert!(february.contains(date(2028, 2, 29)) && !february.contains(date(2028, 3, 1)));
    }

    #[test]
    fn zones_are_those_of_iana() {
        assert!(is_zone("Europe/London") && is_zone("UTC"));
        assert!(!is_zone("Europe/Atlantis") && !is_zone("europe/london") && !is_zone(""));
    }
}
